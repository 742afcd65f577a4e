package producer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// keyed makes a batch of records with a tenant and a number.
func keyed(t testing.TB, id string, records ...string) *record.Batch {
	t.Helper()
	b := record.NewBatch(id)
	b.Received = time.UnixMilli(1_700_000_000_000)
	b.Reserved = 1000
	fill(t, b, records)
	return b
}

// The records of a key are where Kafka's partitioner has them, in the order in
// which they came, whatever fails; those of a request without a key stay
// together.
func TestKeysChooseThePartition(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			m := newModel(t, seed, 4, int(seed%3)*10)
			m.limits.KeyField, m.limits.DeliveryTimeoutSeconds, m.limits.BatchBytes = "tenant", 60, 1000
			var batches []*record.Batch
			for i := range 40 {
				var records []string
				for k := range 1 + random.IntN(12) {
					if tenant := random.IntN(6); tenant == 0 {
						records = append(records, fmt.Sprintf(`{"n":%d,"from":"%d"}`, i*100+k+1, i))
					} else {
						records = append(records, fmt.Sprintf(`{"n":%d,"tenant":"t%d"}`, i*100+k+1, tenant))
					}
				}
				batches = append(batches, keyed(t, fmt.Sprint(i), records...))
			}
			s := newSource(batches...)
			s.close()
			if err := newProducer(t, m.limits, m, s, Options{}).Run(t.Context()); err != nil {
				t.Error(err)
			}
			m.settle()
			checkOutcomes(t, batches, m.contents())
			checkOrder(t, batches, m.contents())
			checkKeys(t, m.contents())
			if s.reserved() != 0 {
				t.Errorf("%d bytes were not released", s.reserved())
			}
		})
	}
}

func checkKeys(t *testing.T, logs map[int32][]string) {
	t.Helper()
	tenants, _ := record.ParsePaths("tenant", "n", "from")
	last := map[string]int{}
	home := map[string]int32{}
	for partition, log := range logs {
		for _, v := range log {
			var into [3]record.Value
			tenants.Lookup([]byte(v), into[:])
			tenant, n := string(into[0].AppendText(nil)), 0
			fmt.Sscan(string(into[1].Raw), &n)
			switch {
			case into[0].Kind == record.NoValue:
				from := string(into[2].Raw)
				if h, ok := home[from]; ok && h != partition {
					t.Errorf("keyless records of request %s are in partitions %d and %d", from, h, partition)
				}
				home[from] = partition
				continue
			case kafka.PartitionOf([]byte(tenant), len(logs)) != partition:
				t.Errorf("%s is in partition %d", v, partition)
			case n <= last[tenant]:
				t.Errorf("%s comes after record %d of its key", v, last[tenant])
			}
			last[tenant] = n
		}
	}
}

// keysOf returns a key for each of n partitions.
func keysOf(n int) []string {
	keys := make([]string, n)
	for i := 0; ; i++ {
		key := fmt.Sprint("k", i)
		keys[kafka.PartitionOf([]byte(key), n)] = key
		left := 0
		for _, k := range keys {
			if k == "" {
				left++
			}
		}
		if left == 0 {
			return keys
		}
	}
}

// A partition that can't be written stops no other. What waits for it is given
// up in time, and its request with it.
func TestDeadPartitionStopsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := keysOf(2)
		s := &scripted{model: newModel(t, 1, 2, 0)}
		s.produce = func(_ int, request *kafka.ProduceRequest) reply {
			if request.Partition == 1 {
				return reply{err: kafkago.NotEnoughReplicas}
			}
			return asUsual
		}
		cfg := small
		cfg.KeyField, cfg.DeliveryTimeoutSeconds, cfg.BatchRecords = "k", 10, 1
		began := time.Now()
		var dead, alive []*record.Batch
		source := newSource()
		put := func(b *record.Batch) *record.Batch {
			b.Received = time.Now()
			source.put(b)
			return b
		}
		for i := range 20 {
			dead = append(dead, put(keyed(t, fmt.Sprint("both", i), fmt.Sprintf(`{"k":%q,"i":%d}`, keys[1], i), fmt.Sprintf(`{"k":%q,"i":%d}`, keys[0], i))))
			alive = append(alive, put(keyed(t, fmt.Sprint("alive", i), fmt.Sprintf(`{"k":%q,"a":%d}`, keys[0], i))))
		}
		done := make(chan error, 1)
		go func() { done <- newProducer(t, cfg, s, source, Options{}).Run(t.Context()) }()
		for _, b := range alive {
			o := <-settled(b)
			if o.Err != nil || time.Since(began) > time.Second {
				t.Errorf("batch %s: %v after %v", b.ID, o.Err, time.Since(began))
			}
		}
		for _, b := range dead {
			o := <-settled(b)
			if !errors.Is(o.Err, record.ErrNotDelivered) || len(o.Placements) != 1 || o.Placements[0].Partition != 0 {
				t.Errorf("batch %s: %+v", b.ID, o)
			}
		}
		// What was taken at the last moment, or after the pause that follows a setback, gets 10 s, too.
		if waited := time.Since(began); waited < 9*time.Second || waited > 20*time.Second+maxBackoff {
			t.Errorf("given up after %v, want 10 to 20 s and a pause", waited)
		}
		source.close()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if source.reserved() != 0 {
			t.Errorf("%d bytes were not released", source.reserved())
		}
	})
}

// At the hard deadline nothing is left in a lane.
func TestHardDeadlineEmptiesTheLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{model: newModel(t, 1, 2, 0)}
		s.produce = func(int, *kafka.ProduceRequest) reply { return reply{err: kafkago.NotEnoughReplicas} }
		cfg := config.Default().Producer
		cfg.KeyField = "k"
		s.limits = cfg
		var batches []*record.Batch
		for i := range 10 {
			b := keyed(t, fmt.Sprint(i), fmt.Sprintf(`{"k":"a%d"}`, i), `{"none":1}`)
			b.Received = time.Now()
			b.Leave()
			batches = append(batches, b)
		}
		source, l := newSource(batches...), &letters{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := newProducer(t, cfg, s, source, Options{DeadLetters: l}).Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Run: %v", err)
		}
		buried := 0
		for _, letter := range l.put {
			buried += len(letter.Records)
		}
		if source.reserved() != 0 || buried != 20 {
			t.Errorf("%d bytes were not released, %d records dead-lettered", source.reserved(), buried)
		}
		if len(l.put) != len(batches) {
			t.Errorf("%d dead letters, want one for each of %d requests, whose records were for several partitions", len(l.put), len(batches))
		}
	})
}

func TestPlacementsOfSeveralPartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := keysOf(2)
		s := &scripted{model: newModel(t, 1, 2, 0), produce: inTurn()}
		b := keyed(t, "1", fmt.Sprintf(`{"k":%q}`, keys[1]), fmt.Sprintf(`{"k":%q}`, keys[0]), fmt.Sprintf(`{"k":%q,"i":2}`, keys[1]))
		source := newSource(b)
		source.close()
		cfg := small
		cfg.KeyField = "k"
		if err := newProducer(t, cfg, s, source, Options{}).Run(t.Context()); err != nil {
			t.Error(err)
		}
		want := record.Outcome{Placements: []record.Placement{
			{Topic: "logs", Partition: 0}, {Topic: "logs", Partition: 1, LastOffset: 1},
		}}
		if diff := cmp.Diff(want, outcome(t, b)); diff != "" {
			t.Errorf("outcome (-want +got):\n%s", diff)
		}
	})
}
