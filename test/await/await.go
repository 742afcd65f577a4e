// Package await is for tests of what comes about a little later.
package await

import (
	"testing"
	"time"
)

const (
	// limit is longer than anything takes on a machine that does much else.
	limit    = 90 * time.Second
	interval = 20 * time.Millisecond
)

// NoError tries until it succeeds, and ends the test with the last error where
// that takes too long. The tries are the caller's goroutine's.
func NoError(t testing.TB, try func() error) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(interval) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v still: %v", limit, err)
		}
	}
}
