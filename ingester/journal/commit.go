package journal

import (
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/logpipeline/logpipeline/ingester/durable"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// commit makes a group durable, and completes its batches with where they are,
// or why not.
func (j *Journal) commit(group []*record.Batch) {
	written, firsts, err := j.write(group)
	if err != nil {
		j.trouble.Do(func() { j.logger.Error("the journal can't be written", "dir", j.options.Dir, "error", err) })
		j.metrics.refusedFor(err, len(written))
		refuse(written, err)
		return
	}
	for i, b := range written {
		j.metrics.appended(b.Len(), b.Bytes())
		last := firsts[i] + int64(b.Len()) - 1
		b.Complete(record.Outcome{Placements: append(b.Placements(), record.Placement{Topic: j.options.Topic, FirstOffset: firsts[i], LastOffset: last})})
		b.Free()
	}
}

// write writes and syncs the batches of a group for which there is room, and
// refuses the others. With an error none of those that it returns is in the
// journal, unless that says that the outcome is unknown.
func (j *Journal) write(group []*record.Batch) (written []*record.Batch, firsts []int64, err error) {
	if err := j.activate(); err != nil {
		return group, nil, refusalOf(err, true)
	}
	written = group[:0]
	for _, b := range group {
		if err := j.admit(b); err != nil {
			j.metrics.refusedFor(err, 1)
			refuse([]*record.Batch{b}, err)
			continue
		}
		written, firsts = append(written, b), append(firsts, j.log.append(b))
	}
	if len(written) == 0 {
		return nil, nil, nil
	}
	began := time.Now()
	if err := j.log.sync(); err != nil {
		certain := j.log.undo() || j.rotate() == nil
		return written, nil, refusalOf(err, certain)
	}
	j.metrics.fsync.Observe(time.Since(began).Seconds())
	j.advance()
	return written, firsts, nil
}

// activate makes sure that there is a file to write to. A full one goes on
// while no new one can be made.
func (j *Journal) activate() error {
	if j.log.file != nil && j.log.durable < j.options.fileBytes {
		return nil
	}
	if err := j.rotate(); err != nil && j.log.file == nil {
		return err
	}
	return nil
}

func (j *Journal) rotate() error {
	if err := j.log.rotate(); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.files = append(j.files, &file{number: j.log.number, path: filePath(j.options.Dir, j.log.number), size: fileHeaderSize, next: j.end})
	j.stored += fileHeaderSize
	j.active = true
	return nil
}

// admit keeps the journal within its bound.
func (j *Journal) admit(b *record.Batch) error {
	if most := j.options.MaxBytes - j.options.fileBytes - fileHeaderSize; sizeOf(b) > min(most, math.MaxUint32) {
		return fmt.Errorf("%w: the batch takes %d bytes, of which the journal never has more than %d (direct.journalMaxBytes)", record.ErrTooLarge, sizeOf(b), most)
	}
	added := j.log.at + int64(len(j.log.buffer)) - j.log.durable + sizeOf(b)
	j.mu.Lock()
	stored := j.stored
	j.mu.Unlock()
	if stored+added > j.options.MaxBytes {
		return fmt.Errorf("%w: %d of the journal's %d bytes are taken by what is not yet in sealed segments (direct.journalMaxBytes)", record.ErrSpoolFull, stored, j.options.MaxBytes)
	}
	return nil
}

// advance enters that everything written is durable.
func (j *Journal) advance() {
	j.mu.Lock()
	last := j.files[len(j.files)-1]
	j.stored += j.log.durable - last.size
	last.size, last.next, j.end = j.log.durable, j.log.next, j.log.next
	j.mu.Unlock()
	j.wakeStorer()
}

// refuse completes batches that are not in the journal.
func refuse(batches []*record.Batch, err error) {
	for _, b := range batches {
		b.Complete(record.Outcome{Err: err})
		b.Free()
	}
}

// refusalOf is the error of whoever waits for what couldn't be written.
func refusalOf(err error, certain bool) error {
	switch {
	case !certain:
		return fmt.Errorf("%w: %w", record.ErrOutcomeUnknown, err)
	case durable.IsFull(err):
		return fmt.Errorf("%w: %w", record.ErrSpoolFull, err)
	}
	return fmt.Errorf("%w: %w", record.ErrNotDelivered, err)
}

// removeFiles removes the oldest first, and returns how many are gone.
func removeFiles(dir string, files []*file) (removed int, err error) {
	for _, f := range files {
		if err := os.Remove(f.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return removed, err
		}
		removed++
	}
	return removed, durable.SyncDir(dir)
}
