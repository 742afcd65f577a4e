package record

import (
	"math/bits"
	"sync"
)

// Buffers keeps the buffers of freed batches for those to come, up to a bound:
// at thousands of requests a second the garbage of their bodies would cost
// more than reading them. A nil *Buffers makes every buffer anew.
type Buffers struct {
	maxBytes int64

	mu      sync.Mutex
	bytes   int64 // of all that are kept
	bodies  shelf[byte]
	indexes shelf[span]
}

// NewBuffers keeps at most maxBytes. They are beside those that are reserved in
// the queue, which are in use.
func NewBuffers(maxBytes int64) *Buffers {
	return &Buffers{maxBytes: maxBytes, bodies: shelf[byte]{}, indexes: shelf[span]{}}
}

// shelf holds unused buffers by their capacity.
type shelf[T any] map[int][][]T

func (s shelf[T]) take(capacity int) []T {
	waiting := s[capacity]
	if len(waiting) == 0 {
		return nil
	}
	last := len(waiting) - 1
	buffer := waiting[last]
	waiting[last] = nil
	s[capacity] = waiting[:last]
	return buffer
}

func (s shelf[T]) put(buffer []T) { s[cap(buffer)] = append(s[cap(buffer)], buffer) }

// takeAny takes a buffer that nobody asked for; nil when there is none.
func (s shelf[T]) takeAny() []T {
	for capacity := range s {
		if buffer := s.take(capacity); buffer != nil {
			return buffer
		}
		delete(s, capacity)
	}
	return nil
}

// Capacity is the capacity of a buffer that Get returns for n bytes, which is
// what a reservation for it has to cover: n, rounded up by at most a quarter
// above 8 KiB, and to a power of two below. Allocators round up, too, so that
// little of it is given away.
func Capacity(n int64) int64 {
	const least, steps = 64, 8 << 10
	if n <= least {
		return least
	}
	step := int64(1) << bits.Len64(uint64(n-1))
	if n > steps {
		step >>= 3 // a quarter of the power of two below n
	}
	return (n + step - 1) &^ (step - 1)
}

// Get returns a buffer of n bytes, and of Capacity(n). It may hold anything.
func (b *Buffers) Get(n int64) []byte {
	capacity := int(Capacity(n))
	if b != nil {
		b.mu.Lock()
		buffer := b.bodies.take(capacity)
		b.bytes -= int64(cap(buffer))
		b.mu.Unlock()
		if buffer != nil {
			return buffer[:n]
		}
	}
	return make([]byte, n, capacity)
}

// Put takes back a buffer that nothing reads any more. One that Get did not
// return is left to the garbage collector, and so is one for which there is no
// room.
func (b *Buffers) Put(buffer []byte) {
	if b == nil || int64(cap(buffer)) != Capacity(int64(cap(buffer))) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.makeRoomLocked(int64(cap(buffer))) {
		b.bodies.put(buffer[:0])
	}
}

// getIndex returns an empty index for at least n records.
func (b *Buffers) getIndex(n int) []span {
	capacity := indexCapacity(n)
	if b != nil {
		b.mu.Lock()
		index := b.indexes.take(capacity)
		b.bytes -= int64(cap(index)) * spanBytes
		b.mu.Unlock()
		if index != nil {
			return index
		}
	}
	return make([]span, 0, capacity)
}

// indexCapacity is how many records the index has room for that getIndex
// returns.
func indexCapacity(n int) int { return int(Capacity(int64(n)*spanBytes) / spanBytes) }

func (b *Buffers) putIndex(index []span) {
	if b == nil || cap(index) == 0 || cap(index) != indexCapacity(cap(index)) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.makeRoomLocked(int64(cap(index)) * spanBytes) {
		b.indexes.put(index[:0])
	}
}

// makeRoomLocked counts n bytes that are to be kept, for which those go that
// nobody asked for of late: what is often asked for is seldom there. It is
// false where n bytes would leave no room for others.
func (b *Buffers) makeRoomLocked(n int64) bool {
	if n > b.maxBytes/4 {
		return false
	}
	for b.bytes+n > b.maxBytes {
		if body := b.bodies.takeAny(); body != nil {
			b.bytes -= int64(cap(body))
		} else {
			b.bytes -= int64(cap(b.indexes.takeAny())) * spanBytes
		}
	}
	b.bytes += n
	return true
}
