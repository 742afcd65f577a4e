package segment

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// publish moves the data of a link to its path. It may be repeated, by anyone
// and at any time.
//
// The link is made durable first, because whoever created it may have died
// before that: were it lost with the power after its data had been published,
// the next link at its offset would find a file in its place.
func (c *Chain) publish(link Link) error {
	if link.Records == 0 {
		return syncDir(c.dir)
	}
	final, staged := c.directory.path(link.DataPath), c.directory.path(link.Staged)
	if waiting, err := exists(staged); err != nil || !waiting {
		return errors.Join(err, c.confirmPublished(link, final))
	}
	err := errors.Join(syncDir(c.dir), makeDirs(c.directory.root, filepath.Dir(filepath.FromSlash(link.DataPath))))
	if err != nil {
		return err
	}
	if err := os.Rename(staged, final); errors.Is(err, fs.ErrNotExist) {
		return c.confirmPublished(link, final)
	} else if err != nil {
		return err
	}
	// A crash may have left both names of the file; then rename does nothing.
	return errors.Join(removeIfExists(staged), syncDir(filepath.Dir(final)), syncDir(c.directory.path(stagingDir)))
}

// confirmPublished is called when the staged data is gone: another writer has
// published it meanwhile, or somebody has deleted it. The latter does not keep
// the chain from growing: verify tells of it, and Kafka may still have the
// records.
func (c *Chain) confirmPublished(link Link, final string) error {
	published, err := exists(final)
	if err != nil {
		return err
	}
	if !published {
		c.directory.metrics.missing.Inc()
		c.directory.logger.Error("data of a sealed segment is missing", "path", link.DataPath, "records", link.Records)
		return syncDir(c.dir)
	}
	return syncDir(filepath.Dir(final))
}
