package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Report is what a directory holds, read from its files alone.
type Report struct {
	Dir string `json:"dir"`
	// InUse is set while a process has the spool open. What it writes at this
	// moment may then look as if it had been interrupted.
	InUse    bool  `json:"inUse"`
	Segments int   `json:"segments"`
	Bytes    int64 `json:"bytes"`
	// Batches are all that can be read; Pending are neither in Kafka nor
	// dead-lettered, and Oldest is when the first of them was received.
	Batches int       `json:"batches"`
	Pending uint64    `json:"pendingBatches"`
	Oldest  time.Time `json:"oldestPending,omitzero"`
	// Open are record batches whose fate is open; they will be resent as they
	// were.
	Open int `json:"openRecordBatches"`
	// Interrupted is the end of the last segment, if it was not written
	// completely; nothing there was acknowledged.
	Interrupted string `json:"interrupted,omitempty"`
	// Damages are what can't be read, Lost the batches among it, as far as
	// they can be counted.
	Damages []Damage `json:"damages"`
	Lost    uint64   `json:"lostBatches"`
	// CorruptBytes is the size of what has been set aside.
	CorruptBytes int64 `json:"corruptBytes"`
}

// Damage is a stretch of a file that can't be read.
type Damage struct {
	File   string `json:"file"`
	Damage string `json:"damage"`
}

// Sound reports whether everything can be read.
func (r Report) Sound() bool { return len(r.Damages) == 0 }

// ErrNoSpool says that a directory has never been a spool's.
var ErrNoSpool = errors.New("no spool is here: neither its lock nor a segment")

// Inspect reads every entry of the spool at dir and changes nothing; a process
// may have it open. The errors are ErrNoSpool, those of reading files and
// directories, and *NewerVersionError; damage is part of the report.
func Inspect(dir string) (Report, error) {
	r := Report{Dir: dir, Damages: []Damage{}}
	err := checkSpool(dir)
	if err != nil {
		return r, fmt.Errorf("inspect spool %s: %w", dir, err)
	}
	if r.InUse, err = isLocked(dir); err != nil {
		return r, fmt.Errorf("inspect spool %s: %w", dir, err)
	}
	v, err := takeSurvey(dir)
	if err == nil {
		r.CorruptBytes, err = corruptBytes(dir)
	}
	if err == nil {
		r.Oldest, err = v.oldest()
	}
	if err != nil {
		return r, fmt.Errorf("inspect spool %s: %w", dir, err)
	}
	r.enter(v)
	return r, nil
}

// checkSpool tells a spool, which has a lock from its first opening on, from
// any other directory. One whose lock was deleted, or not copied, has segments.
func checkSpool(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, lockName)); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	numbers, _, err := listSegments(dir)
	if err == nil && len(numbers) == 0 {
		err = ErrNoSpool
	}
	return err
}

func (r *Report) enter(v *survey) {
	r.Pending, _ = v.count()
	r.Segments, r.Batches, r.Open = len(v.segments), v.entries[kindData], len(v.open)
	for _, s := range v.segments {
		r.Bytes += s.size
		for _, d := range s.damages {
			r.Damages = append(r.Damages, Damage{filepath.Base(s.path), d.describe()})
			r.Lost += d.lost.to - d.lost.from
		}
	}
	if v.tail != nil {
		r.Interrupted = v.tail.describe()
	}
}

// oldest is when the first batch that isn't done was received.
func (v *survey) oldest() (time.Time, error) {
	for _, s := range v.segments {
		for _, one := range s.data {
			for p := one.from; p < one.to; p++ {
				if v.settled.contains(p) {
					continue
				}
				read, err := v.readAll(map[uint64]bool{p: true})
				return read[p].meta.received, err
			}
		}
	}
	return time.Time{}, nil
}

// WriteText writes the report for a person.
func (r Report) WriteText(w io.Writer) error {
	p := printer{w: w}
	p.line("spool %s: %d batches pending, %d of %d done, in %d segments of %d bytes", r.Dir, r.Pending, uint64(r.Batches)-min(r.Pending, uint64(r.Batches)), r.Batches, r.Segments, r.Bytes)
	if r.InUse {
		p.line("a process has it open; what it is writing may look interrupted")
	}
	if !r.Oldest.IsZero() {
		p.line("the oldest pending batch was received at %s", r.Oldest.UTC().Format(time.RFC3339))
	}
	if r.Open > 0 {
		p.line("%d record batches were sent without an answer, and will be resent as they were", r.Open)
	}
	if r.Interrupted != "" {
		p.line("the last write was interrupted: %s; nothing of it was acknowledged", r.Interrupted)
	}
	for _, d := range r.Damages {
		p.line("DAMAGE %s: %s", d.File, d.Damage)
	}
	if r.Lost > 0 {
		p.line("%d batches can't be read", r.Lost)
	}
	if r.CorruptBytes > 0 {
		p.line("%d bytes are set aside in %s", r.CorruptBytes, filepath.Join(r.Dir, corruptDir))
	}
	return p.err
}

// printer writes lines until one fails.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	_, err := fmt.Fprintf(p.w, format+"\n", args...)
	p.err = errors.Join(p.err, err)
}
