package timeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/logpipeline/logpipeline/test/e2e/scenario"
)

// Every is how often a Watch looks.
const Every = 2 * time.Second

// Watch looks at one workload of a pipeline again and again.
type Watch struct {
	API       scenario.API
	Pipeline  scenario.Pipeline
	Component string // ingester or consumer
	Metric    string // that its autoscaler follows

	began   time.Time
	mutex   sync.Mutex
	moments []Moment
	pods    map[string]*Pod
	err     error // the last look's
}

// Run looks until the context ends.
func (w *Watch) Run(ctx context.Context) {
	w.began = time.Now()
	ticker := time.NewTicker(Every)
	defer ticker.Stop()
	for {
		w.lookOnce(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (w *Watch) lookOnce(ctx context.Context) {
	at := time.Since(w.began)
	moment, err := w.look(ctx)
	pods, podsErr := w.lookAtPods(ctx)
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.err = errors.Join(err, podsErr)
	if ctx.Err() != nil || err != nil {
		return
	}
	moment.At = at
	w.moments = append(w.moments, moment)
	w.keep(pods)
}

// Moments is what has been seen so far.
func (w *Watch) Moments() []Moment {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return slices.Clone(w.moments)
}

// Await returns the first moment from now on that is as wanted. The error says
// what was seen last instead.
func (w *Watch) Await(ctx context.Context, wanted func(Moment) bool) (Moment, error) {
	seen := len(w.Moments())
	ticker := time.NewTicker(Every / 4)
	defer ticker.Stop()
	for {
		moments := w.Moments()
		for ; seen < len(moments); seen++ {
			if wanted(moments[seen]) {
				return moments[seen], nil
			}
		}
		select {
		case <-ctx.Done():
			return Moment{}, w.without(moments)
		case <-ticker.C:
		}
	}
}

func (w *Watch) without(moments []Moment) error {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if len(moments) == 0 {
		return fmt.Errorf("nothing has been seen of %s-%s: %w", w.Pipeline.Name, w.Component, w.err)
	}
	return fmt.Errorf("last seen of %s-%s: %+v (%w)", w.Pipeline.Name, w.Component, moments[len(moments)-1], w.err)
}
