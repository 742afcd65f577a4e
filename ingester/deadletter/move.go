package deadletter

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// Run moves what lies in the folder to the topic, whenever Kafka takes it, and
// keeps the folder's metrics true. It returns nil when ctx ends. Put may be
// called before, meanwhile and afterwards.
func (s *Store) Run(ctx context.Context) error {
	pause := moveInterval
	looked := s.topic == nil
	for ctx.Err() == nil {
		looked = looked || s.lookForTopic(ctx)
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

// lookForTopic warns when the brokers don't know the topic: that is better
// heard of before there are letters. It is false while they don't answer.
func (s *Store) lookForTopic(ctx context.Context) (answered bool) {
	ctx, cancel := context.WithTimeout(ctx, moveTimeout)
	defer cancel()
	_, err := s.topic.client.Topic(ctx, s.topic.name)
	if errors.Is(err, kafka.UnknownTopic) {
		s.logger.Warn("deadLetter.topic doesn't exist, so dead letters go to the folder; create it", "topic", s.topic.name, "folder", s.folder.dir)
	}
	return !errors.Is(err, kafka.ErrUnreachable)
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
		ofFile, err := s.moveFile(ctx, path)
		stuck = append(stuck, ofFile...)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // somebody has dealt with it
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

// moveFile moves the letters of a file, and returns why some of them, or the
// file, are stuck.
func (s *Store) moveFile(ctx context.Context, path string) (stuck []error, err error) {
	letters, err := readFile(path)
	if errors.Is(err, ErrCorrupt) {
		return []error{err}, nil
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, moveTimeout)
	defer cancel()
	left, stuck, err := s.moveLetters(ctx, letters)
	if err != nil || len(left) == len(letters) {
		return stuck, err
	}
	s.metrics.moved.Add(float64(records(letters) - records(left)))
	return stuck, replaceFile(path, left)
}

// moveLetters puts letters into the topic, and returns those that it refuses.
func (s *Store) moveLetters(ctx context.Context, letters []record.DeadLetter) (left []record.DeadLetter, stuck []error, err error) {
	err = s.topic.put(ctx, letters)
	switch {
	case err == nil:
		return nil, nil, nil
	case !refused(err):
		return nil, nil, err
	case len(letters) == 1:
		return letters, []error{err}, nil
	}
	for i := range letters {
		l, e, err := s.moveLetters(ctx, letters[i:i+1])
		if err != nil {
			return nil, nil, err
		}
		left, stuck = append(left, l...), append(stuck, e...)
	}
	return left, stuck, nil
}

func records(letters []record.DeadLetter) (n int) {
	for _, d := range letters {
		n += len(d.Records)
	}
	return n
}
