package producer

import (
	"errors"
	"testing"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// tally is how many batches had each outcome.
type tally struct{ acknowledged, notDelivered, refused, unknown int }

// add counts an outcome, which must be one of the four.
func (c *tally) add(t *testing.T, b *record.Batch, err error) {
	t.Helper()
	switch {
	case err == nil:
		c.acknowledged++
	case errors.Is(err, record.ErrNotDelivered):
		c.notDelivered++
	case errors.Is(err, record.ErrTooLarge), errors.Is(err, record.ErrRefused):
		c.refused++
	case errors.Is(err, record.ErrOutcomeUnknown):
		c.unknown++
	default:
		t.Errorf("batch %s: %v", b.ID, err)
	}
}

// checkOutcomes holds the outcome of every batch against what the logs hold:
// what is acknowledged is there exactly once and where it is said to be, what
// isn't delivered is nowhere, and what is unknown is there at most once.
func checkOutcomes(t *testing.T, batches []*record.Batch, logs map[int32][]string) (counts tally) {
	t.Helper()
	times, total := map[string]int{}, 0
	for _, log := range logs {
		for _, v := range log {
			times[v]++
			total++
		}
	}
	accounted := 0
	for _, b := range batches {
		o := outcome(t, b)
		counts.add(t, b, o.Err)
		placed := checkPlacements(t, b, o, logs)
		if o.Err == nil && len(placed) != len(recordsOf(b)) {
			t.Errorf("batch %s: acknowledged, but %d of %d records are placed", b.ID, len(placed), len(recordsOf(b)))
		}
		for i, r := range recordsOf(b) {
			n := times[r]
			accounted += n
			switch {
			case placed[i] && n != 1:
				t.Errorf("batch %s: acknowledged record %d is in Kafka %d times", b.ID, i, n)
			case !placed[i] && errors.Is(o.Err, record.ErrOutcomeUnknown) && n > 1, !placed[i] && !errors.Is(o.Err, record.ErrOutcomeUnknown) && n > 0:
				t.Errorf("batch %s: record %d is in Kafka %d times, but the outcome is %v", b.ID, i, n, o.Err)
			}
		}
	}
	if total != accounted {
		t.Errorf("%d records are in Kafka, %d of them were sent", total, accounted)
	}
	return counts
}

// checkPlacements follows the placements and returns which records they place.
func checkPlacements(t *testing.T, b *record.Batch, o record.Outcome, logs map[int32][]string) map[int]bool {
	t.Helper()
	index, placed := map[string]int{}, map[int]bool{}
	for i, r := range recordsOf(b) {
		index[r] = i
	}
	for k, p := range o.Placements {
		if k > 0 && o.Placements[k-1].Partition == p.Partition && o.Placements[k-1].LastOffset+1 == p.FirstOffset {
			t.Errorf("batch %s: placements %+v could be merged", b.ID, o.Placements)
		}
		for offset := p.FirstOffset; offset <= p.LastOffset; offset++ {
			log := logs[p.Partition]
			if offset >= int64(len(log)) {
				t.Errorf("batch %s: nothing is at offset %d of partition %d", b.ID, offset, p.Partition)
				return placed
			}
			i, mine := index[log[offset]]
			if !mine {
				t.Errorf("batch %s: at offset %d of partition %d is %.50s", b.ID, offset, p.Partition, log[offset])
				return placed
			}
			placed[i] = true
		}
	}
	return placed
}

// checkOrder: the records of a request are in order within a partition. (A
// doubt that nothing could fence may come late, but that takes the end of all
// epochs.)
func checkOrder(t *testing.T, batches []*record.Batch, logs map[int32][]string) {
	t.Helper()
	type place struct {
		batch     string
		partition int32
	}
	last := map[place]int{}
	for partition, log := range logs {
		for _, v := range log {
			for _, b := range batches {
				for i, r := range recordsOf(b) {
					if r != v {
						continue
					}
					at := place{b.ID, partition}
					if before, ok := last[at]; ok && i <= before {
						t.Errorf("batch %s: record %d comes after record %d", b.ID, i, before)
					}
					last[at] = i
				}
			}
		}
	}
}

// checkLetters: the dead letters are exactly the records that were not
// delivered and whose client has left, and no letter says less than it knows.
func checkLetters(t *testing.T, batches []*record.Batch, unheard map[string]bool, logs map[int32][]string, letters []record.DeadLetter) {
	t.Helper()
	buried := map[string]map[int]bool{}
	for _, l := range letters {
		if buried[l.Batch] == nil {
			buried[l.Batch] = map[int]bool{}
		}
		for i, r := range l.Records {
			if buried[l.Batch][l.FirstRecord+i] {
				t.Errorf("batch %s: record %d is dead-lettered twice", l.Batch, l.FirstRecord+i)
			}
			buried[l.Batch][l.FirstRecord+i] = true
			for _, log := range logs {
				for _, v := range log {
					if v == string(r) && !l.Unknown {
						t.Errorf("batch %s: record %d is dead-lettered as absent, but in Kafka", l.Batch, l.FirstRecord+i)
					}
				}
			}
		}
	}
	for _, b := range batches {
		o := outcome(t, b)
		placed := checkPlacements(t, b, o, logs)
		for i := range recordsOf(b) {
			if want := unheard[b.ID] && !placed[i]; buried[b.ID][i] != want {
				t.Errorf("batch %s: record %d: dead-lettered %v, want %v (unheard %v, placed %v, %v)", b.ID, i, buried[b.ID][i], want, unheard[b.ID], placed[i], o.Err)
			}
		}
	}
}
