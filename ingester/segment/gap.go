package segment

import (
	"context"
	"fmt"
	"time"
)

// maxGapReason bounds what a link says of a gap, in bytes.
const maxGapReason = 1000

// Gap says that the records of a link's offsets are not stored, and why.
//
// It is a field within format version 1. An older release walks over such a
// link as it has to, to the same end, and would stop at a newer version in the
// middle of a rolling update. What it does overlook is a name: its verify
// counts the offsets as offsets without records.
type Gap struct {
	Reason string `json:"reason"`
	// RecordedAt is in milliseconds since the Unix epoch.
	RecordedAt int64 `json:"recordedAt"`
}

// RecordGap seals what has been appended, and then a link that says of the
// offsets from there up to next that their records are not stored, for a
// reason of at most 1000 bytes. It reports whether it did: false when another
// writer had sealed first, as with Seal; then NextOffset is the end of what the
// others have stored, and may or may not be where the records are missing.
//
// It is the same exclusive create that seals data. So it cannot take the place
// of anything that is stored, and a writer that holds records of the gap
// finds that it has lost their offsets.
func (c *Chain) RecordGap(ctx context.Context, next int64, reason string) (recorded bool, err error) {
	if err := c.checkGap(next, reason); err != nil {
		return false, fmt.Errorf("record gap in chain of %v: %w", c.partition, err)
	}
	if c.pending != nil {
		if sealed, err := c.Seal(ctx); err != nil || !sealed {
			return false, err
		}
	}
	c.pending = c.newPending()
	c.pending.link.NextOffset, c.pending.link.LeaderEpoch = next, -1
	c.pending.link.Gap = &Gap{Reason: reason, RecordedAt: time.Now().UnixMilli()}
	return c.Seal(ctx)
}

func (c *Chain) checkGap(next int64, reason string) error {
	switch at := c.NextOffset(); {
	case c.failed != nil:
		return c.failed
	case next <= at:
		return fmt.Errorf("offset %d does not follow the chain's next offset, %d", next, at)
	}
	return Gap{Reason: reason}.validate()
}

func (g Gap) validate() error {
	if g.Reason == "" || len(g.Reason) > maxGapReason {
		return fmt.Errorf("the reason of a gap has %d bytes: give one, of at most %d", len(g.Reason), maxGapReason)
	}
	return nil
}

// gapOffsets is how many offsets the link records as a gap.
func (l Link) gapOffsets() int64 {
	if l.Gap == nil {
		return 0
	}
	return l.NextOffset - l.BaseOffset
}
