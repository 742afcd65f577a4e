// Package spool is the write-ahead log of batches that are acknowledged before
// they are in Kafka.
package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// Queue is where the spool feeds its batches to.
type Queue interface {
	// NewQuietAccount returns an account for what is read back from the disk. The
	// spool asks until there is room, so that what it is refused counts for
	// nothing.
	NewQuietAccount() record.Account
	// MaxBytes is how many bytes one account can hold.
	MaxBytes() int64
	// Put hands a batch over, for which b.Reserved bytes are reserved.
	Put(b *record.Batch) error
}

// Options configure a spool.
type Options struct {
	// Dir holds the spool, and nothing else; it is made if it isn't there.
	Dir string
	// MaxBytes bounds what the spool takes on the disk. About a tenth of it is
	// kept free for the journal, so that a full spool can be emptied.
	MaxBytes int64
	// Recover, unless it is nil, is called for each batch that comes from the
	// disk, before it goes on. It may set b.Watcher, and change nothing else. See
	// also Spool.Keyed.
	Recover func(b *record.Batch)

	segmentBytes int64 // instead of the default
}

// Spool keeps batches on disk, from the fsync that their receipt stands for
// until their records are in Kafka or dead-lettered, and feeds them to the
// queue.
//
// It is one log of numbered segments. Data entries are batches; each has a
// position, one more than the one before. Assign and settle entries are the
// producer's journal: under which numbers records were first sent, and that
// they are done. An entry is durable before whoever waits for it goes on; one
// fdatasync serves all who wait at that time.
//
// These always hold, also after a crash at any point:
//
//   - What was acknowledged and is not settled can be read, and is delivered
//     in the order of positions.
//   - Records of an assign entry whose fate is open come back as a
//     record.Reopened, and in no other way. An assign entry is void once any
//     record of it is settled or assigned anew, or its numbers are used anew:
//     each is done only after a definite answer of the broker.
//   - What was refused is not in the log: its bytes are cut off, durably,
//     before the refusal, or the header of the next segment says that they are
//     void. A file whose fsync failed is never written again.
//   - A segment goes once all its data entries are done, and so are those of
//     all segments before it: what settles or assigns an entry stands behind
//     it, and must not go before it. A directory is synced between two.
//   - A settle entry counts once it is durable, so nothing goes for its sake
//     that a crash would have asked for.
//   - A segment of an earlier run is never appended to, unless the disk has no
//     room for a new one, which mustn't keep what is stored from being delivered.
//     What then stands behind its end is overwritten with zeros first.
//
// Opening reads all of it. The tail of the last segment, if its writing was
// interrupted, is cut off: nobody was told that it is there. Any other damage
// is logged, counted and copied to corrupt/ with its reason, and the reading
// goes on at the next entry that can be read. Entries carry the number of
// their segment in their checksums, and begin with bytes that no record can
// hold.
//
// Memory does not grow with the spool: what is settled is kept as runs of
// positions, and a batch that waits on the disk takes none. While the spool's
// share of the queue lasts (half), the batch that was appended goes on to the
// queue itself. Beyond it, its memory is given back, and so is that of every
// later one, until all before it have been read back, in order, as the queue
// gets room. Whoever waits for the outcome of such a batch still gets it.
//
// A full disk, or a full spool, refuses batches and nothing else: a part of the
// active segment is preallocated for the journal, without which nothing could
// be delivered and no room would ever come. That reserve outlives the process,
// however it ends, while anything isn't delivered.
type Spool struct {
	options Options
	queue   Queue
	account record.Account
	logger  *slog.Logger
	metrics *metrics
	share   int64 // of the queue, in bytes
	lock    *os.File
	log     appender // the writer's alone
	tickets sync.Pool
	trouble rate.Sometimes // logs of what is tried again

	wake chan struct{} // holds a token when the writer has something to see
	room chan struct{} // holds a token when the feeder has

	mu       sync.Mutex
	closed   bool
	pending  []*ticket
	urgent   int   // tickets of pending that somebody waits for
	admitted int64 // bytes of data entries in pending, or being written
	ledger
	reopening reopening
}

// logInterval is how often a trouble that lasts is logged.
const logInterval = 10 * time.Second

// Open takes the directory for this process and reads what earlier ones left.
// Nothing is fed, and nothing can be appended, until Run.
//
// It returns ErrLocked (wrapped) when a process has the spool open, and a
// *NewerVersionError when a newer release wrote it. Damage is no error.
func Open(options Options, queue Queue, logger *slog.Logger, reg prometheus.Registerer) (*Spool, error) {
	s, err := open(options, queue, logger, reg)
	if err != nil {
		return nil, fmt.Errorf("open spool %s: %w", options.Dir, err)
	}
	return s, nil
}

func open(options Options, queue Queue, logger *slog.Logger, reg prometheus.Registerer) (*Spool, error) {
	if err := os.MkdirAll(options.Dir, 0o700); err != nil {
		return nil, err
	}
	if options.segmentBytes == 0 {
		options.segmentBytes = min(max(options.MaxBytes/32, 1<<20), 64<<20)
	}
	held, err := lock(options.Dir)
	if err != nil {
		return nil, err
	}
	s := &Spool{
		options: options, queue: queue, account: queue.NewQuietAccount(), logger: logger, lock: held, share: queue.MaxBytes() / 2,
		metrics: newMetrics(),
		trouble: rate.Sometimes{First: 1, Interval: logInterval},
		wake:    make(chan struct{}, 1),
		room:    make(chan struct{}, 1),
	}
	s.tickets.New = func() any { return &ticket{done: make(chan error, 1)} }
	if err := s.load(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.metrics.register(s, reg)
	return s, nil
}

// Run writes what is appended and feeds the queue, until ctx ends; then it
// writes what it still can of the journal, logs what stays for the next start,
// and returns nil. It is called once.
func (s *Spool) Run(ctx context.Context) error {
	var feeding sync.WaitGroup
	feeding.Go(func() { s.feed(ctx) })
	s.write(ctx)
	feeding.Wait()
	if batches, bytes := s.left(); batches > 0 {
		s.logger.Warn("the spool keeps batches that aren't delivered; the next start delivers them, unless the directory goes", "dir", s.options.Dir, "batches", batches, "bytes", bytes)
	}
	return nil
}

// Drain returns once everything that has been appended is fed to the queue, or
// ctx ends, whose error it returns then. It is for the time when nothing is
// appended any more and the queue isn't closed yet.
func (s *Spool) Drain(ctx context.Context) error {
	s.mu.Lock()
	fed := s.awaitFedLocked()
	s.mu.Unlock()
	select {
	case <-fed:
		return nil
	case <-ctx.Done():
		batches, bytes := s.left()
		return fmt.Errorf("drain spool %s with %d batches in %d bytes: %w", s.options.Dir, batches, bytes, ctx.Err())
	}
}

// Close lets go of the directory. Run must have returned, if it was called. As
// long as something isn't delivered the journal's reserve stays on the disk.
func (s *Spool) Close() error {
	s.mu.Lock()
	s.closed = true
	undone := s.undoneLocked()
	s.mu.Unlock()
	if undone == 0 {
		s.log.release()
	}
	s.log.leave()
	return s.lock.Close()
}

// left is how many batches are not done, and the size of the segments.
func (s *Spool) left() (batches uint64, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.undoneLocked(), s.stored
}

// PendingRecords is how many records of the spool are neither in Kafka nor
// dead-lettered. Those that the disk has lost count until all of their segment
// is done.
func (s *Spool) PendingRecords() (records int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, segment := range s.segments {
		records += max(0, segment.records)
	}
	return records
}
