package controllers

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/test/await"
)

func fixedIngesters(n int32) *v1alpha1.IngesterScalingSpec {
	return &v1alpha1.IngesterScalingSpec{Fixed: &v1alpha1.FixedScaling{Replicas: n}}
}

func scaledIngesters(least, most int32) *v1alpha1.IngesterScalingSpec {
	return &v1alpha1.IngesterScalingSpec{Auto: &v1alpha1.IngesterAutoScaling{MinReplicas: ptr.To(least), MaxReplicas: most}}
}

// holders are the managers that own the replicas of a Deployment.
func holders(d *appsv1.Deployment) []string {
	var found []string
	for _, entry := range d.ManagedFields {
		if strings.Contains(entry.FieldsV1.GetRawString(), `"f:replicas"`) && entry.Subresource != "status" {
			found = append(found, entry.Manager)
		}
	}
	slices.Sort(found)
	return found
}

// awaitReplicas waits until as many are asked for, whoever owns that.
func awaitReplicas(t *testing.T, p *v1alpha1.LogPipeline, want int32, managers ...string) *appsv1.Deployment {
	t.Helper()
	var found *appsv1.Deployment
	await.NoError(t, func() error {
		d := &appsv1.Deployment{}
		if err := api.Get(t.Context(), client.ObjectKey{Namespace: p.Namespace, Name: "orders-ingester"}, d); err != nil {
			return err
		}
		if *d.Spec.Replicas != want || !slices.Equal(holders(d), managers) {
			return fmt.Errorf("%d replicas, owned by %v; want %d, by %v", *d.Spec.Replicas, holders(d), want, managers)
		}
		found = d
		return nil
	})
	return found
}

func autoscalerOf(t *testing.T, p *v1alpha1.LogPipeline) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	found := &autoscalingv2.HorizontalPodAutoscaler{}
	return found, api.Get(t.Context(), client.ObjectKey{Namespace: p.Namespace, Name: "orders-ingester"}, found)
}

func awaitAutoscaler(t *testing.T, p *v1alpha1.LogPipeline, wanted bool) *autoscalingv2.HorizontalPodAutoscaler {
	t.Helper()
	var found *autoscalingv2.HorizontalPodAutoscaler
	await.NoError(t, func() (err error) {
		found, err = autoscalerOf(t, p)
		if !wanted && err == nil {
			return fmt.Errorf("HorizontalPodAutoscaler is still there")
		}
		if wanted {
			return err
		}
		return client.IgnoreNotFound(err)
	})
	return found
}

// scaleAs is what an autoscaler does: it writes the subresource.
func scaleAs(t *testing.T, d *appsv1.Deployment, replicas int32) {
	t.Helper()
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas))
	if err := api.SubResource("scale").Patch(t.Context(), d, patch, client.FieldOwner("kube-controller-manager")); err != nil {
		t.Fatal(err)
	}
}

// A Deployment's generation counts the changes of its spec: there is none but
// the autoscaler's own, so its replicas never were anything else on the way.
func TestReplicasAreHandedOverAndBack(t *testing.T) {
	namespace := newNamespace(t)
	p := newPipeline(namespace, newKafka(t).ListenAddrs())
	p.Spec.Ingester.Scaling = fixedIngesters(5)
	startPipeline(t, p)
	awaitReplicas(t, p, 5, fieldManager)
	before := read[appsv1.Deployment](t, namespace, "orders-ingester").Generation

	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Ingester.Scaling = scaledIngesters(2, 9) })
	first := awaitAutoscaler(t, p, true)
	d := awaitReplicas(t, p, 5, handOverManager)
	if d.Generation != before {
		t.Errorf("the Deployment's spec has changed %d times on the way to the autoscaler", d.Generation-before)
	}

	scaleAs(t, d, 7)
	awaitReplicas(t, p, 7, "kube-controller-manager")
	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Ingester.Scaling = scaledIngesters(3, 12) })
	await.NoError(t, func() error {
		changed, err := autoscalerOf(t, p)
		if err == nil && (changed.UID != first.UID || changed.Spec.MaxReplicas != 12) {
			err = fmt.Errorf("it is %s for up to %d, want %s for 12", changed.UID, changed.Spec.MaxReplicas, first.UID)
		}
		return err
	})
	d = awaitReplicas(t, p, 7, "kube-controller-manager")
	if d.Generation != before+1 {
		t.Errorf("the Deployment is of generation %d, want %d: that of the autoscaler's change", d.Generation, before+1)
	}

	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Ingester.Scaling = fixedIngesters(7) })
	awaitAutoscaler(t, p, false)
	d = awaitReplicas(t, p, 7, "kube-controller-manager", fieldManager)
	if d.Generation != before+1 {
		t.Errorf("the Deployment's spec has changed %d times on the way back", d.Generation-before-1)
	}
}

func TestScaledPipelineBeginsAtItsLeast(t *testing.T) {
	namespace := newNamespace(t)
	p := newPipeline(namespace, newKafka(t).ListenAddrs())
	p.Spec.Ingester.Scaling = scaledIngesters(4, 9)
	create(t, p)
	awaitAutoscaler(t, p, true)
	awaitReplicas(t, p, 4, handOverManager)
	expectOrder(t, requests.in(namespace), "deployments/orders-ingester", "horizontalpodautoscalers/orders-ingester")
	awaitCondition(t, p, v1alpha1.ConditionAutoscalingActive, metav1.ConditionFalse, v1alpha1.ReasonMetricsUnavailable)

	await.NoError(t, func() error { return play(t, p) })
	awaitCondition(t, p, v1alpha1.ConditionIngesterAvailable, metav1.ConditionTrue, v1alpha1.ReasonDeploymentAvailable)
	awaitCondition(t, p, v1alpha1.ConditionConsumerAvailable, metav1.ConditionTrue, v1alpha1.ReasonDeploymentAvailable)
	awaitCache(t, p, read[appsv1.Deployment](t, namespace, "orders-ingester"), read[appsv1.Deployment](t, namespace, "orders-consumer"), read[autoscalingv2.HorizontalPodAutoscaler](t, namespace, "orders-ingester"))
	writes := requests.in(namespace)
	for range 10 {
		if _, err := reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(p)}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(writes, requests.in(namespace)); diff != "" {
		t.Errorf("writes of ten resyncs: -before +after\n%s", diff)
	}
}

func TestSuspensionTakesTheAutoscalerAway(t *testing.T) {
	namespace := newNamespace(t)
	p := newPipeline(namespace, newKafka(t).ListenAddrs())
	p.Spec.Ingester.Scaling = scaledIngesters(2, 9)
	create(t, p)
	awaitAutoscaler(t, p, true)
	d := awaitReplicas(t, p, 2, handOverManager)
	scaleAs(t, d, 6)

	before := len(requests.in(namespace))
	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Suspend = true })
	awaitAutoscaler(t, p, false)
	awaitReplicas(t, p, 0, fieldManager)
	expectOrder(t, requests.in(namespace)[before:], "horizontalpodautoscalers/orders-ingester", "deployments/orders-ingester")
	awaitCondition(t, p, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSuspended)

	before = len(requests.in(namespace))
	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Suspend = false })
	awaitReplicas(t, p, 2, handOverManager)
	awaitAutoscaler(t, p, true)
	expectOrder(t, requests.in(namespace)[before:], "deployments/orders-ingester", "horizontalpodautoscalers/orders-ingester")
}

// expectOrder: an autoscaler that meets 0 replicas rests, and one that is still
// there brings back what goes.
func expectOrder(t *testing.T, writes []string, objects ...string) {
	t.Helper()
	last := -1
	for _, object := range objects {
		i := slices.IndexFunc(writes, func(w string) bool { return strings.HasSuffix(w, "/"+object) })
		if i <= last {
			t.Errorf("%s is not written in the order of %v: %v", object, objects, writes)
		}
		last = i
	}
}

// The user's own autoscaler is given the replicas as ours is, keeps them, also
// at 0, and gets them again after a suspension.
func TestReplicasAreLeftToAnAutoscalerOfTheUser(t *testing.T) {
	namespace := newNamespace(t)
	p := newPipeline(namespace, newKafka(t).ListenAddrs())
	p.Spec.Ingester.Scaling = scaledIngesters(3, 9)
	create(t, p)
	awaitAutoscaler(t, p, true)
	before := awaitReplicas(t, p, 3, handOverManager).Generation

	change(t, p, func(p *v1alpha1.LogPipeline) {
		p.Spec.Ingester.Scaling = &v1alpha1.IngesterScalingSpec{External: &v1alpha1.ExternalScaling{}}
	})
	awaitAutoscaler(t, p, false)
	awaitRunning(t, p)
	d := awaitReplicas(t, p, 3, handOverManager)
	if d.Generation != before {
		t.Errorf("the Deployment's spec has changed %d times on the way", d.Generation-before)
	}
	if c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionAutoscalingActive); c != nil {
		t.Errorf("the operator says of somebody else's autoscaler: %+v", c)
	}
	scaleAs(t, d, 0)
	reconcileTimes(t, p, 2)
	awaitReplicas(t, p, 0) // the API server notes no owner for a 0 of the subresource

	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Suspend = true })
	awaitReplicas(t, p, 0, fieldManager)
	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Suspend = false })
	d = awaitReplicas(t, p, 2, handOverManager)

	scaleAs(t, d, 5)
	awaitReplicas(t, p, 5, "kube-controller-manager")
	awaitRunning(t, p)
	awaitCache(t, p)
	writes := requests.in(namespace)
	reconcileTimes(t, p, 10)
	if diff := cmp.Diff(writes, requests.in(namespace)); diff != "" {
		t.Errorf("writes of ten resyncs: -before +after\n%s", diff)
	}

	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Ingester.Scaling = fixedIngesters(5) })
	awaitReplicas(t, p, 5, "kube-controller-manager", fieldManager)
}

// reconcileTimes does as often what a resync does, from what is there now.
func reconcileTimes(t *testing.T, p *v1alpha1.LogPipeline, times int) {
	t.Helper()
	awaitCache(t, read[appsv1.Deployment](t, p.Namespace, "orders-ingester"), read[appsv1.Deployment](t, p.Namespace, "orders-consumer"))
	for range times {
		if _, err := reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(p)}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestForeignAutoscalerIsLeftAlone(t *testing.T) {
	namespace := newNamespace(t)
	theirs := &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "orders-ingester"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "orders-ingester"},
			MaxReplicas:    3,
		},
	}
	create(t, theirs)
	p := newPipeline(namespace, newKafka(t).ListenAddrs())
	p.Spec.Ingester.Scaling = scaledIngesters(2, 9)
	create(t, p)
	awaitCondition(t, p, v1alpha1.ConditionAutoscalingActive, metav1.ConditionFalse, v1alpha1.ReasonForeignObject)
	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Ingester.Scaling = fixedIngesters(2) })
	awaitRunning(t, p)
	if left := read[autoscalingv2.HorizontalPodAutoscaler](t, namespace, "orders-ingester"); left.ResourceVersion != theirs.ResourceVersion {
		t.Errorf("somebody else's autoscaler was changed: %+v", left)
	}
}

func TestWhatIsNoLongerWantedIsRemoved(t *testing.T) {
	namespace := newNamespace(t)
	p := newPipeline(namespace, newKafka(t).ListenAddrs())
	startPipeline(t, p)
	policy := read[networkingv1.NetworkPolicy](t, namespace, "orders-consumer")
	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.NetworkPolicy.Management = v1alpha1.NetworkPolicyNone })
	awaitGone(t, policy)
	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.NetworkPolicy.Management = v1alpha1.NetworkPolicyManaged })
	await.NoError(t, func() error { return api.Get(t.Context(), client.ObjectKeyFromObject(policy), policy) })
}
