package controllers

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/test/await"
)

const (
	once    = corev1.ReadWriteOnce
	oncePod = corev1.ReadWriteOncePod
	many    = corev1.ReadWriteMany
)

func TestRoomForConsumersIsThatOfTheClaim(t *testing.T) {
	type modes = []corev1.PersistentVolumeAccessMode
	fixed := func(n int32) *v1alpha1.ConsumerScalingSpec {
		return &v1alpha1.ConsumerScalingSpec{Fixed: &v1alpha1.FixedScaling{Replicas: n}}
	}
	auto := func(n int32) *v1alpha1.ConsumerScalingSpec {
		return &v1alpha1.ConsumerScalingSpec{Auto: &v1alpha1.ConsumerAutoScaling{MaxReplicas: n}}
	}
	tests := map[string]struct {
		asked, bound modes // bound: as the volume has them; none while pending
		scaling      *v1alpha1.ConsumerScalingSpec
		says         string // empty: there is room
	}{
		"one node, nothing said":              {modes{once}, nil, nil, ""},
		"one node, one consumer":              {modes{once}, nil, fixed(1), ""},
		"one node, an autoscaler of the user": {modes{once}, nil, &v1alpha1.ConsumerScalingSpec{External: &v1alpha1.ExternalScaling{}}, `spec.consumer.scaling.external allows any number of consumers, but one node alone can mount PersistentVolumeClaim "archive", whose access modes are [ReadWriteOnce]: set spec.consumer.scaling.fixed.replicas to 1 instead`},
		"one node, two consumers":             {modes{once}, nil, fixed(2), `spec.consumer.scaling.fixed.replicas is 2, but one node alone can mount PersistentVolumeClaim "archive", whose access modes are [ReadWriteOnce]: set it to 1`},
		"one node, room for two":              {modes{once}, nil, auto(2), "spec.consumer.scaling.auto.maxReplicas is 2"},
		"one node, room for one":              {modes{once}, nil, auto(1), ""},
		"one pod, two consumers":              {modes{oncePod}, nil, fixed(2), "[ReadWriteOncePod]"},
		"many nodes":                          {modes{many}, nil, fixed(2), ""},
		"either":                              {modes{once, many}, nil, fixed(2), ""},
		"one node asked, many bound":          {modes{once}, modes{once, many}, fixed(2), ""},
		"many nodes asked, one bound":         {modes{many}, modes{once}, fixed(2), "[ReadWriteOnce]"},
		"many nodes that may read, not more":  {modes{corev1.ReadOnlyMany, once}, nil, fixed(2), "[ReadOnlyMany ReadWriteOnce]"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPipeline("logs", nil)
			p.Spec.Consumer.Scaling = test.scaling
			claim := &corev1.PersistentVolumeClaim{}
			claim.Spec.AccessModes, claim.Status.AccessModes = test.asked, test.bound
			expect(t, checkRoom(p, storageSeen{"archive", claim}), test.says)
		})
	}
}

func TestRoomForMoreThanCanMountIsRefused(t *testing.T) {
	namespace := newNamespace(t)
	create(t, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "archive", Namespace: namespace},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{once},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("1Gi")}},
		},
	})
	p := newPipeline(namespace, newKafka(t).ListenAddrs())
	p.Spec.Storage = v1alpha1.StorageSpec{
		Type:                  v1alpha1.StoragePersistentVolumeClaim,
		PersistentVolumeClaim: &v1alpha1.PersistentVolumeClaimStorage{ClaimName: "archive"},
	}
	p.Spec.Consumer.Scaling = &v1alpha1.ConsumerScalingSpec{Fixed: &v1alpha1.FixedScaling{Replicas: 2}}
	create(t, p)
	stalled := awaitCondition(t, p, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonClaimSingleNode)
	if !strings.Contains(stalled.Message, "spec.consumer.scaling.fixed.replicas is 2") {
		t.Errorf("message %q doesn't name the field", stalled.Message)
	}
	awaitCondition(t, p, v1alpha1.ConditionStorageReady, metav1.ConditionFalse, v1alpha1.ReasonClaimSingleNode)

	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Consumer.Scaling.Fixed.Replicas = 1 })
	await.NoError(t, func() error { return play(t, p) })
	awaitCondition(t, p, v1alpha1.ConditionStorageReady, metav1.ConditionFalse, v1alpha1.ReasonClaimPending)
	if d := read[appsv1.Deployment](t, namespace, "orders-consumer"); d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
		t.Errorf("strategy is %s: the old consumer would keep the claim from the new one", d.Spec.Strategy.Type)
	}
}

// The way of replacing consumers follows the claim, also where somebody else
// has applied the same: what is left of theirs must not keep ours away.
func TestStrategyFollowsTheClaim(t *testing.T) {
	s := surround(t)
	p := newPipeline(s.namespace, []string{"127.0.0.1:" + s.port})
	p.Spec.Storage = v1alpha1.StorageSpec{
		Type:                  v1alpha1.StoragePersistentVolumeClaim,
		PersistentVolumeClaim: &v1alpha1.PersistentVolumeClaimStorage{ClaimName: "claim"},
	}
	create(t, p)
	s.come(t, p, func(rests string) bool { return rests == "Running" })
	rolling := appsv1ac.Deployment("orders-consumer", s.namespace).WithSpec(appsv1ac.DeploymentSpec().WithStrategy(
		appsv1ac.DeploymentStrategy().WithType(appsv1.RollingUpdateDeploymentStrategyType).WithRollingUpdate(
			appsv1ac.RollingUpdateDeployment().WithMaxUnavailable(intstr.FromInt32(1)).WithMaxSurge(intstr.FromInt32(0)))))
	if err := api.Apply(t.Context(), rolling, client.FieldOwner("somebody")); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		mode corev1.PersistentVolumeAccessMode
		want appsv1.DeploymentStrategy
	}{
		{once, appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}},
		{many, appsv1.DeploymentStrategy{
			Type:          appsv1.RollingUpdateDeploymentStrategyType,
			RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: ptr.To(intstr.FromInt32(1)), MaxSurge: ptr.To(intstr.FromInt32(0))},
		}},
		{oncePod, appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}},
	} {
		s.setModes(t, step.mode)
		s.look(t, p)
		s.come(t, p, func(rests string) bool { return rests == "Running" })
		if diff := cmp.Diff(step.want, read[appsv1.Deployment](t, s.namespace, "orders-consumer").Spec.Strategy); diff != "" {
			t.Fatalf("%s: -want +got\n%s", step.mode, diff)
		}
		s.awaitQuiet(t, p)
	}
}
