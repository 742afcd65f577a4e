package segment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"path"
	"slices"
	"sync"
	"time"
)

// maxBeside bounds a file that lies beside segments, in bytes.
const maxBeside = 256 << 20

// Archive reads what is sealed, beside living consumers, and keeps files beside
// it. It remembers the links that it has walked over, in 32 bytes each, and so
// walks over new ones only. It is safe for concurrent use.
type Archive struct {
	files store
	done  func()

	mu     sync.Mutex
	walked map[partition][]span
}

// span is what an archive remembers of a link.
type span struct{ base, next, first, last int64 }

// OpenArchive opens the store at a location (see Verify), which must be there.
func OpenArchive(ctx context.Context, location string) (*Archive, error) {
	from, done, err := openReader(ctx, location)
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", location, err)
	}
	return &Archive{files: from.(store), done: done, walked: make(map[partition][]span)}, nil
}

// Archive is that of an open store; it need not be closed.
func (s *Store) Archive() *Archive {
	return &Archive{files: s.files, done: func() {}, walked: make(map[partition][]span)}
}

// Close ends the use of an archive that OpenArchive returned.
func (a *Archive) Close() { a.done() }

// Sealed names one sealed segment.
type Sealed struct {
	Topic, TopicID         string
	Partition              int32
	BaseOffset, NextOffset int64
}

// Segments yields the sealed segments of a topic that have records whose
// timestamps are from or later and before to, partition by partition and in the
// order of their chains; those included whose data retention has removed, but
// whose links it has not. It ends after the first error.
func (a *Archive) Segments(ctx context.Context, topic string, from, to time.Time) iter.Seq2[Sealed, error] {
	return func(yield func(Sealed, error) bool) {
		chains, err := findChains(ctx, a.files, topic, -1)
		if err != nil {
			yield(Sealed{}, err)
			return
		}
		for _, p := range chains {
			known, err := a.walk(ctx, p)
			if err != nil {
				yield(Sealed{}, fmt.Errorf("read links of %v: %w", p, err))
				return
			}
			for _, s := range known {
				if s.last >= from.UnixMilli() && s.first < to.UnixMilli() && !yield(Sealed{p.topic, p.topicID, p.number, s.base, s.next}, nil) {
					return
				}
			}
		}
	}
}

// walk returns what it knows of a chain's links, which is all of them without
// an error; what it has learned before an error stays known.
func (a *Archive) walk(ctx context.Context, p partition) ([]span, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	header, err := readHeader(ctx, a.files, p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // a chain that is just being made
	}
	if err != nil {
		return nil, err
	}
	for at := int64(-1); ; {
		begin, err := readBoundaries(ctx, a.files, p, header.FirstOffset)
		if err != nil || begin.links <= at {
			return slices.Clone(a.walked[p]), err // the chain has ended at, and not been cut from before it
		}
		known := a.walked[p]
		gone, _ := slices.BinarySearchFunc(known, begin.links, func(s span, base int64) int { return cmp.Compare(s.base, base) })
		known = slices.Delete(known, 0, gone)
		if at = begin.links; len(known) > 0 {
			at = known[len(known)-1].next
		}
		at, known, err = a.follow(ctx, p, at, known)
		a.walked[p] = known
		if err != nil {
			return nil, err
		}
	}
}

// follow adds links from an offset on, until there is none.
func (a *Archive) follow(ctx context.Context, p partition, at int64, known []span) (int64, []span, error) {
	for {
		link, err := readLink(ctx, a.files, p, at)
		if errors.Is(err, fs.ErrNotExist) {
			return at, known, nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return at, known, err
		}
		s := span{link.BaseOffset, link.NextOffset, link.FirstTimestamp, link.LastTimestamp}
		if link.Records == 0 {
			s.first, s.last = math.MaxInt64, math.MinInt64 // of no time
		}
		known, at = append(known, s), link.NextOffset
	}
}

// BatchLine is one stored record, and the timestamp of its record batch: that
// of the last one listed in the link that begins at or before it.
type BatchLine struct {
	Bytes     []byte // with its '\n', valid until the next iteration
	Timestamp int64
}

// Lines yields the records of a segment. It ends after the first error; data
// that retention has removed is one.
func (a *Archive) Lines(ctx context.Context, topic, topicID string, number int32, base int64) iter.Seq2[BatchLine, error] {
	return func(yield func(BatchLine, error) bool) {
		link, err := readLink(ctx, a.files, partition{topic, topicID, number}, base)
		if err == nil {
			offset, batches := link.BaseOffset, link.Batches
			_, err = yieldSegment(ctx, a.files, link, func(line Line, _ error) bool {
				for len(batches) > 1 && batches[1][0] <= offset {
					batches = batches[1:]
				}
				offset++
				return yield(BatchLine{line.Bytes, batches[0][1]}, nil)
			})
		}
		if err != nil {
			yield(BatchLine{}, err)
		}
	}
}

// ReadBeside reads a file that WriteBeside wrote, or returns fs.ErrNotExist.
func (a *Archive) ReadBeside(ctx context.Context, name string) ([]byte, error) {
	f, err := a.files.open(ctx, name)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(f, maxBeside))
	return content, errors.Join(err, f.Close())
}

// WriteBeside keeps a file that can be computed again: whoever reads the name
// gets what was there or the new one, but after a crash of the machine it may
// be damaged. writer is a name that nobody else uses at the time.
func (a *Archive) WriteBeside(ctx context.Context, writer, name string, content []byte) error {
	if folders, ok := a.files.(interface{ makeFolder(string) error }); ok {
		if err := folders.makeFolder(path.Dir(name)); err != nil {
			return err
		}
	}
	return a.files.replace(ctx, path.Join(stagingDir, "beside-"+writer), name, content)
}
