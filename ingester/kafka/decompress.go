package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/segmentio/kafka-go/compress/gzip"
	"github.com/segmentio/kafka-go/compress/lz4"
)

// maxDecompressed bounds the records of one batch once decompressed, in bytes.
const maxDecompressed = 128 << 20

// keptDecompressed is the largest buffer that is kept for the next batch.
const keptDecompressed = 4 << 20

// xerialMagic begins snappy data in the framing of the Java library: the magic
// and two int32 versions, then blocks after an int32 length each.
var xerialMagic = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

const xerialHeader = 16

// Decompressor decompresses one batch at a time into its own buffer, which
// never grows past its limit. The zero value is ready for use.
type Decompressor struct {
	limit  int // bytes; 0 means maxDecompressed
	buffer []byte
	zstd   *zstd.Decoder
}

// decompress returns the records; they are valid until the next call.
func (d *Decompressor) decompress(codec int8, data []byte) ([]byte, error) {
	var err error
	if d.limit == 0 {
		d.limit = maxDecompressed
	}
	if cap(d.buffer) > keptDecompressed {
		d.buffer = nil
	}
	switch codec {
	case codecNone:
		return data, nil
	case codecGzip:
		err = d.stream(new(gzip.Codec).NewReader(bytes.NewReader(data)))
	case codecSnappy:
		err = d.snappy(data)
	case codecLZ4:
		err = d.stream(new(lz4.Codec).NewReader(bytes.NewReader(data)))
	case codecZstd:
		err = d.decodeZstd(data)
	default:
		return nil, fmt.Errorf("its codec %d is unknown", codec)
	}
	if err != nil {
		return nil, fmt.Errorf("decompress (codec %d): %w", codec, err)
	}
	return d.buffer, nil
}

var errTooMuch = errors.New("records are too many bytes")

func (d *Decompressor) stream(r io.ReadCloser) error {
	defer func() { _ = r.Close() }()
	d.buffer = d.buffer[:0]
	for {
		d.buffer = slices.Grow(d.buffer, 32<<10)
		n, err := r.Read(d.buffer[len(d.buffer):cap(d.buffer)])
		d.buffer = d.buffer[:len(d.buffer)+n]
		switch {
		case len(d.buffer) > d.limit:
			return errTooMuch
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

func (d *Decompressor) snappy(data []byte) error {
	d.buffer = d.buffer[:0]
	if len(data) < xerialHeader || !bytes.HasPrefix(data, xerialMagic) {
		return d.snappyBlock(data)
	}
	for data = data[xerialHeader:]; len(data) > 0; {
		if len(data) < 4 {
			return io.ErrUnexpectedEOF
		}
		size := int64(binary.BigEndian.Uint32(data))
		if data = data[4:]; size > int64(len(data)) {
			return io.ErrUnexpectedEOF
		}
		if err := d.snappyBlock(data[:size]); err != nil {
			return err
		}
		data = data[size:]
	}
	return nil
}

func (d *Decompressor) snappyBlock(block []byte) error {
	n, err := snappy.DecodedLen(block)
	if err != nil {
		return err
	}
	done := len(d.buffer)
	if n > d.limit-done {
		return errTooMuch
	}
	d.buffer = slices.Grow(d.buffer, n)
	decoded, err := snappy.Decode(d.buffer[done:done+n], block)
	if err != nil {
		return err
	}
	d.buffer = d.buffer[:done+len(decoded)]
	return nil
}

func (d *Decompressor) decodeZstd(data []byte) (err error) {
	if d.zstd == nil {
		d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(d.limit)))
		if err != nil {
			return err
		}
	}
	d.buffer, err = d.zstd.DecodeAll(data, d.buffer[:0])
	return err
}
