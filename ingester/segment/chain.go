package segment

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Chain is one partition's chain, opened by one writer. It is not safe for
// concurrent use. Other writers may have the same chain open; see the
// package's documentation for what happens then.
//
// After an error from Append or Seal the chain is of no further use: what
// became of the last link may be unknown. Close it and open it anew, which
// reads the truth; nothing is lost, since records that are not sealed are
// still in Kafka.
type Chain struct {
	directory *Directory
	partition partition
	dir       string // of the links
	writer    string // this opening's token
	sealed    int64  // the chain's end
	pending   *pending
	failed    error
}

// Open opens the chain of a partition, or begins it at firstOffset, which is
// called only then. Opening is recovery, and goes by the chain alone: it walks
// the links from the head hint, publishes what a dead writer left unpublished,
// and removes staged files that can never be sealed.
//
// It returns a *StopError when the topic id is not the one whose chain is in
// the directory (TopicRecreated), when a link cannot be right (ChainDamaged),
// and when a newer release wrote it (UnsupportedFormat). Any other error is
// the storage's or firstOffset's; try again.
func (d *Directory) Open(ctx context.Context, topic, topicID string, number int32, firstOffset func(context.Context) (int64, error)) (*Chain, error) {
	p := partition{topic, topicID, number}
	c := &Chain{directory: d, partition: p, dir: d.path(p.chainPath()), writer: rand.Text()}
	if err := c.open(ctx, firstOffset); err != nil {
		return nil, fmt.Errorf("open chain of %v: %w", p, err)
	}
	return c, nil
}

func (c *Chain) open(ctx context.Context, firstOffset func(context.Context) (int64, error)) error {
	if err := c.partition.validate(); err != nil {
		return err
	}
	if err := c.refuseOtherIncarnations(); err != nil {
		return err
	}
	header, err := c.readOrCreateHeader(ctx, firstOffset)
	if err != nil {
		return err
	}
	if c.sealed, err = c.walk(ctx, c.readHead(header)); err != nil {
		return err
	}
	return c.removeLeftovers()
}

// refuseOtherIncarnations guards the offsets: those of a topic that was
// deleted and created again say nothing about the old one's.
func (c *Chain) refuseOtherIncarnations() error {
	parent := filepath.Join(c.directory.root, chainDir, c.partition.topic)
	entries, err := os.ReadDir(parent)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != c.partition.topicID {
			return &StopError{Reason: "TopicRecreated", Err: fmt.Errorf("topic %q has the id %s, but the chain in %s is of %s: the topic was deleted and created again; use another data directory, or move the old one away",
				c.partition.topic, c.partition.topicID, parent, e.Name())}
		}
	}
	return nil
}

func (c *Chain) readOrCreateHeader(ctx context.Context, firstOffset func(context.Context) (int64, error)) (Header, error) {
	path := filepath.Join(c.dir, headerName)
	header, err := readHeader(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := c.createHeader(ctx, path, firstOffset); err != nil {
			return Header{}, err
		}
		header, err = readHeader(path)
	}
	if err == nil && header.partition() != c.partition {
		err = damaged("%s: is the header of %v, topic id %s", path, header.partition(), header.TopicID)
	}
	return header, err
}

// createHeader creates the header unless another writer is faster; either way
// there is one when it returns nil.
func (c *Chain) createHeader(ctx context.Context, path string, firstOffset func(context.Context) (int64, error)) error {
	if err := c.refuseLinksWithoutHeader(); err != nil {
		return err
	}
	first, err := firstOffset(ctx)
	if err != nil {
		return fmt.Errorf("find first offset: %w", err)
	}
	p := c.partition
	content, err := encodeLine(Header{Version: formatVersion, Topic: p.topic, TopicID: p.topicID, Partition: p.number, FirstOffset: first})
	if err != nil {
		return err
	}
	if err := makeDirs(c.directory.root, p.chainPath()); err != nil {
		return err
	}
	staged := c.directory.path(p.stagedName(headerName, c.writer, linkSuffix))
	if err := writeDurable(staged, content); err != nil {
		return err
	}
	if failure := c.directory.link(staged, path); failure != nil {
		// As with a link, what is there decides: a faster writer may even
		// have removed our staged file by now.
		if created, err := exists(path); err != nil || !created {
			return errors.Join(failure, err)
		}
	}
	return errors.Join(syncDir(c.dir), removeIfExists(staged))
}

func (c *Chain) refuseLinksWithoutHeader() error {
	entries, err := os.ReadDir(c.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if _, ok := parseOffsetName(e.Name()); ok {
			return damaged("%s has links, but no header: restore it from a backup", c.dir)
		}
	}
	return err
}

// walk follows the links from an offset to the chain's end, publishing each,
// and returns the end. Whatever it passes is durable then.
func (c *Chain) walk(ctx context.Context, offset int64) (end int64, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		link, err := readLink(c.dir, c.partition, offset)
		if errors.Is(err, fs.ErrNotExist) {
			return offset, nil
		}
		if err != nil {
			return 0, err
		}
		if err := c.publish(link); err != nil {
			return 0, fmt.Errorf("publish %s: %w", link.DataPath, err)
		}
		offset = link.NextOffset
	}
}

// removeLeftovers removes what dead writers of this partition have staged and
// can never seal: data, links and headers whose place in the chain is taken.
// That cannot harm a writer that lives. If its base offset is before the
// chain's end, another link has its place, so that it will lose; it finds its
// staged files gone and takes that as well. Data that a link names has been
// published by the walk before. Files staged at the chain's end are left
// alone: one of them may be sealed the next moment.
func (c *Chain) removeLeftovers() error {
	entries, err := os.ReadDir(c.directory.path(stagingDir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		rest, found := strings.CutPrefix(e.Name(), c.partition.stagedPrefix())
		if !found {
			continue
		}
		what, _, _ := strings.Cut(rest, "-")
		if base, ok := parseOffsetName(what); !ok && what != headerName && what != headName || ok && base >= c.sealed {
			continue
		}
		if err := removeIfExists(filepath.Join(c.directory.path(stagingDir), e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func encodeLine(v any) ([]byte, error) {
	line, err := json.Marshal(v)
	return append(line, '\n'), err
}

// NextOffset is the offset of the next record to append. It moves with Append,
// and with Seal to the end of what other writers have sealed.
func (c *Chain) NextOffset() int64 {
	if c.pending != nil {
		return c.pending.link.NextOffset
	}
	return c.sealed
}

// Close gives up what is not sealed, and removes it from staging.
func (c *Chain) Close() error {
	p := c.pending
	c.pending, c.failed = nil, errors.New("chain is closed")
	if p == nil {
		return nil
	}
	return p.discard()
}
