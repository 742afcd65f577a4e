package controllers

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/metricsapi"
	"github.com/logpipeline/logpipeline/controllers/resources"
	"github.com/logpipeline/logpipeline/controllers/scaling"
	"github.com/logpipeline/logpipeline/test/await"
)

// newAutoscaling has the rights of the operator.
func newAutoscaling(t *testing.T) *Autoscaling {
	t.Helper()
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	return &Autoscaling{client: reconciler.Client, live: reconciler.Live, discovery: newDiscovery(t, config), store: scaling.NewStore(), now: time.Now}
}

func newDiscovery(t *testing.T, config *rest.Config) discovery.DiscoveryInterface {
	t.Helper()
	d, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// newScaled is a pipeline of which both roles are scaled.
func newScaled(namespace string) *v1alpha1.LogPipeline {
	p := newPipeline(namespace, []string{"kafka:9092"})
	p.UID = "1"
	p.Spec.Ingester.Scaling = &v1alpha1.IngesterScalingSpec{Auto: &v1alpha1.IngesterAutoScaling{MaxReplicas: 4, TargetCPUPercent: ptr.To[int32](80)}}
	p.Spec.Consumer.Scaling = &v1alpha1.ConsumerScalingSpec{Auto: &v1alpha1.ConsumerAutoScaling{MaxReplicas: 4}}
	return p
}

func TestServerIsAskedOnceByADryRun(t *testing.T) {
	namespace, a := newNamespace(t), newAutoscaling(t)
	if got, err := a.Server(t.Context(), newPipeline(namespace, nil)); err != nil || got != (resources.Server{}) || len(requests.in(namespace)) > 0 {
		t.Errorf("without autoscaling: %+v, %v, after %v", got, err, requests.in(namespace))
	}
	for range 3 {
		got, err := a.Server(t.Context(), newScaled(namespace))
		if diff := cmp.Diff(resources.Server{ScaleToZero: true, Tolerance: true}, got); diff != "" || err != nil {
			t.Errorf("%v, -want +got\n%s", err, diff)
		}
	}
	if asked := requests.in(namespace); len(asked) != 1 {
		t.Errorf("it was asked by %v", asked)
	}
	var all autoscalingv2.HorizontalPodAutoscalerList
	if err := api.List(t.Context(), &all, client.InNamespace(namespace)); err != nil || len(all.Items) > 0 {
		t.Errorf("it left %d HorizontalPodAutoscalers, %v", len(all.Items), err)
	}
}

// An API server as of three releases ago takes neither.
func TestServerThatTakesNeither(t *testing.T) {
	environment := &envtest.Environment{}
	environment.ControlPlane.GetAPIServer().Configure().Append("emulated-version", "1.34")
	config, err := environment.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Error(err)
		}
	})
	old, err := client.New(config, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Create(t.Context(), trial("default", 1), client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	a := &Autoscaling{client: old, now: time.Now}
	got, err := a.Server(t.Context(), newScaled("default"))
	if diff := cmp.Diff(resources.Server{}, got); diff != "" || err != nil {
		t.Errorf("%v, -want +got\n%s", err, diff)
	}
	nowhere := newScaled("no-such-namespace")
	if _, err := (&Autoscaling{client: old, now: time.Now}).Server(t.Context(), nowhere); !apierrors.IsNotFound(err) {
		t.Errorf("a failure is taken for an answer: %v", err)
	}
}

// A quota that is used up must not keep those that there are from being
// changed.
func TestServerThatMayNotBeAsked(t *testing.T) {
	namespace, a := newNamespace(t), newAutoscaling(t)
	const counted corev1.ResourceName = "count/horizontalpodautoscalers.autoscaling"
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "none"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{counted: resource.MustParse("0")}},
	}
	create(t, quota)
	quota.Status = corev1.ResourceQuotaStatus{Hard: quota.Spec.Hard, Used: corev1.ResourceList{counted: resource.MustParse("0")}}
	if err := api.Status().Update(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	await.NoError(t, func() error {
		a.server.until = time.Time{}
		got, err := a.Server(t.Context(), newScaled(namespace))
		if err == nil && got == (resources.Server{}) {
			return nil
		}
		return errors.Join(err, errors.New("the quota does not count yet"))
	})
}

func TestWhatScalesIsObserved(t *testing.T) {
	namespace, a := newNamespace(t), newAutoscaling(t)
	p := newPipeline(namespace, newKafka(t).ListenAddrs())
	theirs := trial(namespace, 1)
	theirs.GenerateName, theirs.Name = "", "orders-consumer"
	theirs.Labels = map[string]string{resources.ManagedByLabel: resources.ManagedByValue}
	create(t, theirs)
	p.Spec.Ingester.Scaling, p.Spec.Consumer.Scaling = newScaled(namespace).Spec.Ingester.Scaling, newScaled(namespace).Spec.Consumer.Scaling
	create(t, p)
	awaitCache(t, theirs, awaitAutoscaler(t, p, true))
	a.store.Put(scaling.Pipeline{Namespace: namespace, Name: "orders"}, scaling.Sample{LagRecords: scaling.Value{At: time.Now()}})
	got, err := a.observe(t.Context(), p, 12)
	if err != nil {
		t.Fatal(err)
	}
	if got.ingester == nil || got.ingester.Name != "orders-ingester" || got.consumer != nil {
		t.Errorf("ingester's is %v, consumer's is %v", got.ingester, got.consumer)
	}
	if got.partitions != 12 || !got.server.ScaleToZero || got.owner.Ownership == "" || got.resourceMetrics == nil || got.queue == nil || got.lag != nil {
		t.Errorf("%+v", got)
	}
	p.Spec.Suspend = true
	if got, err := a.observe(t.Context(), p, 12); err != nil || got.ingester != nil || got.owner != (metricsapi.Owner{}) {
		t.Errorf("suspended: %+v, %v", got, err)
	}
}

func TestRemembered(t *testing.T) {
	var r remembered[int]
	asked, failing := 0, errors.New("no answer")
	answer := func(err error) func() (int, error) {
		return func() (int, error) { asked++; return asked, err }
	}
	for _, step := range []struct {
		after time.Duration
		err   error
		want  int
	}{{0, failing, 1}, {0, nil, 2}, {59 * time.Second, failing, 2}, {time.Minute, failing, 3}, {time.Minute, nil, 4}, {2 * time.Minute, nil, 5}} {
		got, err := r.get(noon.Add(step.after), time.Minute, answer(step.err))
		if got != step.want || asked != step.want && err != nil {
			t.Errorf("after %v: %d, %v, want %d", step.after, got, err, step.want)
		}
	}
}

func TestAutoscalerChanged(t *testing.T) {
	before := newAutoscaler("orders-consumer", 12, said(autoscalingv2.ScalingActive, true, "ValidMetricFound"))
	tests := map[string]struct {
		change func(*autoscalingv2.HorizontalPodAutoscaler)
		want   bool
	}{
		"numbers": {func(a *autoscalingv2.HorizontalPodAutoscaler) {
			a.Status.DesiredReplicas, a.ResourceVersion = 5, "7"
			a.Status.Conditions[0].Message, a.Status.Conditions[0].LastTransitionTime = "from another metric", metav1.Now()
		}, false},
		"spec": {func(a *autoscalingv2.HorizontalPodAutoscaler) { a.Spec.MaxReplicas = 13 }, true},
		"owner": {func(a *autoscalingv2.HorizontalPodAutoscaler) {
			a.OwnerReferences = []metav1.OwnerReference{{UID: "2"}}
		}, true},
		"deletion": {func(a *autoscalingv2.HorizontalPodAutoscaler) { a.DeletionTimestamp = ptr.To(metav1.Now()) }, true},
		"no numbers any more": {func(a *autoscalingv2.HorizontalPodAutoscaler) {
			a.Status.Conditions[0] = said(autoscalingv2.ScalingActive, false, "FailedGetExternalMetric")
		}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			after := before.DeepCopy()
			test.change(after)
			if got := autoscalerChanged.Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after}); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
