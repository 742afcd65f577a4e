package kafka

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/logpipeline/logpipeline/ingester/config"
)

// The codecs, as a batch's attributes number them.
const (
	codecNone = iota
	codecGzip
	codecSnappy
	codecLZ4
	codecZstd
)

// zstdWindow is how far back, in bytes, a match may lie. It bounds what an
// encoder holds; log records resemble those just before them.
const zstdWindow = 256 << 10

// compressor compresses one batch at a time. Its encoders are made with the
// first batch, are reused, and start no goroutine.
type compressor struct {
	codec int8
	level int
	gzip  *gzip.Writer
	zstd  *zstd.Encoder
	lz4   blockCompressor
}

// blockCompressor is one of the lz4 package's two.
type blockCompressor interface {
	CompressBlock(src, dst []byte) (int, error)
}

func newCompressor(codec config.Compression, level int) (compressor, error) {
	var c compressor
	highest := 0
	switch codec {
	case config.CompressionNone, "":
		c.codec, level = codecNone, 0
	case config.CompressionGzip:
		c.codec, highest = codecGzip, 9
	case config.CompressionSnappy:
		c.codec, level = codecSnappy, 0
	case config.CompressionLZ4:
		c.codec, highest = codecLZ4, 9
	case config.CompressionZstd:
		c.codec, highest = codecZstd, 22
	default:
		return c, fmt.Errorf("compression is %q: choose none, gzip, snappy, lz4 or zstd", codec)
	}
	if level < 0 || level > highest {
		return c, fmt.Errorf("level %d of compression %s: choose 1 to %d, or 0 for its default", level, codec, highest)
	}
	c.level = level
	return c, nil
}

// append appends the compressed records to dst.
func (c *compressor) append(dst, records []byte) ([]byte, error) {
	switch c.codec {
	case codecGzip:
		return c.appendGzip(dst, records)
	case codecSnappy:
		return appendSnappy(dst, records), nil
	case codecLZ4:
		return c.appendLZ4(dst, records)
	case codecZstd:
		return c.appendZstd(dst, records)
	default:
		return append(dst, records...), nil
	}
}

func (c *compressor) appendGzip(dst, records []byte) ([]byte, error) {
	out := sliceWriter{dst}
	if c.gzip == nil {
		level := c.level
		if level == 0 {
			level = gzip.DefaultCompression
		}
		w, err := gzip.NewWriterLevel(&out, level)
		if err != nil {
			return dst, err
		}
		c.gzip = w
	} else {
		c.gzip.Reset(&out)
	}
	_, err := c.gzip.Write(records)
	if err == nil {
		err = c.gzip.Close()
	}
	c.gzip.Reset(io.Discard) // or it would hold on to the batch
	return out.bytes, err
}

type sliceWriter struct{ bytes []byte }

func (w *sliceWriter) Write(b []byte) (int, error) {
	w.bytes = append(w.bytes, b...)
	return len(b), nil
}

// snappyFragment is how far back, in bytes, a copy reaches: as far as the
// format's own library looks. Beyond that there is little to be found in logs,
// and the table to find it by no longer fits the nearest cache: see BenchmarkBuild.
const snappyFragment = 64 << 10

// appendSnappy writes one block without the framing of the Java library, as
// librdkafka and franz-go do; that library reads both. The block is its length
// and the elements of the fragments, one after the other; see
// https://github.com/google/snappy/blob/main/format_description.txt.
func appendSnappy(dst, records []byte) []byte {
	dst = slices.Grow(dst, s2.MaxEncodedLen(len(records))+s2.MaxEncodedLen(snappyFragment))
	dst = binary.AppendUvarint(dst, uint64(len(records)))
	for fragment := range slices.Chunk(records, snappyFragment) {
		done := len(dst)
		block := s2.EncodeSnappy(dst[done:done:cap(dst)], fragment)
		_, length := binary.Uvarint(block)
		dst = append(dst, block[length:]...)
	}
	return dst
}

func (c *compressor) appendZstd(dst, records []byte) ([]byte, error) {
	if c.zstd == nil {
		// The fastest makes log records as small as the level named default
		// does, in half the time: see BenchmarkBuild.
		level := zstd.SpeedFastest
		if c.level > 0 {
			level = zstd.EncoderLevelFromZstd(c.level)
		}
		encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1),
			zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(zstdWindow), zstd.WithEncoderCRC(false))
		if err != nil {
			return dst, err
		}
		c.zstd = encoder
	}
	return c.zstd.EncodeAll(records, dst), nil
}

// The frame format of lz4, as Kafka wants it: independent blocks, of which the
// broker and the Java client decompress one at a time. See
// https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md.
const (
	lz4Magic        = 0x184D2204
	lz4Version      = 0x40 // of the format, in the flags
	lz4Independent  = 0x20 // a flag: no block refers to an earlier one
	lz4Blocks256KiB = 0x50 // the largest block, in the block descriptor
	lz4Block        = 256 << 10
	lz4Uncompressed = 1 << 31 // in a block's size: it is as it was
)

// lz4FrameHeader is magic, flags, block descriptor, and the second byte of
// the xxHash-32 of the latter two.
var lz4FrameHeader = []byte{0x04, 0x22, 0x4D, 0x18, lz4Version | lz4Independent, lz4Blocks256KiB, 0xFB}

func (c *compressor) appendLZ4(dst, records []byte) ([]byte, error) {
	if c.lz4 == nil {
		if c.level == 0 {
			c.lz4 = new(lz4.Compressor)
		} else {
			c.lz4 = &lz4.CompressorHC{Level: lz4.CompressionLevel(1 << (8 + c.level))}
		}
	}
	dst = append(dst, lz4FrameHeader...)
	for len(records) > 0 {
		block := records[:min(len(records), lz4Block)]
		records = records[len(block):]
		dst = slices.Grow(dst, 4+len(block)+4)
		at := len(dst)
		// It compresses to less than the block, or not at all: n is 0 then.
		n, err := c.lz4.CompressBlock(block, dst[at+4:at+4+len(block)])
		if err != nil {
			return dst, err
		}
		size := uint32(n)
		if n == 0 {
			size = uint32(len(block)) | lz4Uncompressed
			n = copy(dst[at+4:at+4+len(block)], block)
		}
		dst = dst[:at+4+n]
		binary.LittleEndian.PutUint32(dst[at:], size)
	}
	return append(dst, 0, 0, 0, 0), nil // the end mark
}
