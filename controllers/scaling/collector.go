package scaling

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/logpipeline/logpipeline/controllers/scaling/lag"
)

// Interval is how often the load is read. With the autoscaler's own period of
// 15 s, what changes is acted on within 25 s.
const Interval = 10 * time.Second

// Collector reads the load of all pipelines into a store, again and again. It
// runs on every replica of the operator.
type Collector struct {
	targets Targets
	store   *Store
	logger  *slog.Logger
	scraper *scraper
	// clusters by their configuration; only Start uses them.
	clusters map[string]*cluster
	running  sync.WaitGroup
}

// NewCollector returns a collector that has not begun.
func NewCollector(targets Targets, store *Store, logger *slog.Logger) *Collector {
	return &Collector{targets: targets, store: store, logger: logger, scraper: newScraper(), clusters: map[string]*cluster{}}
}

// NeedLeaderElection tells a manager that every replica collects.
func (c *Collector) NeedLeaderElection() bool { return false }

// Start collects until ctx ends, and returns nil.
func (c *Collector) Start(ctx context.Context) error {
	defer c.close()
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	for {
		c.round(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (c *Collector) close() {
	c.running.Wait()
	for _, cluster := range c.clusters {
		cluster.lag.Close()
	}
	c.scraper.close()
}

// round has every cluster read that is not still busy with the last reading:
// one that doesn't answer holds up no other.
func (c *Collector) round(ctx context.Context) {
	targets, err := c.targets(ctx)
	if err != nil {
		if ctx.Err() == nil {
			c.logger.Error("list pipelines to be scaled", "error", err)
		}
		return
	}
	pipelines, byCluster := map[Pipeline]bool{}, map[string][]Target{}
	for _, t := range targets {
		pipelines[t.Pipeline] = true
		key, err := clusterKey(t)
		if err != nil {
			c.logger.Error("read load", "namespace", t.Namespace, "pipeline", t.Name, "error", err)
			continue
		}
		byCluster[key] = append(byCluster[key], t)
	}
	c.store.Keep(pipelines)
	for key, targets := range byCluster {
		c.begin(ctx, key, targets)
	}
	c.forget(byCluster)
}

// clusterKey tells one way to a cluster from another: with other credentials it
// is another. It holds none of them.
func clusterKey(t Target) (string, error) {
	document, err := json.Marshal(struct{ Kafka, Credentials any }{t.Kafka, t.Credentials})
	if err != nil {
		return "", fmt.Errorf("tell Kafka clusters apart: %w", err)
	}
	sum := sha256.Sum256(document)
	return string(sum[:]), nil
}

func (c *Collector) begin(ctx context.Context, key string, targets []Target) {
	k, known := c.clusters[key]
	if !known {
		k = &cluster{lag: lag.Connect(targets[0].Kafka, targets[0].Credentials), scraper: c.scraper, store: c.store, pipelines: map[Pipeline]*pipeline{}}
		c.clusters[key] = k
	}
	if !k.busy.CompareAndSwap(false, true) {
		return
	}
	c.running.Go(func() {
		defer k.busy.Store(false)
		k.read(ctx, targets)
	})
}

// forget closes clusters that no pipeline uses any more.
func (c *Collector) forget(used map[string][]Target) {
	for key, k := range c.clusters {
		if _, ok := used[key]; !ok && k.busy.CompareAndSwap(false, true) {
			k.lag.Close()
			delete(c.clusters, key)
		}
	}
}
