package controllers

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

// Tools that wait for what they have applied, such as Flux, Argo CD and kubectl
// wait, read conditions as kstatus does.
func TestStatusIsReadByTools(t *testing.T) {
	tests := map[string]struct {
		change func(t *testing.T, s surroundings, p *v1alpha1.LogPipeline)
		rests  string
		want   status.Status
	}{
		"records are taken and stored": {nil, "Running", status.CurrentStatus},
		"invalid": {
			func(t *testing.T, _ surroundings, p *v1alpha1.LogPipeline) {
				change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Ingester.Queue.MaxBytes = ptr.To(resource.MustParse("1Ki")) })
			},
			"Stalled InvalidSpec", status.FailedStatus,
		},
		"a Secret is missing": {
			func(t *testing.T, _ surroundings, p *v1alpha1.LogPipeline) {
				change(t, p, func(p *v1alpha1.LogPipeline) {
					p.Spec.Ingester.Authentication.BasicSecretRef = &v1alpha1.SecretReference{Name: "absent"}
				})
			},
			"Retrying SecretNotFound", status.InProgressStatus,
		},
		"Kafka is away": {
			func(t *testing.T, s surroundings, p *v1alpha1.LogPipeline) {
				s.kafka.Close()
				change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Ingester.Scaling = fixedIngesters(3) })
			},
			"Retrying BrokersUnreachable", status.InProgressStatus,
		},
		"suspended": { // at rest, as its spec says
			func(t *testing.T, _ surroundings, p *v1alpha1.LogPipeline) {
				change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Suspend = true })
			},
			"Suspended", status.CurrentStatus,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := surround(t)
			p := newPipeline(s.namespace, []string{"127.0.0.1:" + s.port})
			create(t, p)
			s.come(t, p, func(rests string) bool { return rests == "Running" })
			if test.change != nil {
				test.change(t, s, p)
			}
			s.come(t, p, func(rests string) bool { return rests == test.rests })
			expectStatus(t, p, test.want)
		})
	}
}

func TestStatusOfChangesIsReadByTools(t *testing.T) {
	s := surround(t)
	p := newPipeline(s.namespace, []string{"127.0.0.1:" + s.port})
	p.Spec.Topic.DeletionPolicy = v1alpha1.TopicDelete
	create(t, p)
	awaitCondition(t, p, v1alpha1.ConditionReconciling, "True", v1alpha1.ReasonProgressing) // nobody plays the Deployments' part yet
	expectStatus(t, p, status.InProgressStatus)
	s.come(t, p, func(rests string) bool { return rests == "Running" })

	// Not seen by the operator yet: of an older generation than the spec.
	object := unstructuredOf(t, p)
	object.SetGeneration(p.Generation + 1)
	if got, err := status.Compute(object); err != nil || got.Status != status.InProgressStatus {
		t.Errorf("changed just now: %+v, %v", got, err)
	}

	s.kafka.Close()
	if err := api.Delete(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	expectStatus(t, p, status.TerminatingStatus)
}

func expectStatus(t *testing.T, p *v1alpha1.LogPipeline, want status.Status) {
	t.Helper()
	got, err := status.Compute(unstructuredOf(t, p))
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != want {
		t.Errorf("it reads %s (%s), want %s: %+v", got.Status, got.Message, want, p.Status.Conditions)
	}
}

func unstructuredOf(t *testing.T, p *v1alpha1.LogPipeline) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("LogPipeline"))
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(p), object); err != nil {
		t.Fatal(err)
	}
	return object
}
