package segment

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"time"
)

// chainWalk follows one chain and checks what each link says.
type chainWalk struct {
	*verifier
	partition partition
	header    Header
	begin     boundaries
	next      int64 // where the next link has to begin
	// totals are those of all links before the next one; nil when the link
	// before it does not tell, or cannot be read.
	totals *Totals
	report ChainReport
}

// run walks the links that were listed, and then those that have been sealed
// since.
func (w *chainWalk) run(ctx context.Context, listed []int64) error {
	w.next = w.header.FirstOffset
	if err := w.moveToBegin(ctx); err != nil {
		return err
	}
	for _, base := range listed {
		if err := w.advanceTo(ctx, base); err != nil {
			return err
		}
		if base >= w.header.FirstOffset && base < w.begin.links {
			continue
		}
		if base < w.next {
			w.problem(base, "overlaps the link before it, which ends at offset %d", w.next)
			continue
		}
		if base > w.next {
			w.problem(base, "leaves a gap: offsets %d to %d are in no link", w.next, base-1)
			w.totals = nil
		}
		if err := w.visit(ctx, base); err != nil {
			return err
		}
	}
	return w.advanceTo(ctx, -1)
}

// readHints returns what the hints of a chain say, by their names.
func (v *verifier) readHints(ctx context.Context, p partition) map[string]head {
	hints := map[string]head{}
	for _, name := range []string{headName, milestoneName} {
		if h, ok := readHint(ctx, v.from, p, name); ok {
			hints[name] = h
		}
	}
	return hints
}

// checkHints: a hint may be old, but it was written when its link was there, so
// that a chain which ends before has lost links. That is told once: the hint that
// is written with each seal says the most.
func (w *chainWalk) checkHints(hints map[string]head) {
	for _, name := range []string{headName, milestoneName} {
		if h, ok := hints[name]; ok && h.NextOffset > w.next {
			w.verifier.report.add(path.Join(w.partition.chainPath(), name), "the hint names a link that is not there: it goes from offset %d up to %d, but the chain ends at %d: links have been lost, or the hint is damaged", h.BaseOffset, h.NextOffset, w.next)
			return
		}
	}
}

// moveToBegin goes on where the links begin by now, if that is further on, and
// counts what has been removed in between.
func (w *chainWalk) moveToBegin(ctx context.Context) (err error) {
	if w.begin, err = readBoundaries(ctx, w.from, w.partition, w.header.FirstOffset); err != nil || w.begin.links <= w.next {
		return err
	}
	w.next, w.totals = w.begin.links, nil
	link, err := readLink(ctx, w.from, w.partition, w.next)
	if before := link.before(); err == nil && before != nil {
		w.report.RemovedRecords = before.Records - w.report.Records
		w.report.RemovedBytes = before.Bytes - w.report.Bytes
		w.report.GapOffsets = before.GapOffsets
		w.report.WithoutRecords = w.next - w.header.FirstOffset - before.Records - before.GapOffsets
	}
	return ctx.Err()
}

// advanceTo follows links that were sealed after the listing, up to a base
// offset that was listed, or to the end for -1.
func (w *chainWalk) advanceTo(ctx context.Context, base int64) error {
	for base < 0 || w.next < base {
		before := w.next
		found, err := w.visitIfExists(ctx, before)
		if err == nil && !found { // or retention was faster
			err = w.moveToBegin(ctx)
		}
		if err != nil || w.next == before {
			return err
		}
	}
	return nil
}

func (w *chainWalk) visit(ctx context.Context, base int64) error {
	found, err := w.visitIfExists(ctx, base)
	if err != nil || found {
		return err
	}
	if err := w.moveToBegin(ctx); err != nil {
		return err
	}
	if base >= w.begin.links {
		w.problem(base, "has been removed while the chain was walked")
	}
	return nil
}

// visitIfExists checks the link at an offset and its data, and moves on to its
// next offset. A link that cannot be read is a problem of its own; the walk
// goes on behind it, where the next listed link begins.
func (w *chainWalk) visitIfExists(ctx context.Context, base int64) (found bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	link, err := readLink(ctx, w.from, w.partition, base)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		w.problem(base, "%v", err)
		w.next, w.totals = base+1, nil
		return true, nil
	}
	w.checkTotals(link)
	w.next = link.NextOffset
	w.report.WithoutRecords += link.NextOffset - link.BaseOffset - link.Records - link.gapOffsets()
	if link.Gap != nil {
		w.visitGap(link)
	}
	if link.Records == 0 {
		return true, nil
	}
	return true, w.visitData(ctx, link)
}

func (w *chainWalk) checkTotals(link Link) {
	if before := link.before(); w.totals != nil && before != nil && *before != *w.totals {
		w.problem(link.BaseOffset, "has totals of %v before it, but the links before it have %v", *before, *w.totals)
	}
	w.totals = link.Totals
}

func (w *chainWalk) visitGap(link Link) {
	gap := RecordedGap{FirstOffset: link.BaseOffset, NextOffset: link.NextOffset, Reason: link.Gap.Reason, RecordedAt: time.UnixMilli(link.Gap.RecordedAt).UTC()}
	w.report.GapOffsets += link.gapOffsets()
	if len(w.report.Gaps) < maxListed {
		w.report.Gaps = append(w.report.Gaps, gap)
	}
	if w.NoGaps {
		w.problem(link.BaseOffset, "is a gap: %v", gap)
	}
}

// visitData: data may be gone that retention has removed, and may be removed
// while it is looked for.
func (w *chainWalk) visitData(ctx context.Context, link Link) error {
	if link.BaseOffset >= w.begin.data && !w.linksOnly && w.includes(time.UnixMilli(link.FirstTimestamp), time.UnixMilli(link.LastTimestamp)) {
		f, name, err := openData(ctx, w.from, link)
		if errors.Is(err, fs.ErrNotExist) {
			if w.begin, err = readBoundaries(ctx, w.from, w.partition, w.header.FirstOffset); err != nil {
				return err
			}
			if link.BaseOffset >= w.begin.data {
				w.verifier.report.add(name, "data is missing, from %s too", link.Staged)
			}
		} else if err != nil {
			w.verifier.report.add(name, "%v", err)
		} else if err := w.verifyData(ctx, f, name, link); err != nil {
			return err
		} else {
			w.verifier.report.SegmentsRead++
		}
	}
	if link.BaseOffset < w.begin.data {
		w.report.RemovedRecords += link.Records
		w.report.RemovedBytes += link.Bytes
		return nil
	}
	w.span(link)
	w.report.Records += link.Records
	w.report.Segments++
	w.report.Bytes += link.Bytes
	w.report.UncompressedBytes += link.UncompressedBytes
	return nil
}

func (w *chainWalk) problem(base int64, format string, args ...any) {
	w.verifier.report.add(w.partition.linkPath(base), format, args...)
}

// span takes note of the times of stored records.
func (w *chainWalk) span(link Link) {
	first, last := time.UnixMilli(link.FirstTimestamp).UTC(), time.UnixMilli(link.LastTimestamp).UTC()
	if w.oldest.IsZero() || first.Before(w.oldest) {
		w.oldest = first
	}
	if last.After(w.newest) {
		w.newest = last
	}
}
