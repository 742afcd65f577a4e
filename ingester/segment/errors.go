package segment

import (
	"errors"
	"fmt"
)

// ErrExclusiveCreateUnsupported refuses a file system on which two writers
// can both create the same link: the chain would not be exact on it. It is
// the reason ExclusiveCreateUnsupported of the documentation.
var ErrExclusiveCreateUnsupported = errors.New("ExclusiveCreateUnsupported: the file system cannot create a link exclusively")

// ErrUnavailable is an object store that cannot be reached, does not answer, or
// fails by itself, when it is opened. That passes.
var ErrUnavailable = errors.New("the object store is not available")

// StopError is an error that trying again cannot mend: the partition stops
// until somebody decides. Errors of this package that are none of these are
// the storage's, and pass with it.
type StopError struct {
	// Reason is one CamelCase word: TopicRecreated, ChainDamaged or
	// UnsupportedFormat.
	Reason string
	Err    error
}

func (e *StopError) Error() string { return fmt.Sprintf("%s: %v", e.Reason, e.Err) }
func (e *StopError) Unwrap() error { return e.Err }

// StopReason returns Reason; callers that do not import this package find a
// StopError by this method.
func (e *StopError) StopReason() string { return e.Reason }

func damaged(format string, args ...any) error {
	return &StopError{Reason: "ChainDamaged", Err: fmt.Errorf(format, args...)}
}
