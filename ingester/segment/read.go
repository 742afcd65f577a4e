package segment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
)

// maxSmallFile is more than the largest file of a chain, a link with
// maxIndexEntries batches.
const maxSmallFile = 1 << 20

// readFile reads a small file of a chain.
func readFile(ctx context.Context, from reader, name string) ([]byte, error) {
	f, err := from.open(ctx, name)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(f, maxSmallFile))
	return content, errors.Join(err, f.Close())
}

// readHeader and readLink read a file of a chain. A file that is not there is
// fs.ErrNotExist; one that cannot be understood is a StopError.
func readHeader(ctx context.Context, from reader, p partition) (Header, error) {
	name := path.Join(p.chainPath(), headerName)
	document, err := readFile(ctx, from, name)
	if err != nil {
		return Header{}, err
	}
	h, err := ParseHeader(document)
	if err != nil {
		return Header{}, fmt.Errorf("%s: %w", name, err)
	}
	if h.partition() != p {
		return Header{}, fmt.Errorf("%s: %w", name, damaged("is the header of %v, topic id %s", h.partition(), h.TopicID))
	}
	return h, nil
}

func readLink(ctx context.Context, from reader, p partition, base int64) (Link, error) {
	name := p.linkPath(base)
	document, err := readFile(ctx, from, name)
	if err != nil {
		return Link{}, err
	}
	l, err := ParseLink(document)
	if err != nil {
		return Link{}, fmt.Errorf("%s: %w", name, err)
	}
	if l.partition() != p || l.BaseOffset != base {
		return Link{}, fmt.Errorf("%s: %w", name, damaged("is the link of %v at offset %d", l.partition(), l.BaseOffset))
	}
	return l, nil
}
