package segment

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/prometheus/client_golang/prometheus"
)

func FuzzParseLink(f *testing.F) {
	dir := f.TempDir()
	d, err := OpenDirectory(dir, config.Segment{MaxBytes: 1 << 20, MaxAgeSeconds: 10}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		f.Fatal(err)
	}
	c := openChain(f, d)
	appendRecords(f, c, 2)
	seal(f, c)
	document, err := os.ReadFile(filepath.Join(dir, link5))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(withoutSum(document))
	f.Add([]byte(`{"version":1,"topic":"a","topicID":"b","baseOffset":0,"nextOffset":1,"codec":"none"}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		if _, err := ParseLink(document); err == nil {
			t.Fatal("accepted without a checksum") // or with one that fits by chance
		}
		l, err := ParseLink(summed(document))
		if err != nil {
			return
		}
		if l.NextOffset <= l.BaseOffset || l.Records > 0 && (!filepath.IsLocal(l.DataPath) || !filepath.IsLocal(l.Staged)) {
			t.Fatalf("accepted %+v", l)
		}
		line, err := encodeChecked(l)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseLink(line); err != nil || !cmp.Equal(l, again) {
			t.Fatalf("%+v became %+v, %v", l, again, err)
		}
	})
}

func FuzzParseHeader(f *testing.F) {
	f.Add([]byte(`{"version":1,"topic":"orders","topicID":"second","partition":0,"firstOffset":0}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		h, err := ParseHeader(summed(document))
		if err == nil && (h.FirstOffset < 0 || !filepath.IsLocal(h.partition().chainPath())) {
			t.Fatalf("accepted %+v", h)
		}
	})
}

func FuzzParseDataName(f *testing.F) {
	f.Add("orders-0-00000000000000000005.ndjson")
	f.Add("a-1-2-00000000000000000005.ndjson")
	f.Fuzz(func(t *testing.T, name string) {
		topic, number, base, ok := parseDataName(name)
		if !ok {
			return
		}
		again, n, b, ok := parseDataName(filepath.Base(partition{topic, "x", number}.dataPath(base, noon, codecNone)))
		if !ok || again != topic || n != number || b != base {
			t.Fatalf("%q is %q %d %d, again %q %d %d", name, topic, number, base, again, n, b)
		}
	})
}

func FuzzParseMarker(f *testing.F) {
	f.Add([]byte(`{"version":1,"from":5,"to":9}`), int64(9))
	f.Add([]byte(`{"version":1,"from":-5,"to":9}`), int64(9))
	f.Fuzz(func(t *testing.T, document []byte, to int64) {
		if m, err := parseMarker(summed(document), to); err == nil && (m.From < 0 || m.From >= m.To || m.To != to) {
			t.Fatalf("accepted %+v", m)
		}
	})
}

func FuzzParseMarkerName(f *testing.F) {
	f.Add("links-00000000000000000005")
	f.Add("data-00000000000000000005")
	f.Fuzz(func(t *testing.T, name string) {
		kind, offset, ok := parseMarkerName(name)
		if again := filepath.Base((partition{"t", "i", 0}).markerPath(kind, offset)); ok && again != name {
			t.Fatalf("%q is %q", name, again)
		}
	})
}

// FuzzChecksum: a document is what was written, or is refused.
func FuzzChecksum(f *testing.F) {
	document, err := encodeChecked(marker{1, 5, 9})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(document)
	f.Add([]byte(sumField))
	f.Fuzz(func(t *testing.T, changed []byte) {
		if checkSum(changed) == nil && !bytes.Equal(changed, summed(changed)) {
			t.Fatalf("accepted %q", changed)
		}
	})
}

// FuzzOpenDamagedChain damages one file of a chain: some bytes are cut from it,
// and others put in their place. Whoever opens the chain then is told where it
// ends, or that it is damaged; never another offset. What the chain takes
// afterwards is exact.
func FuzzOpenDamagedChain(f *testing.F) {
	template := f.TempDir()
	c := openChain(f, openDirectory(f, template))
	sealDays(f, c, 0, 6) // offsets 5 to 16
	retain(f, c, dayOf(8), days(5))
	const end = 17
	names := files(f, filepath.Join(template, chainDir))
	slices.Sort(names)
	for i := range names {
		f.Add(uint8(i), uint16(0), uint16(0), []byte(nil))     // whole
		f.Add(uint8(i), uint16(0), uint16(65535), []byte(nil)) // empty
		f.Add(uint8(i), uint16(0), uint16(65535), []byte(`{"version":1,"baseOffset":7,"nextOffset":9}`))
		f.Add(uint8(i), uint16(40), uint16(1), []byte{'9'})
	}
	f.Fuzz(func(t *testing.T, which uint8, at, cut uint16, put []byte) {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(template)); err != nil {
			t.Fatal(err)
		}
		name := names[int(which)%len(names)]
		edit(t, filepath.Join(dir, chainDir, name), func(content []byte) []byte {
			begin := min(int(at), len(content))
			return slices.Concat(content[:begin], put, content[min(begin+int(cut), len(content)):])
		})
		s := openDirectory(t, dir)
		c, err := s.Open(t.Context(), testTopic, testID, 0, beginAt(5))
		var stop *StopError
		if err != nil {
			if !errors.As(err, &stop) {
				t.Fatalf("%s: error is %v, want a StopError", name, err)
			}
			return
		}
		if c.NextOffset() != end {
			t.Fatalf("%s: next offset is %d, want %d", name, c.NextOffset(), end)
		}
		if err := c.Retain(t.Context(), dayOf(8), days(5)); err != nil && !errors.As(err, &stop) {
			t.Fatal(err)
		}
		appendRecords(t, c, 3)
		seal(t, c)
		if again := openChain(t, s); again.NextOffset() != end+3 {
			t.Fatalf("%s: next offset is %d, want %d", name, again.NextOffset(), end+3)
		}
	})
}
