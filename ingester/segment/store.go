package segment

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"path"
	"sync"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/prometheus/client_golang/prometheus"
)

// store keeps files by their names, which have '/' between folders. Any number
// of processes may use one at once.
type store interface {
	reader
	linker
	keeper
}

// reader is the part that proving and reading needs.
type reader interface {
	// open reads a file; one that is not there is fs.ErrNotExist.
	open(ctx context.Context, name string) (io.ReadCloser, error)
	// list yields what is directly in a folder and begins with prefix, in no
	// particular order. A folder that is not there is empty.
	list(ctx context.Context, folder, prefix string) iter.Seq2[entry, error]
}

// readRemover is a store that is only looked at, but for what is removed from it.
type readRemover interface {
	reader
	remover
}

type remover interface {
	// remove removes a file, if it is there.
	remove(ctx context.Context, name string) error
}

type entry struct {
	name   string // without its folder
	folder bool
}

// linker makes the small files of a chain.
type linker interface {
	// create makes a file durably, under a name that must be free; of all who
	// try, one succeeds. It may use staged, a name of the caller's own, on the
	// way. fs.ErrExist says that the name is taken, possibly by the caller
	// himself, and errRefused that nothing was created nor will be; after any
	// other error it may have been created, or yet be.
	create(ctx context.Context, staged, name string, content []byte) error
	// replace makes a hint, which need be neither durable nor the newest.
	replace(ctx context.Context, staged, name string, content []byte) error
}

// keeper keeps the data of segments.
type keeper interface {
	// stage begins data under a name of the caller's own.
	stage(name string) (stagedData, error)
	// publish moves the data of a link, whose name in the folder chain is made
	// durable before. It may be repeated, by anyone and at any time. It returns
	// errMissing when the data is neither staged nor published.
	publish(ctx context.Context, chain string, link Link) error
	// removeBefore removes the files of a folder whose names sort before name.
	removeBefore(ctx context.Context, folder, name string) error
	remover
}

// stagedData is written by one writer, in order.
type stagedData interface {
	io.ReadWriteSeeker
	// finish makes the data durable under its name. Afterwards it is a file of
	// the store, which remove removes.
	finish(ctx context.Context) error
	// drop gives up data that is not finished.
	drop() error
}

var (
	errRefused = errors.New("nothing was created")
	errMissing = errors.New("data of a sealed segment is missing")
)

// Store holds the segments and their chains, in a directory or in an object
// store. It is safe for concurrent use.
type Store struct {
	files    store
	config   config.Segment
	logger   *slog.Logger
	metrics  metrics
	encoders *encoders
	space    space
	troubles *troubles
}

// Open opens the store that a configuration names: its object store, or else
// its data directory; see OpenObjectStore and OpenDirectory.
func Open(ctx context.Context, cfg config.Config, logger *slog.Logger, reg prometheus.Registerer) (*Store, error) {
	if cfg.ObjectStore.URL != "" {
		return OpenObjectStore(ctx, cfg.ObjectStore.URL, cfg.StagingDir(), cfg.Segment, logger, reg)
	}
	return OpenDirectory(cfg.DataDir, cfg.Segment, logger, reg)
}

func newStore(files store, cfg config.Segment, logger *slog.Logger, reg prometheus.Registerer) (*Store, error) {
	encoders, err := newEncoders(cfg.Compression)
	if err != nil {
		return nil, err
	}
	metrics := newMetrics(reg)
	troubles := &troubles{slowAfter: slowAfter, of: map[partition]attempts{}, failed: func(kind string) { metrics.failures.WithLabelValues(kind).Inc() }}
	reg.MustRegister(troubles)
	return &Store{files: files, config: cfg, logger: logger, metrics: metrics, encoders: encoders, troubles: troubles}, nil
}

// contest is the part of a store that proves itself. Its contenders are created
// under one name.
type contest struct {
	create func(staged, name string, content []byte) error
	read   func(name string) ([]byte, error)
	remove func(name string) error
}

// run lets two contenders create the same name at once, and reads back whose
// it is.
func (c contest) run() error {
	name := path.Join(stagingDir, "contest-"+rand.Text())
	contenders := [2]string{name + "-a", name + "-b"}
	defer func() {
		for _, file := range append(contenders[:], name) {
			_ = c.remove(file) // a leftover of a contest harms nobody
		}
	}()
	var results [2]error
	var wg sync.WaitGroup
	for i, file := range contenders {
		wg.Go(func() { results[i] = c.create(file, name, []byte(file)) })
	}
	wg.Wait()
	content, err := c.read(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return judgeContest(string(content), contenders, results)
}

// errUndecided is a contest that a full or read-only disk, or a store that does
// not answer, has kept from being held. That passes, and says nothing of who would
// have won.
var errUndecided = errors.New("the store cannot prove yet that it creates exclusively")

// judgeContest: content is the winner's, empty when there is none.
func judgeContest(content string, contenders [2]string, results [2]error) error {
	const remedy = "use a volume whose file system has link(2), or an object store that honours If-None-Match"
	if results[0] == nil && results[1] == nil {
		return fmt.Errorf("%w: both of two contenders created it; %s", ErrExclusiveCreateUnsupported, remedy)
	}
	for _, failure := range results {
		if failure != nil && passes(failure) {
			return fmt.Errorf("%w: %w", errUndecided, failure)
		}
	}
	if content == "" {
		return fmt.Errorf("%w: neither of two contenders created it (%w); %s", ErrExclusiveCreateUnsupported, errors.Join(results[:]...), remedy)
	}
	winner := 0
	if content == contenders[1] {
		winner = 1
	}
	if loser := results[1-winner]; !errors.Is(loser, fs.ErrExist) {
		return fmt.Errorf("%w: the second of two contenders was not told that it exists (%w)", ErrExclusiveCreateUnsupported, loser)
	}
	return nil
}
