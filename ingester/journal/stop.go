package journal

import (
	"errors"
	"fmt"
)

// takenError stops the storing: somebody else writes the chain of this journal.
type takenError struct{ offset int64 }

func (e *takenError) Error() string {
	return fmt.Sprintf("another process has stored records at offset %d of this journal's chain: a copy of the data directory is in use; stop one of them, and give it a data directory and a topic of its own", e.offset)
}

// StopReason is one CamelCase word.
func (e *takenError) StopReason() string { return "ChainTaken" }

// stopReason finds the reason in an error of this package or of the storage.
func stopReason(err error) (reason string, stops bool) {
	var stop interface {
		error
		StopReason() string
	}
	if errors.As(err, &stop) {
		return stop.StopReason(), true
	}
	return "", false
}
