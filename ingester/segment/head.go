package segment

import (
	"encoding/json"
	"os"
	"path/filepath"
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

// readHead returns an offset at which the chain has a link boundary: the
// hint's, if the link that it names bears it out, or the chain's first offset.
func (c *Chain) readHead(header Header) int64 {
	var h head
	document, err := os.ReadFile(filepath.Join(c.dir, headName))
	if err != nil || json.Unmarshal(document, &h) != nil || h.Version != formatVersion {
		return header.FirstOffset
	}
	link, err := readLink(c.dir, c.partition, h.BaseOffset)
	if err != nil || link.NextOffset != h.NextOffset {
		return header.FirstOffset
	}
	return h.BaseOffset
}

// writeHead hints at the last link that is known to be published. That it may
// fail is the nature of a hint.
func (c *Chain) writeHead(last Link) {
	content, err := encodeLine(head{formatVersion, last.BaseOffset, last.NextOffset})
	if err != nil {
		return
	}
	staged := c.directory.path(c.partition.stagedName(headName, c.writer, ""))
	if err := os.WriteFile(staged, content, 0o644); err == nil {
		err = os.Rename(staged, filepath.Join(c.dir, headName))
		if err != nil {
			_ = os.Remove(staged)
		}
	}
}
