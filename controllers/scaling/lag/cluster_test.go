package lag

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logpipeline/logpipeline/test/await"
)

// requests counts what a fake Kafka is asked for, by API key.
type requests struct {
	mutex sync.Mutex
	byKey map[int16]int
}

func countRequests(fake *kfake.Cluster) *requests {
	r := &requests{byKey: map[int16]int{}}
	fake.Control(func(request kmsg.Request) (kmsg.Response, error, bool) {
		fake.KeepControl()
		r.mutex.Lock()
		defer r.mutex.Unlock()
		r.byKey[request.Key()]++
		return nil, nil, false
	})
	return r
}

// since begins to count anew and returns what there was.
func (r *requests) since() map[int16]int {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	counted := r.byKey
	r.byKey = map[int16]int{}
	return counted
}

const (
	keyFetch           = 1
	keyListOffsets     = 2
	keyMetadata        = 3
	keyOffsetFetch     = 9
	keyFindCoordinator = 10
)

func TestRequestsDoNotGrowWithPipelines(t *testing.T) {
	const pipelines, brokers = 60, 3
	fake := newFake(t)
	w := newWorld(t, fake.ListenAddrs())
	var queries []Query
	for i := range pipelines {
		name := fmt.Sprintf("%s.%d", w.topic, i)
		w.create(name, 6)
		queries = append(queries, Query{Topic: name, Group: name})
	}
	w.topic = queries[0].Topic
	w.produce(0, 5, noon)
	cluster := w.reader()
	if r := cluster.Read(w.context(), queries)[0]; r.Err != nil {
		t.Fatal(r.Err) // and the connections are made
	}
	counted := countRequests(fake)
	for _, r := range cluster.Read(w.context(), queries) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	got := counted.since()
	if got[keyMetadata] < 1 || got[keyMetadata] > 3 {
		t.Errorf("%d metadata requests, want one beside the transport's own", got[keyMetadata])
	}
	delete(got, keyMetadata)
	if n := got[keyOffsetFetch]; n < 1 || n > brokers {
		t.Errorf("%d requests for commits, want at most one a broker", n)
	}
	delete(got, keyOffsetFetch)
	if diff := cmp.Diff(map[int16]int{keyListOffsets: 2 * brokers}, got); diff != "" {
		t.Errorf("other requests, -want +got\n%s", diff)
	}
}

// The transport reads the cluster's metadata by itself every few seconds.
func TestNoTopicsMetadataIsKept(t *testing.T) {
	onEveryKafka(t, func(w *world) {
		cluster := w.reader()
		w.topic = w.topicID().String() // something was read
		if r := cluster.Read(w.context(), []Query{{Topic: w.topic, Group: w.group}})[0]; ReasonOf(r.Err) != TopicMissing {
			t.Fatal(r.Err)
		}
		kept, err := cluster.client.Admin().Metadata(w.context(), &metadataOfAll)
		if err != nil || len(kept.Topics) != 0 || len(kept.Brokers) == 0 {
			t.Errorf("kept %d topics, %d brokers, %v; want brokers only", len(kept.Topics), len(kept.Brokers), err)
		}
	})
}

func TestABatchLargerThanTheFirstLook(t *testing.T) {
	onEveryKafka(t, func(w *world) {
		random := make([]byte, 10<<10)
		for partition := range int32(2) {
			_, _ = rand.Read(random)
			var records []*kgo.Record
			for range 20 { // 200 KiB that don't compress, as one batch
				records = append(records, &kgo.Record{Topic: w.topic, Partition: partition, Timestamp: noon, Value: bytes.Clone(random)})
			}
			client := w.connect(kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerLinger(time.Second))
			if err := client.ProduceSync(w.context(), records...).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		cluster := w.reader()
		want := []Partition{{ID: 0, End: 20, Oldest: noon}, {ID: 1, End: 20, Oldest: noon}}
		var got Result
		readings := 0
		await.NoError(w, func() error {
			got = cluster.Read(w.context(), []Query{{Topic: w.topic, Group: w.group}})[0]
			readings++
			if _, known := got.Reading.Delay(time.Now()); got.Err != nil || !known {
				return fmt.Errorf("%+v", got)
			}
			return nil
		})
		if diff := cmp.Diff(want, got.Reading.Partitions, cmp.Comparer(time.Time.Equal)); diff != "" || readings > 3 {
			t.Errorf("after %d readings, -want +got\n%s", readings, diff)
		}
	})
}

func TestABrokerThatIsGone(t *testing.T) {
	fake := newFake(t)
	w := newWorld(t, fake.ListenAddrs())
	cluster := w.reader()
	query := []Query{{Topic: w.topic, Group: w.group}, {Topic: "test.lag.none", Group: uuid.NewString()}}
	if r := cluster.Read(w.context(), query)[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	fake.Close()
	for _, r := range cluster.Read(w.context(), query) {
		if r.Err == nil || ReasonOf(r.Err) != Unreachable || Lasting(r.Err) {
			t.Errorf("got %+v, want a passing error Unreachable", r)
		}
	}
}

// A coordinator that has moved is looked for again in the next reading.
func TestACoordinatorThatHasMoved(t *testing.T) {
	fake := newFake(t)
	w := newWorld(t, fake.ListenAddrs())
	w.produce(0, 5, noon)
	w.commit(0, 3)
	cluster := w.reader()
	query := []Query{{Topic: w.topic, Group: w.group}}
	if r := cluster.Read(w.context(), query)[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	cluster.coordinators[w.group] = (cluster.coordinators[w.group] + 1) % 3
	if r := cluster.Read(w.context(), query)[0]; ReasonOf(r.Err) != Incomplete {
		t.Fatalf("got %+v, want Incomplete", r)
	}
	r := cluster.Read(w.context(), query)[0]
	if r.Err != nil || r.Reading.Records() != 2 {
		t.Errorf("got %+v, want 2 records", r)
	}
}
