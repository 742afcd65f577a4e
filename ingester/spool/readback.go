package spool

import (
	"context"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// feedEntry puts into the queue what is not done of a batch.
func (f *feeder) feedEntry(ctx context.Context, c *cursor, h header) bool {
	rest, memory := f.rest(h)
	if len(rest) == 0 {
		f.advance(c, c.at+h.size(), h.position+1)
		return true
	}
	if !f.reserve(ctx, memory, h) {
		return false
	}
	e, err := readStored(f.reader, c.at, h)
	var batches []*record.Batch
	if err == nil {
		batches, err = batchesOf(e, rest)
	}
	if err != nil {
		f.account.Cancel(memory)
		f.pass(c)
		return true
	}
	f.put(c, e, batches, memory)
	return true
}

// rest is what records of a batch are neither settled nor reopened, and the
// memory that they take.
func (f *feeder) rest(h header) (rest runs[int], memory int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var taken runs[int]
	if h.position < f.earlier.end {
		if f.earlier.settled.contains(h.position) {
			return nil, 0
		}
		taken = f.earlier.partial[h.position].set
		if e := f.earlier.reopened[h.position]; e != nil {
			taken = e.settled.union(e.assigned)
		}
	}
	rest = taken.missing(int(h.records))
	// Of a batch in pieces, each piece has memory of its own.
	memory = record.RestoredMemory(int64(h.data), int64(h.records)) + int64(max(0, len(rest)-1))*record.Overhead
	return rest, memory
}

func batchesOf(e stored, rest runs[int]) (batches []*record.Batch, err error) {
	for _, one := range rest {
		b, err := e.batch(one.from, one.to)
		if err != nil {
			return nil, err
		}
		batches = append(batches, b)
	}
	return batches, nil
}

// put hands the batches of an entry to the queue, the memory that is reserved
// for them divided between them.
func (f *feeder) put(c *cursor, e stored, batches []*record.Batch, memory int64) {
	watcher, heir := f.heir(e, batches)
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.earlier.reopened[e.position]
	if known == nil {
		known = &entry{position: e.position, records: int(e.records), received: e.meta.received}
		known.settled = f.earlier.partial[e.position].set
		if watcher != nil {
			known.parts = &parts{whole: watcher, left: len(batches)}
		}
		f.fed = append(f.fed, known)
	}
	for i, b := range batches {
		b.Account, b.Reserved = f.account, b.Memory()
		if i == len(batches)-1 {
			b.Reserved = memory
		}
		memory -= b.Reserved
		if known.parts != nil {
			b.Watcher = known.parts.part(b.FirstRecord)
		}
		if heir != nil {
			inherit(heir, b)
			b = heir
		}
		f.watchLocked(&feeding{}, b)
		if err := f.queue.Put(b); err != nil {
			f.logger.Error("batch of the spool can't be put into the queue; the next start tries again", "batch", b.ID, "error", err)
		}
	}
	f.metrics.readBack.Inc()
	f.advanceLocked(c, c.at+e.size(), e.position+1)
}

// heir is the batch that somebody still waits for, if there is one, and
// otherwise who watches the one from the disk.
func (f *feeder) heir(e stored, batches []*record.Batch) (record.Watcher, *record.Batch) {
	f.mu.Lock()
	waiting := f.waiting[e.position]
	known := f.earlier.reopened[e.position]
	delete(f.waiting, e.position)
	f.mu.Unlock()
	switch {
	case waiting != nil && waiting.Attended():
		return nil, waiting
	case known != nil:
		return nil, nil // its parts are watched
	case len(batches) == 1 && batches[0].Len() == int(e.records):
		f.watcherOf(batches[0])
		return nil, nil
	}
	whole, err := e.batch(0, int(e.records))
	if err != nil {
		return nil, nil
	}
	return f.watcherOf(whole), nil
}

// inherit gives a batch that was unloaded what was read back for it.
func inherit(heir, b *record.Batch) {
	heir.Reload(b)
	heir.Account, heir.Reserved = b.Account, b.Reserved
	heir.Position, heir.FirstRecord = b.Position, b.FirstRecord
}
