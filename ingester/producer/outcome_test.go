package producer

import (
	"errors"
	"testing"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// checkOutcomes holds the outcome of every batch against what the logs hold:
// what is acknowledged is there exactly once and where it is said to be, what
// isn't delivered is nowhere, and what is unknown is there at most once. It
// returns how many batches had each outcome.
func checkOutcomes(t *testing.T, batches []*record.Batch, logs map[int32][]string) (acknowledged, refused, tooLarge, unknown int) {
	t.Helper()
	times := map[string]int{}
	for _, log := range logs {
		for _, v := range log {
			times[v]++
		}
	}
	accounted := 0
	for _, b := range batches {
		o := outcome(t, b)
		placed := checkPlacements(t, b, o, logs)
		for i := range b.Len() {
			n := times[string(b.Record(i))]
			accounted += n
			switch {
			case i < placed && n != 1:
				t.Errorf("batch %s: acknowledged record %d is in Kafka %d times", b.ID, i, n)
			case i >= placed && errors.Is(o.Err, record.ErrOutcomeUnknown) && n > 1, i >= placed && !errors.Is(o.Err, record.ErrOutcomeUnknown) && n > 0:
				t.Errorf("batch %s: record %d is in Kafka %d times, but the outcome is %v", b.ID, i, n, o.Err)
			}
		}
		switch {
		case o.Err == nil:
			acknowledged++
			if placed != b.Len() {
				t.Errorf("batch %s: acknowledged, but %d of %d records are placed", b.ID, placed, b.Len())
			}
		case errors.Is(o.Err, record.ErrNotDelivered):
			refused++
		case errors.Is(o.Err, record.ErrTooLarge):
			tooLarge++
		case errors.Is(o.Err, record.ErrOutcomeUnknown):
			unknown++
		default:
			t.Errorf("batch %s: %v", b.ID, o.Err)
		}
	}
	total := 0
	for _, log := range logs {
		total += len(log)
	}
	if total != accounted {
		t.Errorf("%d records are in Kafka, %d of them were sent", total, accounted)
	}
	return acknowledged, refused, tooLarge, unknown
}

// checkPlacements follows the placements and returns how many records they
// place.
func checkPlacements(t *testing.T, b *record.Batch, o record.Outcome, logs map[int32][]string) int {
	t.Helper()
	i := 0
	for k, p := range o.Placements {
		if k > 0 && o.Placements[k-1].LastOffset+1 == p.FirstOffset {
			t.Errorf("batch %s: placements %+v could be merged", b.ID, o.Placements)
		}
		for offset := p.FirstOffset; offset <= p.LastOffset; offset++ {
			if log := logs[p.Partition]; p.Topic != "logs" || offset >= int64(len(log)) || i >= b.Len() || log[offset] != string(b.Record(i)) {
				t.Errorf("batch %s: record %d is not at offset %d of partition %d of %s", b.ID, i, offset, p.Partition, p.Topic)
				return i
			}
			i++
		}
	}
	return i
}
