package segment

import (
	"context"
	"encoding/json"
	"path"
)

// head says that every link before an offset is published, so that opening a
// chain need not walk it from its start. It is a hint: it may be missing, torn
// or old, and is therefore neither fsynced nor exclusive. It never runs ahead
// of the truth, since it is written after the publishing was made durable.
type head struct {
	Version    int   `json:"version"`
	BaseOffset int64 `json:"baseOffset"`
	NextOffset int64 `json:"nextOffset"`
}

// readHead returns an offset at which the chain has a link: the hint's, if the
// link that it names bears it out, or where the links begin.
func (c *Chain) readHead(ctx context.Context, begin int64) int64 {
	var h head
	document, err := readFile(ctx, c.store.files, path.Join(c.dir, headName))
	if err != nil || json.Unmarshal(document, &h) != nil || h.Version != formatVersion {
		return begin
	}
	link, err := readLink(ctx, c.store.files, c.partition, h.BaseOffset)
	if err != nil || link.NextOffset != h.NextOffset {
		return begin
	}
	return h.BaseOffset
}

// writeHead hints at the last link that is known to be published. That it may
// fail is the nature of a hint.
func (c *Chain) writeHead(ctx context.Context, last Link) {
	content, err := encodeLine(head{formatVersion, last.BaseOffset, last.NextOffset})
	if err != nil {
		return
	}
	staged := c.partition.stagedName(headName, c.writer, "")
	_ = c.store.files.replace(ctx, staged, path.Join(c.dir, headName), content)
}
