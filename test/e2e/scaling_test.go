//go:build e2e

package e2e

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/bench/records"
	"github.com/logpipeline/logpipeline/test/e2e/scenario"
	"github.com/logpipeline/logpipeline/test/e2e/timeline"
)

// size is how much of a scaling test runs: its short form is for every change,
// the full one (SCALING=full) for make e2e-scaling.
type size struct {
	full          bool
	burstRecords  int64
	partitions    int
	mostIngesters int
	floodedFor    time.Duration // once all ingesters are there
}

func sizeOfScaling() size {
	if os.Getenv("SCALING") == "full" {
		return size{full: true, burstRecords: 1_000_000, partitions: 6, mostIngesters: 4, floodedFor: time.Minute}
	}
	return size{burstRecords: 200_000, partitions: 3, mostIngesters: 3}
}

// scaled is one pipeline, watched while it is scaled.
type scaled struct {
	environment
	size
	api   scenario.API
	watch *timeline.Watch
	// requestRecords are the records of each request, fed those acknowledged.
	requestRecords int
	fed            atomic.Int64
}

// Consumers follow a burst and ingesters a flood, up to their bounds and back,
// while one of the two operators is killed. What it looked like is in the
// folder SCALING_OUTPUT.
func TestScaling(t *testing.T) {
	e := fromEnvironment(t)
	e.pipeline.Namespace = "logpipeline-scaling"
	s := sizeOfScaling()
	e.installOperator(t, "operator.replicas=2", "metrics.secure=false")
	api, stop, err := e.cluster.Proxy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)

	t.Run("pipelines", func(t *testing.T) {
		t.Run("consumers", func(t *testing.T) { t.Parallel(); scaleConsumers(t, e, s, api) })
		t.Run("ingesters", func(t *testing.T) { t.Parallel(); scaleIngesters(t, e, s, api) })
	})

	within(t, time.Minute, "uninstall the operator", e.cluster.Uninstall)
	within(t, 3*time.Minute, "delete the namespace without an operator", func(ctx context.Context) error {
		_, err := e.cluster.Run(ctx, "delete", "namespace", e.pipeline.Namespace, "--wait")
		return err
	})
}

// begin applies the pipeline and watches one of its workloads until the test
// is over.
func begin(t *testing.T, e environment, size size, api scenario.API, watch *timeline.Watch, spec string) *scaled {
	t.Helper()
	e.pipeline = watch.Pipeline
	e.claim(t, e.pipeline)
	e.create(t, e.pipeline, spec)
	e.awaitReady(t, e.pipeline)
	var watching sync.WaitGroup
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	watching.Go(func() { watch.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		watching.Wait()
		name := e.pipeline.Name + "-" + watch.Component
		if err := timeline.Write(cmp.Or(os.Getenv("SCALING_OUTPUT"), t.TempDir()), name, watch.Moments(), targetDelay); err != nil {
			t.Error(err)
		}
	})
	return &scaled{environment: e, size: size, api: api, watch: watch}
}

func (s *scaled) await(t *testing.T, limit time.Duration, what string, wanted func(timeline.Moment) bool) timeline.Moment {
	t.Helper()
	var seen timeline.Moment
	within(t, limit, what, func(ctx context.Context) (err error) {
		seen, err = s.watch.Await(ctx, wanted)
		return err
	})
	return seen
}

func (s *scaled) awaitReplicas(t *testing.T, n int) {
	t.Helper()
	s.await(t, 6*time.Minute, fmt.Sprintf("%d pods of %s", n, s.watch.Component), func(m timeline.Moment) bool { return m.Replicas == n && m.Ready == n })
}

func (s *scaled) awaitNoLag(t *testing.T) {
	t.Helper()
	s.await(t, 8*time.Minute, "no lag", func(m timeline.Moment) bool { return m.On(timeline.LagRecords) == 0 })
}

// flood sends from many clients, and counts what is acknowledged.
func (s *scaled) flood(t *testing.T, clients int, more func(number int64) bool) {
	t.Helper()
	within(t, 10*time.Minute, "feed "+s.pipeline.Name, func(ctx context.Context) error { return s.send(ctx, clients, more) })
}

func (s *scaled) send(ctx context.Context, clients int, more func(number int64) bool) error {
	// Records of about 255 bytes, other ones in each request.
	batch := func(number int64) ([]byte, int) {
		return records.NDJSON(records.Lines(uint64(number), s.requestRecords)), s.requestRecords
	}
	flood := scenario.Flood{URL: s.api.IngestURL(s.pipeline), Clients: clients, Batch: batch}
	fed, err := flood.Send(ctx, more)
	s.fed.Add(fed.Records)
	return err
}

// assertStored expects exactly what was acknowledged, and returns it.
func (s *scaled) assertStored(t *testing.T) {
	t.Helper()
	within(t, 5*time.Minute, "verify what is stored", func(ctx context.Context) error {
		stored, err := s.cluster.VerifyApart(ctx, s.pipeline, s.images)
		if err == nil && (!stored.Complete || stored.Records != s.fed.Load()) {
			err = fmt.Errorf("%d of %d records are stored in %d segments, complete: %t", stored.Records, s.fed.Load(), stored.Segments, stored.Complete)
		}
		return err
	})
}

// assertSameNumbers waits for a moment in which what the autoscaler was told
// last is what kubectl get hpa shows and an operator's page has shown, and what
// the metrics API serves is on a page, too; both other than 0.
func (s *scaled) assertSameNumbers(t *testing.T) {
	t.Helper()
	name, said := s.pipeline.Name+"-"+s.watch.Component, ""
	m := s.await(t, 2*time.Minute, "the same numbers everywhere", func(m timeline.Moment) bool {
		if !(m.Told > 0 && m.Served > 0) || !s.onSomePage(m.Told*float64(m.Of), float64(m.Of)/1000) || !s.onSomePage(m.Served, 0) {
			return false
		}
		table, err := s.cluster.Run(t.Context(), "get", "hpa", name, "-n", s.pipeline.Namespace, "--no-headers")
		said = strings.TrimSpace(table)
		return err == nil && strings.Contains(said, shown(m.Told)+"/")
	})
	t.Logf("%s: told %v by each of %d pods, served %v; kubectl says %s", s.watch.Metric, m.Told, m.Of, m.Served, said)
}

// onSomePage: operators look at the load every ten seconds, the autoscaler
// every fifteen, and the watch more often than either.
func (s *scaled) onSomePage(value, rounding float64) bool {
	return slices.ContainsFunc(s.watch.Moments(), func(m timeline.Moment) bool { return m.OnSome(s.watch.Metric, value, rounding) })
}

// shown is how Kubernetes writes a quantity in decimals.
func shown(v float64) string {
	if v == math.Trunc(v) {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.0fm", math.Round(1000*v))
}

// assertObserved waits until the status tells all of an observation.
func (s *scaled) assertObserved(t *testing.T) {
	t.Helper()
	within(t, 3*time.Minute, "see arrival, drain and the time left in the status", func(ctx context.Context) error {
		return scenario.Eventually(ctx, func() error {
			o := s.status(ctx).Observed
			if o == nil || o.LagRecords == nil || o.DelaySeconds == nil || o.ArrivalRecordsPerSecond == nil || o.DrainRecordsPerSecond == nil || o.DrainedInSeconds == nil || *o.DrainRecordsPerSecond == 0 {
				return fmt.Errorf("status.observed is %+v", o)
			}
			t.Logf("observed: lag %d, delay %d s, arrival %d/s, drain %d/s, gone in %d s", *o.LagRecords, *o.DelaySeconds, *o.ArrivalRecordsPerSecond, *o.DrainRecordsPerSecond, *o.DrainedInSeconds)
			return nil
		})
	})
}

// status is empty where it can't be read.
func (s *scaled) status(ctx context.Context) v1alpha1.LogPipelineStatus {
	var p v1alpha1.LogPipeline
	_ = s.api.Get(ctx, "/apis/"+v1alpha1.GroupVersion.String()+"/namespaces/"+s.pipeline.Namespace+"/logpipelines/"+s.pipeline.Name, &p)
	return p.Status
}

func (s *scaled) awaitReason(t *testing.T, condition, reason string) {
	t.Helper()
	within(t, 3*time.Minute, condition+" says "+reason, func(ctx context.Context) error {
		return scenario.Eventually(ctx, func() error {
			for _, c := range s.status(ctx).Conditions {
				if c.Type == condition && c.Reason == reason {
					t.Logf("%s=%s %s: %s", condition, c.Status, reason, c.Message)
					return nil
				}
			}
			return fmt.Errorf("conditions are %+v", s.status(ctx).Conditions)
		})
	})
}

// killLeader ends the operator that holds the lease, at once.
func (s *scaled) killLeader(t *testing.T) {
	t.Helper()
	within(t, time.Minute, "kill the leading operator", func(ctx context.Context) error {
		var leases coordinationv1.LeaseList
		if err := s.api.Get(ctx, "/apis/coordination.k8s.io/v1/namespaces/"+scenario.OperatorNamespace+"/leases", &leases); err != nil {
			return err
		}
		for _, lease := range leases.Items {
			pod, _, _ := strings.Cut(*cmp.Or(lease.Spec.HolderIdentity, new(string)), "_")
			if strings.HasPrefix(pod, "logpipeline") {
				_, err := s.cluster.Run(ctx, "delete", "pod", pod, "-n", scenario.OperatorNamespace, "--grace-period=0", "--force")
				return err
			}
		}
		return fmt.Errorf("no operator holds one of %d leases", len(leases.Items))
	})
}

// assertUndisturbed expects that no pod was restarted or replaced but by
// scaling, which leaves the other workload as it is.
func (s *scaled) assertUndisturbed(t *testing.T) {
	t.Helper()
	for _, component := range []string{"ingester", "consumer"} {
		pods, want := s.watch.Pods(component), 1
		if component == s.watch.Component {
			want = timeline.Added(s.watch.Moments())
		}
		if len(pods) != want {
			t.Errorf("%d pods of the %s have been there, want %d: %+v", len(pods), component, want, pods)
		}
		for _, p := range pods {
			if p.Restarts > 0 || p.Template != pods[0].Template {
				t.Errorf("pod %s was restarted %d times, and its template is %s, the first one's %s", p.Name, p.Restarts, p.Template, pods[0].Template)
			}
		}
	}
}

// assertServed expects that the autoscaler had its numbers all the time.
func (s *scaled) assertServed(t *testing.T) {
	t.Helper()
	moments := s.watch.Moments()
	gap, why := timeline.LongestGap(moments)
	t.Logf("longest time without an answer of the metrics API: %v (%v)", gap, why)
	valid := false
	for _, m := range moments {
		valid = valid || strings.Contains(m.Reason, "ValidMetricFound")
		if valid && strings.Contains(m.Reason, "FailedGet") {
			t.Errorf("after %v the autoscaler had no number: %s", m.At, m.Reason)
		}
	}
}
