//go:build e2e

// Package e2e runs the main job on a real cluster with a real broker. `make
// e2e` brings both up; elsewhere, set the variables that fromEnvironment reads.
// It installs the operator, or upgrades the one that is there, and uninstalls
// it in the end: the cluster is meant to be one for tests.
package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logpipeline/logpipeline/test/e2e/scenario"
)

type environment struct {
	cluster  scenario.Cluster
	images   scenario.Images
	next     scenario.Images // the same under another name
	pipeline scenario.Pipeline
	logs     string
}

func fromEnvironment(t *testing.T) environment {
	t.Helper()
	get := func(name string) string {
		value := os.Getenv(name)
		if value == "" {
			t.Fatalf("%s is not set: run make e2e", name)
		}
		return value
	}
	return environment{
		cluster: scenario.Cluster{Kubectl: get("KUBECTL"), Helm: get("HELM"), Kubeconfig: get("KUBECONFIG")},
		images:  scenario.Images{Operator: get("OPERATOR_IMAGE"), Ingester: get("INGESTER_IMAGE")},
		next:    scenario.Images{Operator: get("OPERATOR_IMAGE") + "-next", Ingester: get("INGESTER_IMAGE") + "-next"},
		pipeline: scenario.Pipeline{
			Name: "orders", Namespace: "logpipeline-e2e", Brokers: get("KAFKA_CLUSTER_BOOTSTRAP"),
			Partitions: 3, DeletionPolicy: "Delete",
		},
		logs: get("COMPONENT_LOGS"),
	}
}

// From an empty cluster to proven segments and back to an empty cluster, with
// both workloads restarted on the way.
func TestMainJob(t *testing.T) {
	e := fromEnvironment(t)
	ctx := t.Context()
	e.installOperator(t)

	within(t, 2*time.Minute, "start the pipeline", func(ctx context.Context) error { return e.cluster.Start(ctx, e.pipeline) })
	acknowledged := e.feed(t, "kube-apiserver", 3*time.Second)
	e.assertStored(t, acknowledged)

	t.Log("the consumer is restarted while records come in")
	shipper := e.shipper(t, "kube-controller-manager", "kube-scheduler", "etcd")
	within(t, 2*time.Minute, "restart the consumer under load", func(ctx context.Context) error {
		restarted := make(chan error, 1)
		go func() { restarted <- e.cluster.Restart(ctx, e.pipeline, "consumer") }()
		if err := shipper.Ship(ctx, time.Now().Add(3*time.Second)); err != nil {
			return err
		}
		return <-restarted
	})
	acknowledged += shipper.Fed().Records
	e.assertStored(t, acknowledged)

	t.Log("the ingester is restarted; what it acknowledged before stays acknowledged")
	within(t, 2*time.Minute, "restart the ingester", func(ctx context.Context) error { return e.cluster.Restart(ctx, e.pipeline, "ingester") })
	acknowledged += e.feed(t, "kube-apiserver", time.Second)
	e.assertStored(t, acknowledged)

	lines, err := e.cluster.FirstRecords(ctx, e.pipeline, 1)
	if err != nil || !strings.Contains(lines, "segments/dt=") || !strings.Contains(lines, "{") {
		t.Errorf("the first stored record is %q (%v), want the name of its segment and a JSON line", lines, err)
	}

	within(t, 2*time.Minute, "delete the pipeline", func(ctx context.Context) error { return e.cluster.Delete(ctx, e.pipeline) })
	within(t, 2*time.Minute, "delete the namespace", func(ctx context.Context) error {
		_, err := e.cluster.Run(ctx, "delete", "namespace", e.pipeline.Namespace, "--wait")
		return err
	})
	within(t, time.Minute, "uninstall the operator", e.cluster.Uninstall)
}

func (e environment) installOperator(t *testing.T, values ...string) {
	t.Helper()
	within(t, time.Minute, "prepare the namespace", func(ctx context.Context) error { return e.cluster.EnsureNamespace(ctx, e.pipeline) })
	within(t, time.Minute, "reach the brokers from a pod", func(ctx context.Context) error {
		_, err := e.cluster.CheckBroker(ctx, e.pipeline.Namespace, e.images, e.pipeline.Brokers)
		return err
	})
	within(t, 3*time.Minute, "install the operator", func(ctx context.Context) error {
		return e.cluster.Install(ctx, "../../charts/logpipeline", e.images, values...)
	})
}

// feed sends what the component has logged and logs until the time is over,
// and returns the number of acknowledged records.
func (e environment) feed(t *testing.T, component string, span time.Duration) int64 {
	t.Helper()
	shipper := e.shipper(t, component)
	within(t, time.Minute, "feed the logs of "+component, func(ctx context.Context) error {
		return shipper.Ship(ctx, time.Now().Add(span))
	})
	fed := shipper.Fed()
	t.Logf("%d records of %s acknowledged in %d requests, %d lines skipped", fed.Records, component, fed.Requests, fed.Skipped)
	if fed.Records == 0 {
		t.Fatalf("%s logged no JSON line: there is nothing to prove", component)
	}
	return fed.Records
}

func (e environment) shipper(t *testing.T, components ...string) *scenario.Shipper {
	t.Helper()
	url, stop, err := e.cluster.Forward(t.Context(), e.pipeline)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	shipper := &scenario.Shipper{URL: url, BatchRecords: 50}
	t.Cleanup(func() { _ = shipper.Close() })
	for _, component := range components {
		if err := shipper.Follow(filepath.Join(e.logs, component+".log")); err != nil {
			t.Fatal(err)
		}
	}
	return shipper
}

func (e environment) assertStored(t *testing.T, acknowledged int64) {
	t.Helper()
	within(t, time.Minute, "store what was acknowledged", func(ctx context.Context) error {
		stored, err := e.cluster.AwaitStored(ctx, e.pipeline, acknowledged)
		t.Logf("%d of %d records stored in %d segments, complete: %t", stored.Records, acknowledged, stored.Segments, stored.Complete)
		return err
	})
}

func within(t *testing.T, limit time.Duration, what string, do func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	began := time.Now()
	if err := do(ctx); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	t.Logf("%s: %.1f s", what, time.Since(began).Seconds())
}
