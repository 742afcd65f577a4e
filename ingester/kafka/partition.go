package kafka

import "encoding/binary"

// PartitionOf chooses the partition of a key, of as many as there are, exactly as
// Kafka's own producer does, so that others who write keys of the same kind
// agree (org.apache.kafka.common.utils.Utils.murmur2, and its toPositive).
func PartitionOf(key []byte, partitions int) int32 {
	return int32(int(murmur2(key)&0x7fffffff) % partitions)
}

// murmur2 is Austin Appleby's 32-bit MurmurHash2 with the seed that Kafka
// chose.
func murmur2(data []byte) uint32 {
	const (
		seed     = 0x9747b28c
		multiply = 0x5bd1e995
		shift    = 24
	)
	h := uint32(seed) ^ uint32(len(data))
	for ; len(data) >= 4; data = data[4:] {
		k := binary.LittleEndian.Uint32(data) * multiply
		k ^= k >> shift
		h = h*multiply ^ k*multiply
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(data[0])) * multiply
	}
	h ^= h >> 13
	h *= multiply
	return h ^ h>>15
}
