package journal

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
const writeSize = 256 << 10

// appender is the end of the journal, where entries are added. What is added
// counts once sync has returned nil. After any error of sync undo comes next:
// it makes sure that nothing since the last sync will ever be read again.
//
// A file whose sync has failed is never written again: the kernel may have
// dropped what it couldn't write, and call the next sync a success.
type appender struct {
	dir      string
	dataSync func(*os.File) error

	file    *os.File // nil while there is none that may be written
	number  uint64   // of the newest file
	seed    uint32   // of its checksums
	durable int64    // end of what counts in it, in bytes
	next    int64    // offset of the next record
	kept    int64    // the same, as of the last sync

	buffer   []byte
	at       int64 // where the buffer stands in the file
	sum      uint32
	summed   int // how much of the buffer is in sum
	err      error
	distrust bool // the file's sync has failed
}

// rotate goes on in a new file, whose header says where the old one ends. Where
// it fails before that header is written, the old one goes on.
func (a *appender) rotate() error {
	h := fileHeader{number: a.number + 1, base: a.next, previousEnd: a.durable, created: time.Now()}
	path := filePath(a.dir, h.number)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("create file of the journal: %w", err)
	}
	if _, err = f.WriteAt(h.encode(), 0); err != nil {
		// What is left has no header, and is written anew by the next attempt.
		_, _ = f.Close(), os.Remove(path)
		return fmt.Errorf("create file of the journal: %w", err)
	}
	if err = f.Sync(); err == nil {
		err = durable.SyncDir(a.dir)
	}
	if err != nil {
		_ = f.Close()
		a.release() // the new header may be there, and says that the old file ends
		return fmt.Errorf("create file of the journal: %w", err)
	}
	a.release()
	*a = appender{dir: a.dir, dataSync: a.dataSync, buffer: a.buffer[:0], next: a.next, kept: a.next,
		file: f, number: h.number, seed: seedOf(h.number), durable: fileHeaderSize, at: fileHeaderSize}
	return nil
}

// release closes the file, which isn't written any more.
func (a *appender) release() {
	if a.file != nil {
		_ = a.file.Close() // all that counts in it is synced
		a.file = nil
	}
}

// append adds a batch and returns the offset of its first record.
func (a *appender) append(b *record.Batch) (first int64) {
	e := entryOf(b, a.next)
	a.space(headerSize)
	a.buffer, a.sum = e.append(a.buffer, a.seed)
	a.summed = len(a.buffer)
	for i := range b.Len() {
		a.put(b.Record(i))
		a.space(1)
		a.buffer = append(a.buffer, '\n')
	}
	a.space(trailerSize)
	a.addUp()
	a.buffer = binary.LittleEndian.AppendUint32(a.buffer, a.sum)
	a.next = e.next()
	return e.first
}

func (a *appender) put(b []byte) {
	for len(b) > 0 {
		a.space(1)
		n := min(len(b), writeSize-len(a.buffer))
		a.buffer = append(a.buffer, b[:n]...)
		b = b[n:]
	}
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

func (a *appender) addUp() {
	a.sum, a.summed = crc32.Update(a.sum, castagnoli, a.buffer[a.summed:]), len(a.buffer)
}

func (a *appender) flush() {
	if a.err == nil {
		_, a.err = a.file.WriteAt(a.buffer, a.at)
	}
	a.at += int64(len(a.buffer))
	a.buffer, a.summed = a.buffer[:0], 0
}

// sync makes everything count that has been added.
func (a *appender) sync() error {
	a.flush()
	if a.err == nil {
		a.err = a.dataSync(a.file)
		a.distrust = a.err != nil
	}
	if a.err == nil {
		a.durable, a.kept = a.at, a.next
	}
	return a.err
}

// undo takes back what has been added since the last sync. Where it is false a
// crash might bring that back, until rotate has succeeded.
func (a *appender) undo() (certain bool) {
	a.next, a.err = a.kept, nil
	a.buffer, a.at, a.summed = a.buffer[:0], a.durable, 0
	if a.file == nil {
		return true
	}
	if a.file.Truncate(a.durable) == nil && !a.distrust && a.file.Sync() == nil {
		return true
	}
	a.release()
	return false
}
