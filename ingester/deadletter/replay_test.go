package deadletter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

func (c cluster) replayer(dir string) *Replayer {
	return &Replayer{Client: c.Client, Topic: c.logs, DeadLetterTopic: c.letters, Dir: dir}
}

func replayed(t *testing.T, r *Replayer) Result {
	t.Helper()
	result, err := r.Replay(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// identities are those of the records in the log, sorted.
func (c cluster) identities(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, l := range c.log(t, c.logs) {
		id, _, _ := strings.Cut(strings.TrimPrefix(l.Headers, HeaderIdentity+"="), ";")
		all = append(all, id)
	}
	slices.Sort(all)
	return all
}

// Only what certainly isn't there, and for which somebody holds a receipt, is
// put back unasked; and that once, wherever it is kept, however often.
func TestReplay(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, c cluster) {
		dir := t.TempDir()
		s, _ := c.open(t, dir, 1<<20)
		unknown, told, other := c.newLetter("unknown", 0, 2), c.newLetter("told", 0, 3), c.newLetter("other", 0, 4)
		unknown.Unknown, told.Acknowledged, other.Topic = true, false, "another.topic"
		put(t, s, c.newLetter("a", 0, 3), unknown, told, other, c.newLetter("a", 5, 1), c.newLetter("a", 0, 3)) // the last one for the second time
		putAlone(t, s.folder, c.newLetter("folder", 0, 2), c.newLetter("a", 5, 1))                              // the last one is in both places
		if inv := c.scan(t, dir); len(inv.Letters) != 6 || inv.Replayed != 0 || inv.Foreign != 0 {
			t.Errorf("before: %+v", inv)
		}

		want := Result{Replayed: 6, OfAnother: 4, Unknown: 2, Unacknowledged: 3}
		if diff := cmp.Diff(want, replayed(t, c.replayer(dir))); diff != "" {
			t.Errorf("first replay (-want +got):\n%s", diff)
		}
		want.Replayed, want.Before = 0, 4 // those of the folder alone are gone with their file
		if sizeOf(t, dir) != 0 {
			t.Error("files of what was replayed are left")
		}
		if diff := cmp.Diff(want, replayed(t, c.replayer(dir))); diff != "" {
			t.Errorf("second replay (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"a/0", "a/1", "a/2", "a/5", "folder/0", "folder/1"}, c.identities(t)); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		first := c.log(t, c.logs)[0]
		if age := time.Since(time.UnixMilli(first.Timestamp)); age > time.Minute {
			t.Errorf("its timestamp is %v ago: retention would take it", age)
		}
		wantFirst := logged{Partition: 1, Value: `{"batch":"a","record":0}`, Headers: "logpipeline-dead-letter=a/0;logpipeline-dead-letter-received=2026-03-01T11:59:00Z;tenant=blue;", Timestamp: first.Timestamp}
		if diff := cmp.Diff(wantFirst, first); diff != "" {
			t.Errorf("as it is put back (-want +got):\n%s", diff)
		}

		only := c.replayer(dir)
		only.IncludeUnacknowledged, only.Batch = true, "told"
		if r := replayed(t, only); r.Replayed != 3 || r.OfAnother != 6 {
			t.Errorf("one batch: %+v", r)
		}
		all := c.replayer(dir)
		all.IncludeUnknown, all.IncludeUnacknowledged = true, true
		if r := replayed(t, all); r.Replayed != 2 || r.OfAnother != 4 {
			t.Errorf("all: %+v", r)
		}
		if n := len(c.identities(t)); n != 11 {
			t.Errorf("%d records in the log", n)
		}
		if inv := c.scan(t, dir); len(inv.Letters) != 1 || inv.Letters[0].Batch != "other" || inv.Foreign != 0 {
			t.Errorf("after: %+v", inv)
		}
	})
}

// More than a record batch, by keys: all of it, each in its partition.
func TestReplayOfManyByKeys(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, c cluster) {
		s, _ := c.open(t, t.TempDir(), 1<<20)
		d := c.newLetter("many", 100, 0)
		for i := range 900 {
			d.Records = append(d.Records, fmt.Appendf(nil, `{"key":"k%d","padding":%q}`, i%50, strings.Repeat("x", 2000)))
		}
		put(t, s, d)
		r := c.replayer(t.TempDir())
		r.Key = func(into, value []byte) ([]byte, bool) {
			key, _, _ := strings.Cut(string(value[8:]), `"`)
			return append(into, key...), true
		}
		if got := replayed(t, r); got.Replayed != 900 {
			t.Errorf("got %+v", got)
		}
		if again := replayed(t, r); again.Replayed != 0 || again.Before != 900 {
			t.Errorf("again: %+v", again)
		}
		seen := map[string]bool{}
		for _, l := range c.log(t, c.logs) {
			seen[l.Headers] = true
			if want := kafka.PartitionOf([]byte(l.Key), 3); l.Partition != want || l.Key == "" {
				t.Fatalf("key %q is in partition %d, want %d", l.Key, l.Partition, want)
			}
		}
		if len(seen) != 900 {
			t.Errorf("%d different records", len(seen))
		}
	})
}

// A record that the topic refuses again stays; those beside it don't.
func TestReplayOfARecordThatIsRefusedAgain(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, c cluster) {
		dir := t.TempDir()
		s, _ := c.open(t, dir, 10<<20)
		d := c.newLetter("a", 0, 3)
		d.Records[1] = make([]byte, 1_100_000)
		put(t, s, d) // into the folder: the topic refuses it, too
		for range 2 {
			r := replayed(t, c.replayer(dir))
			if r.Refused != 1 || !strings.Contains(r.Refusal, "Message Size Too Large") {
				t.Errorf("got %+v", r)
			}
		}
		if diff := cmp.Diff([]string{"a/0", "a/2"}, c.identities(t)); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		if inv := c.scan(t, dir); len(inv.Letters) != 1 || inv.Letters[0].Pending != 1 {
			t.Errorf("left: %+v", inv.Letters)
		}
	})
}

// broken is a Kafka that fails in the middle of a replay.
type broken struct {
	*kafka.Client
	produced atomic.Int32
	fail     func(n int32, topic string) error
}

func (b *broken) Produce(ctx context.Context, p *kafka.ProduceRequest) (int64, error) {
	if err := b.fail(b.produced.Add(1), p.Topic); err != nil {
		return 0, err
	}
	return b.Client.Produce(ctx, p)
}

// A replay that ends after a record batch and before its mark says so, and the
// next one puts these records there a second time, under the same identity.
func TestReplayEndsBeforeTheMark(t *testing.T) {
	c := newCluster(t, newFake(t).ListenAddrs(), true)
	dir := t.TempDir()
	s, _ := c.open(t, dir, 1<<20)
	put(t, s, c.newLetter("a", 0, 2), c.newLetter("b", 0, 2))
	r := c.replayer(dir)
	r.Client = &broken{Client: c.Client, fail: func(_ int32, topic string) error {
		if topic == c.letters {
			return kafka.Error(10) // even where it looks like a refusal
		}
		return nil
	}}
	result, err := r.Replay(t.Context())
	if err == nil || !strings.Contains(err.Error(), "could not be marked so") || result.Replayed != 2 {
		t.Errorf("%+v, %v", result, err)
	}
	if got := replayed(t, c.replayer(dir)); got.Replayed != 4 {
		t.Errorf("the next one: %+v", got)
	}
	if ids := c.identities(t); len(ids) != 6 || len(slices.Compact(ids)) != 4 {
		t.Errorf("log: %q", c.identities(t))
	}
}

// An acknowledgement that is lost is asked for again under the same numbers.
func TestReplayWhoseAcknowledgementIsLost(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, c cluster) {
		dir := t.TempDir()
		s, _ := c.open(t, dir, 1<<20)
		put(t, s, c.newLetter("a", 0, 2), c.newLetter("b", 0, 2))
		lost := &losing{Client: c.Client, topic: c.logs}
		r := c.replayer(dir)
		r.Client = lost
		if got := replayed(t, r); got.Replayed != 4 || lost.lost.Load() != 2 {
			t.Errorf("%+v, %d lost", got, lost.lost.Load())
		}
		if diff := cmp.Diff([]string{"a/0", "a/1", "b/0", "b/1"}, c.identities(t)); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}

// losing loses every other acknowledgement of a topic.
type losing struct {
	*kafka.Client
	topic       string
	calls, lost atomic.Int32
}

func (l *losing) Produce(ctx context.Context, p *kafka.ProduceRequest) (int64, error) {
	offset, err := l.Client.Produce(ctx, p)
	if p.Topic == l.topic && err == nil && l.calls.Add(1)%2 == 1 {
		l.lost.Add(1)
		return 0, &kafka.ExchangeError{Sent: true, Err: errors.New("connection reset")}
	}
	return offset, err
}

// Without a dead-letter topic a file that is gone is the mark.
func TestReplayOfTheFolderAlone(t *testing.T) {
	c := newCluster(t, newFake(t).ListenAddrs(), false)
	c.letters = ""
	dir := t.TempDir()
	s, _ := c.open(t, dir, 1<<20)
	unknown := c.newLetter("b", 0, 1)
	unknown.Unknown = true
	put(t, s, c.newLetter("a", 0, 3), unknown)
	if got := replayed(t, c.replayer(dir)); got != (Result{Replayed: 3, Unknown: 1}) {
		t.Errorf("got %+v", got)
	}
	if got := replayed(t, c.replayer(dir)); got != (Result{Unknown: 1}) {
		t.Errorf("again: %+v", got)
	}
	if diff := cmp.Diff([]string{"a/0", "a/1", "a/2"}, c.identities(t)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

// Without Kafka the folder is listed, and nothing is replayed.
func TestScanWithoutKafka(t *testing.T) {
	fake := newFake(t)
	c := newCluster(t, fake.ListenAddrs(), true)
	dir := t.TempDir()
	s, _ := c.open(t, dir, 1<<20)
	putAlone(t, s.folder, c.newLetter("a", 0, 2))
	fake.Close()
	inv, err := Scan(t.Context(), c.Client, c.letters, dir)
	if !errors.Is(err, kafka.ErrUnreachable) || len(inv.Letters) != 1 {
		t.Errorf("%+v, %v", inv, err)
	}
	if result, err := c.replayer(dir).Replay(t.Context()); !errors.Is(err, kafka.ErrUnreachable) || result != (Result{}) {
		t.Errorf("%+v, %v", result, err)
	}
}

// Records that others wrote into the topic are counted, and harm nobody.
func TestForeignRecords(t *testing.T) {
	c := newCluster(t, newFake(t).ListenAddrs(), true)
	good := letterOf(c.newLetter("a", 0, 3)).headers(1)
	var b kafka.BatchBuilder
	for _, headers := range [][]record.Header{
		nil,
		{{Key: "other", Value: []byte("x")}},
		{{Key: headerReplayed, Value: []byte("no slash")}},
		{{Key: headerReplayed, Value: []byte("a/1-99999999999")}},
		{{Key: headerReplayed, Value: []byte("a/3-1")}},
		good[:5],
		replaced(good, 0, "a/3"), replaced(good, 0, "a/-1"), replaced(good, 1, "x"), replaced(good, 1, "0+999999999999"), replaced(good, 4, "p"), replaced(good, 5, "noon"),
	} {
		b.Append(noon.UnixMilli(), nil, []byte("{}"), headers)
	}
	b.Append(noon.UnixMilli(), nil, []byte("{}"), good)
	if _, err := c.Produce(t.Context(), &kafka.ProduceRequest{Topic: c.letters, Batch: b.Seal(kafka.NoProducer, -1), Timeout: replicaTimeout}); err != nil {
		t.Fatal(err)
	}
	inv := c.scan(t, t.TempDir())
	if inv.Foreign != 12 || len(inv.Letters) != 1 || inv.Letters[0].Pending != 1 {
		t.Errorf("got %+v", inv)
	}
}

func replaced(headers []record.Header, i int, value string) []record.Header {
	headers = slices.Clone(headers)
	headers[i].Value = []byte(value)
	return headers
}

func TestIndices(t *testing.T) {
	for want, list := range map[string][]int{"0": {0}, "0-4,7": {0, 1, 2, 3, 4, 7}, "5,7,63-65,1000": {5, 7, 63, 64, 65, 1000}} {
		formatted := formatIndices(list)
		got := indices{}
		if err := got.addFormatted(formatted); err != nil || formatted != want {
			t.Errorf("%v: %q, %v", list, formatted, err)
		}
		wanted := indices{}
		for _, i := range list {
			wanted.add(i)
		}
		if !got.has(list[0]) || got.has(6) || got.without(wanted) != 0 || wanted.without(got) != 0 || got.without(nil) != len(list) {
			t.Errorf("%v: %v", list, got)
		}
	}
}
