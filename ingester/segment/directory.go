package segment

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/prometheus/client_golang/prometheus"
)

// Directory is a data directory on a local disk or a shared volume. Any
// number of processes may use one at once. It is safe for concurrent use and
// holds nothing open.
type Directory struct {
	root    string
	config  config.Segment
	logger  *slog.Logger
	metrics metrics

	// link creates a name for a file and fails if the name exists; os.Link.
	link func(file, name string) error
}

// OpenDirectory makes the directory if it is not there, and lets two
// contenders create one link: a file system on which not exactly one of them
// succeeds is refused with ErrExclusiveCreateUnsupported.
func OpenDirectory(dir string, cfg config.Segment, logger *slog.Logger, reg prometheus.Registerer) (*Directory, error) {
	d := &Directory{root: dir, config: cfg, logger: logger, metrics: newMetrics(reg), link: os.Link}
	if err := d.prepare(); err != nil {
		return nil, fmt.Errorf("open data directory %q: %w", dir, err)
	}
	return d, nil
}

func (d *Directory) prepare() error {
	if there, err := exists(d.root); err != nil || !there {
		// Its name must be as durable as what it will hold.
		err = errors.Join(err, os.MkdirAll(d.root, 0o755), syncDir(filepath.Dir(d.root)))
		if err != nil {
			return err
		}
	}
	for _, dir := range []string{stagingDir, chainDir, segmentsDir} {
		if err := makeDirs(d.root, dir); err != nil {
			return err
		}
	}
	return d.proveExclusiveCreate()
}

func (d *Directory) path(relative string) string {
	return filepath.Join(d.root, filepath.FromSlash(relative))
}

// proveExclusiveCreate lets two contenders create the same name at once, and
// reads back whose it is.
func (d *Directory) proveExclusiveCreate() error {
	token := rand.Text()
	name := d.path(filepath.Join(stagingDir, "contest-"+token))
	contenders := [2]string{name + "-a", name + "-b"}
	defer func() {
		for _, file := range append(contenders[:], name) {
			_ = removeIfExists(file) // a leftover of a contest harms nobody
		}
	}()
	for _, file := range contenders {
		if err := writeDurable(file, []byte(file)); err != nil {
			return err
		}
	}
	var results [2]error
	var wg sync.WaitGroup
	for i, file := range contenders {
		wg.Go(func() { results[i] = d.link(file, name) })
	}
	wg.Wait()
	return judgeContest(name, contenders, results)
}

func judgeContest(name string, contenders [2]string, results [2]error) error {
	if results[0] == nil && results[1] == nil {
		return fmt.Errorf("%w: both of two contenders created it; use a volume whose file system has link(2)", ErrExclusiveCreateUnsupported)
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("%w: neither of two contenders created it (%w); use a volume whose file system has link(2)", ErrExclusiveCreateUnsupported, errors.Join(results[:]...))
	}
	winner := 0
	if string(content) == contenders[1] {
		winner = 1
	}
	if loser := results[1-winner]; !errors.Is(loser, fs.ErrExist) {
		return fmt.Errorf("%w: the second of two contenders was not told that it exists (%w)", ErrExclusiveCreateUnsupported, loser)
	}
	return nil
}
