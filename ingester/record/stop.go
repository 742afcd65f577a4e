package record

import "errors"

// StopReason finds the reason, one CamelCase word, in an error that trying
// again cannot mend, whichever part it comes from: one with a method
// StopReason() string.
func StopReason(err error) (reason string, stops bool) {
	var stop interface {
		error
		StopReason() string
	}
	if errors.As(err, &stop) {
		return stop.StopReason(), true
	}
	return "", false
}
