package spool

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logpipeline/logpipeline/ingester/record"
)

func (s *running) expectPending(want int64) {
	s.t.Helper()
	if got := s.PendingRecords(); got != want {
		s.t.Errorf("%d records are pending, want %d", got, want)
	}
}

// Records count from their fsync until they are settled, in whatever pieces,
// and are counted the same after a restart.
func TestPendingRecords(t *testing.T) {
	options := small(t.TempDir())
	options.segmentBytes = 1 << 10
	s := start(t, options)
	s.expectPending(0)
	s.append(10, numbersFrom(0, 8)...)
	s.expectPending(80)
	batches := s.take(8)
	s.deliver(batches[2:5]...)
	half := s.assignmentOf(batches[5])
	half.Sections[0].From = 4
	s.Settle(half)
	s.Settle(half) // once is enough
	s.flushed()
	s.expectPending(44)
	open := s.assign(s.assignmentOf(batches[6]))
	s.stop()

	s = start(t, options)
	s.expectPending(44)
	s.Settle(open)
	s.Settle(record.Assignment{Sections: []record.AssignedSection{{Position: 99, To: 3}}}) // there is none
	s.flushed()
	s.expectPending(34)
	s.append(10, 8)
	s.expectPending(44)
	s.deliver(s.take(5)...)
	s.flushed()
	s.expectPending(0)
}

// What the disk has lost is pending no more once the rest of its segment is done.
func TestLostRecordsAreNotPendingForEver(t *testing.T) {
	s := startWith(t, small(t.TempDir()), 8<<10)
	s.append(10, numbersFrom(0, 20)...)
	s.flipDataOf(18) // it waits on the disk alone
	for n := range 20 {
		if n != 17 {
			s.deliver(s.expect(seenOf(t, n, 10, 0, 10))...)
		}
	}
	s.flushed()
	s.expectPending(0)
}

// The queue's refusals are those of clients. That the spool asks again and again
// until there is room is none of them.
func TestReadingBackCountsNoRefusals(t *testing.T) {
	s := startWith(t, small(t.TempDir()), 8<<10)
	s.append(10, numbersFrom(0, 20)...)
	for s.account.Reserve(100) == nil { // the client's, who is refused in the end
	}
	if err := s.Spool.account.Reserve(8 << 10); err == nil {
		t.Error("there is room")
	}
	total := 0.0
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "logpipeline_ingester_queue_refused_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			total += m.GetCounter().GetValue()
		}
	}
	if total != 1 {
		t.Errorf("%v refusals are counted, want the client's", total)
	}
}

// The age is that of the oldest batch that isn't done, wherever it is.
func TestOldestAge(t *testing.T) {
	options := small(t.TempDir())
	s := start(t, options)
	age := func(s *running) float64 {
		t.Helper()
		got, err := s.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range got {
			if f.GetName() == "logpipeline_spool_oldest_age_seconds" {
				return f.GetMetric()[0].GetGauge().GetValue()
			}
		}
		t.Fatal("the gauge isn't there")
		return 0
	}
	if got := age(s); got != 0 {
		t.Errorf("an empty spool's age is %v", got)
	}
	s.append(3, 0, 1)
	want := func(s *running, n int) {
		t.Helper()
		// The batches are some ms apart, and the machine may be slow.
		if got, exact := age(s), time.Since(received(n)).Seconds(); got > exact || got < exact-60 {
			t.Errorf("the age is %v, that of the batch %v", got, exact)
		}
	}
	want(s, 0)
	s.deliver(s.take(1)...)
	s.flushed()
	want(s, 1)
	s.stop()
	s = start(t, options)
	s.take(1)
	want(s, 1)
	if got := testutil.ToFloat64(s.metrics.replayed); got != 1 {
		t.Errorf("%v batches are replayed", got)
	}
}
