package controllers

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/scaling"
)

// Credentials are read anew, and topics looked at, within a minute or little more.
func TestWhenToLookAgain(t *testing.T) {
	about := func(least, most time.Duration) [2]time.Duration { return [2]time.Duration{least, most} }
	after := func(wait time.Duration) [2]time.Duration { return about(wait, wait) }
	unexplained := func(p *pass) { p.children.consumer.live.Status.AvailableReplicas = 0 }
	pending := func(p *pass) {
		p.storage = storageSeen{"c", &corev1.PersistentVolumeClaim{Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending}}}
	}
	held := func(p *pass) { p.rollout = rolloutSeen{held: v1alpha1.ReasonRolloutQueued, again: 7 * time.Second} }
	suspended := func(p *pass) { p.pipeline.Spec.Suspend = true }
	tests := map[string]struct {
		pass *pass
		want [2]time.Duration // least and most; 0: by the queue, which is told of the failure
	}{
		"all is well":                           {passAt(), about(time.Minute, 72*time.Second)},
		"suspended":                             {passAt(suspended), about(time.Minute, 72*time.Second)},
		"draining":                              {passAt(suspended, func(p *pass) { p.stopping.consumers = 1 }), after(drainCheckEvery)},
		"stalled by a spec that others changed": {passAt(failing("TopicReady", "TopicTaken", true)), about(time.Minute, 72*time.Second)},
		"stalled by its spec alone":             {passAt(failing("Ready", "InvalidSpec", true)), after(10 * time.Minute)},
		"stalled by its spec while it drains":   {passAt(failing("Ready", "InvalidSpec", true), func(p *pass) { p.stopping.consumers = 1 }), after(drainCheckEvery)},
		"Kafka is away":                         {passAt(failing("KafkaReachable", "BrokersUnreachable", false)), after(0)},
		"no volume yet":                         {passAt(pending), after(10 * time.Second)},
		"nobody has said why consumers are not": {passAt(unexplained), after(scaling.Interval)},
		"consumers say why":                     {passAt(unexplained, func(p *pass) { p.children.consumer.trouble.pod = "a" }), about(time.Minute, 72*time.Second)},
		"the store fails":                       {passAt(func(p *pass) { p.children.consumer.told.StoreFailure.Pod = "a" }), after(scaling.Interval)},
		"it waits for its turn":                 {passAt(held), after(7 * time.Second)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := test.pass.result()
			if got.RequeueAfter < test.want[0] || got.RequeueAfter > test.want[1] {
				t.Errorf("after %v, want it after %v", got.RequeueAfter, test.want)
			}
			if retried := test.want[1] == 0; retried != errors.Is(err, error(test.pass.failure)) && (retried || err != nil) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestElderIsByAgeNamespaceAndName(t *testing.T) {
	born := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	pipeline := func(age time.Duration, namespace, name string) *v1alpha1.LogPipeline {
		p := newPipeline(namespace, nil)
		p.Name, p.CreationTimestamp.Time = name, born.Add(-age)
		return p
	}
	sorted := []*v1alpha1.LogPipeline{
		pipeline(time.Hour, "z", "z"), pipeline(time.Minute, "b", "a"), pipeline(0, "a", "b"), pipeline(0, "a", "c"), pipeline(0, "b", "a"), pipeline(0, "b", "b"),
	}
	for i, a := range sorted {
		for j, b := range sorted {
			if got := elder(a, b); got != (i < j) {
				t.Errorf("%s/%s of %v is elder than %s/%s of %v: %t", a.Namespace, a.Name, a.CreationTimestamp, b.Namespace, b.Name, b.CreationTimestamp, got)
			}
		}
	}
	if diff := cmp.Diff(false, elder(sorted[0], sorted[0])); diff != "" {
		t.Error("it is elder than itself")
	}
}
