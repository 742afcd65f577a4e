package segment

import (
	"context"
	"path"
	"strconv"
	"time"
)

// rollupsDir holds what is derived from segments: files of any kind whose names
// begin with the base offset of theirs, in a folder for each chain.
const rollupsDir = "rollups"

// sweepEvery is how long roll-ups may outlive their data. It is a bound on the
// work: a directory is read as a whole to find the old ones.
const sweepEvery = 10 * time.Minute

func (p partition) rollupsPath() string {
	return path.Join(rollupsDir, p.topic, p.topicID, strconv.Itoa(int(p.number)))
}

// sweep removes the roll-ups of segments whose data is removed, those included
// that were written late.
func (c *Chain) sweep(ctx context.Context, now time.Time) error {
	r := c.retained
	if r.swept == r.data.at || now.Sub(r.sweptAt) < sweepEvery {
		return nil
	}
	err := c.store.files.removeBefore(ctx, c.partition.rollupsPath(), offsetName(r.data.at))
	if err == nil {
		r.swept, r.sweptAt = r.data.at, now
	}
	return err
}

// removeBefore reads the whole folder.
func (d *directory) removeBefore(ctx context.Context, folder, name string) error {
	return removeBefore(ctx, d, folder, name, false)
}

// removeBefore lists no more than it removes, because objects are listed in the
// order of their names.
func (b *bucket) removeBefore(ctx context.Context, folder, name string) error {
	return removeBefore(ctx, b, folder, name, true)
}

func removeBefore(ctx context.Context, from readRemover, folder, name string, inOrder bool) error {
	for e, err := range from.list(ctx, folder, "") {
		switch {
		case err != nil:
			return err
		case e.name >= name && inOrder:
			return nil
		case e.name >= name || e.folder:
			continue
		}
		if err := from.remove(ctx, path.Join(folder, e.name)); err != nil {
			return err
		}
	}
	return nil
}
