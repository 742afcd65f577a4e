package segment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strconv"
)

// Line is one stored record.
type Line struct {
	// File is the name of its data, relative to the store's root.
	File string
	// Bytes is the record with its '\n', valid until the next iteration.
	Bytes []byte
}

// Topics lists the topics that are stored at a location (see Verify), sorted.
func Topics(ctx context.Context, location string) ([]string, error) {
	from, done, err := openReader(ctx, location)
	if err != nil {
		return nil, fmt.Errorf("list stored topics: %w", err)
	}
	defer done()
	topics, err := listTopics(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("list stored topics: %w", err)
	}
	return topics, nil
}

func listTopics(ctx context.Context, from reader) ([]string, error) {
	var topics []string
	for e, err := range from.list(ctx, chainDir, "") {
		if err != nil {
			return nil, err
		}
		if e.folder {
			topics = append(topics, e.name)
		}
	}
	slices.Sort(topics)
	return topics, nil
}

// Records yields the stored records of a partition in the order of its chain,
// or of all partitions, one after the other, for partition -1. It ends after
// the first error, which comes with an empty Line: a topic that is not stored
// at the location (see Verify), data that is missing, or the end of ctx.
func Records(ctx context.Context, location, topic string, number int32) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		from, done, err := openReader(ctx, location)
		if err == nil {
			defer done()
			err = yieldRecords(ctx, from, topic, number, yield)
		}
		if err != nil {
			yield(Line{}, fmt.Errorf("read records of %q: %w", topic, err))
		}
	}
}

func yieldRecords(ctx context.Context, from reader, topic string, number int32, yield func(Line, error) bool) error {
	chains, err := findChains(ctx, from, topic, number)
	for _, p := range chains {
		more, err := yieldChain(ctx, from, p, yield)
		if err != nil || !more {
			return err
		}
	}
	return err
}

func findChains(ctx context.Context, from reader, topic string, number int32) ([]partition, error) {
	if err := (partition{topic: topic, topicID: "any"}).validate(); err != nil {
		return nil, err
	}
	parent := path.Join(chainDir, topic)
	var chains []partition
	for id, err := range from.list(ctx, parent, "") {
		if err != nil {
			return nil, err
		}
		for e, err := range from.list(ctx, path.Join(parent, id.name), "") {
			if err != nil {
				return nil, err
			}
			n, err := strconv.ParseInt(e.name, 10, 32)
			if err == nil && (number < 0 || int32(n) == number) {
				chains = append(chains, partition{topic, id.name, int32(n)})
			}
		}
	}
	if len(chains) == 0 {
		return nil, fmt.Errorf("partition %d has no chain in %s", number, parent)
	}
	slices.SortStableFunc(chains, func(a, b partition) int { return int(a.number) - int(b.number) })
	return chains, nil
}

func yieldChain(ctx context.Context, from reader, p partition, yield func(Line, error) bool) (more bool, err error) {
	header, err := readHeader(ctx, from, p)
	if err != nil {
		return false, err
	}
	begin, err := readBoundaries(ctx, from, p, header.FirstOffset)
	for offset := begin.links; err == nil; {
		link, missing := readLink(ctx, from, p, offset)
		found := missing == nil
		if found && link.BaseOffset >= begin.data {
			if more, missing = yieldSegment(ctx, from, link, yield); missing == nil && !more {
				return false, nil
			}
		}
		if missing == nil {
			offset = link.NextOffset
			continue
		}
		if !errors.Is(missing, fs.ErrNotExist) {
			return false, missing
		}
		// Here the chain ends, or retention has passed by.
		before := begin
		if begin, err = readBoundaries(ctx, from, p, header.FirstOffset); err == nil && begin == before {
			if found {
				return false, missing
			}
			return true, nil
		}
		offset = max(offset, begin.links)
	}
	return false, err
}

func yieldSegment(ctx context.Context, from reader, link Link, yield func(Line, error) bool) (more bool, err error) {
	if link.Records == 0 {
		return true, ctx.Err()
	}
	f, name, err := openData(ctx, from, link)
	if err != nil {
		return false, fmt.Errorf("%s: %w", name, err)
	}
	defer func() { _ = f.Close() }()
	decoded, err := decode(link.Codec, f)
	if err != nil {
		return false, fmt.Errorf("%s: %w", name, err)
	}
	defer func() { _ = decoded.Close() }()
	for lines := newLineReader(decoded); ; {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return false, fmt.Errorf("%s: %w", name, err)
		}
		if !yield(Line{File: name, Bytes: line}, nil) {
			return false, nil
		}
	}
}
