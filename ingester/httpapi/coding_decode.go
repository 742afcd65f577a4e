package httpapi

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// snappyIdentifier begins a stream in the framing format of snappy
// (framing_format.txt, section 4.1).
var snappyIdentifier = []byte("\xff\x06\x00\x00sNaPpY")

var errNotFramed = errors.New("not in the framing format")

// decoders are there to be borrowed, one for each CPU that can run one, so that
// their memory is bounded whatever arrives. A body is decoded only once it is
// there as a whole: who waits for a decoder waits for those that compute, and
// never for a client.
type decoders chan *decoder

func newDecoders() decoders {
	d := make(decoders, runtime.GOMAXPROCS(0))
	for range cap(d) {
		d <- &decoder{}
	}
	return d
}

// decoder decodes one body at a time. Its parts are made when they are first
// needed, and hold less than 2 MiB together.
type decoder struct {
	source bytes.Reader
	gzip   *gzip.Reader
	snappy *s2.Reader
	zstd   *zstd.Decoder
}

// decodeBody decodes a body that is reserved. What it returns is reserved
// instead.
func (x *exchange) decodeBody(c coding, body []byte) ([]byte, *problem) {
	if len(body) == 0 {
		return nil, newProblem(malformedEncoding, "Content-Encoding is %s, but the body is empty", c)
	}
	if p := notCompressed(c, body); p != nil {
		return nil, p
	}
	d := <-x.decoders
	defer func() { x.decoders <- d }()
	var decoded []byte
	var p *problem
	if c == zstandard {
		decoded, p = x.decodeZstd(d, body)
	} else {
		decoded, p = x.decodeStream(d, c, body)
	}
	if p != nil {
		return nil, p
	}
	x.dropBody(body)
	if record.Capacity(int64(len(decoded))) < int64(cap(decoded)/2) {
		// Without room to move, the larger buffer does as well.
		if smaller, err := x.moveBody(decoded, int64(len(decoded))); err == nil {
			decoded = smaller
		}
	}
	return decoded, nil
}

// decodeStream decodes gzip and snappy, in steps that are each reserved before
// they are taken.
func (x *exchange) decodeStream(d *decoder, c coding, body []byte) ([]byte, *problem) {
	limit := int64(x.options.Limits.MaxBodyBytes)
	failed := func(err error, n int64) *problem { return x.decodeProblem(c, err, n) }
	d.source.Reset(body)
	defer d.source.Reset(nil)
	var reader io.Reader
	var expected int64
	switch c {
	case gzipped:
		expected = gzipSize(body)
		members := gzipMembers{d}
		if err := members.next(); err != nil {
			return nil, failed(err, 0)
		}
		reader = members
	case snappyFramed:
		expected = 4 * int64(len(body))
		if !bytes.HasPrefix(body, snappyIdentifier) {
			return nil, failed(errNotFramed, 0)
		}
		reader = d.openSnappy()
	}
	first := max(1, min(expected, limit))
	if err := x.reserve(record.Capacity(first)); err != nil {
		return nil, admissionProblem(err)
	}
	return x.readSteps(reader, x.buffers.Get(first), limit, failed)
}

// gzipMembers are the members of a body, read as one stream (RFC 1952, section
// 2.2). The library would do that, too, but takes a header that is cut short
// for the end.
type gzipMembers struct{ *decoder }

// next reads the header of the next member.
func (m gzipMembers) next() (err error) {
	if m.gzip == nil {
		m.gzip, err = gzip.NewReader(&m.source)
	} else {
		err = m.gzip.Reset(&m.source)
	}
	switch {
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	case err != nil:
		return err
	}
	m.gzip.Multistream(false)
	return nil
}

// isMember reports whether what is left begins as a member does, as far as it
// goes.
func (m gzipMembers) isMember() bool {
	var first [2]byte
	n, _ := m.source.ReadAt(first[:], m.source.Size()-int64(m.source.Len()))
	return bytes.HasPrefix(gzipMagic, first[:n])
}

// Read goes from member to member, until there is nothing behind the last.
func (m gzipMembers) Read(b []byte) (int, error) {
	for {
		n, err := m.gzip.Read(b)
		if !errors.Is(err, io.EOF) || m.source.Len() == 0 {
			return n, err
		}
		if !m.isMember() {
			return n, fmt.Errorf("%d bytes follow that are no gzip", m.source.Len())
		}
		if err := m.next(); err != nil || n > 0 {
			return n, err
		}
	}
}

// gzipSize is the size that the last member of the body says it decodes to:
// for one member, and unless the body lies, the exact size of all. More than
// deflate's utmost ratio is not believed.
func gzipSize(body []byte) int64 {
	const trailer, utmostRatio = 4, 1032
	if len(body) < trailer {
		return 0
	}
	said := int64(binary.LittleEndian.Uint32(body[len(body)-trailer:]))
	return min(said, utmostRatio*int64(len(body)))
}

// openSnappy reads the framing format of snappy, whose blocks decode to 64 KiB
// at most.
func (d *decoder) openSnappy() io.Reader {
	const blockBytes = 64 << 10
	if d.snappy == nil {
		d.snappy = s2.NewReader(&d.source, s2.ReaderMaxBlockSize(blockBytes))
	} else {
		d.snappy.Reset(&d.source)
	}
	return d.snappy
}

// decodeProblem says why a body could not be decoded, but n bytes of it.
func (x *exchange) decodeProblem(c coding, err error, n int64) *problem {
	switch {
	case errors.Is(err, errTooLarge):
		return newProblem(bodyTooLarge, "the decompressed body is larger than requestLimits.maxBodyBytes = %d; send fewer records in a request", int64(x.options.Limits.MaxBodyBytes))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return newProblem(malformedEncoding, "Content-Encoding is %s, but the compressed data ends too early, after %d decompressed bytes", c, n)
	case errors.Is(err, errNotFramed):
		return newProblem(malformedEncoding, "Content-Encoding is %s, but the body is not in snappy's framing format, which begins with a stream identifier", c)
	}
	return newProblem(malformedEncoding, "Content-Encoding is %s, but the body can't be decompressed after %d bytes: %v", c, n, err)
}
