package record

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
)

func TestCapacityRoundsUp(t *testing.T) {
	for n, want := range map[int64]int64{
		0: 64, 1: 64, 64: 64, 65: 128, 513: 1024, 8192: 8192, 8193: 10240, 10240: 10240, 10241: 12288, 16384: 16384, 16385: 20480,
		25_600: 28_672, 1 << 20: 1 << 20, 1<<20 + 1: 5 << 18, 16 << 20: 16 << 20,
	} {
		if got := Capacity(n); got != want {
			t.Errorf("Capacity(%d) is %d, want %d", n, got, want)
		}
	}
	for range 10_000 {
		n := rand.Int64N(1 << 30)
		if got := Capacity(n); got < n || Capacity(got) != got || n > 8<<10 && got > n+n/4 {
			t.Fatalf("Capacity(%d) is %d", n, got)
		}
	}
}

func TestBuffersComeBack(t *testing.T) {
	b := NewBuffers(1 << 20)
	first := b.Get(20_000)
	first[0] = 7
	b.Put(first)
	if again := b.Get(20_001); again[0] != 7 || len(again) != 20_001 || cap(again) != 20_480 {
		t.Errorf("got %d bytes of %d, beginning with %d, want those that were put", len(again), cap(again), again[0])
	}
	if another := b.Get(20_000); another[0] != 0 {
		t.Error("a buffer that is in use was given away")
	}
}

func TestBuffersAreBounded(t *testing.T) {
	b := NewBuffers(1 << 20)
	held := func() (n int64) {
		for capacity, waiting := range b.bodies {
			n += int64(capacity * len(waiting))
		}
		for capacity, waiting := range b.indexes {
			n += int64(capacity*len(waiting)) * spanBytes
		}
		return n
	}
	most := int64(0)
	for range 20_000 {
		switch rand.IntN(4) {
		case 0:
			b.Put(make([]byte, Capacity(rand.Int64N(300_000))))
		case 1:
			b.Get(rand.Int64N(300_000))
		case 2:
			b.putIndex(make([]span, indexCapacity(rand.IntN(20_000))))
		case 3:
			b.getIndex(rand.IntN(20_000))
		}
		if held() != b.bytes || b.bytes > 1<<20 {
			t.Fatalf("%d bytes are kept, counted as %d, want at most %d", held(), b.bytes, 1<<20)
		}
		most = max(most, b.bytes)
	}
	if most < 1<<19 {
		t.Errorf("never more than %d bytes were kept", most)
	}
}

// What isn't asked for any more makes room for what is.
func TestUnusedBuffersGo(t *testing.T) {
	b := NewBuffers(1 << 20)
	for range 10 {
		b.Put(make([]byte, 100<<10))
	}
	for range 200 {
		b.Put(make([]byte, 16<<10))
	}
	if n := len(b.bodies[16<<10]); n < 20 {
		t.Errorf("%d buffers of the size in use are kept", n)
	}
}

func TestForeignBuffersAreNotKept(t *testing.T) {
	b := NewBuffers(1 << 20)
	b.Put(make([]byte, 1000))
	b.Put(make([]byte, 1<<20)) // would leave no room for others
	b.Put(nil)
	b.putIndex(nil)
	b.putIndex(make([]span, 3))
	if b.bytes != 0 {
		t.Errorf("%d bytes are kept", b.bytes)
	}
	var none *Buffers
	none.Put(make([]byte, 512))
	if buffer := none.Get(600); len(buffer) != 600 || cap(buffer) != 1024 {
		t.Errorf("got %d bytes of %d", len(buffer), cap(buffer))
	}
}

// freeAccount counts what is released.
type freeAccount struct{ released int64 }

func (a *freeAccount) Reserve(int64) error { return errors.ErrUnsupported }
func (a *freeAccount) Cancel(int64)        {}
func (a *freeAccount) Release(n int64)     { a.released += n }

func TestFreeGivesEverythingBack(t *testing.T) {
	buffers, account := NewBuffers(1<<20), &freeAccount{}
	body := append(buffers.Get(600)[:0], `[{"a":1},{"a":2}]`...)
	b := NewBatch("b")
	b.Account, b.Reserved, b.Buffers = account, 7, buffers
	if err := ParseJSON(b, body, testLimits); err != nil {
		t.Fatal(err)
	}
	memory := b.Memory()
	b.Free()
	if account.released != 7 || buffers.bytes != memory-Overhead {
		t.Errorf("%d bytes were released, want 7; %d are kept, want %d", account.released, buffers.bytes, memory-Overhead)
	}
	defer func() {
		if recover() == nil {
			t.Error("a record could be read after Free")
		}
	}()
	b.Record(0)
}

// Batches on many goroutines never see each other's bytes.
func TestBuffersAtOnce(t *testing.T) {
	buffers := NewBuffers(64 << 10)
	var working sync.WaitGroup
	for worker := range 8 {
		working.Go(func() {
			for range 500 {
				body := buffers.Get(int64(600 + rand.IntN(5000)))
				for i := range body {
					body[i] = byte(worker)
				}
				for _, c := range body {
					if c != byte(worker) {
						t.Error("two goroutines have the same buffer")
						return
					}
				}
				buffers.Put(body)
			}
		})
	}
	working.Wait()
}
