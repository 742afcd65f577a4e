package consumer

import "errors"

// storeError is a failure of the store, and not of Kafka, of which a worker has
// more.
type storeError struct {
	err error
	// opening says that the chain could not be opened, so that it is over once
	// that is done; other failures last until something has been stored.
	opening bool
}

func (e *storeError) Error() string { return e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }

// toldAttempts is how many attempts to store have failed, one after the other,
// before others are told: in some seconds, which a store may be away for.
const toldAttempts = 6

// tellFailure tells of a failure of the store that lasts.
func (w *worker) tellFailure(err error) {
	var failure *storeError
	if errors.As(err, &failure) && w.storage.attempts+1 >= toldAttempts {
		w.tell(func(s *standing) { s.failure = failure })
	}
}

// tellOpened: what kept the chain from being opened is over.
func (w *worker) tellOpened() {
	w.tell(func(s *standing) {
		if s.failure != nil && s.failure.opening {
			s.failure = nil
		}
	})
}

// stored: what kept the partition from being stored is over.
func (w *worker) stored() {
	w.storage.over()
	w.tell(func(s *standing) { s.failure = nil })
}
