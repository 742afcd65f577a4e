package main

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/test/await"
)

// leads is what the page of metrics of the leader alone shows.
const leads = `leader_election_master_status{name="operator.ingest.logpipeline.io"} 1`

// A leader that is stopped gives the lease back, so that nobody waits for it;
// one that is killed loses it. All the while each replica answers autoscalers.
func TestAnotherReplicaTakesOver(t *testing.T) {
	i := install(t, "--set", "operator.replicas=2")
	kafka := newKafka(t)
	first, second, third := i.newReplica(), i.newReplica(), i.newReplica()
	i.route(t, first, second, third)
	scaled := newPipeline(newNamespace(t), kafka)
	create(t, scaled)
	first.start(t)
	awaitObjects(t, scaled)
	produce(t, kafka, scaled.Spec.Topic.Name, 5)
	first.restart(t)
	second.start(t)
	autoscaler, reader := newAutoscaler(t, i), i.newReader(t)
	lag := fmt.Sprintf("logpipeline_consumer_lag_records{namespace=%q,pipeline=%q} 5", scaled.Namespace, scaled.Name)
	await.NoError(t, func() error { return autoscaler.sees(scaled, "5") })
	await.NoError(t, func() error { return second.shows(reader, lag) })

	told := func() error { return autoscaler.sees(scaled, "5") }
	asked := keepAsking(t, told, 0)
	held := i.leaseHolder(t)
	first.stop(t)
	if now := i.leaseHolder(t); held == "" || now == held {
		t.Errorf("held by %q, and by %q after it has ended", held, now)
	}
	await.NoError(t, func() error { return second.shows(reader, leads) })
	asked()

	third.start(t)
	await.NoError(t, func() error { return third.shows(reader, lag) })
	asked = keepAsking(t, told, 1) // the question that it was about to answer
	second.kill()
	late := newPipeline(newNamespace(t), kafka)
	create(t, late)
	awaitObjects(t, late)
	asked()
	deletePipelines(t, scaled, late)
	for _, r := range []*replica{first, second, third} {
		r.lacksNoRight(t)
	}
}

// leaseHolder is empty while nobody leads.
func (i *installation) leaseHolder(t *testing.T) string {
	t.Helper()
	var lease coordinationv1.Lease
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: i.name, Name: "operator.ingest.logpipeline.io"}, &lease); err != nil {
		t.Fatal(err)
	}
	return ptr.Deref(lease.Spec.HolderIdentity, "")
}

// keepAsking asks again and again until the function that it returns is called.
// More failures in a row than are allowed are a gap.
func keepAsking(t *testing.T, ask func() error, allowed int) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	asking.Go(func() {
		for failed := 0; ctx.Err() == nil; {
			err := ask()
			if failed++; err == nil {
				failed = 0
			}
			if failed > allowed {
				t.Errorf("question unanswered: %v", err)
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	return func() { cancel(); asking.Wait() }
}
