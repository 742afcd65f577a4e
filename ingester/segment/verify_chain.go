package segment

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
)

// chainWalk follows one chain and checks what each link says.
type chainWalk struct {
	*verifier
	partition partition
	next      int64 // where the next link has to begin
	report    ChainReport
}

// run walks the links that were listed, and then those that have been sealed
// since.
func (w *chainWalk) run(ctx context.Context, listed []int64) error {
	for _, base := range listed {
		if err := w.advanceTo(ctx, base); err != nil {
			return err
		}
		if base < w.next {
			w.problem(base, "overlaps the link before it, which ends at offset %d", w.next)
			continue
		}
		if base > w.next {
			w.problem(base, "leaves a gap: offsets %d to %d are in no link", w.next, base-1)
		}
		if err := w.visit(ctx, base); err != nil {
			return err
		}
	}
	return w.advanceTo(ctx, -1)
}

// advanceTo follows links that were sealed after the listing, up to a base
// offset that was listed, or to the end for -1.
func (w *chainWalk) advanceTo(ctx context.Context, base int64) error {
	for base < 0 || w.next < base {
		before := w.next
		found, err := w.visitIfExists(ctx, before)
		if err != nil || !found {
			return err
		}
	}
	return nil
}

func (w *chainWalk) visit(ctx context.Context, base int64) error {
	found, err := w.visitIfExists(ctx, base)
	if err == nil && !found {
		w.problem(base, "has been removed while the chain was walked")
	}
	return err
}

// visitIfExists checks the link at an offset and its data, and moves on to its
// next offset. A link that cannot be read is a problem of its own; the walk
// goes on behind it, where the next listed link begins.
func (w *chainWalk) visitIfExists(ctx context.Context, base int64) (found bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	link, err := readLink(filepath.Join(w.root, w.partition.chainPath()), w.partition, base)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		w.problem(base, "%v", err)
		w.next = base + 1
		return true, nil
	}
	w.next = link.NextOffset
	w.report.Records += link.Records
	w.report.WithoutRecords += link.NextOffset - link.BaseOffset - link.Records
	if link.Records > 0 {
		w.report.Segments++
		w.report.Bytes += link.Bytes
		return true, w.verifyData(ctx, link)
	}
	return true, nil
}

func (w *chainWalk) problem(base int64, format string, args ...any) {
	w.verifier.report.add(filepath.Join(w.partition.chainPath(), offsetName(base)), format, args...)
}
