package spool

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"time"

	"github.com/logpipeline/logpipeline/ingester/durable"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// writeSize is how much is written to a file at a time, and all the memory
// that writing takes.
const writeSize = 128 << 10

// appender is the end of the log, where entries are added. What is added
// counts once sync has returned nil. After any error undo comes next: it makes
// sure that nothing since the last sync will ever be read again.
//
// A file whose sync has failed is never written again: the kernel may have
// dropped what it couldn't write, and call the next sync a success.
type appender struct {
	dir     string
	reserve int64 // what stays preallocated for the journal, so that a full disk can be emptied

	file    *os.File // nil while there is none that may be written
	number  uint64   // of the segment
	seed    uint32   // of its checksums
	durable int64    // end of what counts in it
	next    uint64   // position of the next data entry
	kept    uint64   // the same, as of the last sync

	buffer    []byte
	offset    int64 // of the buffer in the file
	allocated int64 // end of what is preallocated
	sum       uint32
	summed    int // how much of the buffer is in sum
	err       error
	distrust  bool // the file's sync has failed
	scratch   []byte
}

// size is the end of what has been added, durable or not.
func (a *appender) size() int64 { return a.offset + int64(len(a.buffer)) }

// rotate goes on in a new segment, whose header says where the old one ends.
// Where that fails before the header is written, the old one goes on.
func (a *appender) rotate() (fileHeader, error) {
	h := fileHeader{number: a.number + 1, first: a.next, previousEnd: a.durable, created: time.Now()}
	path := segmentPath(a.dir, h.number)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return h, fmt.Errorf("create segment: %w", err)
	}
	allocated := fileHeaderSize + 2*a.reserve
	if err = preallocate(f, 0, allocated); err == nil {
		if err = a.begin(f, h); err == nil {
			a.release()
			a.goOn(f, h.number, fileHeaderSize, allocated)
			return h, nil
		}
		a.release()
	}
	_, _ = f.Close(), os.Remove(path)
	return h, fmt.Errorf("create segment: %w", err)
}

// begin makes a segment's header and its name durable.
func (a *appender) begin(f *os.File, h fileHeader) error {
	if _, err := f.WriteAt(h.encode(), 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return durable.SyncDir(a.dir)
}

// goOn makes f, of which so many bytes count, the file that is written.
func (a *appender) goOn(f *os.File, number uint64, durable, allocated int64) {
	*a = appender{
		dir: a.dir, reserve: a.reserve, buffer: a.buffer[:0], scratch: a.scratch, next: a.next, kept: a.next,
		file: f, number: number, seed: seedOf(number), durable: durable, offset: durable, allocated: allocated,
	}
}

// release closes the file, which isn't written any more, and gives back what
// is preallocated behind its end.
func (a *appender) release() {
	if a.file != nil {
		// All that counts in it is synced.
		_ = a.file.Truncate(a.durable)
		a.leave()
	}
}

// leave closes the file, and leaves what is preallocated to whoever resumes it.
func (a *appender) leave() {
	if a.file != nil {
		_ = a.file.Close() // all that counts in it is synced
		a.file = nil
	}
}

// appendBatch adds a data entry. The header is that of the batch.
func (a *appender) appendBatch(h header, b *record.Batch) {
	a.start(h)
	a.scratch = appendDataHead(a.scratch[:0], b)
	a.put(a.scratch)
	for i := range b.Len() {
		a.space(binary.MaxVarintLen64)
		a.buffer = binary.AppendUvarint(a.buffer, uint64(len(b.Record(i))))
	}
	a.space(flagsSize)
	a.buffer = appendFlags(a.buffer, b)
	for i := range b.Len() {
		a.put(b.Record(i))
	}
	a.finish()
	a.next++
}

// appendJournal adds an entry that has only a meta.
func (a *appender) appendJournal(k kind, meta []byte) {
	a.start(header{kind: k, meta: uint32(len(meta)), position: a.next})
	a.put(meta)
	a.finish()
}

func (a *appender) start(h header) {
	a.space(headerSize)
	a.buffer, a.sum = h.append(a.buffer, a.seed)
	a.summed = len(a.buffer)
}

func (a *appender) put(b []byte) {
	for len(b) > 0 {
		a.space(1)
		n := min(len(b), writeSize-len(a.buffer))
		a.buffer = append(a.buffer, b[:n]...)
		b = b[n:]
	}
}

func (a *appender) finish() {
	a.space(trailerSize)
	a.addUp()
	a.buffer = binary.LittleEndian.AppendUint32(a.buffer, a.sum)
}

func (a *appender) addUp() {
	a.sum, a.summed = crc32.Update(a.sum, castagnoli, a.buffer[a.summed:]), len(a.buffer)
}

// space makes room for n bytes in the buffer.
func (a *appender) space(n int) {
	if a.buffer == nil {
		a.buffer = make([]byte, 0, writeSize)
	}
	if len(a.buffer)+n > writeSize {
		a.addUp()
		a.flush()
	}
}

func (a *appender) flush() {
	if a.err == nil {
		_, a.err = a.file.WriteAt(a.buffer, a.offset)
	}
	a.offset += int64(len(a.buffer))
	a.buffer, a.summed = a.buffer[:0], 0
}

// sync makes everything count that has been added.
func (a *appender) sync() error {
	a.flush()
	if a.err == nil {
		a.err = durable.SyncData(a.file)
		a.distrust = a.err != nil
	}
	if a.err != nil {
		return a.err
	}
	a.durable, a.kept = a.offset, a.next
	return nil
}

// undo takes back what has been added since the last sync. Where it is false a
// crash might bring that back, until rotate has succeeded.
func (a *appender) undo() (certain bool) {
	a.next, a.err = a.kept, nil
	a.buffer, a.offset, a.summed = a.buffer[:0], a.durable, 0
	if a.file == nil {
		return true
	}
	had := a.allocated
	err := a.file.Truncate(a.durable)
	a.allocated = a.durable
	if err == nil && !a.distrust && a.file.Sync() == nil {
		if preallocate(a.file, a.durable, had) == nil { // at once: it may be the last that there is
			a.allocated = max(had, a.durable)
		}
		a.replenish()
		return true
	}
	a.release()
	return false
}
