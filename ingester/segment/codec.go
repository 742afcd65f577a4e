package segment

import (
	"context"
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
	// and cost memory.
	zstdWindow = 128 << 10
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

const (
	// streamEncoders are for segments that are compressed as they grow. While
	// there are more open, the lines of the others wait as they are, and
	// sealEncoders are for compressing them when they are sealed: so memory is
	// bounded whatever the number of partitions, and every segment is one
	// stream. An encoder takes about 0.7 MiB.
	streamEncoders = 12
	sealEncoders   = 4
)

// encoders are those of a store.
type encoders struct {
	codec   string
	streams encoderPool
	seals   encoderPool
}

// newEncoders returns those of a configured codec; empty means none.
func newEncoders(configured config.Compression) (*encoders, error) {
	var open func() encoder
	switch configured {
	case "", config.CompressionNone:
		return &encoders{codec: codecNone}, nil
	case config.CompressionGzip:
		open = newGzip
	case config.CompressionZstd:
		open = newZstd
	default:
		return nil, fmt.Errorf("segment.compression is %q: choose none, gzip or zstd", configured)
	}
	return &encoders{
		codec:   string(configured),
		streams: encoderPool{open: open, places: make(chan struct{}, streamEncoders)},
		seals:   encoderPool{open: open, places: make(chan struct{}, sealEncoders)},
	}, nil
}

// encoderPool makes encoders as they are needed, up to the number of its places,
// and keeps them to be used again. The zero value has none.
type encoderPool struct {
	open   func() encoder
	places chan struct{} // one for each that is in use

	mu   sync.Mutex
	idle []encoder
}

// tryTake returns nil when all are in use.
func (p *encoderPool) tryTake() encoder {
	select {
	case p.places <- struct{}{}:
		return p.ready()
	default:
		return nil
	}
}

// take waits until one is free.
func (p *encoderPool) take(ctx context.Context) (encoder, error) {
	select {
	case p.places <- struct{}{}:
		return p.ready(), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *encoderPool) ready() encoder {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return p.open()
	}
	used := p.idle[last]
	p.idle = p.idle[:last]
	return used
}

// give takes one back; nil is none.
func (p *encoderPool) give(used encoder) {
	if used == nil {
		return
	}
	p.mu.Lock()
	p.idle = append(p.idle, used)
	p.mu.Unlock()
	<-p.places
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
