package segment

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"
)

const (
	// slowAfter is how long a store may take for one append or seal until that
	// is trouble.
	slowAfter = 10 * time.Second
	// troubleStays is longer than the pause between two attempts of a consumer:
	// a partition that has not been tried for so long is somebody else's.
	troubleStays = time.Minute
)

// trouble is that the store does not take a partition's data. Nothing is lost
// meanwhile: what is not sealed is still in Kafka, or in the journal. It is over
// with the next seal.
type trouble struct {
	kind  string
	since time.Time
}

// troubles are those of the partitions of a store.
type troubles struct {
	slowAfter time.Duration
	failed    func(kind string)

	mu sync.Mutex
	of map[partition]attempts
}

// attempts to store a partition, of which one may be under way.
type attempts struct {
	begun  time.Time // of the one under way, or zero
	failed time.Time // the last time, or zero
	trouble
}

// begin is called before the store is asked for something that may take long.
func (t *troubles) begin(p partition) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.of[p]
	a.begun = time.Now()
	t.of[p] = a
}

// end takes the outcome of what begin has begun. Only sealed data proves that
// the store takes some.
func (t *troubles) end(p partition, err error, proven bool) {
	kind := kindOf(err)
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.of[p]
	switch {
	case kind != "":
		if a.failed.IsZero() {
			a.since = a.begun
		}
		a.failed, a.kind = time.Now(), kind
		t.failed(kind)
	case proven, a.failed.IsZero():
		delete(t.of, p)
		return
	}
	a.begun = time.Time{}
	t.of[p] = a
}

// current are the troubles by now, one for each partition that has one.
func (t *troubles) current(now time.Time) (found []trouble) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.of, func(_ partition, a attempts) bool {
		return a.begun.IsZero() && now.Sub(a.failed) >= troubleStays
	})
	for _, a := range t.of {
		switch {
		case !a.failed.IsZero():
			found = append(found, a.trouble)
		case now.Sub(a.begun) >= t.slowAfter:
			found = append(found, trouble{kind: troubleSlow, since: a.begun})
		}
	}
	return found
}

// errNotStorage marks the error of somebody else.
var errNotStorage = errors.New("find first offset")

// kindOf is the kind of trouble that an error tells of, or "".
func kindOf(err error) string {
	var stop *StopError
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, errNotStorage) || errors.As(err, &stop) {
		return ""
	}
	return troubleKind(err)
}
