package deadletter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
)

const (
	// putTimeout bounds how long Put waits for the topic. Who puts has other
	// things to do, and the folder is there for this.
	putTimeout = 2 * time.Second
	// moveTimeout bounds the same for a letter of the folder.
	moveTimeout = 15 * time.Second
	// moveInterval is how often the folder is looked at, and, doubled each
	// time up to maxMoveInterval, how long to wait while Kafka is away.
	moveInterval    = 2 * time.Second
	maxMoveInterval = 30 * time.Second
)

// Store takes dead letters. It is made by Open, and may be used by any number
// of goroutines.
type Store struct {
	topic   *topic // nil without one
	folder  *folder
	logger  *slog.Logger
	metrics metrics
	stuck   int         // letters, the last time; Run's
	away    atomic.Bool // the topic didn't take the last letter: don't wait for it again
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
	s := &Store{folder: f, logger: logger, metrics: newMetrics(reg, f)}
	if cfg.Topic != "" {
		s.topic = &topic{client, cfg.Topic}
	}
	return s, nil
}

// Put returns when the letter is kept: by all in-sync replicas of the topic,
// or, if that takes longer than 2 s or ctx, by the disk. Otherwise the error
// says why neither could keep it; it is ErrFull when the folder has no room.
// The letter's records are not used afterwards.
func (s *Store) Put(ctx context.Context, d record.DeadLetter) error {
	if len(d.Records) == 0 {
		return nil
	}
	place := placeTopic
	err := s.putTopic(ctx, d)
	if err != nil {
		place = placeFolder
		if folderErr := s.folder.put(d); folderErr != nil {
			s.metrics.refused.Add(float64(len(d.Records)))
			return fmt.Errorf("keep dead letter: %w", errors.Join(err, folderErr))
		}
	}
	s.metrics.written.WithLabelValues(place, reasonClass(d.Unknown)).Add(float64(len(d.Records)))
	return nil
}

var (
	errNoTopic = errors.New("no dead-letter topic is configured")
	errAway    = errors.New("the dead-letter topic takes nothing at present")
)

func (s *Store) putTopic(ctx context.Context, d record.DeadLetter) error {
	switch {
	case s.topic == nil:
		return errNoTopic
	case s.away.Load():
		return errAway
	}
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	err := s.topic.put(ctx, d)
	if err != nil && !refused(err) && !s.away.Swap(true) {
		s.logger.Warn("dead letters go to the folder, since the topic doesn't take them", "topic", s.topic.name, "folder", s.folder.dir, "error", err)
	}
	return err
}

// Run moves what lies in the folder to the topic, whenever Kafka takes it, and
// keeps the folder's metrics true. It returns nil when ctx ends. Put may be
// called before, meanwhile and afterwards.
func (s *Store) Run(ctx context.Context) error {
	pause := moveInterval
	for ctx.Err() == nil {
		err := s.move(ctx)
		switch {
		case err == nil:
			pause = moveInterval
		case ctx.Err() == nil:
			s.logger.Warn("dead letters stay in the folder, retrying", "folder", s.folder.dir, "error", err)
			pause = min(2*pause, maxMoveInterval)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return nil
}

// move moves all letters of the folder, but for those that are stuck there. The
// error is why it ended before the last one.
func (s *Store) move(ctx context.Context) error {
	if s.topic == nil {
		return s.folder.measure()
	}
	paths, err := files(s.folder.dir)
	if err != nil {
		return err
	}
	var stuck []error
	for _, path := range paths {
		err := s.moveFile(ctx, path)
		switch {
		case err == nil, errors.Is(err, fs.ErrNotExist): // somebody has dealt with it
		case errors.Is(err, ErrCorrupt), refused(err):
			stuck = append(stuck, err)
		default:
			return err
		}
	}
	s.stuckLetters(stuck)
	s.away.Store(false) // or, with nothing to move, the next Put will tell
	return s.folder.measure()
}

// stuckLetters tells of letters that can't be moved, when there are others than
// the last time.
func (s *Store) stuckLetters(stuck []error) {
	s.metrics.stuck.Set(float64(len(stuck)))
	if len(stuck) > 0 && len(stuck) != s.stuck {
		s.logger.Warn("dead letters are stuck in the folder", "folder", s.folder.dir, "letters", len(stuck), "error", stuck[0])
	}
	s.stuck = len(stuck)
}

func (s *Store) moveFile(ctx context.Context, path string) error {
	d, err := readFile(path)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, moveTimeout)
	defer cancel()
	if err := s.topic.put(ctx, d); err != nil {
		return err
	}
	s.metrics.moved.Add(float64(len(d.Records)))
	return s.folder.remove(path)
}
