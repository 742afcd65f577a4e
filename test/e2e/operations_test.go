//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/logpipeline/logpipeline/test/e2e/scenario"
)

// What people do to pipelines that run, while clients send without a pause:
// whatever it is, no request fails, and what was acknowledged is stored once.
// Clients connect to the Service's own address, as those in the cluster do:
// through a forwarded port, or the API server, connections would end elsewhere.
func TestOperations(t *testing.T) {
	e := fromEnvironment(t)
	e.installOperator(t)
	t.Run("of one pipeline", func(t *testing.T) { // at the same time: most of it is waiting
		t.Run("rotate credentials", func(t *testing.T) { t.Parallel(); e.rotate(t) })
		t.Run("roll out and suspend", func(t *testing.T) { t.Parallel(); e.changeAndSuspend(t) })
		t.Run("delete", func(t *testing.T) { t.Parallel(); e.deleteInEveryWay(t) })
	})
	t.Run("upgrade the operator", e.upgrade)
	t.Run("uninstall the operator", e.uninstall)
}

// newPipeline applies the spec in a namespace of its own and waits until it is
// Ready. A claim of its name is for it.
func (e environment) newPipeline(t *testing.T, name, spec string) scenario.Pipeline {
	t.Helper()
	p := e.pipelineNamed(t, name)
	e.claim(t, p)
	e.create(t, p, spec)
	e.awaitReady(t, p)
	return p
}

// pipelineNamed prepares a namespace, which goes with the test, and with it the
// topic: what a run before this one has left behind is none of its.
func (e environment) pipelineNamed(t *testing.T, name string) scenario.Pipeline {
	t.Helper()
	p := scenario.Pipeline{Name: name, Namespace: e.pipeline.Namespace + "-" + name + "-" + strings.ToLower(rand.Text()[:6])}
	within(t, time.Minute, "prepare the namespace of "+name, func(ctx context.Context) error { return e.cluster.EnsureNamespace(ctx, p) })
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		_, _ = e.cluster.Run(ctx, "delete", "logpipelines", "--all", "-n", p.Namespace, "--wait", "--timeout=1m")
		_, _ = e.cluster.Run(ctx, "delete", "namespace", p.Namespace, "--wait=false")
	})
	return p
}

// claim asks for a volume that several consumers can write to.
func (e environment) claim(t *testing.T, p scenario.Pipeline) {
	t.Helper()
	e.apply(t, p, p.Claim("ReadWriteMany"))
}

// create applies a LogPipeline with the spec.
func (e environment) create(t *testing.T, p scenario.Pipeline, spec string) {
	t.Helper()
	e.apply(t, p, p.Resource(spec))
}

func (e environment) awaitReady(t *testing.T, pipelines ...scenario.Pipeline) {
	t.Helper()
	for _, p := range pipelines {
		within(t, 3*time.Minute, "start "+p.Name, func(ctx context.Context) error { return e.cluster.AwaitReady(ctx, p) })
	}
}

func (e environment) apply(t *testing.T, p scenario.Pipeline, manifest string) {
	t.Helper()
	within(t, time.Minute, "apply to "+p.Namespace, func(ctx context.Context) error { return e.cluster.Apply(ctx, manifest) })
}

// stream sends to the pipeline until the test stops it.
func (e environment) stream(t *testing.T, p scenario.Pipeline, secure *tls.Config, token func() string) *scenario.Stream {
	t.Helper()
	address, err := e.cluster.Address(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	s := &scenario.Stream{URL: "http://" + address + "/logs", Clients: 4, Pause: 20 * time.Millisecond, TLS: secure, Token: token}
	if secure != nil {
		s.URL = "https://" + address + "/logs"
	}
	s.Start(t.Context())
	t.Cleanup(func() { _ = s.Stop() })
	e.goesOn(t, s)
	return s
}

// goesOn has clients send enough to meet every pod several times.
func (e environment) goesOn(t *testing.T, s *scenario.Stream) {
	t.Helper()
	within(t, time.Minute, "send on", func(ctx context.Context) error { return s.AwaitMore(ctx, 100) })
}

// stop ends a stream, of which no request may have failed.
func (e environment) stop(t *testing.T, s *scenario.Stream) {
	t.Helper()
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
}

// assertAllStored compares what is stored with what streams were told.
func (e environment) assertAllStored(t *testing.T, p scenario.Pipeline, streams ...*scenario.Stream) {
	t.Helper()
	var acknowledged int64
	for _, s := range streams {
		acknowledged += s.Records()
	}
	within(t, 2*time.Minute, "store what "+p.Name+" has acknowledged", func(ctx context.Context) error {
		stored, err := e.cluster.AwaitStored(ctx, p, acknowledged)
		t.Logf("%d of %d records stored, complete: %t", stored.Records, acknowledged, stored.Complete)
		return err
	})
}

// pods of both roles, by their UIDs.
func (e environment) pods(t *testing.T, p scenario.Pipeline) map[string]scenario.Pod {
	t.Helper()
	all := map[string]scenario.Pod{}
	for _, role := range []string{"ingester", "consumer"} {
		pods, err := e.cluster.Pods(t.Context(), p, role)
		if err != nil {
			t.Fatal(err)
		}
		for _, pod := range pods {
			all[pod.UID] = pod
		}
	}
	return all
}

// await tries until it works.
func await(t *testing.T, limit time.Duration, what string, check func(context.Context) error) {
	t.Helper()
	within(t, limit, what, func(ctx context.Context) error {
		return scenario.Eventually(ctx, func() error { return check(ctx) })
	})
}
