package segment

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path"
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
	store     *Store
	partition partition
	dir       string    // of the links
	writer    string    // this opening's token
	first     int64     // where the chain began
	sealed    int64     // the chain's end
	hinted    int64     // see HintedOffset
	totals    Totals    // through the chain's end
	seals     int       // of this opening
	epoch     int32     // of the leader that wrote the chain's end, -1 when unknown
	retained  *retained // nil until Retain is called
	pending   *pending
	failed    error
}

// Open opens the chain of a partition, or begins it at firstOffset, which is
// called only then. Opening is recovery, and goes by the chain alone: it walks
// the links from the head hint, publishes what a dead writer left unpublished,
// and removes staged files that can never be sealed.
//
// It returns a *StopError when the topic id is not the one whose chain is in
// the store (TopicRecreated), when a link cannot be right (ChainDamaged), and
// when a newer release wrote it (UnsupportedFormat). Any other error is the
// storage's or firstOffset's; try again.
func (s *Store) Open(ctx context.Context, topic, topicID string, number int32, firstOffset func(context.Context) (int64, error)) (*Chain, error) {
	p := partition{topic, topicID, number}
	c := &Chain{store: s, partition: p, dir: p.chainPath(), writer: rand.Text(), epoch: -1}
	s.troubles.begin(p)
	err := c.open(ctx, firstOffset)
	s.troubles.end(p, err, false)
	if err != nil {
		return nil, fmt.Errorf("open chain of %v: %w", p, err)
	}
	return c, nil
}

func (c *Chain) open(ctx context.Context, firstOffset func(context.Context) (int64, error)) error {
	if err := c.partition.validate(); err != nil {
		return err
	}
	if err := c.refuseOtherIncarnations(ctx); err != nil {
		return err
	}
	header, err := c.readOrCreateHeader(ctx, firstOffset)
	if err != nil {
		return err
	}
	c.first = header.FirstOffset
	if err := c.findEnd(ctx, -1); err != nil {
		return err
	}
	c.tellLostLinks()
	return c.removeLeftovers(ctx)
}

// refuseOtherIncarnations guards the offsets: those of a topic that was
// deleted and created again say nothing about the old one's.
func (c *Chain) refuseOtherIncarnations(ctx context.Context) error {
	parent := path.Join(chainDir, c.partition.topic)
	for e, err := range c.store.files.list(ctx, parent, "") {
		if err != nil {
			return err
		}
		if e.folder && e.name != c.partition.topicID {
			return &StopError{Reason: "TopicRecreated", Err: fmt.Errorf("topic %q has the id %s, but the chain in %s is of %s: the topic was deleted and created again; use another data directory, or move the old one away",
				c.partition.topic, c.partition.topicID, parent, e.name)}
		}
	}
	return nil
}

func (c *Chain) readOrCreateHeader(ctx context.Context, firstOffset func(context.Context) (int64, error)) (Header, error) {
	header, err := readHeader(ctx, c.store.files, c.partition)
	if errors.Is(err, fs.ErrNotExist) {
		if err := c.createHeader(ctx, firstOffset); err != nil {
			return Header{}, err
		}
		header, err = readHeader(ctx, c.store.files, c.partition)
	}
	return header, err
}

// createHeader creates the header unless another writer is faster; either way
// there is one when it returns nil.
func (c *Chain) createHeader(ctx context.Context, firstOffset func(context.Context) (int64, error)) error {
	if err := c.refuseLinksWithoutHeader(ctx); err != nil {
		return err
	}
	first, err := firstOffset(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", errNotStorage, err)
	}
	p := c.partition
	content, err := encodeChecked(Header{Version: formatVersion, Topic: p.topic, TopicID: p.topicID, Partition: p.number, FirstOffset: first})
	if err != nil {
		return err
	}
	failure := c.store.files.create(ctx, p.stagedName(headerName, c.writer, linkSuffix), path.Join(c.dir, headerName), content)
	if failure != nil {
		// As with a link, what is there decides.
		if _, err := readHeader(ctx, c.store.files, p); err != nil {
			return errors.Join(failure, err)
		}
	}
	return nil
}

func (c *Chain) refuseLinksWithoutHeader(ctx context.Context) error {
	for e, err := range c.store.files.list(ctx, c.dir, "") {
		if err != nil {
			return err
		}
		if _, ok := parseOffsetName(e.name); !ok {
			continue
		}
		// A header that was made meanwhile is older than the link.
		if _, err := readHeader(ctx, c.store.files, c.partition); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return damaged("%s has links, but no header: restore it from a backup", c.dir)
	}
	return nil
}

// findEnd finds the chain's end from an offset on that was an end before; -1 is
// none. It begins anew when retention has passed where it began.
func (c *Chain) findEnd(ctx context.Context, known int64) error {
	for {
		begin, err := readBoundaries(ctx, c.store.files, c.partition, c.first)
		if err != nil {
			return err
		}
		if known < begin.links {
			if known, err = c.walkFrom(ctx, begin.links); err != nil {
				return err
			}
			c.totals = Totals{}
		}
		from := known
		if err := c.walk(ctx, from, begin.data); err != nil {
			return err
		}
		if passed, err := c.isBehindBoundary(ctx, from); err != nil || !passed {
			return err
		}
		known = -1
	}
}

// isBehindBoundary reports whether links at this offset have been removed.
func (c *Chain) isBehindBoundary(ctx context.Context, offset int64) (bool, error) {
	begin, err := readBoundaries(ctx, c.store.files, c.partition, c.first)
	return offset < begin.links, err
}

// walk follows the links from an offset to the chain's end, and publishes the
// last one, if it begins at dataBegin or later: those before it are published,
// see lastLink. Whatever it passes is durable then.
func (c *Chain) walk(ctx context.Context, offset, dataBegin int64) error {
	var last *Link
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		link, err := readLink(ctx, c.store.files, c.partition, offset)
		if errors.Is(err, fs.ErrNotExist) {
			c.sealed = offset
			break
		}
		if err != nil {
			return err
		}
		c.passed(link)
		last, offset = &link, link.NextOffset
	}
	if last == nil || last.BaseOffset < dataBegin {
		return nil
	}
	return c.publish(ctx, *last)
}

func (c *Chain) passed(link Link) {
	c.epoch = link.LeaderEpoch
	if link.Totals != nil {
		c.totals = *link.Totals
	} else {
		c.totals = c.totals.plus(link)
	}
}

// removeLeftovers removes what dead writers of this partition have staged and
// can never seal: data, links and headers whose place in the chain is taken.
// That cannot harm a writer that lives. If its base offset is before the
// chain's end, another link has its place, so that it will lose; it finds its
// staged files gone and takes that as well. Data that a link names has been
// published by the walk before. Files staged at the chain's end are left
// alone: one of them may be sealed the next moment.
func (c *Chain) removeLeftovers(ctx context.Context) error {
	prefix := c.partition.stagedPrefix()
	for e, err := range c.store.files.list(ctx, stagingDir, prefix) {
		if err != nil {
			return err
		}
		what, _, _ := strings.Cut(strings.TrimPrefix(e.name, prefix), "-")
		if base, ok := parseOffsetName(what); !ok && what != headerName && what != headName || ok && base >= c.sealed {
			continue
		}
		if err := c.store.files.remove(ctx, path.Join(stagingDir, e.name)); err != nil {
			return err
		}
	}
	return nil
}

// NextOffset is the offset of the next record to append. It moves with Append,
// and with Seal to the end of what other writers have sealed.
func (c *Chain) NextOffset() int64 {
	if c.pending != nil {
		return c.pending.link.NextOffset
	}
	return c.sealed
}

// LeaderEpoch is that of the leader which wrote what the chain ends with, -1
// when the chain does not say.
func (c *Chain) LeaderEpoch() int32 { return c.epoch }

// Close gives up what is not sealed, and removes what has been staged of it,
// unless a link may name it.
func (c *Chain) Close() error {
	p := c.pending
	c.pending, c.failed = nil, errors.New("chain is closed")
	if p == nil {
		return nil
	}
	return p.drop(c.store)
}
