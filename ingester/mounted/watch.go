package mounted

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Run keeps the values up to date until ctx ends, and then returns. Changes
// are usually noticed within a second, and within a minute at the latest.
// Changed files that can't be used are read again after some seconds.
func (w *Watcher) Run(ctx context.Context) {
	var events <-chan fsnotify.Event
	var lost <-chan error
	notices, err := fsnotify.NewWatcher()
	if err != nil {
		w.logger.Warn("mounted files can't be watched, only read again from time to time; raise fs.inotify.max_user_instances", "intervalSeconds", w.reread.Seconds(), "error", err)
	} else {
		defer func() { _ = notices.Close() }()
		events, lost = notices.Events, notices.Errors
		w.watch(notices)
	}
	again := time.NewTicker(w.reread)
	defer again.Stop()
	settled := time.NewTimer(0) // for what changed before anybody watched
	defer settled.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case event := <-events:
			if w.concerns(event.Name) {
				settled.Reset(w.settle)
			}
			continue
		case err := <-lost:
			w.logger.Warn("notices of changed files were lost; reading all of them again", "error", err)
			settled.Reset(w.settle)
			continue
		case <-settled.C:
		case <-again.C:
			w.watch(notices) // a directory may have been replaced
		}
		if !w.reload(ctx) {
			settled.Reset(w.retry)
		}
	}
}

// watch asks for notices about the directories in which the files, or the
// links to them, are. What is watched already stays so.
func (w *Watcher) watch(notices *fsnotify.Watcher) {
	if notices == nil {
		return
	}
	for _, s := range w.sources {
		for _, path := range s.paths {
			directory := filepath.Dir(path)
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				directory = path
			}
			if err := notices.Add(directory); err != nil {
				w.logger.Warn("directory can't be watched; its files are read again from time to time", "files", s.name, "directory", directory, "intervalSeconds", w.reread.Seconds(), "error", err)
			}
		}
	}
}

// concerns reports whether a change at the path may be one of the files: of one
// itself, of a directory that stands for files, or of the link to a volume's
// generation. A directory may hold others, such as this process's own log.
func (w *Watcher) concerns(changed string) bool {
	changed = filepath.Clean(changed)
	directory, name := filepath.Dir(changed), filepath.Base(changed)
	for _, s := range w.sources {
		for _, path := range s.paths {
			path = filepath.Clean(path)
			if changed == path || directory == path || changed == filepath.Dir(path) || name == "..data" && directory == filepath.Dir(path) {
				return true
			}
		}
	}
	return false
}

// reload brings all values up to date; it is false if one can't be.
func (w *Watcher) reload(ctx context.Context) (all bool) {
	all = true
	for _, s := range w.sources {
		changed, err := s.load(ctx)
		if ctx.Err() != nil {
			return all // a try that was broken off says nothing
		}
		if err != nil {
			all = false
			w.metrics.failures.WithLabelValues(s.name).Inc()
			w.failed(ctx, s, err)
			continue
		}
		s.told = time.Time{}
		if changed {
			w.metrics.reloads.WithLabelValues(s.name).Inc()
			w.logger.Info("changed files are in use", "files", s.name)
			w.leftOut(s)
		}
		if s.partial != nil {
			w.metrics.failures.WithLabelValues(s.name).Inc()
			continue
		}
		w.metrics.lastSuccess.WithLabelValues(s.name).SetToCurrentTime()
	}
	return all
}

// failed tells of files that are not in use; as long as nothing else becomes of
// them, not each time that they are read.
func (w *Watcher) failed(ctx context.Context, s *source, err error) {
	undecided := errors.Is(err, ErrUndecided)
	if undecided == s.undecided && time.Since(s.told) < w.reread {
		return
	}
	s.told, s.undecided = time.Now(), undecided
	level, what := slog.LevelError, "changed files can't be used; what they said before stays in use"
	if undecided {
		level, what = slog.LevelWarn, "changed files could not be tried yet; what they said before stays in use"
	}
	w.logger.Log(ctx, level, what, "files", s.name, "error", err)
}

// leftOut tells of the files that are not in use, while the others are.
func (w *Watcher) leftOut(s *source) {
	if s.partial == nil {
		return
	}
	for _, err := range s.partial.Errs {
		w.logger.Error("file can't be used and is left out; what it said before holds no more", "files", s.name, "error", err)
	}
}
