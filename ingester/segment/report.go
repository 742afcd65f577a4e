package segment

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// maxListed bounds the problems that a Report lists, and the gaps of a chain;
// the others are counted.
const maxListed = 1000

// Report is what Verify found. Its JSON field names are stable.
type Report struct {
	// Complete is true when every offset from each chain's first to its next
	// is accounted for, and every stored byte that was read is as it was
	// sealed: all bytes, unless a range was asked for.
	Complete bool `json:"complete"`
	// From and To are that range; SegmentsRead are those of it.
	From         *time.Time `json:"from,omitempty"`
	To           *time.Time `json:"to,omitempty"`
	SegmentsRead int64      `json:"segmentsRead"`
	// Records, Segments and Bytes are totals over what the links say; a
	// link without records is no segment. Bytes are those that are stored,
	// UncompressedBytes those of the lines.
	Records           int64 `json:"records"`
	Segments          int64 `json:"segments"`
	Bytes             int64 `json:"bytes"`
	UncompressedBytes int64 `json:"uncompressedBytes"`
	// GapOffsets are those that links record as gaps.
	GapOffsets int64         `json:"gapOffsets"`
	Chains     []ChainReport `json:"chains"`
	// OrphansRemoved are files that were removed because no link can name them.
	OrphansRemoved []string  `json:"orphansRemoved,omitempty"`
	Problems       []Problem `json:"problems"`
	// ProblemsOmitted counts those beyond the first 1000.
	ProblemsOmitted int64 `json:"problemsOmitted,omitempty"`
}

// ChainReport is one partition's part of the report.
type ChainReport struct {
	Topic       string `json:"topic"`
	TopicID     string `json:"topicID"`
	Partition   int32  `json:"partition"`
	FirstOffset int64  `json:"firstOffset"`
	// NextOffset is the offset after the last one that the chain accounts for.
	NextOffset        int64 `json:"nextOffset"`
	Records           int64 `json:"records"`
	Segments          int64 `json:"segments"`
	Bytes             int64 `json:"bytes"`
	UncompressedBytes int64 `json:"uncompressedBytes"`
	// DataFrom is the offset from which on data is stored; RemovedRecords and
	// RemovedBytes are what retention has removed before it, and not in Records
	// and Bytes.
	DataFrom       int64 `json:"dataFrom"`
	RemovedRecords int64 `json:"removedRecords"`
	RemovedBytes   int64 `json:"removedBytes"`
	// WithoutRecords counts offsets that never held a record for a reader:
	// control batches and what compaction removed.
	WithoutRecords int64 `json:"offsetsWithoutRecords"`
	// GapOffsets are those whose records are not stored, as links say; Gaps
	// are those of the links that retention has left, the first 1000.
	GapOffsets int64         `json:"gapOffsets"`
	Gaps       []RecordedGap `json:"gaps,omitempty"`
}

// RecordedGap is a run of offsets whose records are not stored.
type RecordedGap struct {
	FirstOffset int64     `json:"firstOffset"`
	NextOffset  int64     `json:"nextOffset"`
	Reason      string    `json:"reason"`
	RecordedAt  time.Time `json:"recordedAt"`
}

func (g RecordedGap) String() string {
	return fmt.Sprintf("offsets %d to %d are not stored, as recorded at %s: %s", g.FirstOffset, g.NextOffset-1, g.RecordedAt.Format(time.RFC3339), g.Reason)
}

// Problem is one thing that keeps the store from being proven complete.
type Problem struct {
	// Path is relative to the data directory.
	Path    string `json:"path"`
	Problem string `json:"problem"`
}

func (r *Report) add(path, format string, args ...any) {
	if len(r.Problems) == maxListed {
		r.ProblemsOmitted++
		return
	}
	problem := strings.TrimPrefix(fmt.Sprintf(format, args...), path+": ") // an error may name it, too
	r.Problems = append(r.Problems, Problem{Path: path, Problem: problem})
}

func (r *Report) problems() int64 { return int64(len(r.Problems)) + r.ProblemsOmitted }

func (r *Report) addChain(c ChainReport) {
	r.Chains = append(r.Chains, c)
	r.Records += c.Records
	r.Segments += c.Segments
	r.Bytes += c.Bytes
	r.UncompressedBytes += c.UncompressedBytes
	r.GapOffsets += c.GapOffsets
}

// WriteText renders the report for people; the last line is the verdict.
func (r Report) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, c := range r.Chains {
		c.writeText(&b)
	}
	for _, name := range r.OrphansRemoved {
		fmt.Fprintf(&b, "removed: %s: no link can name it\n", name)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "problem: %s: %s\n", p.Path, p.Problem)
	}
	if r.ProblemsOmitted > 0 {
		fmt.Fprintf(&b, "problem: and %d more\n", r.ProblemsOmitted)
	}
	verdict := "complete"
	if !r.Complete {
		verdict = fmt.Sprintf("NOT PROVEN COMPLETE: %d problems", r.problems())
	} else if r.GapOffsets > 0 {
		verdict = fmt.Sprintf("complete but for %d offsets in recorded gaps", r.GapOffsets)
	}
	fmt.Fprintf(&b, "%s: %d records in %d segments of %d chains, %d bytes", verdict, r.Records, r.Segments, len(r.Chains), r.Bytes)
	if r.From != nil || r.To != nil {
		fmt.Fprintf(&b, "; of all segments the links were checked, and the data of %d", r.SegmentsRead)
	}
	_, err := fmt.Fprintln(w, b.String())
	return err
}

func (c ChainReport) writeText(b *strings.Builder) {
	fmt.Fprintf(b, "%s/%d: offsets from %d up to %d: %d records in %d segments, %d bytes", c.Topic, c.Partition, c.FirstOffset, c.NextOffset, c.Records, c.Segments, c.Bytes)
	if c.WithoutRecords > 0 {
		fmt.Fprintf(b, ", %d offsets without records", c.WithoutRecords)
	}
	if c.GapOffsets > 0 {
		fmt.Fprintf(b, ", %d offsets in recorded gaps", c.GapOffsets)
	}
	if c.DataFrom > c.FirstOffset {
		fmt.Fprintf(b, ", %d records up to offset %d removed by retention", c.RemovedRecords, c.DataFrom)
	}
	b.WriteByte('\n')
	for _, gap := range c.Gaps {
		fmt.Fprintf(b, "  gap: %v\n", gap)
	}
}
