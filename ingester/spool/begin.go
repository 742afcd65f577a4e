package spool

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/logpipeline/logpipeline/ingester/durable"
)

// begin begins a new segment. What stands behind the end of the last one is void
// by that, and cut off. Where the disk is full, the last one goes on instead.
// Without either, nothing is taken until there is room.
func (s *Spool) begin(v *survey) error {
	if len(v.segments) == 0 {
		return unlessFull(s.activate())
	}
	last := v.segments[len(v.segments)-1]
	if v.tail != nil {
		s.logger.Warn("the end of the spool was not written completely, and doesn't count; nobody was told that it is there", "file", last.path, "damage", v.tail.describe())
	}
	if err := flush(last.path); err != nil {
		return err
	}
	if err := s.activate(); durable.IsFull(err) {
		s.logger.Warn("the disk has no room for a new segment; what the spool holds is delivered first, which makes room", "dir", s.options.Dir, "error", err)
		return unlessFull(s.log.resume(last))
	} else if err != nil {
		return err
	}
	err := durable.Cut(last.path, last.size)
	s.removeDone() // the last one, too
	return err
}

func unlessFull(err error) error {
	if durable.IsFull(err) {
		return nil
	}
	return err
}

// flush makes durable what a process that was killed may have left to the
// kernel, and is taken for written from now on.
func flush(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// removeRemnants removes what an interrupted writing left behind.
func (s *Spool) removeRemnants(v *survey) error {
	for _, name := range v.stale {
		if err := os.Remove(filepath.Join(s.options.Dir, name)); err != nil {
			return err
		}
	}
	if v.unborn == "" {
		return nil
	}
	return os.Remove(v.unborn)
}
