package spool

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/logpipeline/logpipeline/ingester/durable"
)

// Repair makes the spool at dir one in which everything can be read: damaged
// segments are written anew with what can be read of them, and copies of the
// rest are kept in corrupt/ with the reason. It says on w what it does. Nothing
// that could be delivered is lost by it, and nothing is won beyond what opening
// the spool delivers.
//
// It returns ErrNoSpool for a directory that isn't one's, ErrLocked while a process has the spool open, and
// *NewerVersionError for one of a newer release.
func Repair(dir string, w io.Writer) error {
	if err := checkSpool(dir); err != nil {
		return fmt.Errorf("repair spool %s: %w", dir, err)
	}
	held, err := lock(dir)
	if err != nil {
		return fmt.Errorf("repair spool %s: %w", dir, err)
	}
	err = repair(dir, &printer{w: w})
	if err = errors.Join(err, held.Close()); err != nil {
		return fmt.Errorf("repair spool %s: %w", dir, err)
	}
	return nil
}

func repair(dir string, p *printer) error {
	v, err := takeSurvey(dir)
	if err != nil {
		return err
	}
	remove := v.stale
	if v.unborn != "" {
		remove = append(remove, filepath.Base(v.unborn))
	}
	for _, name := range remove {
		p.line("removed %s, which was never completed", name)
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	if v.tail != nil {
		p.line("cut off the interrupted end of %s: %s", filepath.Base(v.segments[len(v.segments)-1].path), v.tail.describe())
	}
	for _, s := range v.segments {
		if err := s.cutVoid(); err != nil {
			return err
		}
	}
	if err := v.rewriteDamaged(p); err != nil {
		return err
	}
	if err := durable.SyncDir(dir); err != nil {
		return err
	}
	return p.err
}

// rewriteDamaged writes segments with gaps in the place of damages. A header
// tells where the segment before ends, so that of the next one changes, too,
// and does so first: a crash between two leaves nothing that is taken for more
// damage.
func (v *survey) rewriteDamaged(p *printer) error {
	sound := true
	for i := len(v.segments) - 1; i >= 0; i-- {
		s := v.segments[i]
		afterDamage := i > 0 && len(v.segments[i-1].damages) > 0
		for _, d := range s.damages {
			p.line("set aside from %s: %s", filepath.Base(s.path), d.describe())
			if err := setAside(v.dir, s, *d); err != nil {
				return err
			}
		}
		if len(s.damages) == 0 && !afterDamage {
			continue
		}
		sound = false
		if err := s.rewrite(); err != nil {
			return err
		}
		if i+1 < len(v.segments) {
			if err := v.fill(s.number, v.segments[i+1]); err != nil {
				return err
			}
		}
	}
	if sound {
		p.line("everything else can be read, and stays as it is")
	}
	return nil
}

// cutVoid cuts off what stands behind the segment's end, but keeps the room that
// it has on the disk: it may be all that is left for the journal.
func (s *segment) cutVoid() error {
	f, err := os.OpenFile(s.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() > s.size {
		err = f.Truncate(s.size)
		if room := info.Sys().(*syscall.Stat_t).Blocks * 512; err == nil && room > s.size {
			err = preallocate(f, s.size, room)
		}
		err = errors.Join(err, f.Sync())
	}
	return errors.Join(err, f.Close())
}

// fill puts empty segments where some are missing.
func (v *survey) fill(number uint64, next *segment) error {
	for missing := number + 1; missing < next.number; missing++ {
		h := fileHeader{number: missing, first: next.first, created: next.created}
		if err := durable.Overwrite(segmentPath(v.dir, missing), h.encode(), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// rewrite replaces the segment by one in which all can be read.
func (s *segment) rewrite() error {
	source, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	return durable.Replace(s.path, tempSuffix, func(target io.Writer) error {
		w := bufio.NewWriterSize(target, windowSize)
		return errors.Join(s.copySound(w, source), w.Flush())
	})
}

// copySound copies the entries that can be read, and puts a gap for each
// damage.
func (s *segment) copySound(w io.Writer, source *os.File) error {
	h := fileHeader{number: s.number, first: s.first, created: s.created}
	if _, err := w.Write(h.encode()); err != nil {
		return err
	}
	r := newReader(source, s.number, s.size)
	damages, at, next := s.damages, int64(fileHeaderSize), s.first
	for at < s.size || len(damages) > 0 {
		if len(damages) > 0 && damages[0].from <= at {
			next = max(next, damages[0].lost.to)
			if err := writeGap(w, s.number, next, *damages[0]); err != nil {
				return err
			}
			at, damages = max(at, damages[0].to), damages[1:]
			continue
		}
		e, err := r.headerAt(at)
		if err != nil {
			return fmt.Errorf("%s changed while it was repaired: byte %d: %w", s.path, at, err)
		}
		if next = e.position; e.kind == kindData {
			next++
		}
		if _, err := io.Copy(w, io.NewSectionReader(source, at, e.size())); err != nil {
			return err
		}
		at += e.size()
	}
	return nil
}

// writeGap writes an entry that stands for what can't be read.
func writeGap(w io.Writer, segment, position uint64, d damage) error {
	reason := d.describe()
	h := header{kind: kindGap, meta: uint32(len(reason)), position: position}
	entry, checksum := h.append(nil, seedOf(segment))
	checksum = crc32.Update(checksum, castagnoli, []byte(reason))
	entry = binary.LittleEndian.AppendUint32(append(entry, reason...), checksum)
	_, err := w.Write(entry)
	return err
}
