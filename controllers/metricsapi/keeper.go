package metricsapi

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	keepEvery  = 30 * time.Second
	retryEvery = 2 * time.Second
	// spreadAfter is how long a certificate has been in the bundle before it
	// is served: API servers learn of it meanwhile.
	spreadAfter = time.Minute
)

// keeper has the API servers trust what this process serves, and renews it in
// time. The APIService's bundle is where all replicas meet: each adds its own
// certificate, so none needs another's key, or a Secret.
type keeper struct {
	client  client.Client
	service types.NamespacedName
	pod     string
	logger  *slog.Logger
	now     func() time.Time

	serving *serving
	former  *certificate // still in the bundle, for who is served it now; mostly nil
	next    *certificate // to be served; nil while none is needed
	spread  time.Time    // since when the bundle has had next; zero while it doesn't
	settled atomic.Bool  // the bundle had been looked after once
}

// run keeps until ctx ends.
func (k *keeper) run(ctx context.Context) {
	for {
		pause := keepEvery + rand.N(keepEvery/5)
		if err := k.keep(ctx); err != nil {
			if ctx.Err() == nil {
				k.logger.Warn("certificate of the metrics API cannot be published yet", "error", err)
			}
			pause = retryEvery
		} else {
			k.settled.Store(true)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// keep renews the certificate when that is due, and has the bundle hold it, if
// the APIService points at us. Who else it points at is left alone.
func (k *keeper) keep(ctx context.Context) error {
	if err := k.renew(); err != nil {
		return err
	}
	live, err := readAPIService(ctx, k.client)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read APIService %q: %w", APIServiceName, err)
	}
	if ownerOf(live, k.service).Ownership != Ours {
		return nil
	}
	bundle := bundleOf(live)
	merged := mergeBundle(bundle, k.pod, k.own(), k.now())
	if !bytes.Equal(bundle, merged) {
		before := live.DeepCopy()
		if err := setBundle(live, merged); err != nil {
			return err
		}
		// Replicas that start together must not undo each other's change.
		if err := k.client.Patch(ctx, live, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
			return fmt.Errorf("patch APIService %q: %w", APIServiceName, err)
		}
	}
	if k.next != nil && k.spread.IsZero() {
		k.spread = k.now()
	}
	return nil
}

// renew makes the next certificate when the current one is old, and serves it
// once all know it.
func (k *keeper) renew() error {
	now := k.now()
	k.former = nil
	switch {
	case k.next != nil && !k.spread.IsZero() && now.Sub(k.spread) >= spreadAfter:
		k.former = k.serving.current
		k.serving.serve(k.next)
		k.next, k.spread = nil, time.Time{}
	case k.next == nil && now.Sub(k.serving.current.made) >= renewal:
		next, err := newCertificate(k.pod, k.service.Name, k.service.Namespace, now)
		if err != nil {
			return err
		}
		k.next = next
	}
	return nil
}

func (k *keeper) own() [][]byte {
	var own [][]byte
	for _, c := range []*certificate{k.former, k.serving.current, k.next} {
		if c != nil {
			own = append(own, c.certPEM)
		}
	}
	return own
}
