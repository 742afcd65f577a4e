package segment

import (
	"context"
	"errors"
	"fmt"
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

// Trouble is a store that does not take data. Nothing is lost meanwhile: what
// is not sealed is still in Kafka. It is over with the next seal.
type Trouble struct {
	// Kind is full, read-only, refused, slow, unreachable or failing.
	Kind string
	// Since is when it began for the partition that has had it longest; Kind and
	// Err are of that one.
	Since time.Time
	// Partitions are how many have it, of those that this process stores.
	Partitions int
	// Err is the last error, nil as long as the store has only not answered.
	Err error
}

func (t Trouble) String() string {
	text := fmt.Sprintf("storage is %s since %s, for %d partitions", t.Kind, t.Since.UTC().Format(time.RFC3339), t.Partitions)
	if t.Err != nil {
		text += ": " + t.Err.Error()
	}
	return text
}

// Trouble returns what keeps partitions of this process from being stored; false
// when nothing does.
func (s *Store) Trouble() (Trouble, bool) {
	now := time.Now()
	var worst Trouble
	for _, t := range s.troubles.current(now) {
		if worst.Partitions == 0 || t.Since.Before(worst.Since) {
			t.Partitions = worst.Partitions
			worst = t
		}
		worst.Partitions++
	}
	return worst, worst.Partitions > 0
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
	Trouble
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
			a.Since = a.begun
		}
		a.failed, a.Kind, a.Err = time.Now(), kind, err
		t.failed(kind)
	case proven, a.failed.IsZero():
		delete(t.of, p)
		return
	}
	a.begun = time.Time{}
	t.of[p] = a
}

// current are the troubles by now, one for each partition that has one.
func (t *troubles) current(now time.Time) (found []Trouble) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.of, func(_ partition, a attempts) bool {
		return a.begun.IsZero() && now.Sub(a.failed) >= troubleStays
	})
	for _, a := range t.of {
		switch {
		case !a.failed.IsZero():
			found = append(found, a.Trouble)
		case now.Sub(a.begun) >= t.slowAfter:
			found = append(found, Trouble{Kind: troubleSlow, Since: a.begun})
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
