package kill

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/logpipeline/logpipeline/ingester/segment/s3server"
)

const (
	partitions = 4
	// seats is how many consumers there are at once.
	seats = 3
	// maxPause is the longest time between two faults.
	maxPause = 2 * time.Second
	// session is the least that brokers allow.
	session = 6 * time.Second
)

// What the environment may say. KILLS is how many there are on each store.
// SEED makes the choices of an earlier run again, though not its timing.
const (
	killsVariable = "KILLS"
	seedVariable  = "SEED"
	defaultKills  = 10
)

func TestKilledConsumersLoseAndDoubleNothing(t *testing.T) {
	bootstrap := os.Getenv("KAFKA_BOOTSTRAP")
	if bootstrap == "" {
		t.Skip("KAFKA_BOOTSTRAP names no broker")
	}
	program := buildIngester(t)
	server := s3server.Start(t)
	for _, kind := range []string{"directory", "S3"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			seed := number(t, seedVariable, uint64(time.Now().UnixNano()))
			t.Logf("%s=%d", seedVariable, seed)
			began, random := time.Now(), rand.New(rand.NewPCG(seed, 0))
			topic := createTopic(t, bootstrap)
			store := newStore(t, kind, server)
			consumers := newConsumers(t, program, topic, store, random)
			producer := startProducer(t, topic)
			consumers.startAll()
			consumers.disturb(int(number(t, killsVariable, defaultKills)))
			consumers.thawAll()
			t.Logf("after %v: %s", time.Since(began).Round(time.Second), consumers.account())
			produced := producer.stop()
			awaitStored(t, store, topic, produced)
			t.Logf("after %v: %d records stored", time.Since(began).Round(time.Second), sum(produced))
			consumers.stopAll()
			t.Logf("after %v: stopped", time.Since(began).Round(time.Second))

			if got, want := readStored(t, store, topic, produced), exactly(produced); got != want {
				t.Errorf("stored: %+v, want %+v", got, want)
			}
			store.verify(t, program, produced)
		})
	}
}

// number reads a variable of the environment.
func number(t *testing.T, variable string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}
