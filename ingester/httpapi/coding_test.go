package httpapi

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"github.com/logpipeline/logpipeline/ingester/config"
)

// compress streams what write writes through the coding.
func compress(t testing.TB, c coding, write func(io.Writer)) []byte {
	t.Helper()
	var compressed bytes.Buffer
	var w io.WriteCloser
	var err error
	switch c {
	case gzipped:
		w, err = gzip.NewWriterLevel(&compressed, gzip.BestSpeed)
	case zstandard:
		w, err = zstd.NewWriter(&compressed, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	case snappyFramed:
		w = snappy.NewBufferedWriter(&compressed)
	}
	if err != nil {
		t.Fatal(err)
	}
	write(w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return compressed.Bytes()
}

func compressed(t testing.TB, c coding, body string) []byte {
	t.Helper()
	return compress(t, c, func(w io.Writer) {
		if _, err := io.WriteString(w, body); err != nil {
			t.Fatal(err)
		}
	})
}

var codings = []coding{gzipped, zstandard, snappyFramed}

// sent are the ways in which a body can be sent.
func sent(contentEncoding string, body []byte) map[string]string {
	encoding := "Content-Encoding: " + contentEncoding
	half := len(body) / 2
	chunks := ""
	for _, piece := range []string{string(body[:half]), string(body[half:])} {
		if piece != "" {
			chunks += chunk(piece)
		}
	}
	return map[string]string{
		"declared": head(encoding, fmt.Sprintf("Content-Length: %d", len(body))) + string(body),
		"chunked":  head(encoding, "Transfer-Encoding: chunked") + chunks + chunk(""),
	}
}

func TestCompressedBodies(t *testing.T) {
	text := arrayOf(testBodyBytes)
	half := len(text) / 2
	twice := func(c coding) []byte {
		return append(compressed(t, c, text[:half]), compressed(t, c, text[half:])...)
	}
	flushed := compress(t, zstandard, func(w io.Writer) {
		for _, piece := range []string{text[:10], text[10:half], text[half:]} {
			if _, err := io.WriteString(w, piece); err != nil {
				t.Fatal(err)
			}
			if err := w.(*zstd.Encoder).Flush(); err != nil {
				t.Fatal(err)
			}
		}
	})
	skippable := append([]byte{0x5e, 0x2a, 0x4d, 0x18, 3, 0, 0, 0}, "abc"...)
	tests := []struct {
		name, encoding string
		body           []byte
	}{
		{"gzip", "gzip", compressed(t, gzipped, text)},
		{"gzip by its old name", "x-gzip", compressed(t, gzipped, text)},
		{"gzip and identity", "identity, GZIP", compressed(t, gzipped, text)},
		{"two members of gzip", "gzip", twice(gzipped)},
		{"zstd", "zstd", compressed(t, zstandard, text)},
		{"zstd of unknown size", "zstd", flushed},
		{"two frames of zstd and one to skip", "zstd", append(skippable, twice(zstandard)...)},
		{"snappy", "snappy", compressed(t, snappyFramed, text)},
		{"snappy by another name", "x-snappy-framed", compressed(t, snappyFramed, text)},
		{"two streams of snappy", "snappy", twice(snappyFramed)},
	}
	for _, tt := range tests {
		for how, request := range sent(tt.encoding, tt.body) {
			t.Run(tt.name+", "+how, func(t *testing.T) {
				in := start(t, nil)
				w := in.dial(t)
				for range 2 { // the second finds a used decoder
					w.write(t, request)
					if got := w.answer(t); got.status != 200 || got.header.Get("Connection") == "close" {
						t.Fatalf("got %d %s", got.status, got.body)
					}
				}
				want := strings.Split(strings.Trim(text, "[] "), ",")
				if diff := cmp.Diff(append(want, want...), in.queue.records); diff != "" {
					t.Errorf("records (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestRefusedCodings(t *testing.T) {
	const taken = "; accepted: gzip, zstd, snappy, identity"
	text := arrayOf(10_000)
	zipped := compressed(t, gzipped, text)
	damaged := func(c coding) []byte {
		body := compressed(t, c, text)
		body[len(body)/2] ^= 0x40
		return body
	}
	tests := []struct {
		name, encoding string
		body           []byte
		status         int
		kind, detail   string
	}{
		{"unknown", "br", zipped, 415, "unsupported-content-encoding", `Content-Encoding is "br"` + taken},
		{"two", "gzip, gzip", zipped, 415, "unsupported-content-encoding", `Content-Encoding is "gzip, gzip", several codings one upon the other: compress once` + taken},
		{"two of a kind", "zstd,gzip", zipped, 415, "unsupported-content-encoding", `Content-Encoding is "zstd,gzip", several codings one upon the other: compress once` + taken},
		{"plain text as gzip", "gzip", []byte(text), 400, "malformed-encoding", "the body does not begin as gzip does"},
		{"plain text as zstd", "zstd", []byte(text), 400, "malformed-encoding", "the body does not begin as zstd does"},
		{"plain text as snappy", "snappy", []byte(text), 400, "malformed-encoding", "the body is not in snappy's framing format, which begins with a stream identifier"},
		{"snappy without frames", "snappy", s2.EncodeSnappy(nil, []byte(text)), 400, "malformed-encoding", "the body is not in snappy's framing format, which begins with a stream identifier"},
		{"nothing as gzip", "gzip", nil, 400, "malformed-encoding", "Content-Encoding is gzip, but the body is empty"},
		{"damaged gzip", "gzip", damaged(gzipped), 400, "malformed-encoding", "can't be decompressed"},
		{"damaged zstd", "zstd", damaged(zstandard), 400, "malformed-encoding", "can't be decompressed"},
		{"damaged snappy", "snappy", damaged(snappyFramed), 400, "malformed-encoding", "can't be decompressed"},
		{"gzip with something behind", "gzip", append(bytes.Clone(zipped), "x"...), 400, "malformed-encoding", "Content-Encoding is gzip"},
		{"gzip with zeros behind", "gzip", append(bytes.Clone(zipped), make([]byte, 512)...), 400, "malformed-encoding", "can't be decompressed after 10000 bytes: 512 bytes follow that are no gzip"},
		{"gzip with the beginning of a member behind", "gzip", append(bytes.Clone(zipped), 0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 0, 'n'), 400, "malformed-encoding", "ends too early, after 10000 decompressed bytes"},
		{"zstd with something behind", "zstd", append(compressed(t, zstandard, text), "something"...), 400, "malformed-encoding", "can't be decompressed"},
		{"snappy with something behind", "snappy", append(compressed(t, snappyFramed, text), "something"...), 400, "malformed-encoding", "can't be decompressed after 10000 bytes"},
		{"malformed records", "gzip", compressed(t, gzipped, `[{"a":1},{"a":}]`), 400, "malformed-json", "expected a value, found '}'"},
	}
	for _, tt := range tests {
		for how, request := range sent(tt.encoding, tt.body) {
			t.Run(tt.name+", "+how, func(t *testing.T) {
				w := start(t, nil).dial(t)
				w.write(t, request)
				got := w.answer(t)
				p := got.problem(t)
				if got.status != tt.status || p.Type != problemBase+tt.kind || !strings.Contains(p.Detail, tt.detail) {
					t.Errorf("got %d %s, want %d %s, %q", got.status, got.body, tt.status, tt.kind, tt.detail)
				}
				if got.header.Get("Connection") == "close" {
					t.Error("the connection is closed")
				}
			})
		}
	}
}

func TestTruncatedCompressedBodies(t *testing.T) {
	in := start(t, nil)
	text := arrayOf(70_000) // two blocks of snappy
	for _, c := range codings {
		body := compressed(t, c, text)
		for _, n := range []int{1, 3, 5, 11, len(body) / 2, len(body) - 5, len(body) - 1} {
			got := in.send(t, http.MethodPost, "/logs", string(body[:n]), "Content-Type", "application/json", "Content-Encoding", string(c))
			if p := got.problem(t); got.status != 400 || p.Type != problemBase+"malformed-encoding" {
				t.Errorf("%d of %d bytes of %s: got %d %s", n, len(body), c, got.status, got.body)
			}
		}
	}
	if len(in.queue.records) > 0 {
		t.Errorf("%d records were taken", len(in.queue.records))
	}
}

// zeros writes n bytes of them.
func zeros(t testing.TB, w io.Writer, n int) {
	piece := make([]byte, 1<<20)
	for range n >> 20 {
		if _, err := w.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
}

// gzipBomb is a gigabyte of zeros, of which each piece but the first looks the
// same when it is compressed.
func gzipBomb(t testing.TB) []byte {
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	var ends []int
	for range 3 {
		zeros(t, w, 1<<20)
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, bomb.Len())
	}
	piece := bomb.Bytes()[ends[1]:ends[2]]
	return append(bomb.Bytes(), bytes.Repeat(piece, 1<<10-3)...)
}

// zstdBomb is a gigabyte of zeros as repeated bytes, in blocks of 128 KiB, in a
// frame with a window of 1 MiB that doesn't say its size.
func zstdBomb() []byte {
	block := []byte{0x02, 0x00, 0x10, 0}
	last := []byte{0x03, 0x00, 0x10, 0}
	return slices.Concat([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, 10 << 3}, bytes.Repeat(block, 8<<10-1), last)
}

// A body that decompresses to far more than its limit is refused before it has
// taken more memory than that.
func TestDecompressionBombs(t *testing.T) {
	const limit = 16 << 20
	bombs := map[string]struct {
		encoding string
		body     []byte
	}{
		"gzip":                      {"gzip", gzipBomb(t)},
		"zstd of repeated bytes":    {"zstd", zstdBomb()},
		"zstd of compressed blocks": {"zstd", compress(t, zstandard, func(w io.Writer) { zeros(t, w, 64<<20) })},
		// It can't be made larger than 21 times its compressed size.
		"snappy": {"snappy", bytes.Repeat(compress(t, snappyFramed, func(w io.Writer) { zeros(t, w, 1<<20) }), 300)},
		// A frame that says how large it is, and has nothing to show for it.
		"zstd that boasts": {"zstd", []byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 3, 0, 0x40}},
	}
	for name, bomb := range bombs {
		t.Run(name, func(t *testing.T) {
			in := start(t, func(o *Options, q *producerQueue) {
				o.Limits.MaxBodyBytes = config.Bytes(limit)
				q.maxBytes = 8 * limit
			})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got := in.send(t, http.MethodPost, "/logs", string(bomb.body), "Content-Type", "application/json", "Content-Encoding", bomb.encoding)
			runtime.ReadMemStats(&after)
			if name != "zstd that boasts" {
				p := got.problem(t)
				if got.status != 413 || p.Type != problemBase+"body-too-large" || !strings.HasPrefix(p.Detail, "the decompressed body is larger than requestLimits.maxBodyBytes = 16777216") {
					t.Errorf("got %d %s", got.status, got.body)
				}
			} else if got.status != 400 {
				t.Errorf("got %d %s", got.status, got.body)
			}
			in.queue.mu.Lock()
			defer in.queue.mu.Unlock()
			if most := int64(2*limit + len(bomb.body) + 1<<20); in.queue.peak > most {
				t.Errorf("%d bytes were reserved, want at most %d", in.queue.peak, most)
			}
			// A growing buffer leaves garbage of its own size behind; the body
			// itself is copied a few times by the client.
			if taken := after.TotalAlloc - before.TotalAlloc; taken > 4*limit+4*uint64(len(bomb.body)) {
				t.Errorf("%d bytes were allocated", taken)
			}
		})
	}
}

// A decoded body holds what it needs, and the compressed one nothing any more.
func TestDecodedBodyIsReserved(t *testing.T) {
	text := arrayOf(100_000)
	for _, c := range codings {
		t.Run(string(c), func(t *testing.T) {
			x := decoding(1<<20, 1<<20)
			body := compressed(t, c, text)
			if err := x.reserve(int64(len(body))); err != nil {
				t.Fatal(err)
			}
			decoded, p := x.decodeBody(c, slices.Clip(body))
			if p != nil || string(decoded) != text {
				t.Fatalf("%d bytes, %+v", len(decoded), p)
			}
			if int64(cap(decoded)) != x.reserved || cap(decoded) > 2*len(decoded) {
				t.Errorf("%d bytes in a buffer of %d, for which %d are reserved", len(decoded), cap(decoded), x.reserved)
			}
		})
	}
}

// Without room for the next step a body is refused, not waited for.
func TestDecodingNeedsRoom(t *testing.T) {
	text := arrayOf(100_000)
	for _, c := range codings {
		t.Run(string(c), func(t *testing.T) {
			body := compressed(t, c, text)
			x := decoding(1<<20, int64(len(body)+90_000))
			if err := x.reserve(int64(len(body))); err != nil {
				t.Fatal(err)
			}
			if _, p := x.decodeBody(c, body); p == nil || p.kind.status != 413 && p.kind.status != 429 {
				t.Errorf("got %+v", p)
			}
			if len(x.decoders) != cap(x.decoders) {
				t.Error("a decoder was not returned")
			}
		})
	}
}

// What a decoder keeps is bounded, whatever it has decoded: it is there as
// often as there are CPUs.
func TestDecodersKeepLittle(t *testing.T) {
	const n, most = 8, 2 << 20
	bodies := map[coding][][]byte{}
	for _, c := range codings {
		bodies[c] = [][]byte{compressed(t, c, arrayOf(6<<20)), compressed(t, c, arrayOf(zstdKeptBytes))}
	}
	heap := func() uint64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := heap()
	x := decoding(8<<20, 64<<20)
	x.decoders = make(decoders, n)
	for range n {
		x.decoders <- &decoder{}
	}
	for range n {
		for _, c := range codings {
			for _, body := range bodies[c] {
				if err := x.reserve(int64(len(body))); err != nil {
					t.Fatal(err)
				}
				if _, p := x.decodeBody(c, slices.Clip(body)); p != nil {
					t.Fatal(p.Detail)
				}
				x.giveBack(0)
			}
		}
	}
	kept := int64(heap()-before) / n
	if kept > most {
		t.Errorf("a decoder keeps %d bytes, want at most %d", kept, most)
	}
	t.Logf("a decoder keeps %d KiB", kept>>10)
	runtime.KeepAlive(x)
}
