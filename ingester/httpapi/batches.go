package httpapi

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// The table of recent batches takes less than 4 MiB: rememberedBatches entries
// of about 80 bytes, and detailBytes for what does not fit into an entry.
const (
	rememberedBatches = 1 << 15 // a power of two
	detailBytes       = 1 << 20
	detailPlacements  = 32
	detailReasonBytes = 256
	detailOverhead    = 96
	placementBytes    = 40
)

// batches remembers what became of the last batches, for those who ask later.
// An id holds the batch's number in this process, so that it is found in the
// ring without an index.
type batches struct {
	count atomic.Uint32 // numbers that were given

	mu       sync.Mutex
	ring     []entry
	details  int64       // bytes
	detailed []uuid.UUID // batches that got a detail, the oldest first
}

// entry is one batch. The outcome of most, one run of offsets, lies in it.
type entry struct {
	id          uuid.UUID
	topic       string
	first, last int64
	detail      *detail
	claim       *claim // to be settled with the batch; nil without
	partition   int32
	records     int32
	fate        fate
	queued      bool // that is how it was acknowledged, or will be
	// left is set when nobody waits for the outcome any more. What is then
	// not delivered is handed over as a dead letter.
	left bool
}

// detail is the outcome of a batch that is not in one run of offsets.
type detail struct {
	reason     string
	placements []record.Placement
	omitted    int // placements that are not remembered
}

func (d *detail) bytes() int64 {
	return detailOverhead + int64(len(d.reason)) + placementBytes*int64(len(d.placements))
}

func newBatches() *batches { return &batches{ring: make([]entry, rememberedBatches)} }

// newID returns the id of the next batch.
func (b *batches) newID() uuid.UUID {
	return batchID(time.Now(), b.count.Add(1), rand.Uint64())
}

// begin remembers a batch of so many records, with the claim, if there is one,
// that is to be settled with it. Nobody waits for the outcome of one that is
// acknowledged as queued.
func (b *batches) begin(id uuid.UUID, records int, queued bool, claimed *claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	slot := b.slotOf(id)
	b.dropDetailLocked(slot)
	*slot = entry{id: id, records: int32(records), queued: queued, left: queued, claim: claimed}
}

// batchID returns a UUID of version 7 (RFC 9562, section 5.7) whose most
// significant random bits are the number, a counter as section 6.2 has it: ids
// of one process sort in the order in which they were given.
func batchID(now time.Time, number uint32, random uint64) (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[0:], uint64(now.UnixMilli())<<16|7<<12|uint64(number>>20))
	binary.BigEndian.PutUint64(id[8:], 2<<62|uint64(number&0xfffff)<<42|random>>22)
	return id
}

// numberOf is the number that batchID put into the id.
func numberOf(id uuid.UUID) uint32 {
	high, low := binary.BigEndian.Uint64(id[0:]), binary.BigEndian.Uint64(id[8:])
	return uint32(high&0xfff)<<20 | uint32(low>>42&0xfffff)
}

func (b *batches) slotOf(id uuid.UUID) *entry { return &b.ring[numberOf(id)%rememberedBatches] }

// findLocked returns the batch's entry, nil when it has been overwritten.
func (b *batches) findLocked(id uuid.UUID) *entry {
	if slot := b.slotOf(id); slot.id == id {
		return slot
	}
	return nil
}

// leave notes that nobody waits for the outcome of the batch any more.
func (b *batches) leave(id uuid.UUID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.findLocked(id); e != nil {
		e.left = true
	}
}

// settle notes what became of the batch.
func (b *batches) settle(id uuid.UUID, o record.Outcome) {
	fate := fateOf(o)
	var more *detail
	if fate != produced || len(o.Placements) > 1 {
		more = newDetail(o)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.findLocked(id)
	if e == nil {
		return
	}
	e.fate, e.claim = fate, nil
	if more != nil {
		b.keepDetailLocked(e, more)
	} else if len(o.Placements) == 1 {
		p := o.Placements[0]
		e.topic, e.partition, e.first, e.last = p.Topic, p.Partition, p.FirstOffset, p.LastOffset
	}
}

func newDetail(o record.Outcome) *detail {
	kept := min(len(o.Placements), detailPlacements)
	d := &detail{placements: append([]record.Placement(nil), o.Placements[:kept]...), omitted: len(o.Placements) - kept}
	if o.Err != nil {
		d.reason = shorten(o.Err.Error(), detailReasonBytes)
	}
	return d
}

// shorten cuts the text to at most n bytes, and keeps nothing alive of it.
func shorten(text string, n int) string {
	if len(text) <= n {
		return strings.Clone(text)
	}
	return strings.ToValidUTF8(text[:n-len("…")], "") + "…"
}

// keepDetailLocked drops the details of the oldest batches until this one fits.
func (b *batches) keepDetailLocked(e *entry, d *detail) {
	for len(b.detailed) > 0 {
		oldest := b.findLocked(b.detailed[0])
		if oldest != nil && oldest.detail != nil {
			if b.details+d.bytes() <= detailBytes {
				break
			}
			b.dropDetailLocked(oldest)
		}
		b.detailed = b.detailed[1:]
	}
	e.detail = d
	b.details += d.bytes()
	b.detailed = append(b.detailed, e.id)
}

func (b *batches) dropDetailLocked(e *entry) {
	if e.detail != nil {
		b.details -= e.detail.bytes()
		e.detail = nil
	}
}

// left reports whether nobody waits for the outcome of the named batch.
func (b *batches) left(name string) bool {
	_, id, _ := parseBatchID(name)
	e, _ := b.get(id)
	return e.left
}

// get returns what is remembered of the batch.
func (b *batches) get(id uuid.UUID) (entry, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.findLocked(id); e != nil {
		return *e, true
	}
	return entry{}, false
}
