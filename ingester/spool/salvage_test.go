package spool

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// aside makes a spool that has set a stretch of its segment 1 aside.
func aside(t *testing.T, content []byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	corrupt := filepath.Join(dir, corruptDir)
	stretch := filepath.Join(corrupt, "00000000000000000001-100-200")
	err := errors.Join(os.Mkdir(corrupt, 0o700), os.WriteFile(filepath.Join(dir, lockName), nil, 0o600),
		os.WriteFile(stretch, content, 0o600), os.WriteFile(stretch+reasonSuffix, []byte("00000000000000000001.segment: a test\n"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// dataEntry is the entry of a batch of records.
func dataEntry(t *testing.T, position uint64, records ...string) []byte {
	t.Helper()
	meta := appendDataHead(nil, batchOf(t, 0, 1))
	for _, r := range records {
		meta = append(meta, byte(len(r)))
	}
	return sealed(kindData, uint32(len(records)), position, append(meta, 0), []byte(strings.Join(records, "")))
}

func TestSalvage(t *testing.T) {
	a, b, c := `{"a":{"b":[1,{"x":"}{"}]}}`, `{"b":"\"}"}`, `{"c":null}`
	entry, next := dataEntry(t, 1, a, b, c), dataEntry(t, 2, c)
	damaged := func(change func([]byte)) []byte {
		e := bytes.Clone(entry)
		change(e)
		return e
	}
	at := func(text string) int { return bytes.Index(entry, []byte(text)) }
	for name, test := range map[string]struct {
		content []byte
		want    []string
		found   Findings
	}{
		"nothing":                 {nil, nil, Findings{}},
		"a sound entry":           {entry, []string{a, b, c}, Findings{Records: 3}},
		"two sound entries":       {slices.Concat(entry, next), []string{a, b, c, c}, Findings{Records: 4}},
		"the journal":             {sealed(kindSettle, 0, 1, []byte{0}, nil), nil, Findings{}},
		"a quote is gone":         {damaged(func(e []byte) { e[at(`null`)-2] = 'x' }), []string{a, b}, Findings{Records: 2, Doubtful: 2, Unreadable: 1}},
		"a letter in a name":      {damaged(func(e []byte) { e[at(`c":null`)] = 'd' }), []string{a, b, `{"d":null}`}, Findings{Records: 3, Doubtful: 3}},
		"a quote is none":         {damaged(func(e []byte) { e[at(`"b":"`)] = '#' }), []string{a, c}, Findings{Records: 2, Doubtful: 2, Unreadable: 1}},
		"a newline":               {damaged(func(e []byte) { e[at(`null`)-1] = '\n' }), []string{a, b}, Findings{Records: 2, Doubtful: 2, Unreadable: 1}},
		"bytes that are no UTF-8": {damaged(func(e []byte) { e[at(`x":"`)] = 0xff }), []string{b, c}, Findings{Records: 2, Doubtful: 2, Unreadable: 1}},
		"the lengths":             {damaged(func(e []byte) { e[at(a)-2]++ }), []string{a, b, c}, Findings{Records: 3, Doubtful: 3}},
		"the lengths and a brace": {damaged(func(e []byte) { e[at(a)-2]++; e[at(a)] = ' ' }), []string{b, c},
			Findings{Records: 2, Doubtful: 2, Unreadable: 1, UnreadableBytes: int64(len(a))}},
		"the header": {damaged(func(e []byte) { e[5] = 1 }), []string{a, b, c}, Findings{Records: 3, Doubtful: 3, UnreadableBytes: int64(len(entry) - len(a+b+c))}},
		"the header, and a sound entry behind it": {slices.Concat(damaged(func(e []byte) { e[5] = 1 }), next), []string{a, b, c, c},
			Findings{Records: 4, Doubtful: 3, UnreadableBytes: int64(len(entry) - len(a+b+c))}},
		"cut inside of a record":    {entry[:at(c)+3], []string{a, b}, Findings{Records: 2, Doubtful: 2, Unreadable: 1, UnreadableBytes: int64(at(c) + 3 - len(a+b))}},
		"cut inside of the header":  {entry[:20], nil, Findings{UnreadableBytes: 20}},
		"zeros":                     {make([]byte, 9000), nil, Findings{UnreadableBytes: 9000}},
		"an object that never ends": {[]byte(`{"a":{"b":1},` + "\x00" + c), []string{c}, Findings{Records: 1, Doubtful: 1, UnreadableBytes: 14}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := aside(t, test.content)
			var records bytes.Buffer
			got, err := Salvage(dir, &records)
			if err != nil {
				t.Fatal(err)
			}
			want := Salvaged{Dir: dir, Findings: test.found, Stretches: []Stretch{{
				File: "00000000000000000001-100-200", Reason: "00000000000000000001.segment: a test", Findings: test.found,
			}}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(strings.Join(append(test.want, ""), "\n"), records.String()); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
		})
	}
}

// What a spool sets aside when it is opened is what can be salvaged.
func TestSalvageOfADamagedSpool(t *testing.T) {
	options := small(t.TempDir())
	s := start(t, options)
	s.append(4, 0, 1, 2)
	s.flipDataOf(2)
	s.stop()
	var records bytes.Buffer
	if before, err := Salvage(options.Dir, &records); err != nil || len(before.Stretches) > 0 || records.Len() > 0 {
		t.Errorf("before anything is set aside: %+v, %v", before, err)
	}
	start(t, options).stop()
	found, err := Salvage(options.Dir, &records)
	if err != nil {
		t.Fatal(err)
	}
	// The damage is in the last record, which flipDataOf leaves no JSON, or other JSON.
	var want string
	for i := range 3 {
		want += recordOf(1, i) + "\n"
	}
	if !strings.HasPrefix(records.String(), want) || found.Records+found.Unreadable != 4 || found.Doubtful != found.Records {
		t.Errorf("salvaged %+v:\n%s", found, &records)
	}
	var text strings.Builder
	if err := found.WriteText(&text); err != nil || !strings.Contains(text.String(), "1 stretches are set aside in "+filepath.Join(options.Dir, corruptDir)) || !strings.Contains(text.String(), "the checksum of the entry is wrong") {
		t.Errorf("says %v: %s", err, &text)
	}
}

func TestSalvageFails(t *testing.T) {
	if _, err := Salvage(t.TempDir(), &bytes.Buffer{}); !errors.Is(err, ErrNoSpool) {
		t.Errorf("of no spool: %v", err)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	if found, err := Salvage(aside(t, dataEntry(t, 1, `{}`)), full); err == nil || found.Records > 0 {
		t.Errorf("to a full disk: %+v, %v", found, err)
	}
}

// FuzzSalvage looks for records in arbitrary bytes: each that it finds is one,
// and stands there.
func FuzzSalvage(f *testing.F) {
	f.Add([]byte(`{"a":1}{"b":{"c":[{}]}}`))
	f.Add([]byte("\x00{\"a\":\"}{\\\"\"}\x00{"))
	f.Fuzz(func(t *testing.T, content []byte) {
		var records bytes.Buffer
		found := newSalvager(content, 1, &records).run()
		lines := bytes.Split(records.Bytes(), []byte("\n"))
		if found.Doubtful < found.Records { // no arbitrary bytes have a checksum that is right
			t.Fatalf("found %+v", found)
		}
		if len(lines) != found.Records+1 || found.Unreadable < 0 || found.UnreadableBytes < 0 {
			t.Fatalf("%d lines, found %+v", len(lines), found)
		}
		for _, line := range lines[:len(lines)-1] {
			if !bytes.Contains(content, line) || !isRecord(line) {
				t.Fatalf("%q is no record of it", line)
			}
		}
	})
}
