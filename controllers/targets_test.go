package controllers

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/resources"
	"github.com/logpipeline/logpipeline/controllers/scaling"
	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/test/await"
)

// targetsIn returns those of a namespace, by name.
func targetsIn(t *testing.T, targets scaling.Targets, namespace string) []scaling.Target {
	t.Helper()
	all, err := targets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(one scaling.Target) bool { return one.Namespace != namespace })
	slices.SortFunc(all, func(a, b scaling.Target) int { return strings.Compare(a.Name, b.Name) })
	for i := range all {
		for _, pods := range [][]scaling.Pod{all[i].Ingesters, all[i].Consumers} {
			slices.SortFunc(pods, func(a, b scaling.Pod) int { return strings.Compare(a.Name, b.Name) })
		}
	}
	return all
}

// newPod plays what a Deployment and the kubelet make of a pipeline's pod.
func newPod(t *testing.T, p *v1alpha1.LogPipeline, component, name string, status corev1.PodStatus) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: name, Labels: map[string]string{
			resources.ManagedByLabel: resources.ManagedByValue, "app.kubernetes.io/name": "logpipeline",
			"app.kubernetes.io/instance": p.Name, "app.kubernetes.io/component": component,
		}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "ingester", Image: image}}},
	}
	create(t, pod)
	pod.Status = status
	if err := api.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	return pod
}

func running(ip string, ready corev1.ConditionStatus) corev1.PodStatus {
	return corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}},
	}
}

func TestTargetTellsWhereThePodsAre(t *testing.T) {
	namespace, kafka := newNamespace(t), newKafka(t)
	p := newPipeline(namespace, kafka.ListenAddrs())
	startPipeline(t, p)
	newPod(t, p, "ingester", "ingester-a", running("10.0.0.1", corev1.ConditionTrue))
	newPod(t, p, "ingester", "ingester-b", running("10.0.0.2", corev1.ConditionFalse))
	newPod(t, p, "ingester", "ingester-c", corev1.PodStatus{Phase: corev1.PodPending})
	newPod(t, p, "ingester", "ingester-d", corev1.PodStatus{Phase: corev1.PodFailed})
	last := newPod(t, p, "consumer", "consumer-a", running("fd00::1", corev1.ConditionTrue))

	targets := reconciler.Targets()
	want := []scaling.Target{{
		Pipeline: scaling.Pipeline{Namespace: namespace, Name: "orders"},
		Kafka:    config.Kafka{BootstrapServers: kafka.ListenAddrs(), ClientID: "logpipeline-operator"},
		Topic:    namespace + ".orders", TopicID: uuid.MustParse(p.Status.Topic.ID),
		Group:            "logpipeline." + namespace + ".orders",
		IngesterReplicas: 2,
		Ingesters: []scaling.Pod{
			{Name: "ingester-a", Address: "10.0.0.1:9090"},
			{Name: "ingester-b", Address: "10.0.0.2:9090", Starting: true},
			{Name: "ingester-c", Address: ":9090", Starting: true},
		},
		Consumers: []scaling.Pod{{Name: "consumer-a", Address: "[fd00::1]:9090"}},
	}}
	awaitTargets(t, targets, namespace, want)

	if err := api.Delete(t.Context(), last, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	want[0].Consumers = nil
	awaitTargets(t, targets, namespace, want)
}

// awaitTargets waits for the cache.
func awaitTargets(t *testing.T, targets scaling.Targets, namespace string, want []scaling.Target) {
	t.Helper()
	await.NoError(t, func() error {
		if diff := cmp.Diff(want, targetsIn(t, targets, namespace), cmpopts.EquateEmpty()); diff != "" {
			return errorString("-want +got\n" + diff)
		}
		return nil
	})
}

type errorString string

func (e errorString) Error() string { return string(e) }

func TestTargetsFollowThePipelines(t *testing.T) {
	namespace := newNamespace(t)
	p := newPipeline(namespace, newKafka(t).ListenAddrs())
	startPipeline(t, p)
	waiting := newPipeline(namespace, address(freePort(t)))
	waiting.Name = "waiting"
	create(t, waiting)

	targets, names := reconciler.Targets(), func() (names []string) {
		for _, target := range targetsIn(t, reconciler.Targets(), namespace) {
			names = append(names, target.Name)
		}
		return names
	}
	await := func(want ...string) {
		t.Helper()
		await.NoError(t, func() error {
			if got := names(); !slices.Equal(got, want) {
				return errorString(cmp.Diff(want, got))
			}
			return nil
		})
	}
	await("orders") // the other one has no topic yet
	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Suspend = true })
	await()
	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Suspend = false })
	await("orders")
	if err := api.Delete(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	await()
	if _, err := targets(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTargetIsScaledByTheSpec(t *testing.T) {
	namespace := newNamespace(t)
	p := newPipeline(namespace, newKafka(t).ListenAddrs())
	startPipeline(t, p)
	half := int32(50)
	p.Spec.Ingester.Scaling = &v1alpha1.IngesterScalingSpec{Auto: &v1alpha1.IngesterAutoScaling{MaxReplicas: 4, QueueTargetPercent: &half}}
	p.Spec.Consumer.Scaling = &v1alpha1.ConsumerScalingSpec{Auto: &v1alpha1.ConsumerAutoScaling{
		MaxReplicas: 4, Targets: []v1alpha1.ConsumerTarget{{Type: v1alpha1.TargetLagRecords, Value: 7}, {Type: v1alpha1.TargetDelaySeconds, Value: 90}},
	}}
	configs, err := resources.Config(p)
	if err != nil {
		t.Fatal(err)
	}
	got := (&followed{configs: configs}).target(p)
	if want := int64(configs.Ingester.Queue.MaxBytes) / 2; got.QueueTargetBytes != want || got.DelayTarget != 90*time.Second {
		t.Errorf("queue target %d bytes, want %d; delay target %v, want 90s", got.QueueTargetBytes, want, got.DelayTarget)
	}
}

// The credentials are read again after a minute or so; while they can't be, or
// the spec is invalid, those that there were are used.
func TestTargetHasTheCredentialsOfTheTime(t *testing.T) {
	p := newPipeline(newNamespace(t), []string{"b:9092", "a:9092", "b:9092"})
	p.UID = "1"
	p.Status.Topic = &v1alpha1.TopicStatus{Name: "orders"}
	p.Spec.Kafka.Security.SASL = &v1alpha1.KafkaSASLSpec{Mechanism: "PLAIN", CredentialsSecretRef: v1alpha1.SecretReference{Name: "app"}}
	now := time.Now()
	f := &follower{known: map[types.UID]*followed{}, reconciler: &Reconciler{Live: reconciler.Live, Now: func() time.Time { return now }}}
	follow := func() *scaling.Target {
		known := f.followAll(t.Context(), []v1alpha1.LogPipeline{*p})[p.UID]
		if known == nil {
			return nil
		}
		target := known.target(p)
		return &target
	}
	if got := follow(); got != nil {
		t.Fatalf("without its Secret: %+v", got)
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: p.Namespace},
		StringData: map[string]string{"username": "operator", "password": "first\n"},
	}
	create(t, secret)
	got := follow()
	if got == nil {
		t.Fatal("nil")
	}
	if diff := cmp.Diff(config.Kafka{BootstrapServers: []string{"a:9092", "b:9092"}, ClientID: clientID, SASL: config.KafkaSASL{Mechanism: "PLAIN"}}, got.Kafka); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	want := kafka.Credentials{Username: "operator", Password: "first"}
	if diff := cmp.Diff(want, got.Credentials); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	change(t, secret, func(s *corev1.Secret) { s.Data["password"] = []byte("second") })
	if diff := cmp.Diff(want, follow().Credentials); diff != "" {
		t.Errorf("within a minute: -want +got\n%s", diff)
	}
	now = now.Add(2 * resyncEvery)
	want.Password = "second"
	if diff := cmp.Diff(want, follow().Credentials); diff != "" {
		t.Errorf("after it: -want +got\n%s", diff)
	}
	if err := api.Delete(context.WithoutCancel(t.Context()), secret); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * resyncEvery)
	if diff := cmp.Diff(want, follow().Credentials); diff != "" {
		t.Errorf("when the Secret is gone: -want +got\n%s", diff)
	}
}

func TestReplacing(t *testing.T) {
	tests := map[string]struct {
		status appsv1.DeploymentStatus
		want   bool
	}{
		"all of one template": {appsv1.DeploymentStatus{Replicas: 3, UpdatedReplicas: 3, ReadyReplicas: 3}, false},
		"more come":           {appsv1.DeploymentStatus{Replicas: 5, UpdatedReplicas: 5, ReadyReplicas: 3}, false},
		"old ones are left":   {appsv1.DeploymentStatus{Replicas: 3, UpdatedReplicas: 1, ReadyReplicas: 3}, true},
		"none":                {appsv1.DeploymentStatus{}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := replacing(&appsv1.Deployment{Status: test.status}); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// What the cache keeps of a pod says as much of it as the pod.
func TestSlimPod(t *testing.T) {
	now := metav1.Now()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "logs", Name: "a", UID: "1", ResourceVersion: "2", Labels: map[string]string{"a": "b"}, DeletionTimestamp: &now,
			Annotations: map[string]string{"large": "x"}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubelet"}},
		},
		Spec: corev1.PodSpec{NodeName: "n"},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.1", HostIP: "10.1.0.1", Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: corev1.ConditionTrue, Message: "long"},
		}},
	}
	want := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "logs", Name: "a", UID: "1", ResourceVersion: "2", Labels: map[string]string{"a": "b"}, DeletionTimestamp: &now},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.1", Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
	got, err := slimPod(pod)
	if diff := cmp.Diff(any(want), got); diff != "" || err != nil {
		t.Errorf("%v, -want +got\n%s", err, diff)
	}
	if got, err := slimPod("something else"); got != any("something else") || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}
