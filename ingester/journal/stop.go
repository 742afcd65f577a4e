package journal

import (
	"fmt"
)

// takenError stops the storing: somebody else writes the chain of this journal.
type takenError struct{ offset int64 }

func (e *takenError) Error() string {
	return fmt.Sprintf("another process has stored records at offset %d of this journal's chain: a copy of the data directory is in use; stop one of them, and give it a data directory and a topic of its own", e.offset)
}

// StopReason is one CamelCase word.
func (e *takenError) StopReason() string { return "ChainTaken" }

// lostLinksError stops the storing: the chain has been further than it goes by now,
// and than the journal knows of.
type lostLinksError struct{ end, hinted int64 }

func (e *lostLinksError) Error() string {
	return fmt.Sprintf("the chain ends at offset %d, but its hint says that it has reached %d: links are not there; restore them from a backup, or, if they are gone for good, stop this process and record them as a gap (ingester chain resume --record-gap --partition 0 --to %d), and start it again", e.end, e.hinted, e.hinted)
}

// StopReason is one CamelCase word.
func (e *lostLinksError) StopReason() string { return "ChainDamaged" }
