package segment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"syscall"
)

// step is one step of sealing. A writer may die after any of them, and the
// next one to open the chain finds it exact.
type step struct {
	name string
	run  func() error
}

var errLost = errors.New("another writer has sealed at this offset")

// Seal seals and publishes what has been appended, and reports whether it did:
// false when there was nothing, or when another writer had sealed at the same
// offset first. Then the records are given up, NextOffset is the end of what
// the others have stored, and fetching goes on from there.
//
// ctx is looked at between the steps before the link is created; from there on
// they are finished.
func (c *Chain) Seal(ctx context.Context) (sealed bool, err error) {
	if c.failed != nil {
		return false, c.failed
	}
	if c.pending == nil {
		return false, nil
	}
	base := c.pending.link.BaseOffset
	for _, s := range c.sealing(ctx) {
		if err = s.run(); err != nil {
			err = fmt.Errorf("%s: %w", s.name, err)
			break
		}
	}
	if errors.Is(err, errLost) {
		err = c.yield(ctx, base)
	} else if err == nil {
		sealed = true
		c.advance()
	}
	if err != nil {
		c.failed = fmt.Errorf("seal segment of %v at offset %d: %w", c.partition, base, err)
	}
	return sealed, c.failed
}

// sealing are the steps, in order.
func (c *Chain) sealing(ctx context.Context) []step {
	p := c.pending
	return []step{
		{"finish data", p.finish},
		{"stage link", func() error { return c.stageLink(ctx) }},
		{"sync staging", func() error { return syncDir(c.directory.path(stagingDir)) }},
		{"create link", func() error { return c.createLink(ctx) }},
		{"publish", func() error { return c.publish(p.link) }},
		{"remove staged link", func() error { return removeIfExists(p.staged) }},
	}
}

func (c *Chain) stageLink(ctx context.Context) error {
	content, err := encodeLine(c.pending.link)
	if err != nil {
		return err
	}
	return errors.Join(ctx.Err(), writeDurable(c.pending.staged, content))
}

// createLink is the moment of truth. Whatever link(2) says, the link that is
// there decides.
func (c *Chain) createLink(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p := c.pending
	p.offered = true
	failure := c.directory.link(p.staged, filepath.Join(c.dir, offsetName(p.link.BaseOffset)))
	if failure == nil {
		return nil
	}
	link, err := readLink(c.dir, c.partition, p.link.BaseOffset)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.offered = !refused(failure)
		return failure
	case err != nil:
		return errors.Join(failure, err)
	case link.Writer != c.writer:
		return errLost
	}
	return nil
}

// refused tells a file system's answer from the want of one: after the latter
// the link may yet appear.
func refused(err error) bool {
	answers := []error{syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.ENOSPC, syscall.EDQUOT, syscall.ENOENT}
	return slices.ContainsFunc(answers, func(answer error) bool { return errors.Is(err, answer) })
}

// yield gives way to the writer that sealed at base: our staged files go, and
// we go on from where the chain ends now.
func (c *Chain) yield(ctx context.Context, base int64) error {
	c.directory.metrics.racesLost.Inc()
	c.directory.logger.Info("another writer sealed first; going on from its end", "topic", c.partition.topic, "partition", c.partition.number, "offset", base)
	c.pending.offered = false
	if err := c.pending.discard(); err != nil {
		return err
	}
	end, err := c.walk(ctx, base)
	if err != nil {
		return err
	}
	c.pending, c.sealed = nil, end
	return nil
}

// advance moves to the end of the segment that was just sealed.
func (c *Chain) advance() {
	link := c.pending.link
	c.directory.metrics.records.Add(float64(link.Records))
	c.directory.metrics.bytes.Add(float64(link.Bytes))
	c.pending, c.sealed = nil, link.NextOffset
	c.writeHead(link)
}
