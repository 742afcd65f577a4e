package controllers

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/time/rate"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/scaling"
)

// Observer shows in status.observed how far the consumers are behind. It
// writes that field alone, and so seldom that it may do so for any number of
// pipelines: all have one budget, and what has changed most comes first.
type Observer struct {
	client client.Client
	store  *scaling.Store
	logger *slog.Logger
	now    func() time.Time
	budget *rate.Limiter
}

// NewObserver returns an observer that has not begun.
func NewObserver(client client.Client, store *scaling.Store, logger *slog.Logger) *Observer {
	return &Observer{client: client, store: store, logger: logger, now: time.Now, budget: newBudget(time.Now())}
}

// The budget of all pipelines: in no minute more than burst+60 writes.
const (
	writesPerSecond = 1
	burst           = 20
)

// newBudget begins empty: another replica may have spent its own just now.
func newBudget(now time.Time) *rate.Limiter {
	budget := rate.NewLimiter(writesPerSecond, burst)
	budget.AllowN(now, burst)
	return budget
}

// NeedLeaderElection tells a manager that one replica writes.
func (o *Observer) NeedLeaderElection() bool { return true }

// Start writes until ctx ends, and returns nil.
func (o *Observer) Start(ctx context.Context) error {
	ticker := time.NewTicker(scaling.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := o.round(ctx); err != nil && ctx.Err() == nil {
			o.logger.Error("show how far consumers are behind", "error", err)
		}
	}
}

// round writes what is most worth it, as far as the budget goes.
func (o *Observer) round(ctx context.Context) error {
	var all v1alpha1.LogPipelineList
	if err := o.client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list LogPipelines: %w", err)
	}
	now := o.now()
	var due []sighting
	for i := range all.Items {
		p := &all.Items[i]
		if s, isDue := o.look(p, now); isDue {
			due = append(due, s)
		}
	}
	for _, s := range withinBudget(due, o.budget, now) {
		if err := o.write(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// look returns what is to be shown of a pipeline, and whether that is worth a
// write.
func (o *Observer) look(p *v1alpha1.LogPipeline, now time.Time) (s sighting, due bool) {
	sample, found := o.store.Sample(sampled(p))
	s = sighting{pipeline: p}
	switch {
	case unobserved(p):
	case !found:
		return sighting{}, false // nobody has looked yet
	default:
		s.observed = observedOf(sample, now)
	}
	s.worth = worthOf(p.Status.Observed, s.observed, now)
	return s, s.worth > nothing
}

func (o *Observer) write(ctx context.Context, s sighting) error {
	after := s.pipeline.DeepCopy()
	after.Status.Observed = s.observed
	err := o.client.Status().Patch(ctx, after, client.MergeFrom(s.pipeline))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("write status.observed of LogPipeline %s/%s: %w", s.pipeline.Namespace, s.pipeline.Name, err)
	}
	return nil
}
