package httpapi

import (
	"bytes"
	"compress/gzip"
	"io"
	"slices"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// ledger is an account that only counts.
type ledger struct{ reserved, peak, most int64 }

func (l *ledger) Reserve(n int64) error {
	if l.reserved+n > l.most {
		return record.ErrFull
	}
	l.reserved += n
	l.peak = max(l.peak, l.reserved)
	return nil
}

func (l *ledger) Cancel(n int64) { l.reserved -= n }

func (l *ledger) Release(int64) { panic("nothing was put") }

// decoding is an exchange for a request whose body has been received.
func decoding(limit, room int64) *exchange {
	handler := &Handler{
		options:  Options{Limits: config.RequestLimits{MaxBodyBytes: config.Bytes(limit)}},
		queue:    &producerQueue{maxBytes: room},
		decoders: newDecoders(),
	}
	return &exchange{Handler: handler, account: &ledger{most: room}}
}

// reference decodes a body with other code than ours, or with the same library
// in another way.
func reference(c coding, body []byte, limit int64) ([]byte, error) {
	var r io.Reader
	var err error
	switch c {
	case gzipped:
		r, err = gzip.NewReader(bytes.NewReader(body))
	case zstandard:
		var d *zstd.Decoder
		if d, err = zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1)); err == nil {
			defer d.Close()
		}
		r = d
	case snappyFramed:
		r = snappy.NewReader(bytes.NewReader(body))
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, limit+1))
}

// Whatever is sent, a body is decoded as another decoder does it, or refused,
// and no more is held on the way than is reserved, nor afterwards.
func FuzzDecode(f *testing.F) {
	const limit = 64 << 10
	for i, c := range codings {
		f.Add(i, compressed(f, c, arrayOf(100)))
		f.Add(i, compressed(f, c, arrayOf(20_000)))
		f.Add(i, compress(f, c, func(w io.Writer) { zeros(f, w, 1<<20) }))
		f.Add(i, append(compressed(f, c, "["), compressed(f, c, "{}]")...))
		f.Add(i, append(compressed(f, c, "{}"), "behind"...))
	}
	f.Add(1, []byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 3, 0, 0x40})
	f.Fuzz(func(t *testing.T, which int, body []byte) {
		if which < 0 || which >= len(codings) || len(body) == 0 {
			return
		}
		c := codings[which]
		x := decoding(limit, 8*limit)
		if x.reserve(int64(len(body))) != nil {
			return
		}
		decoded, p := x.decodeBody(c, slices.Clip(body))
		want, err := reference(c, body, limit)
		switch {
		case p == nil && (err != nil || !bytes.Equal(decoded, want)):
			t.Errorf("decoded %d bytes, the reference %d, error %v", len(decoded), len(want), err)
		case p == nil && x.reserved != int64(cap(decoded)):
			t.Errorf("a buffer of %d bytes, for which %d are reserved", cap(decoded), x.reserved)
		case p != nil && p.kind == bodyTooLarge && err == nil && len(want) <= limit:
			t.Errorf("refused %d bytes: %s", len(want), p.Detail)
		case p != nil && p.kind == malformedEncoding && err == nil && len(want) <= limit:
			t.Errorf("refused what the reference takes: %s", p.Detail)
		case p != nil && p.Status >= 500:
			t.Errorf("the server is blamed: %s", p.Detail)
		}
		if peak := x.account.(*ledger).peak; peak > 4*limit+4*zstdBlockBytes+2*int64(len(body)) {
			t.Errorf("%d bytes were reserved", peak)
		}
	})
}
