// Package journal takes batches without Kafka: an answer stands for the fsync
// of a journal, which all requests share that wait for one, and from there the
// records go on into the segments of a chain.
package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/logpipeline/logpipeline/ingester/durable"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// Queue is where the batches come from; see queue.Queue.
type Queue interface {
	// Take waits for the first batch and returns what waits with it. The error
	// is io.EOF once none can come any more.
	Take(ctx context.Context, into []*record.Batch, maxRecords int, maxBytes int64, maxDelay time.Duration, lull <-chan struct{}) ([]*record.Batch, error)
	// TakeOlder takes those that were received before t, without waiting.
	TakeOlder(t time.Time, into []*record.Batch) ([]*record.Batch, error)
}

// Options configure a journal.
type Options struct {
	// Dir holds the journal, and nothing else but its owner's lock; it is made
	// if it isn't there. It is for one process at a time, which the caller sees to.
	Dir string
	// MaxBytes bounds what the journal takes on the disk.
	MaxBytes int64
	// Topic is how placements name the chain, whose only partition is 0.
	Topic string

	fileBytes int64 // instead of the default
}

// Journal keeps batches on disk, from the fsync that their receipt stands for
// until they are in a sealed segment. It gives each record its offset.
//
// It is one log of numbered files, whose entries are batches, in the order of
// their offsets and without gaps between them. One fdatasync serves all batches
// that wait at that time. A Storer reads behind the writer, the same way after
// a start as at any other time, and appends the lines to the chain; what the
// chain has sealed goes from the journal, file by file.
//
// These always hold, also after a crash at any point:
//
//   - A record's offset is in its entry. So what the chain holds already is
//     known from where the chain ends, and from nothing else: nothing is stored
//     twice, and nothing need be noted down when something has been stored.
//   - What was refused is not in the journal: its bytes are cut off, durably,
//     before the refusal, or the header of the next file says that they are
//     void. A file whose fsync failed is never written again, and neither is
//     one of an earlier run.
//   - Offsets are never used again for other records: the journal goes on where
//     it or the chain ends, whichever is later. Where its own end is in doubt, it
//     begins only when the chain has been asked.
//
// The tail of the last file, if its writing was interrupted, is cut off:
// nobody was told that it is there. Any other damage is logged, counted and
// copied to corrupt/ with its reason; the reading goes on at the next entry
// that can be read, and the chain records the offsets between as a gap. Memory
// does not grow with the journal.
type Journal struct {
	options Options
	queue   Queue
	logger  *slog.Logger
	metrics *metrics
	id      string
	certain bool           // where it ends is known without the chain
	log     appender       // the writer's alone
	trouble rate.Sometimes // logs of what is tried again

	wake chan struct{} // holds a token when the storer may have something to see

	mu     sync.Mutex
	files  []*file // in order; the writer appends to the last one, if active
	stored int64   // bytes of the files, and of what was set aside
	end    int64   // offset behind the last durable record
	sealed int64   // offset behind the last record that the chain holds for good
	active bool    // the last file is being written
	closed bool    // nothing is written any more
}

const (
	// logInterval is how often a trouble that lasts is logged.
	logInterval = 10 * time.Second
	// groupBytes is how many bytes of records one fdatasync is for, at most,
	// unless it is a single batch: nobody should wait for too many others.
	groupBytes = 8 << 20
	// sealingParts is how much of the journal is taken, one part in so many,
	// before what it holds is sealed early.
	sealingParts = 4
)

// Open reads what earlier runs left and mends it. Nothing is written until
// Run.
//
// It returns a *NewerVersionError (wrapped) when a newer release wrote the
// journal. Damage is no error.
func Open(options Options, queue Queue, logger *slog.Logger, reg prometheus.Registerer) (*Journal, error) {
	if options.fileBytes == 0 {
		options.fileBytes = min(options.MaxBytes/8, 64<<20)
	}
	j := &Journal{
		options: options, queue: queue, logger: logger,
		log:     appender{dir: options.Dir, dataSync: durable.SyncData},
		trouble: rate.Sometimes{First: 1, Interval: logInterval},
		wake:    make(chan struct{}, 1),
	}
	j.metrics = newMetrics(j)
	err := makeDir(options.Dir)
	if err == nil {
		err = j.recover()
	}
	if err != nil {
		return nil, fmt.Errorf("open journal %s: %w", options.Dir, err)
	}
	j.metrics.register(reg)
	return j, nil
}

// makeDir makes the folder, and its name durable as what it will hold: the
// folder above it may be as new.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	above := filepath.Dir(dir)
	return errors.Join(durable.SyncDir(above), durable.SyncDir(filepath.Dir(above)))
}

// ID names the journal for good. It is the topic id of its chain, so that
// another journal can't go on with that.
func (j *Journal) ID() string { return j.id }

// First is the offset of the oldest record that may be in the journal; with
// nothing in it, that of the next one.
func (j *Journal) First() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.sealed
}

// startBehind says, before anything is written, that records up to an offset have
// been stored once.
func (j *Journal) startBehind(offset int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.end = max(j.end, offset)
	j.log.next, j.log.kept = j.end, j.end
}

// Run takes batches from the queue, makes them durable and completes them,
// until the queue has ended, or ctx has: then it refuses what is left. It is
// called once, after the Storer's Open has returned nil.
func (j *Journal) Run(ctx context.Context) {
	defer j.close()
	var group []*record.Batch
	for {
		var err error
		group, err = j.queue.Take(ctx, group[:0], math.MaxInt, groupBytes, 0, nil)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			rest, _ := j.queue.TakeOlder(time.Now().Add(time.Hour), nil) // all there are
			refuse(rest, fmt.Errorf("%w: %w", record.ErrClosed, err))
			return
		}
		j.commit(group)
		clear(group)
	}
}

// close says that nothing is written any more.
func (j *Journal) close() {
	j.log.release()
	j.mu.Lock()
	j.active, j.closed = false, true
	j.mu.Unlock()
	j.wakeStorer()
}

func (j *Journal) wakeStorer() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// release removes the files of which the chain holds everything.
func (j *Journal) release(sealed int64) {
	j.mu.Lock()
	j.sealed = max(j.sealed, sealed)
	n, most := 0, len(j.files)
	if j.active {
		most--
	}
	for n < most && j.files[n].next <= j.sealed {
		n++
	}
	done := append([]*file(nil), j.files[:n]...)
	all, end := n == len(j.files), j.end
	j.mu.Unlock()
	if len(done) == 0 {
		return
	}
	removed, err := j.removeFiles(done, all, end)
	if err != nil {
		j.logger.Warn("files of the journal can't be removed yet", "dir", j.options.Dir, "error", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, f := range j.files[:removed] {
		j.stored -= f.size
	}
	j.files = j.files[removed:]
}

// removeFiles removes files. When none is left it has noted down the end.
func (j *Journal) removeFiles(done []*file, all bool, end int64) (removed int, err error) {
	if all {
		if err := noteEnd(j.options.Dir, end); err != nil {
			return 0, err
		}
	}
	return removeFiles(j.options.Dir, done)
}

// unsealed is how many offsets the journal holds that the chain doesn't.
func (j *Journal) unsealed() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return max(0, j.end-j.sealed)
}

// ended reports whether nothing is written any more.
func (j *Journal) ended() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.closed
}
