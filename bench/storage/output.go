package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// output counts the records below a folder while files are added and grow
// there. A file that is compressed is complete when it appears.
type output struct {
	root   string
	record []byte // of which there is one for each record
	files  map[string]*counted
	buffer []byte
}

// counted is how far a file has been read.
type counted struct {
	bytes   int64
	records int64
	tail    []byte // of what was read, in which a record may have begun
}

func newOutput(root, record string) *output {
	return &output{root: root, record: []byte(record), files: map[string]*counted{}, buffer: make([]byte, 1<<20)}
}

// count reads what is new and returns how many records there are by now.
func (o *output) count() (records int64, err error) {
	err = filepath.WalkDir(o.root, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // not there yet
		}
		if err != nil || entry.IsDir() {
			return err
		}
		return o.read(path)
	})
	for _, file := range o.files {
		records += file.records
	}
	return records, err
}

// read goes on where it had come to.
func (o *output) read(path string) error {
	compressed := strings.HasSuffix(path, ".zst")
	c, known := o.files[path]
	if known && compressed {
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if !known {
		c = &counted{}
		o.files[path] = c
	}
	if compressed {
		decoder, err := zstd.NewReader(file, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return err
		}
		defer decoder.Close()
		return o.drain(c, decoder)
	}
	if _, err := file.Seek(c.bytes, io.SeekStart); err != nil {
		return err
	}
	return o.drain(c, file)
}

func (o *output) drain(c *counted, from io.Reader) error {
	for {
		kept := copy(o.buffer, c.tail)
		n, err := from.Read(o.buffer[kept:])
		seen := o.buffer[:kept+n]
		c.bytes += int64(n)
		c.records += int64(bytes.Count(seen, o.record))
		c.tail = append(c.tail[:0], seen[max(0, len(seen)-len(o.record)+1):]...)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
