package controllers

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/test/await"
)

func TestTransitions(t *testing.T) {
	status := func(conditions ...metav1.Condition) v1alpha1.LogPipelineStatus {
		return v1alpha1.LogPipelineStatus{Conditions: conditions}
	}
	is := func(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message}
	}
	const yes, no, unknown = metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown
	partitions := func(n int32) v1alpha1.LogPipelineStatus {
		return v1alpha1.LogPipelineStatus{Topic: &v1alpha1.TopicStatus{Name: "logs", ID: "1", Partitions: n}}
	}
	running := status(is("Ready", yes, "Running", ""), is("KafkaReachable", yes, "BrokersAnswered", "the brokers answered"), is("IngesterAvailable", yes, "DeploymentAvailable", "2 of 2"))
	suspended := status(is("Ready", no, "Suspended", ""), is("IngesterAvailable", no, "Suspended", ""), is("KafkaReachable", unknown, "Suspended", ""))
	unreachable := status(is("Ready", no, "BrokersUnreachable", "dial"), is("Reconciling", yes, "Retrying", "dial"), is("KafkaReachable", no, "BrokersUnreachable", "dial"), is("TopicReady", unknown, "NotChecked", ""))
	stalled := status(is("Ready", no, "TopicTaken", "taken"), is("Stalled", yes, "TopicTaken", "taken"), is("TopicReady", no, "TopicTaken", "taken"))
	tests := map[string]struct {
		before, after v1alpha1.LogPipelineStatus
		want          []happening
	}{
		"nothing":                     {running, running, nil},
		"comes up":                    {status(), status(is("Ready", no, "DeploymentProgressing", ""), is("IngesterAvailable", no, "DeploymentProgressing", "0 of 2")), nil},
		"is up":                       {status(is("IngesterAvailable", no, "DeploymentProgressing", "0 of 2")), running, nil},
		"topic grown":                 {partitions(3), partitions(12), []happening{{"Normal", "TopicResized", "ResizeTopic", `topic "logs" has 12 partitions now; it had 3`}}},
		"topic seen first":            {status(), partitions(3), nil},
		"suspended":                   {running, suspended, []happening{{"Normal", "Suspended", "Suspend", "spec.suspend is true: ingesters and consumers go"}}},
		"resumed":                     {suspended, running, []happening{{"Normal", "Resumed", "Resume", "spec.suspend is no longer true: ingesters and consumers come back"}}},
		"fails while it is suspended": {suspended, status(is("Ready", no, "ForeignObject", "Service"), is("IngesterAvailable", no, "ForeignObject", "Service"), is("ConsumerAvailable", no, "Suspended", "")), []happening{{"Warning", "ForeignObject", "Reconcile", "Service"}}},
		"Kafka goes":                  {running, unreachable, []happening{{"Warning", "BrokersUnreachable", "Reconcile", "dial"}}},
		"Kafka is still away":         {unreachable, unreachable, nil},
		"Kafka comes back":            {unreachable, running, []happening{{"Normal", "Mended", "Reconcile", "KafkaReachable is no longer BrokersUnreachable: the brokers answered"}}},
		"another trouble of the same": {unreachable, status(is("KafkaReachable", no, "AuthenticationFailed", "who")), []happening{{"Warning", "AuthenticationFailed", "Reconcile", "who"}}},
		"hidden by another trouble":   {status(is("TopicReady", no, "NotAuthorized", "")), unreachable, []happening{{"Warning", "BrokersUnreachable", "Reconcile", "dial"}}},
		"stalled":                     {running, stalled, []happening{{"Warning", "TopicTaken", "Reconcile", "taken (the pipeline is stalled until its spec is changed)"}}},
		"stalled by its spec as a whole": {
			running, status(is("Ready", no, "InvalidSpec", "bad"), is("Stalled", yes, "InvalidSpec", "bad"), is("IngesterAvailable", yes, "DeploymentAvailable", "")),
			[]happening{{"Warning", "InvalidSpec", "Reconcile", "bad (the pipeline is stalled until its spec is changed)"}},
		},
		"rollout fails":         {running, status(is("IngesterAvailable", no, "DeploymentFailed", "no progress")), []happening{{"Warning", "DeploymentFailed", "Reconcile", "no progress"}}},
		"failed rollout anew":   {status(is("IngesterAvailable", no, "DeploymentFailed", "no progress")), status(is("IngesterAvailable", no, "DeploymentProgressing", "0 of 2")), []happening{{"Normal", "Mended", "Reconcile", "IngesterAvailable is no longer DeploymentFailed: 0 of 2"}}},
		"to zero not supported": {status(is("AutoscalingActive", unknown, "NotChecked", "")), status(is("AutoscalingActive", yes, "ScaleToZeroUnsupported", "counts as 1")), []happening{{"Warning", "ScaleToZeroUnsupported", "Reconcile", "counts as 1"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, transitions(test.before, test.after), cmp.AllowUnexported(happening{})); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// told are the events of a pipeline, in the order of their reasons.
func told(t *testing.T, p *v1alpha1.LogPipeline) []string {
	t.Helper()
	var all eventsv1.EventList
	if err := api.List(t.Context(), &all, client.InNamespace(p.Namespace)); err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range all.Items {
		if e.Regarding.UID == p.UID {
			found = append(found, e.Type+" "+e.Reason+": "+e.Note)
		}
	}
	slices.Sort(found)
	return found
}

// What people are told of a life with everything in it, and that nothing is told
// twice.
func TestPeopleAreTold(t *testing.T) {
	namespace := newNamespace(t)
	p := newPipeline(namespace, newKafka(t).ListenAddrs())
	p.Spec.Topic.Partitions = ptr.To[int32](2)
	p.Spec.Ingester.Authentication.BearerTokensSecretRef = &v1alpha1.SecretReference{Name: "tokens"}
	create(t, p)
	awaitCondition(t, p, v1alpha1.ConditionIngesterAvailable, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)
	create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "tokens"}, Data: map[string][]byte{"shipper": []byte("a-long-enough-token")}})
	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Topic.Partitions = ptr.To[int32](3) })
	awaitRunning(t, p)
	id := p.Status.Topic.ID
	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Topic.Partitions = ptr.To[int32](4) })
	awaitRunning(t, p)
	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Suspend = true })
	awaitCondition(t, p, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSuspended)
	change(t, p, func(p *v1alpha1.LogPipeline) {
		p.Spec.Suspend = false
		p.Spec.Ingester.Scaling = &v1alpha1.IngesterScalingSpec{External: &v1alpha1.ExternalScaling{}}
	})
	awaitReplicas(t, p, 2, handOverManager)
	awaitRunning(t, p)
	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Ingester.Scaling = nil })
	awaitReplicas(t, p, 2, fieldManager, handOverManager)
	awaitRunning(t, p)
	reconcileTimes(t, p, 10)

	topic := fmt.Sprintf("topic %q", namespace+".orders")
	want := []string{
		"Normal Mended: IngesterAvailable is no longer SecretNotFound: ",
		"Normal ReplicasHandedOver: an autoscaler decides on the replicas of Deployment \"orders-ingester\" from now on; they begin at 2",
		"Normal ReplicasTakenBack: the operator decides on the replicas of Deployment \"orders-ingester\" again; they are 2",
		"Normal Resumed: spec.suspend is no longer true: ingesters and consumers come back",
		"Normal Suspended: spec.suspend is true: ingesters and consumers go",
		"Normal TopicCreated: created " + topic + " with id " + id + " and 3 partitions",
		"Normal TopicResized: " + topic + " has 4 partitions now; it had 3",
		"Warning NotDrained: the consumers stop before all is stored (the 0s that they have are over): ",
		"Warning SecretNotFound: spec.ingester.authentication.bearerTokensSecretRef names Secret \"tokens\", which does not exist: create it",
	}
	begins := func(a, b string) bool { return strings.HasSuffix(a, ": ") && strings.HasPrefix(b, a) }
	sameNote := cmp.Comparer(func(a, b string) bool { return a == b || begins(a, b) || begins(b, a) })
	await.NoError(t, func() error {
		if diff := cmp.Diff(want, told(t, p), sameNote); diff != "" {
			return errors.New("events -want +got\n" + diff)
		}
		return nil
	})
	for _, name := range []string{"orders-ingester", "orders-consumer"} {
		if n := *read[appsv1.Deployment](t, namespace, name).Spec.Replicas; n == 0 {
			t.Errorf("%s has no replicas", name)
		}
	}
}

// An API server takes no note of more than 1,024 characters.
func TestLongNotesAreCut(t *testing.T) {
	if got := cut(strings.Repeat("ä", 600), noteLimit); got != strings.Repeat("ä", 512) {
		t.Errorf("%d bytes: …%q", len(got), got[max(0, len(got)-4):])
	}
	if got := cut("short", noteLimit); got != "short" {
		t.Errorf("got %q", got)
	}
}
