package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
)

// syncTimeout is shorter than a probe waits.
const syncTimeout = 500 * time.Millisecond

// cachesSynced fails until what has been asked of the cache is there.
func cachesSynced(mgr ctrl.Manager) func(*http.Request) error {
	return func(request *http.Request) error {
		ctx, cancel := context.WithTimeout(request.Context(), syncTimeout)
		defer cancel()
		if !mgr.GetCache().WaitForCacheSync(ctx) {
			return errors.New("the cache is not filled yet")
		}
		return nil
	}
}
