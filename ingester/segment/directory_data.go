package segment

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/logpipeline/logpipeline/ingester/durable"
)

// stage creates the file in which the data is written, in place.
func (d *directory) stage(name string) (stagedData, error) {
	f, err := os.OpenFile(d.path(name), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	return &stagedFile{f}, nil
}

type stagedFile struct{ *os.File }

// finish makes content and name durable.
func (f *stagedFile) finish(context.Context) error {
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(f.Name()))
}

func (f *stagedFile) drop() error {
	_ = f.Close() // its content is given up
	return removeIfExists(f.Name())
}

// publish renames. The link is made durable first, because whoever created it
// may have died before that: were it lost with the power after its data had
// been published, the next link at its offset would find a file in its place.
func (d *directory) publish(_ context.Context, chain string, link Link) error {
	if link.Records == 0 {
		return durable.SyncDir(d.path(chain))
	}
	final, staged := d.path(link.DataPath), d.path(link.Staged)
	if waiting, err := exists(staged); err != nil || !waiting {
		return errors.Join(err, d.confirmPublished(chain, final))
	}
	err := errors.Join(durable.SyncDir(d.path(chain)), makeDirs(d.root, filepath.FromSlash(path.Dir(link.DataPath))))
	if err != nil {
		return err
	}
	if err := os.Rename(staged, final); errors.Is(err, fs.ErrNotExist) {
		return d.confirmPublished(chain, final)
	} else if err != nil {
		return err
	}
	// A crash may have left both names of the file; then rename does nothing.
	return errors.Join(removeIfExists(staged), durable.SyncDir(filepath.Dir(final)), durable.SyncDir(d.path(stagingDir)))
}

// confirmPublished is called when the staged data is gone: another writer has
// published it meanwhile, or it has been removed.
func (d *directory) confirmPublished(chain, final string) error {
	published, err := exists(final)
	if err != nil {
		return err
	}
	if !published {
		if err := durable.SyncDir(d.path(chain)); err != nil {
			return err
		}
		return errMissing
	}
	return durable.SyncDir(filepath.Dir(final))
}
