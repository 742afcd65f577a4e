package spool

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// Many append at once, while others deliver out of order: each gets what it
// appended delivered once, in its own order, and many share one sync.
func TestManyAppendAtOnce(t *testing.T) {
	const writers, each, takers = 16, 60, 3
	dir := t.TempDir()
	s := startWith(t, small(dir), 128<<10)
	var writing, taking sync.WaitGroup
	for w := range writers {
		account := s.queue.NewAccount()
		writing.Go(func() {
			for n := range each {
				b := batchOf(t, w*each+n, 5)
				b.Account, b.Reserved = account, b.Memory()
				within(t, "the queue has room", func() bool { return account.Reserve(b.Reserved) == nil })
				b.Leave()
				if err := s.Append(t.Context(), b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var mu sync.Mutex
	seenBefore, count := map[string]bool{}, 0
	for range takers {
		taking.Go(func() {
			for {
				mu.Lock()
				if count == writers*each {
					mu.Unlock()
					return
				}
				batches, err := s.queue.TakeOlder(received(1<<20), nil)
				for _, b := range batches {
					count++
					if seenBefore[b.ID] || b.Position == 0 {
						t.Errorf("batch %s at position %d came again", b.ID, b.Position)
					}
					seenBefore[b.ID] = true
				}
				sequence := int32(count)
				mu.Unlock()
				if err != nil {
					t.Error(err)
					return
				}
				if len(batches) == 0 {
					continue
				}
				a := record.Assignment{Partition: sequence, Sequence: sequence}
				for _, b := range batches {
					a.Sections = append(a.Sections, record.AssignedSection{Position: b.Position, To: b.Len()})
				}
				if err := s.Assign(t.Context(), a); err != nil {
					t.Error(err)
				}
				s.Settle(a)
				for _, b := range batches {
					b.Complete(record.Outcome{})
					b.Free()
				}
			}
		})
	}
	writing.Wait()
	taking.Wait()
	s.flushed()
	if left := s.undone(); left != 0 || s.held != 0 || len(s.fed) != 0 {
		t.Errorf("%d batches are left, %d bytes held, %d entries", left, s.held, len(s.fed))
	}
	if syncs := syncCount(t, s.registry); syncs > writers*each {
		t.Errorf("%d syncs for %d batches", syncs, writers*each)
	}
	s.stop()
	if report := sound(t, dir); report.Pending != 0 {
		t.Errorf("report: %+v", report)
	}
}

func TestBatchesLargerThanEveryBuffer(t *testing.T) {
	dir := t.TempDir()
	s := startWith(t, small(dir), 64<<20)
	texts := []string{strings.Repeat("a", 3*writeSize), "", strings.Repeat("b", writeSize-headerSize), strings.Repeat("c", 900<<10)}
	for n, text := range texts {
		b := record.NewBatch(fmt.Sprint("large-", n))
		body := fmt.Sprintf("{\"first\":1}\n{\"text\":%q}\n", text)
		if err := record.ParseNDJSON(b, []byte(body), record.Limits{MaxRecordBytes: 1 << 24, MaxDepth: 1}); err != nil {
			t.Fatal(err)
		}
		b.Received = received(n)
		if err := s.Append(t.Context(), s.reserve(b)); err != nil {
			t.Fatal(err)
		}
	}
	s.stop()
	s = startWith(t, small(dir), 64<<20)
	for n, b := range s.take(len(texts)) {
		if got := see(b).Records; len(got) != 2 || got[1] != fmt.Sprintf(`{"text":%q}`, texts[n]) {
			t.Errorf("batch %d has %d records in %d bytes", n, len(got), b.Bytes())
		}
	}
	sound(t, dir)
}

// A record batch of an earlier run may be settled before the feeder comes to
// its records; it does not feed them then.
func TestReopenedIsSettledBeforeTheFeederComes(t *testing.T) {
	dir := t.TempDir()
	s := start(t, small(dir))
	s.append(10, numbersFrom(0, 100)...)
	b := s.take(100)
	open := s.assign(s.assignmentOf(b[80:90]...))
	s.stop()

	s = startWith(t, small(dir), 20<<10)
	reopened := s.reopened
	if len(reopened) != 1 {
		t.Fatalf("%d record batches were reopened", len(reopened))
	}
	s.Settle(open)
	for _, b := range reopened[0].Batches {
		b.Complete(record.Outcome{})
		b.Free()
	}
	s.flushed()
	for n := range 100 {
		if n < 80 || n >= 90 {
			s.deliver(s.expect(seenOf(t, n, 10, 0, 10))...)
		}
	}
	s.expectNothing()
	s.flushed()
	if n := s.undone(); n != 0 {
		t.Errorf("%d batches are left", n)
	}
}

// A batch that is given up, but not settled, frees its memory, stays in the
// spool, and keeps nothing else from going on.
func TestGivenUpWithoutBeingSettled(t *testing.T) {
	dir := t.TempDir()
	s := startWith(t, small(dir), 20<<10)
	s.append(10, numbersFrom(0, 60)...)
	for n := range 60 {
		b := s.expect(seenOf(t, n, 10, 0, 10))[0]
		b.Complete(record.Outcome{Err: record.ErrNotDelivered})
		b.Free()
	}
	s.expectNothing()
	s.stop()
	s = start(t, small(dir))
	s.expect(seenAll(t, 10, numbersFrom(0, 60)...)...)
}

func TestRuns(t *testing.T) {
	var r runs[int]
	var mirror [64]bool
	for _, one := range []run[int]{{5, 7}, {9, 9}, {1, 2}, {7, 9}, {20, 30}, {2, 5}, {25, 40}, {0, 1}, {50, 60}, {45, 50}, {10, 63}} {
		r = r.add(one.from, one.to)
		for i := one.from; i < one.to; i++ {
			mirror[i] = true
		}
		missing := r.missing(64)
		for i, want := range mirror {
			if r.contains(i) != want || missing.contains(i) == want {
				t.Fatalf("after %v, %d: in %v, not in %v", one, i, r, missing)
			}
		}
		for i := 1; i < len(r); i++ {
			if r[i].from <= r[i-1].to {
				t.Fatalf("after %v: %v", one, r)
			}
		}
		if len(missing.missing(64)) != len(r) {
			t.Fatalf("after %v: %v and %v", one, r, missing.missing(64))
		}
	}
}

func TestReportForAPerson(t *testing.T) {
	dir, files := template(t)
	if err := os.Truncate(files[1], 700); err != nil {
		t.Fatal(err)
	}
	report, err := Inspect(dir)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := report.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"batches pending, 2 of ", "the oldest pending batch was received at 2026-11-23T12:00:00Z", "DAMAGE 00000000000000000002.segment: ", "batches can't be read"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report has no %q:\n%s", want, text.String())
		}
	}
	if report.Sound() || report.Lost == 0 {
		t.Errorf("report: %+v", report)
	}
}
