package deadletter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// fromFolder replays what is in the folder, the oldest file first.
func (p *replay) fromFolder(ctx context.Context) error {
	paths, err := files(p.Dir)
	if err != nil {
		return fmt.Errorf("read folder of dead letters: %w", err)
	}
	for _, path := range paths {
		letters, err := readFile(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrCorrupt) {
			continue // moved to the topic meanwhile: a later replay sees it there; or counted
		}
		if err != nil {
			return err
		}
		if err := p.fromFile(ctx, path, letters); err != nil {
			return err
		}
	}
	return nil
}

// fromFile replays the letters of a file, and leaves in it those of which
// something is left to do.
func (p *replay) fromFile(ctx context.Context, path string, letters []record.DeadLetter) error {
	for _, d := range letters {
		for i, value := range d.Records {
			if err := p.take(ctx, letterOf(d), d.FirstRecord+i, value, d.Headers); err != nil {
				return err
			}
		}
	}
	if err := p.flush(ctx); err != nil {
		return err
	}
	var left []record.DeadLetter
	changed := false
	for _, d := range letters {
		rest := p.rest(d)
		changed = changed || len(rest) != 1 || len(rest[0].Records) != len(d.Records)
		left = append(left, rest...)
	}
	if !changed {
		return nil
	}
	if err := replaceFile(path, left); err != nil {
		return fmt.Errorf("remove what was replayed: %w", err)
	}
	return nil
}

// rest is what is to stay of a letter. Without a topic for the marks, the
// records that were replayed are not to be found there again.
func (p *replay) rest(d record.DeadLetter) []record.DeadLetter {
	e, done := p.inventory.entries[letterOf(d).name()], p.inventory.replayed(d.Batch)
	switch {
	case e == nil: // it came after the scan
		return []record.DeadLetter{d}
	case e.seen.without(done) == 0:
		return nil
	case p.marks != nil:
		return []record.DeadLetter{d}
	}
	var rest []record.DeadLetter
	next := -1
	for i, value := range d.Records {
		index := d.FirstRecord + i
		if done.has(index) {
			continue
		}
		if index != next {
			part := d
			part.FirstRecord, part.Records = index, nil
			rest = append(rest, part)
		}
		last := &rest[len(rest)-1]
		last.Records = append(last.Records, value)
		next = index + 1
	}
	return rest
}
