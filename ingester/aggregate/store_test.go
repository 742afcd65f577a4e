package aggregate

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// folder is a store in memory: segments as runs of lines, and roll-ups.
type folder struct {
	segments map[Source][]Run
	rollups  map[string][]byte
	asked    []time.Time // from and to of the last query
	broken   error
}

func newFolder() *folder {
	return &folder{segments: make(map[Source][]Run), rollups: make(map[string][]byte)}
}

func (f *folder) Segments(_ context.Context, topic string, from, to time.Time) iter.Seq2[Source, error] {
	f.asked = []time.Time{from, to}
	return func(yield func(Source, error) bool) {
		if f.broken != nil {
			yield(Source{}, f.broken)
			return
		}
		for s := range maps.Keys(f.segments) {
			if s.Topic == topic && !yield(s, nil) {
				return
			}
		}
	}
}

func (f *folder) Rollup(_ context.Context, name string) ([]byte, error) {
	document, found := f.rollups[name]
	if !found {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return slices.Clone(document), nil
}

func (f *folder) WriteRollup(_ context.Context, name string, document []byte) error {
	if f.broken != nil {
		return f.broken
	}
	f.rollups[name] = document
	return nil
}

func (f *folder) Lines(_ context.Context, of Source) iter.Seq2[Run, error] {
	return func(yield func(Run, error) bool) {
		for _, run := range f.segments[of] {
			if !yield(run, nil) {
				return
			}
		}
		if f.broken != nil {
			yield(Run{}, f.broken)
		}
	}
}

func at10(n int64) Source {
	return Source{Topic: "logs", TopicID: "id", Partition: 1, BaseOffset: 10 * n, NextOffset: 10*n + 10}
}

// keep adds a segment of one run.
func (f *folder) keep(of Source, timestamp int64, lines ...string) {
	f.segments[of] = append(f.segments[of], Run{[]byte(strings.Join(lines, "\n") + "\n"), timestamp})
}

func (f *folder) count(t *testing.T, plan *Plan, of Source) {
	t.Helper()
	r, err := plan.Count(t.Context(), f, of)
	if err != nil {
		t.Fatal(err)
	}
	f.rollups[plan.Name(of)] = r.Encode(of)
}

var errDisk = errors.New("the disk is on fire")
