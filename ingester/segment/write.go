package segment

import (
	"bufio"
	"hash/crc32"
	"io"
)

// writeBytes is the size from which lines are written without being copied.
// Smaller appends are gathered, so that many small record batches still make
// few writes. Every open segment has a buffer of this size, so it is small.
const writeBytes = 16 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// dataWriter writes the lines of one segment: they are encoded, gathered, and
// on their way into the file counted and summed.
type dataWriter struct {
	lines   io.Writer // the encoder, or the buffer itself
	encoder encoder   // nil for lines as they are
	buffer  *bufio.Writer
	stored  storedBytes
}

// newDataWriter: the encoder, which may be nil, is the writer's until it is
// released.
func newDataWriter(file io.Writer, encoder encoder) *dataWriter {
	w := &dataWriter{encoder: encoder, stored: storedBytes{file: file}}
	w.buffer = bufio.NewWriterSize(&w.stored, writeBytes)
	w.lines = w.buffer
	if encoder != nil {
		encoder.Reset(w.buffer)
		w.lines = encoder
	}
	return w
}

func (w *dataWriter) Write(lines []byte) (int, error) { return w.lines.Write(lines) }

// taken is about what the data takes in the store by now.
func (w *dataWriter) taken() int64 { return w.stored.bytes + int64(w.buffer.Buffered()) }

// finish writes what is gathered; stored says then what the file holds.
func (w *dataWriter) finish() error {
	if w.encoder != nil {
		if err := w.encoder.Close(); err != nil {
			return err
		}
	}
	return w.buffer.Flush()
}

// release returns the encoder, if there is one; the writer is of no use
// afterwards.
func (w *dataWriter) release() encoder {
	used := w.encoder
	w.encoder, w.lines = nil, nil
	if used != nil {
		used.Reset(nil)
	}
	return used
}

// storedBytes is what has been written into a file.
type storedBytes struct {
	file  io.Writer
	bytes int64
	sum   uint32
}

func (s *storedBytes) Write(p []byte) (int, error) {
	n, err := s.file.Write(p)
	s.bytes += int64(n)
	s.sum = crc32.Update(s.sum, castagnoli, p[:n])
	return n, err
}
