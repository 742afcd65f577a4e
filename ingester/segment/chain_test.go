package segment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	testTopic = "orders"
	testID    = "6e1d2f6c-2f0e-4a52-9a53-5f7d1c3b9a10"
	// noon is 2026-11-23T12:00:00Z.
	noon = int64(1795435200000)
)

func openDirectory(t testing.TB, dir string) *Store {
	t.Helper()
	return openCompressed(t, dir, config.CompressionNone)
}

func openCompressed(t testing.TB, dir string, compression config.Compression) *Store {
	t.Helper()
	d, err := OpenDirectory(dir, testConfig(compression), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func testConfig(compression config.Compression) config.Segment {
	return config.Segment{MaxBytes: 1 << 20, MaxAgeSeconds: 10, MaxOpenBytes: 8 << 20, Compression: compression}
}

// openChain opens partition 0; a new chain begins at offset 5.
func openChain(t testing.TB, d *Store) *Chain {
	t.Helper()
	c, err := d.Open(t.Context(), testTopic, testID, 0, beginAt(5))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func beginAt(offset int64) func(context.Context) (int64, error) {
	return func(context.Context) (int64, error) { return offset, nil }
}

// numbered returns n records, each naming its offset, and their span.
func numbered(base int64, n int, timestamp int64) ([]byte, record.Span) {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, `{"offset":%d}`+"\n", base+int64(i))
	}
	return b.Bytes(), record.Span{BaseOffset: base, NextOffset: base + int64(n), Records: int64(n), FirstTimestamp: timestamp, LastTimestamp: timestamp + int64(n), LeaderEpoch: 2}
}

func appendRecords(t testing.TB, c *Chain, n int) {
	t.Helper()
	if err := c.Append(numbered(c.NextOffset(), n, noon)); err != nil {
		t.Fatal(err)
	}
}

func seal(t testing.TB, c *Chain) {
	t.Helper()
	if sealed, err := c.Seal(t.Context()); err != nil || !sealed {
		t.Fatalf("Seal: sealed %v, error %v", sealed, err)
	}
}

// stored returns all stored lines of the topic.
func stored(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	for line, err := range Records(t.Context(), dir, testTopic, -1) {
		if err != nil {
			t.Fatal(err)
		}
		b.Write(line.Bytes)
	}
	return b.String()
}

// expectExact checks that the directory is proven complete and holds the
// numbered records from offset 5 up to next, and no file below segments/ or
// staging/ but theirs.
func expectExact(t testing.TB, dir string, next int64) {
	t.Helper()
	want, _ := numbered(5, int(next-5), noon)
	if diff := cmp.Diff(string(want), stored(t, dir)); diff != "" {
		t.Errorf("stored records (-want +got):\n%s", diff)
	}
	expectProblems(t, dir)
}

// expectProblems checks Verify's problems, each given as "path: text", where
// the text is a part of what is reported.
func expectProblems(t testing.TB, dir string, want ...string) Report {
	t.Helper()
	report, err := Verify(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	expectReport(t, report, want...)
	return report
}

func expectReport(t testing.TB, report Report, want ...string) {
	t.Helper()
	if report.Complete != (len(want) == 0) || len(report.Problems) != len(want) {
		t.Fatalf("Complete is %v with %d problems %v, want %q", report.Complete, len(report.Problems), report.Problems, want)
	}
	for i, p := range report.Problems {
		path, text, _ := strings.Cut(want[i], ": ")
		if p.Path != path || !strings.Contains(p.Problem, text) {
			t.Errorf("problem %d is %q: %q, want %q: %q", i, p.Path, p.Problem, path, text)
		}
	}
}

func files(t testing.TB, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			path, err = filepath.Rel(dir, path)
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

const chainOf0 = "chain/orders/" + testID + "/0/"

func TestSealedSegmentIsLaidOutAsDocumented(t *testing.T) {
	dir := t.TempDir()
	c := openChain(t, openDirectory(t, dir))
	appendRecords(t, c, 3)
	seal(t, c)
	want := []string{
		chainOf0 + "00000000000000000005", chainOf0 + "head", chainOf0 + "header", chainOf0 + "milestone",
		"segments/dt=2026-11-23/hour=12/orders-0-00000000000000000005.ndjson",
	}
	if diff := cmp.Diff(want, files(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	link, err := readLink(t.Context(), c.store.files, c.partition, 5)
	if err != nil {
		t.Fatal(err)
	}
	wantLink := Link{
		Version: 1, Topic: testTopic, TopicID: testID, BaseOffset: 5, NextOffset: 8,
		DataPath: want[4], Staged: "staging/" + testID + "-0-00000000000000000005-" + c.writer + ".ndjson",
		Records: 3, Bytes: 39, UncompressedBytes: 39, Checksum: link.Checksum, Codec: "none",
		FirstTimestamp: noon, LastTimestamp: noon + 3, LeaderEpoch: 2, Writer: c.writer, Totals: &Totals{Records: 3, Bytes: 39}, Batches: [][2]int64{{5, noon}},
	}
	if diff := cmp.Diff(wantLink, link); diff != "" {
		t.Errorf("link (-want +got):\n%s", diff)
	}
	expectExact(t, dir, 8)
}

func TestDue(t *testing.T) {
	at := func(timestamp int64) record.Span { return record.Span{Records: 1, FirstTimestamp: timestamp} }
	for name, test := range map[string]struct {
		records int
		after   time.Duration
		next    record.Span
		want    string
	}{
		"nothing appended":                  {0, time.Hour, at(noon), ""},
		"young and small":                   {1, 9 * time.Second, at(noon), ""},
		"age reached":                       {1, 10 * time.Second, record.Span{}, DueByAge},
		"size reached":                      {100_000, 0, record.Span{}, DueBySize},
		"next batch is of a later hour":     {1, 0, at(noon + 3600_000), DueByHour},
		"next batch is of the hour's end":   {1, 0, at(noon + 3600_000 - 1), ""},
		"next batch is of an earlier hour":  {1, 0, at(noon - 1), ""},
		"later offsets are without records": {1, 0, record.Span{FirstTimestamp: noon * 2}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := openChain(t, openDirectory(t, t.TempDir()))
			if test.records > 0 {
				appendRecords(t, c, test.records)
			}
			if got := c.Due(time.Now().Add(test.after), test.next); got != test.want {
				t.Errorf("Due is %q, want %q", got, test.want)
			}
		})
	}
}

func TestLargestSegmentIsDueWhenSpaceRunsOut(t *testing.T) {
	s := openDirectory(t, t.TempDir())
	s.config.MaxBytes, s.config.MaxOpenBytes = 1<<30, 2<<20
	var chains [3]*Chain
	for i := range chains {
		c, err := s.Open(t.Context(), testTopic, testID, int32(i), beginAt(5))
		if err != nil {
			t.Fatal(err)
		}
		chains[i] = c
	}
	due := func() [3]string {
		var reasons [3]string
		for i, c := range chains {
			reasons[i] = c.Due(time.Now(), record.Span{})
		}
		return reasons
	}
	expect := func(situation string, want [3]string) {
		t.Helper()
		if got := due(); got != want {
			t.Errorf("%s: due are %q, want %q", situation, got, want)
		}
	}
	appendRecords(t, chains[0], 30_000)
	appendRecords(t, chains[1], 60_000)
	expect("within the bound", [3]string{})
	appendRecords(t, chains[2], 40_000)
	expect("beyond the bound", [3]string{"", DueBySpace, ""})
	seal(t, chains[1])
	expect("after a seal", [3]string{})
	appendRecords(t, chains[1], 80_000)
	expect("beyond it again", [3]string{"", DueBySpace, ""})
	if err := chains[1].Close(); err != nil {
		t.Fatal(err)
	}
	chains[1] = chains[0]
	expect("after one was given up", [3]string{})
}

func TestAppendRefusesWhatDoesNotContinueTheChain(t *testing.T) {
	for name, test := range map[string]struct {
		lines string
		span  record.Span
	}{
		"gap":                   {"{}\n", record.Span{BaseOffset: 6, NextOffset: 7, Records: 1}},
		"overlap":               {"{}\n", record.Span{BaseOffset: 4, NextOffset: 6, Records: 1}},
		"empty run":             {"", record.Span{BaseOffset: 5, NextOffset: 5}},
		"fewer lines":           {"{}\n", record.Span{BaseOffset: 5, NextOffset: 7, Records: 2}},
		"line break in a value": {"{\n}\n", record.Span{BaseOffset: 5, NextOffset: 6, Records: 1}},
		"last line is torn":     {"{}\n{}", record.Span{BaseOffset: 5, NextOffset: 6, Records: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c := openChain(t, openDirectory(t, dir))
			if err := c.Append([]byte(test.lines), test.span); err == nil {
				t.Fatal("accepted")
			}
			appendRecords(t, c, 2)
			seal(t, c)
			expectExact(t, dir, 7)
		})
	}
}

func TestOffsetsWithoutRecordsAreJoined(t *testing.T) {
	dir := t.TempDir()
	c := openChain(t, openDirectory(t, dir))
	for _, next := range []int64{6, 7} { // before any record
		if err := c.Append(nil, record.Span{BaseOffset: next - 1, NextOffset: next, LeaderEpoch: -1}); err != nil {
			t.Fatal(err)
		}
	}
	appendRecords(t, c, 2)
	if err := c.Append(nil, record.Span{BaseOffset: 9, NextOffset: 10}); err != nil { // and after
		t.Fatal(err)
	}
	seal(t, c)
	if err := c.Append(nil, record.Span{BaseOffset: 10, NextOffset: 12}); err != nil { // and alone
		t.Fatal(err)
	}
	seal(t, c)
	report := expectProblems(t, dir)
	want := []ChainReport{{Topic: testTopic, TopicID: testID, FirstOffset: 5, NextOffset: 12, Records: 2, Segments: 1, Bytes: 26, UncompressedBytes: 26, DataFrom: 5, WithoutRecords: 5}}
	if diff := cmp.Diff(want, report.Chains); diff != "" {
		t.Errorf("chains (-want +got):\n%s", diff)
	}
	if got := openChain(t, openDirectory(t, dir)).NextOffset(); got != 12 {
		t.Errorf("next offset is %d, want 12", got)
	}
}

func TestIndexOfBatchesStaysBounded(t *testing.T) {
	dir := t.TempDir()
	c := openChain(t, openDirectory(t, dir))
	for range 5000 {
		appendRecords(t, c, 1)
	}
	seal(t, c)
	link, err := readLink(t.Context(), c.store.files, c.partition, 5)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(link.Batches); n > maxIndexEntries || n < maxIndexEntries/2 {
		t.Errorf("%d entries, want %d to %d", n, maxIndexEntries/2, maxIndexEntries)
	}
	for i, entry := range link.Batches {
		if want := int64(5 + 8*i); entry[0] != want {
			t.Fatalf("entry %d is of offset %d, want %d", i, entry[0], want)
		}
	}
	expectExact(t, dir, 5005)
}

func TestOpenBeginsAtTheHeadHintOrWithoutIt(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"as written": func(string) error { return nil },
		"missing":    os.Remove,
		"torn":       func(path string) error { return os.Truncate(path, 9) },
		"old": func(path string) error {
			return os.WriteFile(path, []byte(`{"version":1,"baseOffset":5,"nextOffset":7}`), 0o644)
		},
		"names no link": func(path string) error {
			return os.WriteFile(path, []byte(`{"version":1,"baseOffset":6,"nextOffset":9}`), 0o644)
		},
		"of a newer version": func(path string) error {
			return os.WriteFile(path, []byte(`{"version":2,"baseOffset":9,"nextOffset":11}`), 0o644)
		},
		"ahead of the chain": func(path string) error {
			return os.WriteFile(path, []byte(`{"version":1,"baseOffset":500,"nextOffset":700}`), 0o644)
		},
		"with a wrong next": func(path string) error {
			return os.WriteFile(path, []byte(`{"version":1,"baseOffset":7,"nextOffset":100}`), 0o644)
		},
		"a folder in its place": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := openDirectory(t, dir)
			c := openChain(t, d)
			for range 3 {
				appendRecords(t, c, 2)
				seal(t, c)
			}
			if err := damage(filepath.Join(dir, chainOf0, headName)); err != nil {
				t.Fatal(err)
			}
			c = openChain(t, d)
			appendRecords(t, c, 2)
			seal(t, c)
			expectExact(t, dir, 13)
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	link := func(dir string) string { return filepath.Join(dir, chainOf0, "00000000000000000005") }
	header := func(dir string) string { return filepath.Join(dir, chainOf0, headerName) }
	replace := func(path, old, new string) error {
		content, err := os.ReadFile(path)
		return errors.Join(err, os.WriteFile(path, bytes.Replace(content, []byte(old), []byte(new), 1), 0o644))
	}
	for name, test := range map[string]struct {
		damage func(dir string) error
		reason string
	}{
		"a link of a newer format":   {func(dir string) error { return replace(link(dir), `"version":1`, `"version":2`) }, "UnsupportedFormat"},
		"a header of a newer format": {func(dir string) error { return replace(header(dir), `"version":1`, `"version":2`) }, "UnsupportedFormat"},
		"a torn link":                {func(dir string) error { return os.Truncate(link(dir), 100) }, "ChainDamaged"},
		"an empty header":            {func(dir string) error { return os.Truncate(header(dir), 0) }, "ChainDamaged"},
		"another partition's link":   {func(dir string) error { return replace(link(dir), `"partition":0`, `"partition":1`) }, "ChainDamaged"},
		"another topic's header":     {func(dir string) error { return replace(header(dir), "orders", "others") }, "ChainDamaged"},
		"links without a header":     {func(dir string) error { return os.Remove(header(dir)) }, "ChainDamaged"},
		"another incarnation": {func(dir string) error {
			chains := filepath.Join(dir, chainDir, testTopic)
			return os.Rename(filepath.Join(chains, testID), filepath.Join(chains, "another-id"))
		}, "TopicRecreated"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := openDirectory(t, dir)
			c := openChain(t, d)
			appendRecords(t, c, 2)
			seal(t, c)
			if err := test.damage(dir); err != nil {
				t.Fatal(err)
			}
			_, err := d.Open(t.Context(), testTopic, testID, 0, beginAt(5))
			var stop *StopError
			if !errors.As(err, &stop) || stop.StopReason() != test.reason {
				t.Errorf("error is %v, want a StopError for %s", err, test.reason)
			}
		})
	}
}

func TestOpenRefusesNamesThatCannotBeFiles(t *testing.T) {
	d := openDirectory(t, t.TempDir())
	for name, p := range map[string]partition{
		"parent folder":      {"..", testID, 0},
		"path":               {"a/b", testID, 0},
		"empty topic":        {"", testID, 0},
		"too long":           {strings.Repeat("a", 249), testID, 0},
		"id is a path":       {testTopic, "../x", 0},
		"negative partition": {testTopic, testID, -1},
	} {
		if c, err := d.Open(t.Context(), p.topic, p.topicID, p.number, beginAt(0)); err == nil {
			t.Errorf("%s: opened %v", name, c)
		}
	}
	long := strings.Repeat("a", maxTopicLength)
	c, err := d.Open(t.Context(), long, testID, 2147483647, beginAt(0))
	if err != nil {
		t.Fatal(err)
	}
	appendRecords(t, c, 1)
	seal(t, c)
}
