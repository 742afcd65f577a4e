package segment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// step is one step of sealing. A writer may die before, in and after any of
// them, and the next one to open the chain finds it exact.
type step struct {
	name string
	run  func(context.Context) error
}

var errLost = errors.New("another writer has sealed at this offset")

// Seal seals and publishes what has been appended, and reports whether it did:
// false when there was nothing, or when another writer had sealed at the same
// offset first. Then the records are given up, NextOffset is the end of what
// the others have stored, and fetching goes on from there.
//
// The end of ctx keeps the link from being created; once it is, what follows
// is finished.
func (c *Chain) Seal(ctx context.Context) (sealed bool, err error) {
	if c.failed != nil {
		return false, c.failed
	}
	if c.pending == nil {
		return false, nil
	}
	base := c.pending.link.BaseOffset
	c.store.troubles.begin(c.partition)
	defer func() { c.store.troubles.end(c.partition, err, err == nil) }()
	for _, s := range c.sealing() {
		if err = s.run(ctx); err != nil {
			err = fmt.Errorf("%s: %w", s.name, err)
			break
		}
	}
	if errors.Is(err, errLost) {
		err = c.yield(ctx, base)
	} else if err == nil {
		sealed = true
		c.advance(ctx)
	}
	if err != nil {
		c.failed = fmt.Errorf("seal segment of %v at offset %d: %w", c.partition, base, err)
	}
	return sealed, c.failed
}

// sealing are the steps, in order.
func (c *Chain) sealing() []step {
	return []step{
		{"finish data", c.finishData},
		{"create link", c.createLink},
		{"publish", func(ctx context.Context) error { return c.publish(context.WithoutCancel(ctx), c.pending.link) }},
	}
}

func (c *Chain) finishData(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return c.pending.finish(ctx, c.store)
}

// createLink is the moment of truth. Whatever the store says, the link that is
// there decides.
func (c *Chain) createLink(ctx context.Context) error {
	link := c.pending.link
	content, err := encodeChecked(link)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return errors.Join(err, c.removeData(ctx))
	}
	failure := c.store.files.create(ctx, c.pending.staged, c.partition.linkPath(link.BaseOffset), content)
	if failure == nil {
		return c.checkPlace(context.WithoutCancel(ctx), link.BaseOffset)
	}
	there, err := readLink(context.WithoutCancel(ctx), c.store.files, c.partition, link.BaseOffset)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if errors.Is(failure, errRefused) {
			return errors.Join(failure, c.removeData(ctx))
		}
		return failure // the link may yet appear, so the data stays
	case err != nil:
		return errors.Join(failure, err)
	case there.Writer != c.writer:
		return errLost
	}
	return c.checkPlace(context.WithoutCancel(ctx), link.BaseOffset)
}

// checkPlace takes a link back that was created in the place of one that
// retention has removed: its writer has slept, and others have stored its
// records since.
func (c *Chain) checkPlace(ctx context.Context, base int64) error {
	late, err := c.isBehindBoundary(ctx, base)
	if err == nil && late {
		err = errors.Join(errLost, c.store.files.remove(ctx, c.partition.linkPath(base)))
	}
	return err
}

// removeData removes finished data that no link can ever name.
func (c *Chain) removeData(ctx context.Context) error {
	if c.pending.link.Staged == "" {
		return nil
	}
	return c.store.files.remove(context.WithoutCancel(ctx), c.pending.link.Staged)
}

// yield gives way to the writer that sealed at base: our staged data goes, and
// we go on from where the chain ends now.
func (c *Chain) yield(ctx context.Context, base int64) error {
	c.store.metrics.racesLost.Inc()
	c.store.logger.Info("another writer sealed first; going on from its end", "topic", c.partition.topic, "partition", c.partition.number, "offset", base)
	if err := c.removeData(ctx); err != nil {
		return err
	}
	c.pending = nil
	return c.findEnd(ctx, base)
}

// advance moves to the end of the segment that was just sealed.
func (c *Chain) advance(ctx context.Context) {
	link := c.pending.link
	c.store.metrics.records.Add(float64(link.Records))
	c.store.metrics.bytes.Add(float64(link.Bytes))
	c.store.metrics.gapOffsets.Add(float64(link.gapOffsets()))
	c.pending, c.sealed, c.totals, c.epoch = nil, link.NextOffset, *link.Totals, link.LeaderEpoch
	c.writeHints(context.WithoutCancel(ctx), link)
}
