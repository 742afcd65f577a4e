package deadletter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
)

const (
	// putTimeout bounds how long Put waits for the topic. Who puts has other
	// things to do, and the folder is there for this.
	putTimeout = 2 * time.Second
	// moveTimeout bounds the same for a file of the folder.
	moveTimeout = 15 * time.Second
	// moveInterval is how often the folder is looked at, and, doubled each
	// time up to maxMoveInterval, how long to wait while Kafka is away.
	moveInterval    = 2 * time.Second
	maxMoveInterval = 30 * time.Second
	// Letters are put together up to groupBytes of records and their
	// descriptions, at letterBytes each: one write for many, and little to do
	// again where that fails.
	groupBytes  = 1 << 20
	letterBytes = 512
	// refusalLogInterval is how often it is logged, at most, that the topic
	// refuses a letter.
	refusalLogInterval = 10 * time.Second
)

// Store takes dead letters. It is made by Open, and may be used by any number
// of goroutines.
type Store struct {
	topic    *topic        // nil without one
	patience time.Duration // putTimeout
	folder   *folder
	logger   *slog.Logger
	metrics  metrics
	stuck    int            // letters, the last time; Run's
	refusals rate.Sometimes // logs of letters that the topic refuses
	away     atomic.Bool    // the topic didn't take the last letter: don't wait for it again
}

// Open returns a store that keeps letters in the topic cfg.Topic, by client,
// and in the directory dir, which is made if it isn't there. Without a topic
// client isn't used. The metrics are registered with reg. One store at a time
// may use the directory.
func Open(cfg config.DeadLetter, dir string, client Client, logger *slog.Logger, reg prometheus.Registerer) (*Store, error) {
	f, err := openFolder(dir, int64(cfg.MaxBytes))
	if err != nil {
		return nil, fmt.Errorf("open folder of dead letters: %w", err)
	}
	s := &Store{patience: putTimeout, folder: f, logger: logger, metrics: newMetrics(reg, f), refusals: rate.Sometimes{First: 1, Interval: refusalLogInterval}}
	if cfg.Topic != "" {
		s.topic = &topic{client, cfg.Topic}
	}
	return s, nil
}

// Put returns when the letters are kept: by all in-sync replicas of the topic,
// or, where these take longer than 2 s or ctx, by the disk. It returns nil when
// all are, and otherwise an error for each, nil for those that are; it is
// ErrFull for those for which the folder has no room. Once ctx has ended no
// more is begun. The letters' records are not used afterwards.
func (s *Store) Put(ctx context.Context, letters []record.DeadLetter) []error {
	var errs []error
	for from := 0; from < len(letters); {
		to := groupEnd(letters, from)
		if failed := s.putGroup(ctx, letters[from:to]); failed != nil {
			if errs == nil {
				errs = make([]error, len(letters))
			}
			copy(errs[from:], failed)
		}
		from = to
	}
	return errs
}

// groupEnd is where the group ends that begins with a letter.
func groupEnd(letters []record.DeadLetter, from int) int {
	size := 0
	for i := from; i < len(letters); i++ {
		size += letterBytes
		for _, r := range letters[i].Records {
			size += len(r)
		}
		if size > groupBytes && i > from {
			return i
		}
	}
	return len(letters)
}

func (s *Store) putGroup(ctx context.Context, letters []record.DeadLetter) []error {
	if err := ctx.Err(); err != nil {
		return s.failed(letters, slices.Repeat([]error{err}, len(letters)), nil)
	}
	err := s.putTopic(ctx, letters)
	switch {
	case err == nil:
		s.written(placeTopic, letters, nil)
		return nil
	case refused(err) && len(letters) > 1: // for one of them, perhaps
		errs := make([]error, 0, len(letters))
		for i := range letters {
			errs = append(errs, errors.Join(s.putGroup(ctx, letters[i:i+1])...))
		}
		return errs
	}
	if refused(err) {
		s.refusals.Do(func() {
			s.logger.Warn("the dead-letter topic refuses a letter, which stays in the folder", "folder", s.folder.dir, "batch", letters[0].Batch, "firstRecord", letters[0].FirstRecord, "error", err)
		})
	}
	errs := s.folder.put(letters)
	s.written(placeFolder, letters, errs)
	if errs == nil {
		return nil
	}
	return s.failed(letters, errs, err)
}

// written counts the letters that are kept.
func (s *Store) written(place string, letters []record.DeadLetter, errs []error) {
	for i, d := range letters {
		if errs == nil || errs[i] == nil {
			s.metrics.written.WithLabelValues(place, reasonClass(d.Unknown)).Add(float64(len(d.Records)))
		}
	}
}

// failed counts the letters that could not be kept, and says why: beside the
// error of each, because of that of the topic.
func (s *Store) failed(letters []record.DeadLetter, errs []error, ofTopic error) []error {
	for i, err := range errs {
		if err != nil {
			s.metrics.refused.Add(float64(len(letters[i].Records)))
			errs[i] = fmt.Errorf("keep dead letter: %w", errors.Join(ofTopic, err))
		}
	}
	return errs
}

var (
	errNoTopic = errors.New("no dead-letter topic is configured")
	errAway    = errors.New("the dead-letter topic takes nothing at present")
)

func (s *Store) putTopic(ctx context.Context, letters []record.DeadLetter) error {
	switch {
	case s.topic == nil:
		return errNoTopic
	case s.away.Load():
		return errAway
	}
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	err := s.topic.put(ctx, letters)
	if err != nil && !refused(err) && !s.away.Swap(true) {
		s.logger.Warn("dead letters go to the folder, since the topic doesn't take them", "topic", s.topic.name, "folder", s.folder.dir, "error", err)
	}
	return err
}
