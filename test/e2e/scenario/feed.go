package scenario

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Fed is what a feed sent, by the receipts that it got.
type Fed struct {
	Requests int64
	Records  int64 // acknowledged
	Skipped  int64 // lines that aren't JSON objects and were not sent
	Refused  int64 // answers of 429 and 503, each followed by another try
	Receipts []string
}

// Shipper follows log files of JSON lines and posts their lines as NDJSON. An
// outcome in doubt ends the feed.
type Shipper struct {
	URL          string // of POST /logs
	BatchRecords int
	fed          Fed
	files        []*follower
}

// follower reads the complete lines that a growing file has so far.
type follower struct {
	file   *os.File
	reader *bufio.Reader
	rest   []byte // the beginning of a line that isn't complete yet
}

// Follow opens the files that match the pattern, each at its beginning.
func (s *Shipper) Follow(pattern string) error {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return fmt.Errorf("follow %s: no such file", pattern)
	}
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		s.files = append(s.files, &follower{file: file, reader: bufio.NewReaderSize(file, 1<<20)})
	}
	return nil
}

// Close closes the followed files.
func (s *Shipper) Close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.file.Close())
	}
	return errors.Join(errs...)
}

// Fed is what has been sent so far.
func (s *Shipper) Fed() Fed { return s.fed }

// Ship sends what the files hold, and what is added to them until the deadline.
func (s *Shipper) Ship(ctx context.Context, until time.Time) error {
	for {
		for _, f := range s.files {
			if err := s.shipFile(ctx, f); err != nil {
				return err
			}
		}
		if time.Now().After(until) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(250 * time.Millisecond):
		}
	}
}

func (s *Shipper) shipFile(ctx context.Context, f *follower) error {
	for {
		body, records, err := s.nextBatch(f)
		if err != nil {
			return err
		}
		if records == 0 {
			return nil
		}
		receipt, refused, err := post(ctx, http.DefaultClient, s.URL, body, records)
		s.fed.Refused += refused
		if err != nil {
			return err
		}
		s.fed.Requests++
		s.fed.Records += int64(records)
		s.fed.Receipts = append(s.fed.Receipts, receipt)
	}
}

// nextBatch returns the next complete JSON lines of the file, 0 records at
// its end.
func (s *Shipper) nextBatch(f *follower) (body []byte, records int, err error) {
	for records < s.BatchRecords {
		part, err := f.reader.ReadBytes('\n')
		f.rest = append(f.rest, part...)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, 0, fmt.Errorf("read %s: %w", f.file.Name(), err)
		}
		line := bytes.TrimSpace(f.rest)
		if len(line) > 0 && line[0] == '{' && json.Valid(line) {
			body = append(append(body, line...), '\n')
			records++
		} else {
			s.fed.Skipped++
		}
		f.rest = f.rest[:0]
	}
	return body, records, nil
}
