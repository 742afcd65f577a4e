package segment

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The store that the damages are done to: offsets 5 to 10 in three segments.
const (
	link5 = chainOf0 + "00000000000000000005"
	link7 = chainOf0 + "00000000000000000007"
	link9 = chainOf0 + "00000000000000000009"
	hour  = "segments/dt=2026-11-23/hour=12/"
	data5 = hour + "orders-0-00000000000000000005.ndjson"
	data7 = hour + "orders-0-00000000000000000007.ndjson"
	data9 = hour + "orders-0-00000000000000000009.ndjson"
)

func threeSegments(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	c := openChain(t, openDirectory(t, dir))
	for range 3 {
		appendRecords(t, c, 2)
		seal(t, c)
	}
	return dir
}

// edit changes a file in place.
func edit(t testing.TB, path string, change func([]byte) []byte) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, change(content), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func editLink(t testing.TB, path string, change func(*Link)) {
	t.Helper()
	edit(t, path, func(content []byte) []byte {
		var l Link
		if err := json.Unmarshal(content, &l); err != nil {
			t.Fatal(err)
		}
		change(&l)
		line, err := encodeChecked(l)
		if err != nil {
			t.Fatal(err)
		}
		return line
	})
}

// withoutSum takes the checksum from a document, and summed gives it another
// one, as nothing but a malicious hand does.
func withoutSum(document []byte) []byte {
	at := bytes.LastIndex(document, []byte(sumField))
	if at < 0 {
		return document
	}
	return append(bytes.Clone(document[:at]), '}')
}

func summed(document []byte) []byte {
	return appendSum(bytes.Clone(bytes.TrimSuffix(withoutSum(document), []byte("}"))))
}

func replace(old, new string) func([]byte) []byte {
	return func(content []byte) []byte { return bytes.Replace(content, []byte(old), []byte(new), 1) }
}

func TestVerifyFindsDamage(t *testing.T) {
	remove := func(path string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, path)); err != nil {
				t.Fatal(err)
			}
		}
	}
	content := func(path string, change func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, dir string) { edit(t, filepath.Join(dir, path), change) }
	}
	inLink := func(path string, change func(*Link)) func(*testing.T, string) {
		return func(t *testing.T, dir string) { editLink(t, filepath.Join(dir, path), change) }
	}
	create := func(path, text string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path = filepath.Join(dir, path)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, test := range map[string]struct {
		damage func(t *testing.T, dir string)
		want   []string
	}{
		"none":                   {func(*testing.T, string) {}, nil},
		"flipped byte":           {content(data7, replace(`"offset":8`, `"offset":9`)), []string{data7 + ": a byte has changed"}},
		"flipped byte of a link": {content(link7, replace(`"nextOffset":9`, `"nextOffset":8`)), []string{link7 + ": a byte has changed", link9 + ": leaves a gap", data7 + ": no link names it"}},
		"truncated data":         {content(data7, func(b []byte) []byte { return b[:len(b)-1] }), []string{data7 + ": has 25 bytes, but its link says 26"}},
		"lengthened data":        {content(data7, func(b []byte) []byte { return append(b, "{}\n"...) }), []string{data7 + ": has 29 bytes"}},
		"missing data":           {remove(data7), []string{data7 + ": data is missing"}},
		"removed link":           {remove(link7), []string{link9 + ": leaves a gap: offsets 7 to 8", data7 + ": no link names it"}},
		"removed last link":      {remove(link9), []string{chainOf0 + "head: the hint names a link that is not there: it goes from offset 9 up to 11, but the chain ends at 9", data9 + ": no link names it"}},
		"removed last link and its data": {func(t *testing.T, dir string) {
			remove(link9)(t, dir)
			remove(data9)(t, dir)
		}, []string{chainOf0 + "head: the hint names a link that is not there"}},
		"a milestone that names lost links": {func(t *testing.T, dir string) {
			for _, name := range []string{link7, data7, link9, data9, chainOf0 + headName} {
				remove(name)(t, dir)
			}
			create(chainOf0+milestoneName, `{"version":1,"baseOffset":7,"nextOffset":9}`)(t, dir)
		}, []string{chainOf0 + "milestone: the hint names a link that is not there: it goes from offset 7 up to 9, but the chain ends at 7"}},
		"an old hint":               {create(chainOf0+headName, `{"version":1,"baseOffset":5,"nextOffset":7}`), nil},
		"a hint that is none":       {create(chainOf0+headName, `{"version":1,"baseOffset":9`), nil},
		"removed first link":        {remove(link5), []string{link7 + ": leaves a gap: offsets 5 to 6", data5 + ": no link names it"}},
		"link with a gap":           {inLink(link5, func(l *Link) { l.NextOffset = 6; l.Records = 1; l.Totals.Records = 1 }), []string{data5 + ": 2 lines", link7 + ": offsets 6 to 6"}},
		"link that overlaps":        {inLink(link5, func(l *Link) { l.NextOffset = 8 }), []string{link7 + ": overlaps", link9 + ": leaves a gap"}},
		"torn link":                 {content(link7, func(b []byte) []byte { return b[:50] }), []string{link7 + ": ChainDamaged", link9 + ": leaves a gap", data7 + ": no link names it"}},
		"link of a newer kind":      {content(link7, replace(`"version":1`, `"version":9`)), []string{link7 + ": UnsupportedFormat", link9 + ": leaves a gap", data7 + ": no link names it"}},
		"wrong checksum":            {inLink(link7, func(l *Link) { l.Checksum = "crc32c:00000000" }), []string{data7 + ": its link says crc32c:00000000"}},
		"totals that do not add up": {inLink(link9, func(l *Link) { l.Totals.Bytes++ }), []string{link9 + ": has totals of 4 records, 53 bytes and 0 offsets of gaps before it, but the links before it have 4 records, 52 bytes"}},
		"wrong record count":        {inLink(link7, func(l *Link) { l.Records = 1 }), []string{link7 + ": has totals of 3 records", data7 + ": has 2 lines, but its link says 1"}},
		"not JSON": {func(t *testing.T, dir string) {
			content(data7, replace(`{"offset":8}`, `{"offset":8,`))(t, dir)
			data, err := os.ReadFile(filepath.Join(dir, data7))
			if err != nil {
				t.Fatal(err)
			}
			inLink(link7, func(l *Link) { l.Checksum = formatChecksum(crc32.Checksum(data, castagnoli)) })(t, dir)
		}, []string{data7 + ": line 2 is not one JSON value"}},
		"stray file":                          {create("segments/notes.txt", "hello"), []string{"segments/notes.txt: is not a segment"}},
		"stray segment":                       {create(hour+"orders-0-00000000000000000006.ndjson", "{}\n"), []string{hour + "orders-0-00000000000000000006.ndjson: no link names it"}},
		"segment in a wrong hour":             {create("segments/dt=2026-11-23/hour=13/orders-0-00000000000000000005.ndjson", "{}\n"), []string{"segments/dt=2026-11-23/hour=13/orders-0-00000000000000000005.ndjson: no link names it"}},
		"segment of no chain":                 {create(hour+"other-0-00000000000000000005.ndjson", "{}\n"), []string{hour + "other-0-00000000000000000005.ndjson: no link names it"}},
		"file in a chain":                     {create(chainOf0+"copy of head", ""), []string{chainOf0 + "copy of head: does not belong into a chain"}},
		"file among the chains":               {create("chain/x", ""), []string{"chain/x: does not belong into chain"}},
		"header with another byte":            {content(chainOf0+headerName, replace(`"firstOffset":5`, `"firstOffset":6`)), []string{chainOf0 + "header: a byte has changed", "chain: there is no chain"}},
		"header with a later first offset":    {content(chainOf0+headerName, func(b []byte) []byte { return summed(replace(`"firstOffset":5`, `"firstOffset":6`)(b)) }), []string{link5 + ": overlaps", link7 + ": leaves a gap"}},
		"header with an earlier first offset": {content(chainOf0+headerName, func(b []byte) []byte { return summed(replace(`"firstOffset":5`, `"firstOffset":3`)(b)) }), []string{link5 + ": leaves a gap: offsets 3 to 4"}},
		"missing header":                      {remove(chainOf0 + headerName), []string{chainOf0 + "header: is missing", "chain: there is no chain"}},
		"two incarnations":                    {create("chain/orders/second/0/header", string(summed([]byte(`{"version":1,"topic":"orders","topicID":"second","partition":0,"firstOffset":0}`)))), []string{"chain/orders: holds 2 incarnations"}},
		"partition that is none":              {create("chain/orders/"+testID+"/01/header", ""), []string{"chain/orders/" + testID + "/01: is not the chain of a partition"}},
		"no chain at all": {func(t *testing.T, dir string) {
			for _, part := range []string{chainDir, segmentsDir} {
				if err := os.RemoveAll(filepath.Join(dir, part)); err != nil {
					t.Fatal(err)
				}
			}
		}, []string{"chain: there is no chain"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := threeSegments(t)
			test.damage(t, dir)
			expectProblems(t, dir, test.want...)
		})
	}
}

func TestVerifyNamesAFileOnce(t *testing.T) {
	for name, damage := range map[string]func(dir string){
		"torn": func(dir string) { edit(t, filepath.Join(dir, link7), func(b []byte) []byte { return b[:50] }) },
		"of another one": func(dir string) {
			editLink(t, filepath.Join(dir, link7), func(l *Link) {
				l.Partition, l.Gap, l.Records, l.Bytes, l.UncompressedBytes, l.DataPath, l.Staged = 1, nil, 0, 0, 0, "", ""
			})
		},
	} {
		dir := threeSegments(t)
		damage(dir)
		report, err := Verify(t.Context(), dir)
		if err != nil || len(report.Problems) == 0 {
			t.Fatalf("%s: %v, %+v", name, err, report)
		}
		p := report.Problems[0]
		if p.Path != link7 || strings.Contains(p.Problem, link7) || !strings.HasPrefix(p.Problem, "ChainDamaged: ") {
			t.Errorf("%s: %q has the problem %q", name, p.Path, p.Problem)
		}
	}
}

func TestVerifyReadsSealedDataThatIsStillStaged(t *testing.T) {
	dir := t.TempDir()
	c := openChain(t, openDirectory(t, dir))
	appendRecords(t, c, 2)
	for _, s := range c.sealing()[:2] { // up to "create link"
		if err := s.run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	expectExact(t, dir, 7)
	staged := c.pending.link.Staged
	edit(t, filepath.Join(dir, staged), replace("6", "7"))
	expectProblems(t, dir, staged+": a byte has changed")
}

func TestVerifyAnEmptyLine(t *testing.T) {
	dir := t.TempDir()
	c := openChain(t, openDirectory(t, dir))
	lines, span := numbered(5, 2, noon)
	if err := c.Append(append(lines[:13:13], "\n"...), span); err != nil {
		t.Fatal(err)
	}
	if sealed, err := c.Seal(t.Context()); err != nil || !sealed {
		t.Fatal(sealed, err)
	}
	expectProblems(t, dir, data5+": line 2 is not one JSON value")
}

func TestVerifyWhatCannotBeRead(t *testing.T) {
	if _, err := Verify(t.Context(), filepath.Join(t.TempDir(), "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent directory: error is %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Verify(ctx, threeSegments(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error is %v", err)
	}
}

func TestReportRenders(t *testing.T) {
	dir := threeSegments(t)
	report := expectProblems(t, dir)
	var text strings.Builder
	if err := report.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	want := "orders/0: offsets from 5 up to 11: 6 records in 3 segments, 79 bytes\n" +
		"complete: 6 records in 3 segments of 1 chains, 79 bytes\n"
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	document, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	wantJSON := `{"complete":true,"segmentsRead":3,"records":6,"segments":3,"bytes":79,"uncompressedBytes":79,"gapOffsets":0,"chains":[{"topic":"orders","topicID":"` + testID +
		`","partition":0,"firstOffset":5,"nextOffset":11,"records":6,"segments":3,"bytes":79,"uncompressedBytes":79,"dataFrom":5,"removedRecords":0,"removedBytes":0,"offsetsWithoutRecords":0,"gapOffsets":0}],"problems":[]}`
	if diff := cmp.Diff(wantJSON, string(document)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	for i := range maxListed + 7 {
		report.add("somewhere", "problem %d", i)
	}
	report.Complete = false
	text.Reset()
	if err := report.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(text.String(), "problem: and 7 more\nNOT PROVEN COMPLETE: 1007 problems: 6 records in 3 segments of 1 chains, 79 bytes\n") {
		t.Errorf("text ends with %q", text.String()[text.Len()-150:])
	}
}

func TestRecordsNamesFilesAndStopsWhereAsked(t *testing.T) {
	dir := threeSegments(t)
	var got []string
	for line, err := range Records(t.Context(), dir, testTopic, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, line.File+" "+string(line.Bytes)); len(got) == 3 {
			break
		}
	}
	want := []string{data5 + ` {"offset":5}` + "\n", data5 + ` {"offset":6}` + "\n", data7 + ` {"offset":7}` + "\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	for _, missing := range []struct {
		topic     string
		partition int32
	}{{"others", -1}, {testTopic, 1}, {"../orders", 0}} {
		for line, err := range Records(t.Context(), dir, missing.topic, missing.partition) {
			if err == nil {
				t.Errorf("%v: yielded %q", missing, line.Bytes)
			}
		}
	}
}

func TestLineReaderReadsLongLines(t *testing.T) {
	long := strings.Repeat("x", 700_000)
	lines := newLineReader(strings.NewReader("a\n" + long + "\n" + long))
	for _, want := range []string{"a\n", long + "\n"} {
		if line, err := lines.next(); err != nil || string(line) != want {
			t.Fatalf("%d bytes, error %v", len(line), err)
		}
	}
	if line, err := lines.next(); err == nil || string(line) != long {
		t.Fatalf("%d bytes, error %v", len(line), err)
	}
}
