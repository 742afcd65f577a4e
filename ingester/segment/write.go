package segment

import (
	"bufio"
	"hash/crc32"
	"io"
)

// writeBytes is the size from which lines are written without being copied.
// Smaller appends are gathered, so that many small record batches still make
// few writes.
const writeBytes = 256 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// dataWriter writes the lines of one segment: they are encoded, gathered, and
// on their way into the file counted and summed.
type dataWriter struct {
	lines    io.Writer // the encoder, or the buffer itself
	encoder  encoder   // nil for codecNone
	encoders *encoders
	buffer   *bufio.Writer
	stored   storedBytes
}

func newDataWriter(file io.Writer, encoders *encoders) *dataWriter {
	w := &dataWriter{encoders: encoders, stored: storedBytes{file: file}}
	w.buffer = bufio.NewWriterSize(&w.stored, writeBytes)
	w.lines = w.buffer
	if w.encoder = encoders.take(w.buffer); w.encoder != nil {
		w.lines = w.encoder
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

// release gives the encoder back; the writer is of no use afterwards.
func (w *dataWriter) release() {
	w.encoders.give(w.encoder)
	w.encoder, w.lines = nil, nil
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
