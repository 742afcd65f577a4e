// Package mounted reads files that may change while the process runs, as those
// of Kubernetes Secrets and ConfigMaps do, and keeps what was made of them up
// to date.
//
// The kubelet writes the files of a volume into a new directory and then
// renames a symbolic link, ..data, to it. So what is watched is the directory
// in which the link is, and the link is followed once for all files that are
// read together: they are never of two generations. Files that no kubelet
// wrote are read as they are.
//
// A change that can't be read, or that makes no sense to who asked for the
// files, is logged and counted, and what was good before stays in use. Where
// the files are independent of each other, as those of several clients are, a
// Partial lets the good ones, and the removal of others, take effect.
package mounted

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// rereadInterval is the net for changes of which no notice comes: on
	// other file systems, in directories that are links themselves, and
	// where the kernel has no more watches to give.
	rereadInterval = time.Minute
	// retryInterval is how soon changed files that can't be used yet are read
	// and tried again.
	retryInterval = 5 * time.Second
	// settleTime is how long after a notice others may follow that belong to
	// the same change.
	settleTime = 100 * time.Millisecond
)

// Watcher keeps values up to date. All values are opened before it runs.
type Watcher struct {
	logger  *slog.Logger
	metrics metrics
	sources []*source

	reread, retry, settle time.Duration
}

// New returns a watcher of nothing.
func New(logger *slog.Logger, reg prometheus.Registerer) *Watcher {
	return &Watcher{logger: logger, metrics: newMetrics(reg), reread: rereadInterval, retry: retryInterval, settle: settleTime}
}

// Value is what was last made of the files. It may be used by any number of
// goroutines.
type Value[T any] struct{ current atomic.Pointer[T] }

// Get returns what the newest good files say. It costs an atomic load.
func (v *Value[T]) Get() T { return *v.current.Load() }

// Open reads the files at paths, makes a value of them with parse, and from
// then on does so again, when w runs, whenever they have changed. A path may
// name a directory, which stands for the regular files in it, in the order of
// their names, hidden ones left out. Files of one directory are read from one
// generation of it.
//
// name says in metrics and logs what the files are for; it must be used once.
// parse is called by one goroutine at a time, with files that it may keep. Its
// errors, and those of reading, name the path.
//
// When parse returns a *Partial, Open returns it beside the value, which is
// kept up to date all the same: the caller says whether it is good enough.
func Open[T any](w *Watcher, name string, parse func([]File) (T, error), paths ...string) (*Value[T], error) {
	return OpenTried(w, name, nil, parse, paths...)
}

// OpenTried is Open for files that are good only if somebody else agrees, such
// as a server whose credentials they are: changed files are given to parse once
// try returns nil for them. Until then what was good before stays in use, and
// they are tried every few seconds. The files that are opened are not tried.
//
// An error of try that is ErrUndecided says that it could not find out. The
// context ends with Run. No files of w are read while try runs: the caller
// bounds its time.
func OpenTried[T any](w *Watcher, name string, try func(context.Context, []File) error, parse func([]File) (T, error), paths ...string) (*Value[T], error) {
	value := &Value[T]{}
	s := &source{name: name, paths: paths, try: try, apply: func(files []File) error {
		parsed, err := parse(files)
		if err == nil || isPartial(err) {
			value.current.Store(&parsed)
		}
		return err
	}}
	files, err := read(paths)
	if err == nil {
		err = s.use(files)
	}
	if err != nil {
		return nil, err
	}
	w.sources = append(w.sources, s)
	w.metrics.opened(name)
	if s.partial != nil {
		w.leftOut(s)
		return value, s.partial
	}
	return value, nil
}

// ErrUndecided says of changed files that nobody knows yet whether they are good.
var ErrUndecided = errors.New("it is not known whether they are good")

// Partial is the error of a parse whose value is to be used, although not all
// files are in it.
type Partial struct {
	// Errs say what is wrong, and with which file.
	Errs []error
}

func (p *Partial) Error() string { return errors.Join(p.Errs...).Error() }

func isPartial(err error) bool {
	var partial *Partial
	return errors.As(err, &partial)
}

// source is the files behind one value.
type source struct {
	name  string
	paths []string
	try   func(context.Context, []File) error // nil: none is needed
	apply func([]File) error

	last      []File    // of which the value was made
	partial   *Partial  // what was left out of them
	told      time.Time // when it was last logged that they can't be used
	undecided bool      // whether that was for ErrUndecided
}

// load reads the files, and has them tried and uses them if they have changed.
// The error is why they are not in use at all.
func (s *source) load(ctx context.Context) (changed bool, err error) {
	files, err := read(s.paths)
	if err != nil || slices.EqualFunc(files, s.last, File.equal) {
		return false, err
	}
	if s.try != nil {
		if err := s.try(ctx, files); err != nil {
			return false, err
		}
	}
	err = s.use(files)
	return err == nil, err
}

// use makes the value of the files.
func (s *source) use(files []File) error {
	var partial *Partial
	if err := s.apply(files); err != nil && !errors.As(err, &partial) {
		return err
	}
	s.last, s.partial = files, partial
	return nil
}
