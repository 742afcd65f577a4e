package consumer

import (
	"context"
	"time"
)

// retentionInterval is how often the topic's retention is read again.
const retentionInterval = time.Minute

// retention is the topic's as it was read last.
type retention struct {
	age     time.Duration // 0 is without end
	unknown bool
	read    time.Time
}

// readRetention reads the topic's retention, unless that was done a moment ago,
// and reports whether it did.
// Nothing depends on it but what is shown; so who may not read it, shows less.
func (c *Consumer) readRetention(ctx context.Context) (read bool) {
	c.standings.mu.Lock()
	last := c.standings.retention
	c.standings.mu.Unlock()
	if !last.read.IsZero() && time.Since(last.read) < retentionInterval {
		return false
	}
	age, err := c.client.Retention(ctx, c.config.Topic)
	if ctx.Err() != nil {
		return false
	}
	if err != nil && (!last.unknown || last.read.IsZero()) {
		c.logger.Warn("retention of the topic cannot be read, so nothing warns of it", "error", err)
	}
	c.standings.mu.Lock()
	defer c.standings.mu.Unlock()
	c.standings.retention = retention{age: age, unknown: err != nil, read: time.Now()}
	return err == nil
}

// warnOfRetention says so when the topic may lose records before they are
// stored.
func (c *Consumer) warnOfRetention() {
	c.standings.mu.Lock()
	risk := c.standings.risk(time.Now())
	c.standings.mu.Unlock()
	if risk.partitions > 0 {
		c.logger.Warn("records wait so long to be stored that the topic's retention may remove them first", "partitions", risk.partitions, "oldest", risk.oldest, "left", risk.left)
	}
}
