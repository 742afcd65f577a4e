package kafka

import (
	"testing"

	kafkago "github.com/segmentio/kafka-go"
)

// The vectors are those of Kafka's own test of Utils.murmur2.
func TestMurmur2(t *testing.T) {
	for key, want := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		if got := int32(murmur2([]byte(key))); got != want {
			t.Errorf("%q: %d, want %d", key, got, want)
		}
	}
}

// kafka-go's balancer agrees, for keys of every length.
func TestPartitionOfAgreesWithOthers(t *testing.T) {
	const partitions = 7
	var all [partitions]int
	for i := range all {
		all[i] = i
	}
	for n := range 300 {
		key := make([]byte, n%40)
		for i := range key {
			key[i] = byte(n*31 + i*7)
		}
		want := kafkago.Murmur2Balancer{Consistent: true}.Balance(kafkago.Message{Key: key}, all[:]...)
		if got := PartitionOf(key, partitions); int(got) != want {
			t.Errorf("key % x: partition %d, want %d", key, got, want)
		}
	}
}
