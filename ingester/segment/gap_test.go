package segment

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

const lostReason = "RetentionPassed: Kafka's log begins at offset 20"

func recordGap(t testing.TB, c *Chain, next int64) {
	t.Helper()
	if recorded, err := c.RecordGap(t.Context(), next, lostReason); err != nil || !recorded {
		t.Fatalf("recorded %v, error %v", recorded, err)
	}
}

// withGap has 2 records, a gap of offsets 9 to 19 that was recorded while 2
// others were pending, and 3 records.
func withGap(t testing.TB, s *Store) *Chain {
	t.Helper()
	c := openChain(t, s)
	appendRecords(t, c, 2)
	seal(t, c)
	appendRecords(t, c, 2)
	recordGap(t, c, 20)
	appendRecords(t, c, 3)
	seal(t, c)
	return c
}

var ignoreTime = cmpopts.IgnoreFields(RecordedGap{}, "RecordedAt")

func TestGapIsRecorded(t *testing.T) {
	inEachPlace(t, func(t *testing.T, p place) {
		s := p.open(t, config.CompressionNone)
		c := withGap(t, s)
		report := expectProblemsIn(t, s)
		want := []ChainReport{{
			Topic: testTopic, TopicID: testID, FirstOffset: 5, NextOffset: 23, Records: 7, Segments: 3, Bytes: 94, UncompressedBytes: 94, DataFrom: 5,
			GapOffsets: 11, Gaps: []RecordedGap{{FirstOffset: 9, NextOffset: 20, Reason: lostReason}},
		}}
		if diff := cmp.Diff(want, report.Chains, ignoreTime); diff != "" {
			t.Errorf("chains (-want +got):\n%s", diff)
		}
		if report.GapOffsets != 11 {
			t.Errorf("%d offsets in gaps, want 11", report.GapOffsets)
		}
		var text strings.Builder
		if err := report.WriteText(&text); err != nil || !strings.Contains(text.String(), "complete but for 11 offsets in recorded gaps: 7 records") {
			t.Errorf("error %v, text %q", err, text.String())
		}
		if got := testutil.ToFloat64(s.metrics.gapOffsets); got != 11 {
			t.Errorf("%v offsets counted, want 11", got)
		}
		strict, err := Verification{NoGaps: true}.run(t.Context(), s.files)
		if err != nil {
			t.Fatal(err)
		}
		expectReport(t, strict, c.partition.linkPath(9)+": is a gap: offsets 9 to 19 are not stored")
		if next := openChain(t, p.open(t, "")).NextOffset(); next != 23 {
			t.Errorf("next offset is %d, want 23", next)
		}
	})
}

func TestGapIsRefused(t *testing.T) {
	c := openChain(t, openDirectory(t, t.TempDir()))
	appendRecords(t, c, 2)
	for name, test := range map[string]struct {
		next         int64
		reason, want string
	}{
		"behind the chain's end": {6, "lost", "offset 6 does not follow the chain's next offset, 7"},
		"at what is appended":    {7, "lost", "offset 7 does not follow"},
		"without a reason":       {9, "", "has 0 bytes"},
		"with too long a reason": {9, strings.Repeat("x", 1001), "has 1001 bytes"},
	} {
		if recorded, err := c.RecordGap(t.Context(), test.next, test.reason); recorded || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: recorded %v, error %v, want %q", name, recorded, err, test.want)
		}
	}
	seal(t, c)
	expectExact(t, c.store.files.(*directory).root, 7)
}

// TestGapLosesAgainstStoredRecords, and records against a gap: whoever seals
// first at an offset has it.
func TestGapLosesAgainstStoredRecords(t *testing.T) {
	inEachPlace(t, func(t *testing.T, p place) {
		s := p.open(t, config.CompressionZstd)
		impatient, living := openChain(t, s), openChain(t, p.open(t, ""))
		appendRecords(t, living, 3)
		seal(t, living)
		if recorded, err := impatient.RecordGap(t.Context(), 20, lostReason); recorded || err != nil {
			t.Fatalf("recorded %v, error %v", recorded, err)
		}
		if impatient.NextOffset() != 8 {
			t.Errorf("next offset is %d, want 8", impatient.NextOffset())
		}
		appendRecords(t, living, 2)
		recordGap(t, impatient, 20)
		if sealed, err := living.Seal(t.Context()); sealed || err != nil {
			t.Fatalf("sealed %v, error %v", sealed, err)
		}
		if living.NextOffset() != 20 {
			t.Errorf("next offset is %d, want 20", living.NextOffset())
		}
		if report := expectProblemsIn(t, s); report.Records != 3 || report.GapOffsets != 12 {
			t.Errorf("%d records and %d offsets in gaps, want 3 and 12", report.Records, report.GapOffsets)
		}
	})
}

func TestGapOutlivesItsDataNotItsLink(t *testing.T) {
	s := openDirectory(t, t.TempDir())
	c := openChain(t, s)
	sealDays(t, c, 0, 2)
	if err := c.Append(nil, record.Span{BaseOffset: 9, NextOffset: 11}); err != nil {
		t.Fatal(err)
	}
	recordGap(t, c, 20)
	sealDays(t, c, 2, 3)
	retain(t, c, dayOf(6), days(3)) // the data of all that is before the gap, and after it of day 2
	report := expectProblemsIn(t, s)
	if got := report.Chains[0]; got.GapOffsets != 9 || len(got.Gaps) != 1 || got.RemovedRecords != 6 || got.Records != 4 || got.WithoutRecords != 2 {
		t.Errorf("with its link: %+v", got)
	}
	retain(t, c, dayOf(100_000), days(3))
	report = expectProblemsIn(t, s)
	if got := report.Chains[0]; got.GapOffsets != 9 || len(got.Gaps) != 0 || got.RemovedRecords != 10 || got.WithoutRecords != 2 {
		t.Errorf("without its link: %+v", got)
	}
}

func TestResume(t *testing.T) {
	dir := t.TempDir()
	d := openDirectory(t, dir)
	c := openChain(t, d)
	appendRecords(t, c, 2)
	seal(t, c)
	refused := errors.New("Kafka still has them")
	logger := slog.New(slog.DiscardHandler)
	for name, test := range map[string]struct {
		location, topic string
		partition       int32
		upTo            func(string, int64) (int64, error)
		want            string
	}{
		"nothing is lost":                {dir, testTopic, 0, func(string, int64) (int64, error) { return 0, refused }, refused.Error()},
		"no offset is lost":              {dir, testTopic, 0, func(string, int64) (int64, error) { return 7, nil }, "offset 7 does not follow"},
		"a partition that is not stored": {dir, testTopic, 3, nil, "partition 3 has no chain"},
		"a topic that is not stored":     {dir, "others", 0, nil, "has no chain in chain/others"},
		"a directory that is not there":  {filepath.Join(dir, "nowhere"), testTopic, 0, nil, "no such file"},
		"another writer is faster": {dir, testTopic, 0, func(string, int64) (int64, error) {
			appendRecords(t, c, 1)
			seal(t, c)
			return 20, nil
		}, "sealed at offset 7 meanwhile, and the chain goes up to 8"},
	} {
		t.Run(name, func(t *testing.T) {
			if gap, err := Resume(t.Context(), test.location, test.topic, test.partition, "lost", test.upTo, logger); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%+v, error %v, want %q", gap, err, test.want)
			}
		})
	}
	gap, err := Resume(t.Context(), dir, testTopic, 0, "lost", func(id string, end int64) (int64, error) {
		if id != testID || end != 8 {
			t.Errorf("told of topic id %s, end %d", id, end)
		}
		return 20, nil
	}, logger)
	if diff := cmp.Diff(RecordedGap{FirstOffset: 8, NextOffset: 20, Reason: "lost"}, gap, ignoreTime); err != nil || diff != "" {
		t.Fatalf("error %v, gap (-want +got):\n%s", err, diff)
	}
	if next := openChain(t, d).NextOffset(); next != 20 {
		t.Errorf("next offset is %d, want 20", next)
	}
}

func TestShow(t *testing.T) {
	inEachPlace(t, func(t *testing.T, p place) {
		s := p.open(t, config.CompressionNone)
		c := withGap(t, s)
		sealDays(t, c, 9, 1)
		retain(t, c, dayOf(4), days(3)) // the data before the gap, and of noon
		appendRecords(t, c, 1)
		for _, step := range c.sealing()[:1] {
			if err := step.run(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		got, err := showChain(t.Context(), s.files, c.partition)
		if err != nil {
			t.Fatal(err)
		}
		first, last := dayOf(9).UTC(), dayOf(9).UTC().Add(2e6)
		want := ChainState{
			ChainReport: ChainReport{
				Topic: testTopic, TopicID: testID, FirstOffset: 5, NextOffset: 25, Records: 2, Segments: 1, Bytes: 28, UncompressedBytes: 28,
				DataFrom: 23, RemovedRecords: 7, RemovedBytes: 94, GapOffsets: 11, Gaps: []RecordedGap{{FirstOffset: 9, NextOffset: 20, Reason: lostReason}},
			},
			LinksFrom: 5, OldestRecord: &first, NewestRecord: &last, Staged: []string{c.pending.link.Staged}, Problems: []Problem{},
		}
		if diff := cmp.Diff(want, got, ignoreTime); diff != "" {
			t.Errorf("state (-want +got):\n%s", diff)
		}
		var text strings.Builder
		if err := got.WriteText(&text); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"begins at         5; data from 23, links from 5\n", "ends before       25\n", "gap               offsets 9 to 19 are not stored", "staged            " + stagingDir} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("text has no %q: %s", want, text.String())
			}
		}
	})
}
