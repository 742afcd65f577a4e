package deadletter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// pending is how many records of each batch are left.
func (inv *Inventory) pending() map[string]int {
	left := map[string]int{}
	for _, e := range inv.Letters {
		left[e.Batch] += e.Pending
	}
	return left
}

// Kafka goes away, and a queue full of small batches has to be kept: few
// writes, since each waits for the disk.
func TestManyLettersShareAFile(t *testing.T) {
	c := cluster{logs: "logs"}
	dir := t.TempDir()
	s, _ := c.open(t, dir, 64<<20)
	var letters []record.DeadLetter
	for i := range 10_000 {
		letters = append(letters, c.newLetter(fmt.Sprint("batch-", i), i, 2))
	}
	if errs := s.Put(t.Context(), letters); errs != nil {
		t.Fatal(errors.Join(errs...))
	}
	if bytes, files := s.folder.usage(); files > 10 || bytes != sizeOf(t, dir) {
		t.Errorf("%d bytes in %d files, %d on disk; want few files", bytes, files, sizeOf(t, dir))
	}
	inv, err := Scan(t.Context(), nil, "", dir)
	if err != nil || len(inv.Letters) != len(letters) {
		t.Errorf("%d letters, %v", len(inv.Letters), err)
	}
}

// Once the time is over nothing more is written, which each letter's error
// says.
func TestPutAfterItsTime(t *testing.T) {
	c := cluster{logs: "logs"}
	dir := t.TempDir()
	s, _ := c.open(t, dir, 1<<20)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	errs := s.Put(ctx, []record.DeadLetter{c.newLetter("a", 0, 2), c.newLetter("b", 0, 3)})
	if len(errs) != 2 || !errors.Is(errs[0], context.Canceled) || !errors.Is(errs[1], context.Canceled) {
		t.Errorf("got %v", errs)
	}
	if sizeOf(t, dir) != 0 || testutil.ToFloat64(s.metrics.refused) != 5 {
		t.Errorf("%d bytes are written, %v records counted as refused", sizeOf(t, dir), testutil.ToFloat64(s.metrics.refused))
	}
}

// One of several letters is more than the topic takes: it goes to the folder
// alone, and where all lie in the folder it alone stays there.
func TestGiantAmongLetters(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, c cluster) {
		giant := c.newLetter("giant", 0, 1)
		giant.Records[0] = slices.Repeat([]byte("x"), 1_100_000)
		letters := []record.DeadLetter{c.newLetter("a", 0, 3), giant, c.newLetter("b", 0, 1)}
		for name, put := range map[string]func(*Store) []error{
			"put":   func(s *Store) []error { return s.Put(t.Context(), letters) },
			"moved": func(s *Store) []error { return append(s.folder.put(letters), s.move(t.Context())) },
		} {
			dir := t.TempDir()
			s, _ := c.open(t, dir, 10<<20)
			if err := errors.Join(put(s)...); err != nil {
				t.Fatal(err)
			}
			inv, err := Scan(t.Context(), nil, "", dir)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]int{"giant": 1}, inv.pending()); diff != "" {
				t.Errorf("%s: in the folder (-want +got):\n%s", name, diff)
			}
			if diff := cmp.Diff(map[string]int{"a": 3, "b": 1, "giant": 1}, c.scan(t, dir).pending()); diff != "" {
				t.Errorf("%s: in all (-want +got):\n%s", name, diff)
			}
		}
	})
}

// Of a file's letters a replay takes out those that it has put back, and of
// one without a topic for marks even the records: another replay doubles
// nothing.
func TestReplayLeavesTheRestOfAFile(t *testing.T) {
	c := newCluster(t, newFake(t).ListenAddrs(), false)
	c.letters = ""
	dir := t.TempDir()
	s, _ := c.open(t, dir, 10<<20)
	unknown, partly := c.newLetter("unknown", 0, 1), c.newLetter("partly", 5, 3)
	unknown.Unknown = true
	partly.Records[1] = slices.Repeat([]byte("x"), 1_100_000)
	if errs := s.Put(t.Context(), []record.DeadLetter{c.newLetter("a", 0, 2), unknown, partly, c.newLetter("b", 0, 1)}); errs != nil {
		t.Fatal(errors.Join(errs...))
	}
	for i, want := range []Result{{Replayed: 5}, {}} {
		got := replayed(t, c.replayer(dir))
		want.Unknown, want.Refused, want.Refusal = 1, 1, got.Refusal
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("replay %d (-want +got):\n%s", i, diff)
		}
		if diff := cmp.Diff(map[string]int{"unknown": 1, "partly": 1}, c.scan(t, dir).pending()); diff != "" {
			t.Errorf("left after replay %d (-want +got):\n%s", i, diff)
		}
	}
	if diff := cmp.Diff([]string{"a/0", "a/1", "b/0", "partly/5", "partly/7"}, c.identities(t)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}
