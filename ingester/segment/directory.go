package segment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/durable"
	"github.com/prometheus/client_golang/prometheus"
)

// directory is a store on a local disk or a shared volume. It holds nothing
// open.
type directory struct {
	root string
	// link creates a name for a file and fails if the name exists; os.Link.
	link func(file, name string) error
	made sync.Map // folders of chains that this process has made durable

	proving  sync.Mutex
	unproven bool // the contest has not been held yet
}

// OpenDirectory opens a data directory, and makes it if it is not there. It
// lets two contenders create one link: a file system on which not exactly one
// of them succeeds is refused with ErrExclusiveCreateUnsupported. On a disk
// that is full or read-only the contest is put off until the first link is to be
// created: what makes room again may need the store.
func OpenDirectory(dir string, cfg config.Segment, logger *slog.Logger, reg prometheus.Registerer) (*Store, error) {
	d := &directory{root: dir, link: os.Link}
	switch err := d.prepare(); {
	case errors.Is(err, errUndecided):
		logger.Warn("data directory takes nothing; it is opened nevertheless", "dir", dir, "error", err)
	case err != nil:
		return nil, fmt.Errorf("open data directory %q: %w", dir, err)
	}
	return newStore(d, cfg, logger, reg)
}

func (d *directory) prepare() error {
	if there, err := exists(d.root); err != nil || !there {
		// Its name must be as durable as what it will hold.
		err = errors.Join(err, os.MkdirAll(d.root, 0o755), durable.SyncDir(filepath.Dir(d.root)))
		if err != nil {
			return err
		}
	}
	for _, dir := range []string{stagingDir, chainDir, segmentsDir} {
		if err := makeDirs(d.root, dir); err != nil {
			return err
		}
	}
	d.unproven = true
	return d.prove()
}

// prove holds the contest, unless that has been done.
func (d *directory) prove() error {
	d.proving.Lock()
	defer d.proving.Unlock()
	if !d.unproven {
		return nil
	}
	remove := func(name string) error { return removeIfExists(d.path(name)) }
	if err := (contest{d.createDurable, d.read, remove}).run(); err != nil {
		return err
	}
	d.unproven = false
	return nil
}

func (d *directory) path(name string) string {
	return filepath.Join(d.root, filepath.FromSlash(name))
}

func (d *directory) open(_ context.Context, name string) (io.ReadCloser, error) {
	return os.Open(d.path(name))
}

// list reads a few entries at a time, so that a large folder is never held.
func (d *directory) list(ctx context.Context, folder, prefix string) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		f, err := os.Open(d.path(folder))
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			yield(entry{}, err)
			return
		}
		defer func() { _ = f.Close() }()
		for {
			entries, err := f.ReadDir(1024)
			for _, e := range entries {
				if strings.HasPrefix(e.Name(), prefix) && !yield(entry{e.Name(), e.IsDir()}, nil) {
					return
				}
			}
			if len(entries) > 0 && ctx.Err() == nil {
				continue
			}
			if err = errors.Join(err, ctx.Err()); !errors.Is(err, io.EOF) || ctx.Err() != nil {
				yield(entry{}, err)
			}
			return
		}
	}
}

func (d *directory) read(name string) ([]byte, error) { return os.ReadFile(d.path(name)) }

func (d *directory) create(_ context.Context, staged, name string, content []byte) error {
	if err := d.prove(); err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	return d.createDurable(staged, name, content)
}

// createDurable stages the content and links it to its name. The staged name
// is not needed afterwards: a server that makes the link later, since its
// answer was lost, finds the file or fails.
func (d *directory) createDurable(staged, name string, content []byte) error {
	folder := path.Dir(name)
	if err := d.makeFolder(folder); err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	defer func() { _ = removeIfExists(d.path(staged)) }() // what is left is removed by whoever opens the chain
	if err := durable.Create(d.path(staged), content, 0o644); err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	if err := d.link(d.path(staged), d.path(name)); err != nil {
		if isAnswer(err) {
			err = fmt.Errorf("%w: %w", errRefused, err)
		}
		return err
	}
	return durable.SyncDir(d.path(folder))
}

// makeFolder makes a folder of the chain durable, once: others may have made
// it and died.
func (d *directory) makeFolder(folder string) error {
	if _, made := d.made.Load(folder); made {
		return nil
	}
	err := makeDirs(d.root, filepath.FromSlash(folder))
	if err == nil {
		d.made.Store(folder, true)
	}
	return err
}

// isAnswer tells a file system's refusal from the want of an answer: after the
// latter the link may yet appear.
func isAnswer(err error) bool {
	answers := []error{syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.ENOSPC, syscall.EDQUOT, syscall.ENOENT}
	return slices.ContainsFunc(answers, func(answer error) bool { return errors.Is(err, answer) })
}

func (d *directory) replace(_ context.Context, staged, name string, content []byte) error {
	err := os.WriteFile(d.path(staged), content, 0o644)
	if err == nil {
		err = os.Rename(d.path(staged), d.path(name))
	}
	if err != nil {
		return errors.Join(err, removeIfExists(d.path(staged)))
	}
	return nil
}

func (d *directory) remove(_ context.Context, name string) error {
	return removeIfExists(d.path(name))
}
