package httpapi

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// zstdBlockBytes is what a block of zstd decodes to at most (RFC 8878, section
// 3.1.1.2.4).
const zstdBlockBytes = 128 << 10

// zstdKeptBytes is the largest buffer for which a decoder is used again.
const zstdKeptBytes = 512 << 10

// decodeZstd decodes zstd in one go into a buffer that is large enough for
// what the frames and blocks of the body say: then no window needs memory of
// its own, whatever its size.
func (x *exchange) decodeZstd(d *decoder, body []byte) ([]byte, *problem) {
	limit := int64(x.options.Limits.MaxBodyBytes)
	least, most, err := zstdSize(body)
	if err != nil {
		return nil, x.decodeProblem(zstandard, err, 0)
	}
	if least > limit {
		return nil, x.decodeProblem(zstandard, errTooLarge, 0)
	}
	// The decoder notices that a block does not fit only after it has grown
	// the buffer by a quarter and the block.
	size := record.Capacity(min(most, limit))
	growth := size/4 + 2*zstdBlockBytes
	if err := x.reserve(size + growth); err != nil {
		return nil, admissionProblem(err)
	}
	defer func() { x.giveBack(x.reserved - growth) }()
	if err := d.openZstd(); err != nil {
		return nil, newProblem(internalError, "%v", err)
	}
	decoded, err := d.zstd.DecodeAll(body, x.buffers.Get(size)[:0])
	if size > zstdKeptBytes {
		d.zstd = nil // it holds on to the buffer that it has written to
	}
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) && most > limit || err == nil && int64(len(decoded)) > limit {
		err = errTooLarge
	}
	if err != nil {
		return nil, x.decodeProblem(zstandard, err, int64(len(decoded)))
	}
	return decoded, nil
}

func (d *decoder) openZstd() (err error) {
	if d.zstd == nil {
		d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderLowmem(true))
	}
	if err != nil {
		return fmt.Errorf("make a zstd decoder: %w", err)
	}
	return nil
}

// zstdSize walks the frames of a body and returns between what sizes it will
// decode to. It returns io.ErrUnexpectedEOF when the body ends inside a frame.
func zstdSize(body []byte) (least, most int64, err error) {
	for len(body) > 0 {
		var h zstd.Header
		if err := h.Decode(body); err != nil {
			return 0, 0, err
		}
		body = body[h.HeaderSize:]
		if h.Skippable {
			if body, err = behind(body, int(h.SkippableSize)); err != nil {
				return 0, 0, err
			}
			continue
		}
		blocks, err := walkBlocks(body)
		if err != nil {
			return 0, 0, err
		}
		if h.HasFCS {
			// More is never believed than what the blocks can hold.
			blocks.least = int64(min(h.FrameContentSize, uint64(blocks.most)))
			blocks.most = blocks.least
		}
		least, most = least+blocks.least, most+blocks.most
		body = blocks.rest
		if h.HasCheckSum {
			if body, err = behind(body, 4); err != nil {
				return 0, 0, err
			}
		}
	}
	return least, most, nil
}

// zstdBlocks are the blocks of a frame: between what sizes they decode to, and
// what is behind them.
type zstdBlocks struct {
	least, most int64
	rest        []byte
}

// walkBlocks goes from header to header of the blocks of a frame (RFC 8878,
// section 3.1.1.2).
func walkBlocks(body []byte) (b zstdBlocks, err error) {
	const raw, repeated, compressed = 0, 1, 2
	for last := false; !last; {
		if len(body) < 3 {
			return b, io.ErrUnexpectedEOF
		}
		header := int(body[0]) | int(body[1])<<8 | int(body[2])<<16
		last = header&1 == 1
		content, size := header>>3, header>>3
		switch header >> 1 & 3 {
		case raw:
			b.least += int64(size)
			b.most += int64(size)
		case repeated:
			content = 1
			b.least += int64(size)
			b.most += int64(size)
		case compressed:
			b.most += zstdBlockBytes
		default:
			return b, errors.New("a block is of a reserved type")
		}
		if body, err = behind(body[3:], content); err != nil {
			return b, err
		}
	}
	b.rest = body
	return b, nil
}

// behind returns what follows the first n bytes.
func behind(body []byte, n int) ([]byte, error) {
	if n > len(body) {
		return nil, io.ErrUnexpectedEOF
	}
	return body[n:], nil
}
