package segment

import (
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/logpipeline/logpipeline/ingester/config"
)

// The codecs of segments, as links name them. One chain may hold segments of
// several: each link says how its own data is read.
const (
	codecNone = "none"
	codecGzip = "gzip"
	codecZstd = "zstd"
)

// codecs are in the order in which a published name's ending is looked up.
var codecs = []string{codecNone, codecGzip, codecZstd}

// dataSuffix is how the names of data end, as the tools that read them expect.
func dataSuffix(codec string) string {
	switch codec {
	case codecGzip:
		return ".ndjson.gz"
	case codecZstd:
		return ".ndjson.zst"
	}
	return ".ndjson"
}

const (
	// zstdWindow is how far back zstd finds repetitions. Log lines repeat
	// those shortly before them: on such lines, larger windows gained nothing
	// and cost memory in every open segment.
	zstdWindow = 512 << 10
	// maxDecodeWindow bounds what the reading of one segment takes, whoever
	// has written it; it is what the format's own tools take by default.
	maxDecodeWindow = 8 << 20
)

// encoder compresses into what Reset has given it, in the goroutine of its
// caller; Close ends the stream.
type encoder interface {
	io.WriteCloser
	Reset(io.Writer)
}

// encoders are used again, since each takes about a MiB: as many are in use as
// segments are open.
type encoders struct {
	codec string
	idle  sync.Pool
}

// newEncoders returns those of a configured codec; empty means none.
func newEncoders(configured config.Compression) (*encoders, error) {
	e := &encoders{codec: string(configured)}
	switch configured {
	case "", config.CompressionNone:
		e.codec = codecNone
	case config.CompressionGzip:
		e.idle.New = func() any { return newGzip() }
	case config.CompressionZstd:
		e.idle.New = func() any { return newZstd() }
	default:
		return nil, fmt.Errorf("segment.compression is %q: choose none, gzip or zstd", configured)
	}
	return e, nil
}

// Both codecs at their fastest: a segment is written once, on the way from
// Kafka, and what a slower level gained in size on log lines was a few per cent.
func newGzip() encoder {
	w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}

func newZstd() encoder {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err) // the options are constants
	}
	return w
}

// take returns an encoder that writes into w, or nil where lines are stored as
// they are.
func (e *encoders) take(w io.Writer) encoder {
	if e.codec == codecNone {
		return nil
	}
	encoder := e.idle.Get().(encoder)
	encoder.Reset(w)
	return encoder
}

func (e *encoders) give(used encoder) {
	if used != nil {
		used.Reset(nil)
		e.idle.Put(used)
	}
}

// decode reads the lines of stored data. Closing what it returns leaves stored
// open.
func decode(codec string, stored io.Reader) (io.ReadCloser, error) {
	switch codec {
	case codecGzip:
		return gzip.NewReader(stored)
	case codecZstd:
		r, err := zstd.NewReader(stored, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxDecodeWindow))
		if err != nil {
			return nil, err
		}
		return r.IOReadCloser(), nil
	}
	return io.NopCloser(stored), nil
}
