package lag

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Record times of the tests, in the precision that Kafka keeps.
var (
	noon  = time.Now().Truncate(time.Second).Add(-time.Hour)
	later = noon.Add(time.Minute)
)

func TestLag(t *testing.T) {
	cases := []struct {
		name   string
		happen func(w *world, q *Query)
		want   []Partition
	}{
		{"an empty topic", func(*world, *Query) {},
			[]Partition{{ID: 0}, {ID: 1}}},
		{"no committed offset: the whole retained log", func(w *world, _ *Query) {
			w.produce(0, 5, noon)
		}, []Partition{{ID: 0, End: 5, Oldest: noon}, {ID: 1}}},
		{"no committed offset, and retention has removed some", func(w *world, _ *Query) {
			w.produce(0, 3, noon)
			w.produce(0, 4, later)
			w.expire(0, 3)
		}, []Partition{{ID: 0, Start: 3, End: 7, Done: 3, Oldest: later}, {ID: 1}}},
		{"committed in the middle of a batch", func(w *world, _ *Query) {
			w.produce(0, 5, noon)
			w.produce(0, 5, later)
			w.commit(0, 7)
		}, []Partition{{ID: 0, End: 10, Done: 7, Oldest: later}, {ID: 1}}},
		{"all committed", func(w *world, _ *Query) {
			w.produce(1, 5, noon)
			w.commit(1, 5)
		}, []Partition{{ID: 0}, {ID: 1, End: 5, Done: 5}}},
		{"a negative commit means none", func(w *world, _ *Query) {
			w.produce(0, 5, noon)
			w.commit(0, -1)
		}, []Partition{{ID: 0, End: 5, Oldest: noon}, {ID: 1}}},
		{"expired behind the commit: not lag", func(w *world, _ *Query) {
			w.produce(0, 5, noon)
			w.produce(0, 5, later)
			w.commit(0, 2)
			w.expire(0, 5)
		}, []Partition{{ID: 0, Start: 5, End: 10, Done: 5, Oldest: later}, {ID: 1}}},
		{"everything expired", func(w *world, _ *Query) {
			w.produce(0, 5, noon)
			w.commit(0, 2)
			w.expire(0, 5)
		}, []Partition{{ID: 0, Start: 5, End: 5, Done: 5}, {ID: 1}}},
		{"sealed beyond the commit", func(w *world, q *Query) {
			w.produce(0, 5, noon)
			w.produce(0, 5, later)
			w.commit(0, 2)
			q.Progress = map[int32]Progress{0: {Done: 8, Oldest: later}}
		}, []Partition{{ID: 0, End: 10, Done: 8, Oldest: later}, {ID: 1}}},
		{"committed beyond what the owner said", func(w *world, q *Query) {
			w.produce(0, 5, noon)
			w.produce(0, 5, later)
			w.commit(0, 6)
			q.Progress = map[int32]Progress{0: {Done: 2, Oldest: noon}}
		}, []Partition{{ID: 0, End: 10, Done: 6, Oldest: later}, {ID: 1}}},
		{"the owner's record is believed without a look", func(w *world, q *Query) {
			w.produce(0, 5, noon)
			q.Progress = map[int32]Progress{0: {Done: 2, Oldest: later}}
		}, []Partition{{ID: 0, End: 5, Done: 2, Oldest: later}, {ID: 1}}},
		{"a partition that was added", func(w *world, _ *Query) {
			w.produce(0, 5, noon)
			w.commit(0, 5)
			w.grow(3)
			w.produce(2, 2, later)
		}, []Partition{{ID: 0, End: 5, Done: 5}, {ID: 1}, {ID: 2, End: 2, Oldest: later}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			onEveryKafka(t, func(w *world) { w.check(c.happen, c.want) })
		})
	}
}

// kfake's transactions differ from Kafka's in what they leave in the log.
func TestLagOfTransactions(t *testing.T) {
	cases := []struct {
		name   string
		happen func(w *world, q *Query)
		want   []Partition
	}{
		{"behind the last record is a commit marker: done", func(w *world, _ *Query) {
			w.transact(0, 3, noon, kgo.TryCommit)
			w.commit(0, 3)
		}, []Partition{{ID: 0, End: 4, Done: 4}, {ID: 1}}},
		{"a marker, then a record", func(w *world, _ *Query) {
			w.transact(0, 3, noon, kgo.TryCommit)
			w.produce(0, 2, later)
			w.commit(0, 3)
		}, []Partition{{ID: 0, End: 6, Done: 4, Oldest: later}, {ID: 1}}},
		{"an aborted transaction holds no record", func(w *world, _ *Query) {
			w.produce(0, 1, noon)
			w.transact(0, 3, noon, kgo.TryAbort)
			w.commit(0, 1)
		}, []Partition{{ID: 0, End: 5, Done: 5}, {ID: 1}}},
		{"an aborted transaction, then a committed one", func(w *world, _ *Query) {
			w.transact(0, 3, noon, kgo.TryAbort)
			w.transact(0, 3, later, kgo.TryCommit)
		}, []Partition{{ID: 0, End: 8, Done: 4, Oldest: later}, {ID: 1}}},
		{"an open transaction is not there yet", func(w *world, _ *Query) {
			w.produce(0, 2, noon)
			w.open(0, 3, later)
		}, []Partition{{ID: 0, End: 2, Oldest: noon}, {ID: 1}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			newWorld(t, realBroker(t)).check(c.happen, c.want)
		})
	}
}

// check reads twice: first by looking, then from memory.
func (w *world) check(happen func(*world, *Query), want []Partition) {
	w.Helper()
	q := Query{Topic: w.topic, Group: w.group}
	happen(w, &q)
	cluster := w.reader()
	for range 2 {
		got := cluster.Read(w.context(), []Query{q})[0]
		if got.Err != nil {
			w.Fatal(got.Err)
		}
		if diff := cmp.Diff(want, got.Reading.Partitions, cmp.Comparer(time.Time.Equal)); diff != "" {
			w.Errorf("-want +got\n%s", diff)
		}
	}
}

func TestNoLag(t *testing.T) {
	cases := []struct {
		name   string
		happen func(w *world, q *Query)
		want   Reason
	}{
		{"no such topic", func(_ *world, q *Query) { q.Topic = "test.lag.none" }, TopicMissing},
		{"recreated, and the id is known", func(w *world, q *Query) {
			q.TopicID = w.topicID()
			w.recreate()
		}, TopicRecreated},
		{"recreated with fewer records, and the id isn't known", func(w *world, _ *Query) {
			w.produce(0, 5, noon)
			w.commit(0, 5)
			w.recreate()
			w.produce(0, 2, later)
			w.commit(0, 5) // Kafka forgets the commits of a deleted topic; kfake doesn't
		}, LogTruncated},
		{"more is sealed than the log has", func(w *world, q *Query) {
			w.produce(0, 5, noon)
			q.Progress = map[int32]Progress{0: {Done: 6}}
		}, LogTruncated},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			onEveryKafka(t, func(w *world) {
				q := Query{Topic: w.topic, Group: w.group}
				c.happen(w, &q)
				got := w.reader().Read(w.context(), []Query{q})[0]
				if got.Err == nil || ReasonOf(got.Err) != c.want || !Lasting(got.Err) {
					t.Errorf("got %+v, want the lasting reason %s", got, c.want)
				}
			})
		})
	}
}

func (w *world) topicID() uuid.UUID {
	r := w.reader().Read(w.context(), []Query{{Topic: w.topic, Group: w.group}})[0]
	if r.Err != nil {
		w.Fatal(r.Err)
	}
	return r.Reading.TopicID
}

func TestRecordsThatArriveAreSeenAfterWhatWasEmpty(t *testing.T) {
	w := newWorld(t, realBroker(t))
	cluster := w.reader()
	read := func() Partition {
		t.Helper()
		r := cluster.Read(w.context(), []Query{{Topic: w.topic, Group: w.group}})[0]
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		return r.Reading.Partitions[0]
	}
	compare := func(want Partition) {
		t.Helper()
		if diff := cmp.Diff(want, read(), cmp.Comparer(time.Time.Equal)); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
	w.transact(0, 3, noon, kgo.TryCommit)
	w.commit(0, 3)
	compare(Partition{End: 4, Done: 4})
	w.produce(0, 2, later)
	compare(Partition{End: 6, Done: 4, Oldest: later})
	w.commit(0, 6)
	compare(Partition{End: 6, Done: 6})
}

func TestDelay(t *testing.T) {
	now := later
	cases := []struct {
		name       string
		partitions []Partition
		want       time.Duration
		known      bool
	}{
		{"idle", []Partition{{End: 5, Done: 5}}, 0, true},
		{"the oldest counts", []Partition{{End: 5, Oldest: noon}, {End: 5, Oldest: later}}, time.Minute, true},
		{"one that isn't known", []Partition{{End: 5, Oldest: noon}, {End: 5}}, 0, false},
		{"from a clock that is ahead", []Partition{{End: 5, Oldest: later.Add(time.Second)}}, 0, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, known := Reading{Partitions: c.partitions}.Delay(now)
			if got != c.want || known != c.known {
				t.Errorf("got %v, %v, want %v, %v", got, known, c.want, c.known)
			}
		})
	}
}
