package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Salvaged is what Salvage found in the stretches that were set aside.
type Salvaged struct {
	Dir       string    `json:"dir"`
	Stretches []Stretch `json:"stretches"`
	// Findings are those of all stretches.
	Findings
}

// Stretch is a stretch of a segment that was set aside.
type Stretch struct {
	File   string `json:"file"`
	Reason string `json:"reason"`
	Findings
}

// Findings say what could be read.
type Findings struct {
	// Records were written; Doubtful are those of them whose checksum is wrong or
	// gone: each is a whole JSON object, but something in it may have changed.
	Records  int `json:"records"`
	Doubtful int `json:"doubtfulRecords"`
	// Unreadable are records that were there for certain, and
	// UnreadableBytes those of which it isn't known what they were.
	Unreadable      int   `json:"unreadableRecords"`
	UnreadableBytes int64 `json:"unreadableBytes"`
}

func (f *Findings) add(other Findings) {
	f.Records += other.Records
	f.Doubtful += other.Doubtful
	f.Unreadable += other.Unreadable
	f.UnreadableBytes += other.UnreadableBytes
}

// Salvage writes the records that can be read in what the spool at dir has set
// aside, one per line, byte for byte, and changes nothing; a process may have
// the spool open. It can't know whether a record was delivered before its disk
// failed, nor, without a checksum, whether it is still what it was.
//
// The errors are ErrNoSpool and those of reading and writing.
func Salvage(dir string, records io.Writer) (Salvaged, error) {
	found := Salvaged{Dir: dir, Stretches: []Stretch{}}
	err := checkSpool(dir)
	if err == nil {
		err = found.readAll(records)
	}
	if err != nil {
		return found, fmt.Errorf("salvage records of spool %s: %w", dir, err)
	}
	return found, nil
}

// readAll reads the stretches that are there whole: their reason comes last.
func (s *Salvaged) readAll(records io.Writer) error {
	reasons, err := filepath.Glob(filepath.Join(s.Dir, corruptDir, "*"+reasonSuffix))
	if err != nil {
		return err
	}
	for _, path := range reasons {
		stretch, err := salvageStretch(path, records)
		if err != nil {
			return err
		}
		s.Stretches = append(s.Stretches, stretch)
		s.add(stretch.Findings)
	}
	return nil
}

func salvageStretch(reasonPath string, records io.Writer) (Stretch, error) {
	path := strings.TrimSuffix(reasonPath, reasonSuffix)
	s := Stretch{File: filepath.Base(path)}
	reason, err := os.ReadFile(reasonPath)
	if err != nil {
		return s, err
	}
	s.Reason = strings.TrimSpace(string(reason))
	content, err := os.ReadFile(path) // at most about as large as a segment
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	var segment uint64
	if _, err := fmt.Sscanf(s.File, "%d-", &segment); err != nil {
		return s, fmt.Errorf("%s has no segment's number in its name: %w", path, err)
	}
	sv := newSalvager(content, segment, records)
	s.Findings = sv.run()
	return s, sv.err
}

// WriteText writes the findings for a person.
func (s Salvaged) WriteText(w io.Writer) error {
	p := printer{w: w}
	for _, stretch := range s.Stretches {
		p.line("%s (%s): %s", stretch.File, stretch.Reason, stretch.Findings)
	}
	p.line("%d stretches are set aside in %s: %s", len(s.Stretches), filepath.Join(s.Dir, corruptDir), s.Findings)
	if s.Records > 0 {
		p.line("Some of the records may be in Kafka already: compare before you send them.")
	}
	return p.err
}

func (f Findings) String() string {
	return fmt.Sprintf("%d records read, %d of them without a checksum that is right; not read: %d records, and %d bytes of unknown content", f.Records, f.Doubtful, f.Unreadable, f.UnreadableBytes)
}
