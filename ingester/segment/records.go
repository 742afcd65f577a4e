package segment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// Line is one stored record.
type Line struct {
	// File is the path of its data, relative to the data directory.
	File string
	// Bytes is the record with its '\n', valid until the next iteration.
	Bytes []byte
}

// Topics lists the topics that are stored in dir, sorted.
func Topics(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, chainDir))
	if err != nil {
		return nil, fmt.Errorf("list stored topics: %w", err)
	}
	var topics []string
	for _, e := range entries {
		if e.IsDir() {
			topics = append(topics, e.Name())
		}
	}
	return topics, nil
}

// Records yields the stored records of a partition in the order of its chain,
// or of all partitions, one after the other, for partition -1. It ends after
// the first error, which comes with an empty Line: a topic that is not stored
// here, data that is missing, or the end of ctx.
func Records(ctx context.Context, dir, topic string, number int32) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		chains, err := findChains(dir, topic, number)
		for _, p := range chains {
			var more bool
			if more, err = yieldChain(ctx, dir, p, yield); err != nil || !more {
				break
			}
		}
		if err != nil {
			yield(Line{}, fmt.Errorf("read records of %q: %w", topic, err))
		}
	}
}

func findChains(dir, topic string, number int32) ([]partition, error) {
	if err := (partition{topic: topic, topicID: "any"}).validate(); err != nil {
		return nil, err
	}
	parent := filepath.Join(dir, chainDir, topic)
	ids, err := os.ReadDir(parent)
	if err != nil {
		return nil, err
	}
	var chains []partition
	for _, id := range ids {
		numbers, err := os.ReadDir(filepath.Join(parent, id.Name()))
		if err != nil {
			return nil, err
		}
		for _, e := range numbers {
			n, err := strconv.ParseInt(e.Name(), 10, 32)
			if err == nil && (number < 0 || int32(n) == number) {
				chains = append(chains, partition{topic, id.Name(), int32(n)})
			}
		}
	}
	if len(chains) == 0 {
		return nil, fmt.Errorf("partition %d has no chain in %s", number, parent)
	}
	slices.SortStableFunc(chains, func(a, b partition) int { return int(a.number) - int(b.number) })
	return chains, nil
}

func yieldChain(ctx context.Context, dir string, p partition, yield func(Line, error) bool) (more bool, err error) {
	chain := filepath.Join(dir, p.chainPath())
	header, err := readHeader(filepath.Join(chain, headerName))
	if err != nil {
		return false, err
	}
	for offset := header.FirstOffset; ; {
		link, err := readLink(chain, p, offset)
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		if more, err := yieldSegment(ctx, dir, link, yield); err != nil || !more {
			return more, err
		}
		offset = link.NextOffset
	}
}

func yieldSegment(ctx context.Context, dir string, link Link, yield func(Line, error) bool) (more bool, err error) {
	if link.Records == 0 {
		return true, ctx.Err()
	}
	f, path, err := openData(dir, link)
	if err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	defer func() { _ = f.Close() }()
	for lines := newLineReader(f); ; {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return false, err
		}
		if !yield(Line{File: path, Bytes: line}, nil) {
			return false, nil
		}
	}
}
