package segment

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"path"
)

// milestoneEvery is how many segments a writer seals between two milestones.
const milestoneEvery = 32

// head says that every link before an offset is published, so that opening a
// chain need not walk it from its start. It is a hint: it may be missing, torn
// or old, and is therefore neither fsynced nor exclusive. It never runs ahead
// of the truth, since it is written after the publishing was made durable, and
// the link that it names has to bear it out.
//
// There are two: head is written with each seal, and milestone now and then, for
// the case that head is lost. Without both the names of all links are listed,
// which takes an object store a request for every thousand.
type head struct {
	Version    int   `json:"version"`
	BaseOffset int64 `json:"baseOffset"`
	NextOffset int64 `json:"nextOffset"`
}

// walkFrom returns an offset before which every link is published: a hint's,
// or that of the last link, or where the links begin.
func (c *Chain) walkFrom(ctx context.Context, begin int64) (int64, error) {
	for _, name := range []string{headName, milestoneName} {
		h, ok := readHint(ctx, c.store.files, c.partition, name)
		if !ok {
			continue
		}
		c.hinted = max(c.hinted, h.NextOffset)
		link, err := readLink(ctx, c.store.files, c.partition, h.BaseOffset)
		if err == nil && link.NextOffset == h.NextOffset && link.Totals != nil {
			return max(begin, h.BaseOffset), nil
		}
	}
	return c.lastLink(ctx, begin)
}

// readHint returns a hint as it is; a link has to bear it out.
func readHint(ctx context.Context, from reader, p partition, name string) (h head, ok bool) {
	document, err := readFile(ctx, from, path.Join(p.chainPath(), name))
	ok = err == nil && json.Unmarshal(document, &h) == nil && h.Version == formatVersion && h.BaseOffset < h.NextOffset
	return h, ok
}

// HintedOffset is the furthest that the hints told, when the chain was opened, of
// where it ends; 0 when there was none. Since they never run ahead, it is behind
// the chain's end only when links have been lost, or a hint is damaged.
func (c *Chain) HintedOffset() int64 { return c.hinted }

// tellLostLinks warns of a chain that ends before it once did: what was lost is
// stored again where its source still has it.
func (c *Chain) tellLostLinks() {
	if c.hinted > c.sealed {
		c.store.logger.Warn("the hint of the chain names a link that is not there: links have been lost", "partition", c.partition.String(), "chain", c.dir, "hintedOffset", c.hinted, "nextOffset", c.sealed)
	}
}

// lastLink finds the last link by its name. All links before it are published:
// whoever created it had seen to that, since a writer seals only where it has
// walked to, and it goes on from its own link only when that is published. What
// is before begin is in the place of a removed link, and no part of the chain.
func (c *Chain) lastLink(ctx context.Context, begin int64) (int64, error) {
	last := begin
	for e, err := range c.store.files.list(ctx, c.dir, "") {
		if err != nil {
			return 0, err
		}
		if base, ok := parseOffsetName(e.name); ok {
			last = max(last, base)
		}
	}
	link, err := readLink(ctx, c.store.files, c.partition, last)
	if err == nil && link.Totals == nil {
		last = begin // they have to be added up
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return last, err
}

// writeHints hints at the last link that is known to be published. That it may
// fail is the nature of a hint.
func (c *Chain) writeHints(ctx context.Context, last Link) {
	content, err := encodeLine(head{formatVersion, last.BaseOffset, last.NextOffset})
	if err != nil {
		return
	}
	hint := func(name string) {
		staged := c.partition.stagedName(headName, c.writer, "")
		_ = c.store.files.replace(ctx, staged, path.Join(c.dir, name), content)
	}
	hint(headName)
	if c.seals%milestoneEvery == 0 {
		hint(milestoneName)
	}
	c.seals++
}
