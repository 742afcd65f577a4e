package segment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/logpipeline/logpipeline/ingester/config"
)

const day = 24 * time.Hour

// dayOf is the n-th day after noon, by the clock of the records.
func dayOf(n int) time.Time { return time.UnixMilli(noon).Add(time.Duration(n) * day) }

// sealDays seals one segment of 2 records for each of n days.
func sealDays(t testing.TB, c *Chain, from, n int) {
	t.Helper()
	for i := range n {
		lines, span := numbered(c.NextOffset(), 2, dayOf(from+i).UnixMilli())
		if err := c.Append(lines, span); err != nil {
			t.Fatal(err)
		}
		seal(t, c)
	}
}

func retain(t testing.TB, c *Chain, now time.Time, limits config.Retention) {
	t.Helper()
	if err := c.Retain(t.Context(), now, limits); err != nil {
		t.Fatal(err)
	}
}

func days(n int) config.Retention {
	return config.Retention{MaxAgeSeconds: int(time.Duration(n) * day / time.Second)}
}

// expectRetained checks that the store is proven complete, and the offsets at
// which data and links begin.
func expectRetained(t testing.TB, s *Store, data, links int64, stored int) {
	t.Helper()
	report := expectProblemsIn(t, s)
	first, err := readBoundaries(t.Context(), s.files, partition{testTopic, testID, 0}, 5)
	if err != nil {
		t.Fatal(err)
	}
	if want := (boundaries{links: links, data: data}); first != want {
		t.Errorf("boundaries are %+v, want %+v", first, want)
	}
	got := report.Chains[0]
	if got.DataFrom != data || got.Records != int64(stored) || got.RemovedRecords != data-5 || got.WithoutRecords != 0 {
		t.Errorf("report is %+v, want data from %d, %d records, and %d removed", got, data, stored, data-5)
	}
	if names := namesIn(t, s, segmentsDir); len(names) != stored/2 {
		t.Errorf("%d files of data, want %d: %v", len(names), stored/2, names)
	}
	lines := 0
	err = yieldRecords(t.Context(), s.files, testTopic, 0, func(line Line, err error) bool {
		if want := fmt.Sprintf("{\"offset\":%d}\n", data+int64(lines)); string(line.Bytes) != want {
			t.Errorf("line %d is %q, want %q", lines, line.Bytes, want)
		}
		lines++
		return err == nil
	})
	if err != nil || lines != stored {
		t.Errorf("%d lines, error %v, want %d", lines, err, stored)
	}
}

func TestRetentionByAge(t *testing.T) {
	inEachPlace(t, func(t *testing.T, p place) {
		s := p.open(t, config.CompressionZstd)
		c := openChain(t, s)
		sealDays(t, c, 0, 12) // offsets 5 to 28
		retain(t, c, dayOf(3), config.Retention{})
		expectRetained(t, s, 5, 5, 24)
		retain(t, c, dayOf(3), days(5))
		expectRetained(t, s, 5, 5, 24)
		retain(t, c, dayOf(8), days(5)) // days 0 to 2 are too old
		expectRetained(t, s, 11, 5, 18)
		retain(t, c, dayOf(15), days(5)) // days 0 to 9, and the links of 0 to 2
		expectRetained(t, s, 25, 11, 4)
		c = openChain(t, p.open(t, ""))
		retain(t, c, dayOf(1000), days(5)) // all data; the last link stays
		expectRetained(t, s, 29, 27, 0)
		sealDays(t, c, 1000, 1)
		retain(t, c, dayOf(1000), days(5))
		expectRetained(t, s, 29, 29, 2)
	})
}

func TestRetentionBySize(t *testing.T) {
	inEachPlace(t, func(t *testing.T, p place) {
		s := p.open(t, config.CompressionNone)
		c := openChain(t, s)
		sealDays(t, c, 0, 5) // 25 to 28 bytes each
		retain(t, c, dayOf(5), config.Retention{MaxBytes: 28 * 5})
		expectRetained(t, s, 5, 5, 10)
		retain(t, c, dayOf(5), config.Retention{MaxBytes: 60})
		expectRetained(t, s, 11, 5, 4)
		c = openChain(t, s)
		sealDays(t, c, 5, 1)
		retain(t, c, dayOf(5), config.Retention{MaxBytes: 60})
		expectRetained(t, s, 13, 5, 4)
		retain(t, c, dayOf(9), config.Retention{MaxBytes: 60}) // links of days 0 and 1
		expectRetained(t, s, 13, 9, 4)
		retain(t, c, dayOf(9), config.Retention{MaxBytes: 1})
		expectRetained(t, s, 17, 9, 0)
	})
}

func TestRetentionRemovesFewAtATime(t *testing.T) {
	s := openDirectory(t, t.TempDir())
	c := openChain(t, s)
	sealDays(t, c, 0, maxRemovals+10)
	retain(t, c, dayOf(1000), days(1))
	expectRetained(t, s, 5+2*maxRemovals, 5+2*maxRemovals, 20)
	retain(t, c, dayOf(1000), days(1))
	expectRetained(t, s, c.NextOffset(), c.NextOffset()-2, 0)
}

// TestRetentionThatDiesAtEveryRequest lets the n-th removal or create fail, for
// every n, and another writer go on.
func TestRetentionThatDiesAtEveryRequest(t *testing.T) {
	for _, p := range places(t)[:2] {
		t.Run(p.name, func(t *testing.T) { retainDying(t, p) })
	}
}

func retainDying(t *testing.T, p place) {
	healthy := p.open(t, config.CompressionNone)
	c := openChain(t, healthy)
	for round := range 100 {
		sealDays(t, c, 20*round, 8)
		dying := p.open(t, config.CompressionNone)
		faults := &faulty{store: dying.files, after: round}
		dying.files = faults
		d := openChain(t, dying)
		faults.armed = true
		err := d.Retain(t.Context(), dayOf(20*round+14), days(3))
		expectProblemsIn(t, healthy)
		if err == nil {
			if round < 10 {
				t.Errorf("no request failed in round %d", round)
			}
			return
		}
		if !errors.Is(err, errFault) {
			t.Fatalf("round %d: %v", round, err)
		}
		c = openChain(t, p.open(t, config.CompressionNone))
		retain(t, c, dayOf(20*round+14), days(3))
		begin := c.NextOffset()
		expectRetained(t, healthy, begin, begin-2*4, 0)
	}
	t.Error("the retention never came to its end")
}

// faulty fails the request that comes after so many that change the store, and
// all of them from then on.
type faulty struct {
	store
	armed bool
	after int
}

func (f *faulty) fails() bool {
	if !f.armed {
		return false
	}
	f.after--
	return f.after < 0
}

func (f *faulty) create(ctx context.Context, staged, name string, content []byte) error {
	if f.fails() {
		return errFault
	}
	return f.store.create(ctx, staged, name, content)
}

func (f *faulty) remove(ctx context.Context, name string) error {
	if f.fails() {
		return errFault
	}
	return f.store.remove(ctx, name)
}

// opening is told of every file that is opened, before it is.
type opening struct {
	store
	opened func(name string)
}

func (o opening) open(ctx context.Context, name string) (io.ReadCloser, error) {
	o.opened(name)
	return o.store.open(ctx, name)
}

func TestTwoWritersRetainAtOnce(t *testing.T) {
	for _, p := range places(t)[:2] {
		t.Run(p.name, func(t *testing.T) {
			c := openChain(t, p.open(t, ""))
			sealDays(t, c, 0, 200)
			var writers sync.WaitGroup
			for range 3 {
				writer := openChain(t, p.open(t, ""))
				writers.Go(func() {
					for n := range 60 {
						if err := writer.Retain(t.Context(), dayOf(101+n*2), days(20)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			writers.Wait()
			s := p.open(t, "")
			retain(t, openChain(t, s), dayOf(219), days(20))
			retain(t, openChain(t, s), dayOf(219), days(20))
			expectRetained(t, s, 5+2*199, 5+2*192, 2)
		})
	}
}

// TestWriterThatSleptLongerThanLinksStay: the place where it wants to seal is
// free again, since the link there has been removed.
func TestWriterThatSleptLongerThanLinksStay(t *testing.T) {
	inEachPlace(t, func(t *testing.T, p place) {
		sleeper := openChain(t, p.open(t, ""))
		sealDays(t, sleeper, 0, 2)
		lines, span := numbered(9, 3, dayOf(2).UnixMilli())
		if err := sleeper.Append(lines, span); err != nil {
			t.Fatal(err)
		}
		s := p.open(t, "")
		c := openChain(t, s)
		sealDays(t, c, 2, 10)
		retain(t, c, dayOf(1000), days(1))
		if _, err := readLink(t.Context(), s.files, c.partition, 9); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("link at 9: %v, want it removed", err)
		}
		if sealed, err := sleeper.Seal(t.Context()); sealed || err != nil {
			t.Fatalf("sealed %v, error %v", sealed, err)
		}
		if sleeper.NextOffset() != c.NextOffset() {
			t.Errorf("next offset is %d, want %d", sleeper.NextOffset(), c.NextOffset())
		}
		if left := namesIn(t, s, stagingDir); len(left) != 0 {
			t.Errorf("left in staging: %v", left)
		}
		sealDays(t, sleeper, 1000, 1)
		expectRetained(t, s, 29, 27, 2)
	})
}

// TestLinkInARemovedPlaceIsNotSeen: a writer that slept dies when it has
// created its link.
func TestLinkInARemovedPlaceIsNotSeen(t *testing.T) {
	inEachPlace(t, func(t *testing.T, p place) {
		sleeper := openChain(t, p.open(t, ""))
		sealDays(t, sleeper, 0, 2)
		lines, span := numbered(9, 3, dayOf(2).UnixMilli())
		if err := sleeper.Append(lines, span); err != nil {
			t.Fatal(err)
		}
		s := p.open(t, "")
		c := openChain(t, s)
		sealDays(t, c, 2, 10)
		retain(t, c, dayOf(1000), days(1))
		if err := sleeper.pending.finish(t.Context(), sleeper.store); err != nil {
			t.Fatal(err)
		}
		content, err := encodeChecked(sleeper.pending.link)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.files.create(t.Context(), sleeper.pending.staged, sleeper.partition.linkPath(9), content); err != nil {
			t.Fatal(err)
		}
		expectRetained(t, s, 29, 27, 0)
		if err := s.files.remove(t.Context(), chainOf0+headName); err != nil {
			t.Fatal(err)
		}
		next := openChain(t, s)
		if next.NextOffset() != 29 {
			t.Errorf("next offset is %d, want 29", next.NextOffset())
		}
		sealDays(t, next, 1000, 1)
		expectRetained(t, s, 29, 27, 2)
	})
}

// TestWalkIsOvertakenByRetention: the link that a writer is about to walk from
// is removed when it has been found.
func TestWalkIsOvertakenByRetention(t *testing.T) {
	s := openDirectory(t, t.TempDir())
	c := openChain(t, s)
	sealDays(t, c, 0, 10)
	overtaken := openDirectory(t, s.files.(*directory).root)
	once := sync.OnceFunc(func() {
		sealDays(t, c, 10, 10)
		retain(t, c, dayOf(1000), days(1))
	})
	overtaken.files = opening{overtaken.files, func(name string) {
		if name == c.partition.linkPath(23) {
			once()
		}
	}}
	if err := s.files.remove(t.Context(), chainOf0+headName); err != nil {
		t.Fatal(err)
	}
	if next := openChain(t, overtaken).NextOffset(); next != 45 {
		t.Errorf("next offset is %d, want 45", next)
	}
	expectRetained(t, s, 45, 43, 0)
}

// TestReadersAreOvertakenByRetention at every file that they open.
func TestReadersAreOvertakenByRetention(t *testing.T) {
	for at := range 60 {
		s := openDirectory(t, t.TempDir())
		c := openChain(t, s)
		sealDays(t, c, 0, 16) // offsets 5 to 36
		opened := 0
		overtaken := opening{s.files, func(string) {
			if opened++; opened == at {
				retain(t, c, dayOf(14), days(3)) // data up to offset 26, links up to 12
			}
		}}
		if at%2 == 0 {
			report, err := Verification{}.run(t.Context(), overtaken)
			if err != nil || !report.Complete {
				t.Fatalf("overtaken at file %d: error %v, report %+v", at, err, report)
			}
			if got := report.Chains[0]; got.Records+got.RemovedRecords != 32 || got.WithoutRecords != 0 {
				t.Fatalf("overtaken at file %d: %+v", at, got)
			}
			continue
		}
		var got []string
		err := yieldRecords(t.Context(), overtaken, testTopic, 0, func(line Line, err error) bool {
			got = append(got, string(line.Bytes))
			return true
		})
		before := len(got) - 10 // those that were read before they were removed
		if err != nil || before < 0 {
			t.Fatalf("overtaken at file %d: error %v, read %q", at, err, got)
		}
		first, _ := numbered(5, before, noon)
		rest, _ := numbered(27, 10, noon)
		if diff := cmp.Diff(string(first)+string(rest), strings.Join(got, "")); diff != "" {
			t.Fatalf("overtaken at file %d (-want +got):\n%s", at, diff)
		}
	}
}
