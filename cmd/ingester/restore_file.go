package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"github.com/logpipeline/logpipeline/ingester/kafka"
)

const manifestVersion = 1

// manifest says what a restored file holds. Its field names are stable.
type manifest struct {
	Version     int    `json:"version"`
	ClusterID   string `json:"clusterID"`
	Topic       string `json:"topic"`
	TopicID     string `json:"topicID"`
	Partition   int32  `json:"partition"`
	FirstOffset int64  `json:"firstOffset"`
	NextOffset  int64  `json:"nextOffset"`
	File        string `json:"file"`
	Records     int64  `json:"records"`
	Bytes       int64  `json:"bytes"`
	Checksum    string `json:"checksum"` // as in links: "crc32c:" and 8 hex digits
	// FirstTimestamp and LastTimestamp are the smallest and the largest Kafka
	// timestamp, in milliseconds since the Unix epoch; 0 without records.
	FirstTimestamp int64 `json:"firstTimestamp"`
	LastTimestamp  int64 `json:"lastTimestamp"`
	// Skipped are records that cannot be lines. Offsets that are neither here
	// nor in the file hold no record for a reader.
	Skipped []skipped `json:"skipped"`
}

type skipped struct {
	Offset int64  `json:"offset"`
	Defect string `json:"defect"`
}

// name is that of the files, without their endings.
func (m *manifest) name() string {
	return fmt.Sprintf("%s-%d-%020d", m.Topic, m.Partition, m.FirstOffset)
}

func (m *manifest) count(r kafka.Record) {
	if m.Records == 0 {
		m.FirstTimestamp, m.LastTimestamp = r.Timestamp, r.Timestamp
	}
	m.FirstTimestamp, m.LastTimestamp = min(m.FirstTimestamp, r.Timestamp), max(m.LastTimestamp, r.Timestamp)
	m.Records++
}

func (m *manifest) writeText(w io.Writer, dir string) error {
	_, err := fmt.Fprintf(w, "%s/%d: offsets %d to %d: %d records, %d bytes in %s; %d records skipped, because they cannot be lines\n",
		m.Topic, m.Partition, m.FirstOffset, m.NextOffset-1, m.Records, m.Bytes, filepath.Join(dir, m.File), len(m.Skipped))
	return err
}

// linesFile is written under a name of its own, and appears complete, with its
// manifest, or not at all.
type linesFile struct {
	dir, name string
	file      *os.File
	buffer    *bufio.Writer
	sum       uint32
	bytes     int64
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// createLines refuses a name under which something has been restored.
func createLines(dir, name string) (*linesFile, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, name+".ndjson")); err == nil {
		return nil, fmt.Errorf("%s is there already: choose another directory", filepath.Join(dir, name+".ndjson"))
	}
	file, err := os.OpenFile(filepath.Join(dir, name+".partial"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	l := &linesFile{dir: dir, name: name, file: file}
	l.buffer = bufio.NewWriterSize(l.file, 256<<10)
	return l, nil
}

func (l *linesFile) write(value []byte) error {
	for _, part := range [2][]byte{value, {'\n'}} {
		l.sum = crc32.Update(l.sum, castagnoli, part)
		l.bytes += int64(len(part))
		if _, err := l.buffer.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// publish writes the manifest before the lines appear under their name.
func (l *linesFile) publish(m *manifest) error {
	m.File, m.Bytes, m.Checksum = l.name+".ndjson", l.bytes, fmt.Sprintf("crc32c:%08x", l.sum)
	if m.Skipped == nil {
		m.Skipped = []skipped{}
	}
	document, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := errors.Join(l.buffer.Flush(), l.file.Sync()); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(l.dir, l.name+".manifest.json"), append(document, '\n'), 0o644); err != nil {
		return err
	}
	if err := os.Rename(l.file.Name(), filepath.Join(l.dir, m.File)); err != nil {
		return err
	}
	return l.file.Close()
}

func (l *linesFile) drop() error {
	_ = l.file.Close() // its content is given up
	return os.Remove(l.file.Name())
}
