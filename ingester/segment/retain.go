package segment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/logpipeline/logpipeline/ingester/config"
)

const (
	// linksStay is how much longer than data links stay, from the newest
	// record of their segment on: where they are, it can be told what was
	// removed, and a writer that has slept less learns at once that it is late.
	linksStay = 7 * 24 * time.Hour
	// maxRemovals bounds the work of one call of Retain.
	maxRemovals = 32
)

// retained is how far retention has come in a chain, as its writer knows it.
type retained struct {
	data, links boundary
	swept       int64 // no roll-ups lie before
	sweptAt     time.Time
}

type boundary struct {
	kind boundaryKind
	at   int64
	next *Link // the link at the boundary, nil until it is needed
}

// Retain removes the data of segments whose newest record is older than
// MaxAgeSeconds, and the oldest while the partition stores more than MaxBytes;
// 0 in a limit is none. The roll-ups of these segments follow within 10 minutes.
// Links are removed when they are a week older than that; the last one always
// stays. A call removes the data of at most 32 segments and as many links, and
// asks the store nothing while nothing is due; it is made for being called after
// each seal, and every few minutes while nothing is sealed.
//
// Its error does not harm the chain: the next call goes on where it ended, and
// so does whoever opens the chain next.
func (c *Chain) Retain(ctx context.Context, now time.Time, limits config.Retention) error {
	if limits.MaxAgeSeconds == 0 && limits.MaxBytes == 0 {
		return nil
	}
	if err := c.retain(ctx, now, limits); err != nil {
		return fmt.Errorf("retain chain of %v: %w", c.partition, err)
	}
	return nil
}

func (c *Chain) retain(ctx context.Context, now time.Time, limits config.Retention) error {
	if c.retained == nil {
		r := &retained{data: boundary{kind: ofData, at: c.first}, links: boundary{kind: ofLinks, at: c.first}, swept: c.first}
		for _, b := range []*boundary{&r.data, &r.links} {
			if err := c.follow(ctx, b); err != nil {
				return err
			}
		}
		c.retained = r
	}
	maxAge := time.Duration(limits.MaxAgeSeconds) * time.Second
	old := func(link Link, age time.Duration) bool {
		return limits.MaxAgeSeconds > 0 && time.UnixMilli(link.LastTimestamp).Before(now.Add(-age))
	}
	err := c.advanceBoundary(ctx, &c.retained.data, c.sealed, func(link Link) bool {
		return old(link, maxAge) || limits.MaxBytes > 0 && c.bytesFrom(link) > int64(limits.MaxBytes)
	})
	if err != nil {
		return err
	}
	if err := c.sweep(ctx, now); err != nil {
		return err
	}
	return c.advanceBoundary(ctx, &c.retained.links, c.retained.data.at, func(link Link) bool {
		return link.NextOffset < c.sealed && link.newest().Before(now.Add(-maxAge-linksStay))
	})
}

// newest is the time of a link's newest record, or when its gap was recorded.
// Of a link that has neither, nothing need be kept.
func (l Link) newest() time.Time {
	if l.Gap != nil {
		return time.UnixMilli(l.Gap.RecordedAt)
	}
	return time.UnixMilli(l.LastTimestamp)
}

// bytesFrom is what the chain stores from a link on.
func (c *Chain) bytesFrom(link Link) int64 {
	if before := link.before(); before != nil {
		return c.totals.Bytes - before.Bytes
	}
	return 0
}

// advanceBoundary moves a boundary over the links before end that are due, and
// removes what it has passed.
func (c *Chain) advanceBoundary(ctx context.Context, b *boundary, end int64, due func(Link) bool) error {
	if first, err := c.linkAt(ctx, b, end); err != nil || first == nil || !due(*first) {
		return err
	}
	if err := c.follow(ctx, b); err != nil { // another writer may have been at it
		return err
	}
	var run []Link
	to := b.at
	for len(run) < maxRemovals && to < end {
		link, err := readLink(ctx, c.store.files, c.partition, to)
		if errors.Is(err, fs.ErrNotExist) {
			return c.follow(ctx, b) // another writer is at it
		}
		if err != nil {
			return err
		}
		if !due(link) {
			break
		}
		run, to = append(run, link), link.NextOffset
	}
	if len(run) == 0 {
		return nil
	}
	if err := c.markBoundary(ctx, b, to); err != nil {
		return err
	}
	return c.pass(ctx, b, run, to)
}

// linkAt returns the link at a boundary, nil when there is none before end.
func (c *Chain) linkAt(ctx context.Context, b *boundary, end int64) (*Link, error) {
	if b.next == nil && b.at < end {
		link, err := readLink(ctx, c.store.files, c.partition, b.at)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, c.follow(ctx, b) // the boundary has been moved meanwhile
		}
		if err != nil {
			return nil, err
		}
		b.next = &link
	}
	return b.next, nil
}

// markBoundary moves a boundary before anything is removed.
func (c *Chain) markBoundary(ctx context.Context, b *boundary, to int64) error {
	content, err := encodeChecked(marker{formatVersion, b.at, to})
	if err != nil {
		return err
	}
	staged := c.partition.stagedName(string(b.kind), c.writer, linkSuffix)
	err = c.store.files.create(ctx, staged, c.partition.markerPath(b.kind, to), content)
	if errors.Is(err, fs.ErrExist) {
		return nil // another writer takes the same step
	}
	return err
}

// follow goes to where other writers, dead ones too, have moved a boundary, and
// takes their last step once more, which they may not have finished.
func (c *Chain) follow(ctx context.Context, b *boundary) error {
	known, err := readBoundaries(ctx, c.store.files, c.partition, c.first)
	if err != nil {
		return err
	}
	to := map[boundaryKind]int64{ofData: known.data, ofLinks: known.links}[b.kind]
	if to <= b.at {
		return nil
	}
	m, err := readMarker(ctx, c.store.files, c.partition, b.kind, to)
	if errors.Is(err, fs.ErrNotExist) {
		// The data's boundary is never before the links'.
		b.at, b.next = to, nil
		return nil
	}
	if err != nil {
		return err
	}
	var run []Link
	for at := m.From; at < m.To; {
		link, err := readLink(ctx, c.store.files, c.partition, at)
		if errors.Is(err, fs.ErrNotExist) {
			break // links are removed from the last one back, so that the first ones are found
		}
		if err != nil {
			return err
		}
		run, at = append(run, link), link.NextOffset
	}
	return c.pass(ctx, b, run, to)
}

// pass removes what a boundary that was marked leaves behind, and then the
// markers before it.
func (c *Chain) pass(ctx context.Context, b *boundary, run []Link, to int64) error {
	for i := len(run) - 1; i >= 0; i-- {
		if err := c.removeBehind(ctx, b.kind, run[i]); err != nil {
			return err
		}
	}
	for e, err := range c.store.files.list(ctx, c.partition.removedPath(), string(b.kind)+"-") {
		if err != nil {
			return err
		}
		if _, offset, ok := parseMarkerName(e.name); ok && offset < to {
			if err := c.store.files.remove(ctx, c.partition.markerPath(b.kind, offset)); err != nil {
				return err
			}
		}
	}
	b.at, b.next = to, nil
	return nil
}

func (c *Chain) removeBehind(ctx context.Context, kind boundaryKind, link Link) error {
	if kind == ofLinks {
		return c.store.files.remove(ctx, c.partition.linkPath(link.BaseOffset))
	}
	if link.Records == 0 {
		return nil
	}
	if err := c.store.files.remove(ctx, link.DataPath); err != nil {
		return err
	}
	c.store.metrics.removedSegments.Inc()
	c.store.metrics.removedBytes.Add(float64(link.Bytes))
	return nil
}
