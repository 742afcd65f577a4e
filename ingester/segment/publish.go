package segment

import (
	"context"
	"errors"
	"fmt"
)

// publish moves the data of a link to its path. It may be repeated, by anyone
// and at any time. Data that somebody has deleted does not keep the chain from
// growing: verify tells of it, and Kafka may still have the records.
func (c *Chain) publish(ctx context.Context, link Link) error {
	err := c.store.files.publish(ctx, c.dir, link)
	if errors.Is(err, errMissing) {
		c.store.metrics.missing.Inc()
		c.store.logger.Error(errMissing.Error(), "path", link.DataPath, "records", link.Records)
		return nil
	}
	if err != nil {
		return fmt.Errorf("publish %s: %w", link.DataPath, err)
	}
	return nil
}
