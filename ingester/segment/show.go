package segment

import (
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"
)

// ChainState is what the links of one chain say, and what waits beside them.
// Its JSON field names are stable.
type ChainState struct {
	ChainReport
	// LinksFrom is where the links begin that retention has left.
	LinksFrom int64 `json:"linksFrom"`
	// OldestRecord and NewestRecord are Kafka's times of the data that
	// retention has left; nil when there is none.
	OldestRecord *time.Time `json:"oldestRecord,omitempty"`
	NewestRecord *time.Time `json:"newestRecord,omitempty"`
	// Staged are the names that wait in staging/: what writers that live have
	// in hand, or what the next one to open the chain will remove or publish.
	Staged []string `json:"staged"`
	// Problems are those of the chain's links.
	Problems []Problem `json:"problems"`
}

// Show reads the links of the chains of a topic, or of all for "", and of a
// partition, or of all for -1; no data. It returns an error when it could not
// look, or when there is no such chain at the location (see Verify).
func Show(ctx context.Context, location, topic string, number int32) ([]ChainState, error) {
	states, err := show(ctx, location, topic, number)
	if err != nil {
		return nil, fmt.Errorf("show chains of %q: %w", location, err)
	}
	return states, nil
}

func show(ctx context.Context, location, topic string, number int32) ([]ChainState, error) {
	from, done, err := openReader(ctx, location)
	if err != nil {
		return nil, err
	}
	defer done()
	topics := []string{topic}
	if topic == "" {
		if topics, err = listTopics(ctx, from); err != nil {
			return nil, err
		}
	}
	var states []ChainState
	for _, topic := range topics {
		chains, err := findChains(ctx, from, topic, number)
		if err != nil {
			return nil, err
		}
		for _, p := range chains {
			state, err := showChain(ctx, from, p)
			if err != nil {
				return nil, err
			}
			states = append(states, state)
		}
	}
	return states, nil
}

// showChain verifies the links alone.
func showChain(ctx context.Context, from readRemover, p partition) (ChainState, error) {
	v := newVerifier(Verification{}, from)
	v.linksOnly = true
	if err := v.verifyChain(ctx, p); err != nil {
		return ChainState{}, err
	}
	state := ChainState{ChainReport: ChainReport{Topic: p.topic, TopicID: p.topicID, Partition: p.number}, Problems: v.report.Problems, Staged: []string{}}
	if len(v.report.Chains) == 1 {
		state.ChainReport, state.LinksFrom = v.report.Chains[0], v.linksFrom
		state.OldestRecord, state.NewestRecord = bound(v.oldest), bound(v.newest)
	}
	for e, err := range from.list(ctx, stagingDir, p.stagedPrefix()) {
		if err != nil {
			return ChainState{}, err
		}
		state.Staged = append(state.Staged, path.Join(stagingDir, e.name))
	}
	slices.Sort(state.Staged)
	return state, nil
}

// WriteText renders the state for people.
func (s ChainState) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s/%d, topic id %s\n", s.Topic, s.Partition, s.TopicID)
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "  %-18s"+format+"\n", append([]any{label}, args...)...)
	}
	line("begins at", "%d; data from %d, links from %d", s.FirstOffset, s.DataFrom, s.LinksFrom)
	line("ends before", "%d", s.NextOffset)
	line("stored", "%d records in %d segments, %d bytes (%d uncompressed)", s.Records, s.Segments, s.Bytes, s.UncompressedBytes)
	if s.OldestRecord != nil && s.NewestRecord != nil {
		line("records from", "%s to %s", s.OldestRecord.Format(time.RFC3339), s.NewestRecord.Format(time.RFC3339))
	}
	line("removed", "%d records, %d bytes, by retention", s.RemovedRecords, s.RemovedBytes)
	line("without records", "%d offsets", s.WithoutRecords)
	line("in recorded gaps", "%d offsets", s.GapOffsets)
	for _, gap := range s.Gaps {
		line("gap", "%v", gap)
	}
	for _, name := range s.Staged {
		line("staged", "%s", name)
	}
	for _, p := range s.Problems {
		line("problem", "%s: %s", p.Path, p.Problem)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
