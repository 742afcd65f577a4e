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
	"strconv"
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

// Shipper follows log files of JSON lines and posts their lines as NDJSON. A
// definite refusal (429, 503) is tried again; any other answer but 200 ends
// the feed, for a scenario's counts have to match to the record.
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
		if err := s.post(ctx, body, records); err != nil {
			return err
		}
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

func (s *Shipper) post(ctx context.Context, body []byte, records int) error {
	for {
		status, retryAfter, answer, err := s.send(ctx, body)
		if err != nil {
			return err
		}
		switch status {
		case http.StatusOK:
			var receipt struct{ Records int }
			if err := json.Unmarshal(answer, &receipt); err != nil {
				return fmt.Errorf("read receipt %q: %w", answer, err)
			}
			if receipt.Records != records {
				return fmt.Errorf("receipt says %d records, sent %d: %s", receipt.Records, records, answer)
			}
			s.fed.Requests++
			s.fed.Records += int64(records)
			s.fed.Receipts = append(s.fed.Receipts, string(bytes.TrimSpace(answer)))
			return nil
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			s.fed.Refused++
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(retryAfter):
			}
		default:
			return fmt.Errorf("post %s: status %d: %s", s.URL, status, answer)
		}
	}
}

func (s *Shipper) send(ctx context.Context, body []byte) (status int, retryAfter time.Duration, answer []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(body))
	if err != nil {
		return 0, 0, nil, err
	}
	request.Header.Set("Content-Type", "application/x-ndjson")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err = io.ReadAll(response.Body)
	seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
	return response.StatusCode, time.Duration(max(seconds, 1)) * time.Second, answer, err
}
