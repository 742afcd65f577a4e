package controllers

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/test/await"
)

func TestPipelineComesUp(t *testing.T) {
	namespace, kafka := newNamespace(t), newKafka(t)
	p := newPipeline(namespace, kafka.ListenAddrs())
	p.Spec.Topic.Partitions = ptr.To[int32](3)
	create(t, p)
	awaitCondition(t, p, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDeploymentProgressing)
	awaitCondition(t, p, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonProgressing)
	awaitRunning(t, p)

	topic := kafka.TopicInfo(namespace + ".orders")
	if topic == nil {
		t.Fatal("no topic")
	}
	want := v1alpha1.LogPipelineStatus{
		ObservedGeneration: 1,
		Topic: &v1alpha1.TopicStatus{
			Name: namespace + ".orders", ID: uuid.UUID(topic.TopicID).String(),
			ClusterID: p.Status.Topic.ClusterID, Created: true, Partitions: 3,
		},
		Ingester: &v1alpha1.IngesterStatus{Replicas: 2, ReadyReplicas: 2, Ready: "2/2"},
		Consumer: &v1alpha1.ConsumerStatus{Replicas: 1, ReadyReplicas: 1, Ready: "1/1", Group: "logpipeline." + namespace + ".orders"},
		Endpoint: "http://orders-ingester." + namespace + ".svc:8080/logs",
		Conditions: []metav1.Condition{
			{Type: "ConsumerAvailable", Status: "True", Reason: "DeploymentAvailable", Message: `1 of 1 pods of Deployment "orders-consumer" are up to date and ready`},
			{Type: "IngesterAvailable", Status: "True", Reason: "DeploymentAvailable", Message: `2 of 2 pods of Deployment "orders-ingester" are up to date and ready`},
			{Type: "KafkaReachable", Status: "True", Reason: "BrokersAnswered", Message: "the brokers answered"},
			{Type: "Ready", Status: "True", Reason: "Running", Message: "records are taken and stored"},
			{Type: "StorageReady", Status: "True", Reason: "Ephemeral", Message: "segments live and die with their pod"},
			{Type: "TopicReady", Status: "True", Reason: "TopicExists", Message: fmt.Sprintf("topic %q has 3 partitions", namespace+".orders")},
		},
	}
	for i := range want.Conditions {
		want.Conditions[i].ObservedGeneration = 1
	}
	if diff := cmp.Diff(want, p.Status,
		cmpopts.IgnoreFields(metav1.Condition{}, "LastTransitionTime"),
		cmpopts.SortSlices(func(a, b metav1.Condition) bool { return a.Type < b.Type }),
	); diff != "" {
		t.Errorf("status -want +got\n%s", diff)
	}
	if p.Status.Topic.ClusterID == "" {
		t.Error("no cluster id")
	}
}

func TestChildrenBelongToTheirPipeline(t *testing.T) {
	namespace := newNamespace(t)
	p := newPipeline(namespace, newKafka(t).ListenAddrs())
	startPipeline(t, p)
	want := []metav1.OwnerReference{{
		APIVersion: "ingest.logpipeline.io/v1alpha1", Kind: "LogPipeline", Name: "orders", UID: p.UID,
		Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
	}}
	for _, child := range []client.Object{
		read[corev1.ServiceAccount](t, namespace, "orders-ingester"),
		read[corev1.ServiceAccount](t, namespace, "orders-consumer"),
		read[corev1.ConfigMap](t, namespace, "orders-ingester"),
		read[corev1.ConfigMap](t, namespace, "orders-consumer"),
		read[corev1.Service](t, namespace, "orders-ingester"),
		read[appsv1.Deployment](t, namespace, "orders-ingester"),
		read[appsv1.Deployment](t, namespace, "orders-consumer"),
		read[networkingv1.NetworkPolicy](t, namespace, "orders-ingester"),
		read[networkingv1.NetworkPolicy](t, namespace, "orders-consumer"),
		read[policyv1.PodDisruptionBudget](t, namespace, "orders-ingester"),
		read[policyv1.PodDisruptionBudget](t, namespace, "orders-consumer"),
	} {
		if diff := cmp.Diff(want, child.GetOwnerReferences()); diff != "" {
			t.Errorf("%T %s: owners -want +got\n%s", child, child.GetName(), diff)
		}
	}
}

// The API server's own admission checks the pods against the restricted Pod
// Security Standard.
func TestPodsAreRestricted(t *testing.T) {
	namespace := newNamespace(t)
	p := newPipeline(namespace, newKafka(t).ListenAddrs())
	startPipeline(t, p)
	restricted := read[corev1.Namespace](t, "", namespace)
	change(t, restricted, func(n *corev1.Namespace) { n.Labels["pod-security.kubernetes.io/enforce"] = "restricted" })
	pod := func(template corev1.PodTemplateSpec) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "try-", Namespace: namespace, Labels: template.Labels},
			Spec:       template.Spec,
		}
	}
	for _, name := range []string{"orders-ingester", "orders-consumer"} {
		template := read[appsv1.Deployment](t, namespace, name).Spec.Template
		if err := api.Create(t.Context(), pod(template), client.DryRunAll); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		template.Spec.SecurityContext.RunAsNonRoot = nil
		if err := api.Create(t.Context(), pod(template), client.DryRunAll); !apierrors.IsForbidden(err) {
			t.Errorf("%s as root: %v, want it forbidden", name, err)
		}
	}
}

func TestIdlePipelineIsNotWritten(t *testing.T) {
	namespace := newNamespace(t)
	p := newPipeline(namespace, newKafka(t).ListenAddrs())
	p.Spec.Topic.DeletionPolicy = v1alpha1.TopicDelete
	p.Spec.Ingester.Pod.Resources.Limits = corev1.ResourceList{"memory": resource.MustParse("1.5Gi"), "cpu": resource.MustParse("2000m")}
	p.Spec.Ingester.Queue.MaxBytes = ptr.To(resource.MustParse("0.25Gi"))
	startPipeline(t, p)
	awaitCache(t, p, read[appsv1.Deployment](t, namespace, "orders-ingester"), read[appsv1.Deployment](t, namespace, "orders-consumer"))
	before := requests.in(namespace)
	for range 10 {
		if _, err := reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(p)}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(before, requests.in(namespace)); diff != "" {
		t.Errorf("writes of ten resyncs: -before +after\n%s", diff)
	}
	if n := len(slices.DeleteFunc(before, func(w string) bool { return strings.Contains(w, "logpipelines") })); n != 11 {
		t.Errorf("%d writes set up eleven children:\n%s", n, strings.Join(before, "\n"))
	}
}

func TestDriftIsCorrected(t *testing.T) {
	namespace := newNamespace(t)
	p := newPipeline(namespace, newKafka(t).ListenAddrs())
	startPipeline(t, p)

	ingester := read[appsv1.Deployment](t, namespace, "orders-ingester")
	change(t, ingester, func(d *appsv1.Deployment) {
		d.Spec.Replicas = ptr.To[int32](7)
		d.Spec.Template.Spec.Containers[0].Image = "other"
		d.Spec.Template.Labels["mine"] = "stays"
		delete(d.Labels, "app.kubernetes.io/managed-by")
	})
	config := read[corev1.ConfigMap](t, namespace, "orders-ingester")
	rendered := config.Data["config.yaml"]
	change(t, config, func(c *corev1.ConfigMap) { c.Data["config.yaml"] = "topic: other" })
	if err := api.Delete(t.Context(), read[corev1.Service](t, namespace, "orders-ingester")); err != nil {
		t.Fatal(err)
	}

	await.NoError(t, func() error {
		d := read[appsv1.Deployment](t, namespace, "orders-ingester")
		if *d.Spec.Replicas != 2 || d.Spec.Template.Spec.Containers[0].Image != image || d.Labels["app.kubernetes.io/managed-by"] == "" {
			return fmt.Errorf("Deployment is %+v, labels %v", d.Spec, d.Labels)
		}
		if d.Spec.Template.Labels["mine"] != "stays" {
			t.Fatal("a field that the operator does not own was changed")
		}
		if got := read[corev1.ConfigMap](t, namespace, "orders-ingester").Data["config.yaml"]; got != rendered {
			return fmt.Errorf("configuration is %q", got)
		}
		return api.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "orders-ingester"}, &corev1.Service{})
	})
}

// A server-side apply leaves the entries that others have put into a list; one
// under the name of ours must not keep ours away.
func TestDriftThatExcludesOursIsCorrected(t *testing.T) {
	s := surround(t)
	p := newPipeline(s.namespace, []string{"127.0.0.1:" + s.port})
	startPipeline(t, p)
	service := read[corev1.Service](t, s.namespace, "orders-ingester")
	want := service.Spec
	change(t, service, func(s *corev1.Service) { s.Spec.Ports[0].Port = 81 })
	await.NoError(t, func() error {
		if diff := cmp.Diff(want, read[corev1.Service](t, s.namespace, "orders-ingester").Spec); diff != "" {
			return fmt.Errorf("Service -want +got\n%s", diff)
		}
		return nil
	})
	awaitCondition(t, p, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonRunning)
	s.awaitQuiet(t, p)
}

// What was written over others' entries is still the operator's to take out.
func TestWhatWasCorrectedIsStillPruned(t *testing.T) {
	s := surround(t)
	p := newPipeline(s.namespace, []string{"127.0.0.1:" + s.port})
	p.Spec.Storage = v1alpha1.StorageSpec{Type: v1alpha1.StorageObjectStore, ObjectStore: &v1alpha1.ObjectStoreStorage{
		URL: "s3://bucket/prefix", CredentialsSecretRef: &v1alpha1.SecretReference{Name: "credentials"},
	}}
	startPipeline(t, p)
	consumer := read[appsv1.Deployment](t, s.namespace, "orders-consumer")
	want := consumer.Spec.Template.Spec.Containers[0].Env
	change(t, consumer, func(d *appsv1.Deployment) {
		container := &d.Spec.Template.Spec.Containers[0]
		container.Env, container.Ports[0].ContainerPort = nil, 9999 // the port's name is taken
	})
	await.NoError(t, func() error {
		env := read[appsv1.Deployment](t, s.namespace, "orders-consumer").Spec.Template.Spec.Containers[0].Env
		if diff := cmp.Diff(want, env); diff != "" {
			return fmt.Errorf("environment -want +got\n%s", diff)
		}
		return nil
	})
	awaitRunning(t, p)

	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Storage.ObjectStore.CredentialsSecretRef = nil })
	awaitRunning(t, p)
	for _, variable := range read[appsv1.Deployment](t, s.namespace, "orders-consumer").Spec.Template.Spec.Containers[0].Env {
		if variable.Name == "AWS_SHARED_CREDENTIALS_FILE" {
			t.Errorf("%s=%s is left, and the Secret is no longer mounted", variable.Name, variable.Value)
		}
	}
}

func TestSpecReachesTopicAndPods(t *testing.T) {
	namespace, kafka := newNamespace(t), newKafka(t)
	p := newPipeline(namespace, kafka.ListenAddrs())
	p.Spec.Topic.Partitions = ptr.To[int32](2)
	p.Spec.Topic.Config = map[string]v1alpha1.TopicConfigValue{"retention.ms": "1000"}
	startPipeline(t, p)
	checksum := func() string {
		return read[appsv1.Deployment](t, namespace, "orders-ingester").Spec.Template.Annotations["ingest.logpipeline.io/config-checksum"]
	}
	before := checksum()

	change(t, p, func(p *v1alpha1.LogPipeline) {
		p.Spec.Topic.Partitions = ptr.To[int32](5)
		p.Spec.Topic.Config["retention.ms"] = "2000"
		p.Spec.Ingester.Queue.MaxBytes = ptr.To(resource.MustParse("512Mi"))
		p.Spec.Ingester.Scaling = &v1alpha1.IngesterScalingSpec{Fixed: &v1alpha1.FixedScaling{Replicas: 4}}
	})
	await.NoError(t, func() error {
		if d := read[appsv1.Deployment](t, namespace, "orders-ingester"); *d.Spec.Replicas != 4 || checksum() == before {
			return fmt.Errorf("%d replicas, checksum %s", *d.Spec.Replicas, checksum())
		}
		return nil
	})
	awaitRunning(t, p)
	topic := kafka.TopicInfo(namespace + ".orders")
	if n := len(kafka.PartitionInfos(topic.Topic)); n != 5 || p.Status.Topic.Partitions != 5 {
		t.Errorf("topic has %d partitions, status says %d, want 5", n, p.Status.Topic.Partitions)
	}
	if got := topic.Configs["retention.ms"]; got == nil || *got != "2000" {
		t.Errorf("retention.ms is %v", got)
	}
}

func TestForeignObjectIsNotAdopted(t *testing.T) {
	namespace := newNamespace(t)
	foreign := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "orders-ingester", Namespace: namespace},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 1234}}},
	}
	create(t, foreign)
	p := newPipeline(namespace, newKafka(t).ListenAddrs())
	create(t, p)
	condition := awaitCondition(t, p, v1alpha1.ConditionIngesterAvailable, metav1.ConditionFalse, v1alpha1.ReasonForeignObject)
	if !strings.Contains(condition.Message, `Service "orders-ingester"`) {
		t.Errorf("message %q doesn't name the object", condition.Message)
	}
	awaitCondition(t, p, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonForeignObject)
	live := read[corev1.Service](t, namespace, "orders-ingester")
	if diff := cmp.Diff(foreign.ObjectMeta, live.ObjectMeta); diff != "" {
		t.Errorf("the foreign Service was changed\n%s", diff)
	}
	if err := api.Delete(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	awaitRunning(t, p)
}

func TestInvalidSpecStallsAndLeavesWorkload(t *testing.T) {
	namespace := newNamespace(t)
	p := newPipeline(namespace, newKafka(t).ListenAddrs())
	startPipeline(t, p)
	before := read[appsv1.Deployment](t, namespace, "orders-ingester")

	change(t, p, func(p *v1alpha1.LogPipeline) {
		p.Spec.Ingester.Queue.MaxBytes = ptr.To(resource.MustParse("1Mi"))
		p.Spec.Ingester.Scaling = &v1alpha1.IngesterScalingSpec{Fixed: &v1alpha1.FixedScaling{Replicas: 9}}
	})
	condition := awaitCondition(t, p, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonInvalidSpec)
	if !strings.Contains(condition.Message, "requestLimits.maxBodyBytes") {
		t.Errorf("message %q doesn't name the field", condition.Message)
	}
	awaitCondition(t, p, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec)
	if diff := cmp.Diff(before.Spec, read[appsv1.Deployment](t, namespace, "orders-ingester").Spec); diff != "" {
		t.Errorf("the Deployment was changed\n%s", diff)
	}

	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Ingester = v1alpha1.IngesterSpec{} })
	awaitCondition(t, p, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonRunning)
	if slices.ContainsFunc(p.Status.Conditions, func(c metav1.Condition) bool { return c.Type == v1alpha1.ConditionStalled }) {
		t.Error("Stalled is still shown")
	}
}

func TestResourcesThatTheAPIServerRefusesStall(t *testing.T) {
	p := newPipeline(newNamespace(t), newKafka(t).ListenAddrs())
	p.Spec.Consumer.Pod.Resources = v1alpha1.ResourcesSpec{
		Requests: corev1.ResourceList{"cpu": resource.MustParse("2")},
		Limits:   corev1.ResourceList{"cpu": resource.MustParse("1")},
	}
	create(t, p)
	awaitCondition(t, p, v1alpha1.ConditionConsumerAvailable, metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec)
	awaitCondition(t, p, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonInvalidSpec)
}

// Pods that go on because the API server refuses what would follow them may
// restart: they find the settings that they had.
func TestRefusedPodsLeaveTheSettingsOfThoseThatRun(t *testing.T) {
	namespace := newNamespace(t)
	p := newPipeline(namespace, newKafka(t).ListenAddrs())
	startPipeline(t, p)
	before := read[corev1.ConfigMap](t, namespace, "orders-ingester")
	change(t, p, func(p *v1alpha1.LogPipeline) {
		p.Spec.Ingester.Queue.MaxBytes = ptr.To(resource.MustParse("512Mi"))
		p.Spec.Ingester.Pod.Resources = v1alpha1.ResourcesSpec{
			Requests: corev1.ResourceList{"cpu": resource.MustParse("2")}, Limits: corev1.ResourceList{"cpu": resource.MustParse("1")},
		}
	})
	refused := awaitCondition(t, p, v1alpha1.ConditionIngesterAvailable, metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec)
	if !strings.Contains(refused.Message, `apply Deployment "orders-ingester"`) {
		t.Errorf("message is %q", refused.Message)
	}
	awaitCondition(t, p, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonInvalidSpec)
	if diff := cmp.Diff(before, read[corev1.ConfigMap](t, namespace, "orders-ingester")); diff != "" {
		t.Errorf("the settings of the pods that run were changed\n%s", diff)
	}
	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Ingester.Pod.Resources.Limits = nil })
	awaitRunning(t, p)
	if cmp.Equal(before.Data, read[corev1.ConfigMap](t, namespace, "orders-ingester").Data) {
		t.Error("new pods have the settings of before")
	}
}

func TestSuspendAndResume(t *testing.T) {
	namespace := newNamespace(t)
	p := newPipeline(namespace, newKafka(t).ListenAddrs())
	startPipeline(t, p)
	replicas := func(want int32) {
		t.Helper()
		await.NoError(t, func() error {
			a := *read[appsv1.Deployment](t, namespace, "orders-ingester").Spec.Replicas
			b := *read[appsv1.Deployment](t, namespace, "orders-consumer").Spec.Replicas
			if (want == 0) != (a == 0) || (want == 0) != (b == 0) {
				return fmt.Errorf("%d ingesters, %d consumers", a, b)
			}
			return nil
		})
	}
	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Suspend = true })
	replicas(0)
	awaitCondition(t, p, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonProgressing)
	await.NoError(t, func() error { return play(t, p) })
	await.NoError(t, func() error {
		awaitCondition(t, p, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSuspended)
		for _, c := range p.Status.Conditions {
			if c.Type == v1alpha1.ConditionReconciling {
				return fmt.Errorf("%+v", c)
			}
		}
		return nil
	})
	if p.Status.Topic == nil || p.Status.Topic.ID == "" {
		t.Error("the topic is forgotten")
	}
	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Suspend = false })
	replicas(1)
	awaitRunning(t, p)
}

func TestElderPipelineKeepsTheTopic(t *testing.T) {
	namespace, kafka := newNamespace(t), newKafka(t)
	elder := newPipeline(namespace, kafka.ListenAddrs())
	elder.Spec.Topic.Name = "shared"
	startPipeline(t, elder)
	younger := newPipeline(namespace, kafka.ListenAddrs())
	younger.Name, younger.Spec.Topic.Name = "zebra", "shared"
	create(t, younger)
	condition := awaitCondition(t, younger, v1alpha1.ConditionTopicReady, metav1.ConditionFalse, v1alpha1.ReasonTopicTaken)
	if !strings.Contains(condition.Message, namespace+"/orders") {
		t.Errorf("message %q doesn't name the elder", condition.Message)
	}
	awaitCondition(t, younger, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonTopicTaken)
	awaitCondition(t, elder, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonRunning)

	if err := api.Delete(t.Context(), elder); err != nil {
		t.Fatal(err)
	}
	awaitRunning(t, younger)
}

func TestElderIsFoundBehindAnotherAddress(t *testing.T) {
	namespace, kafka := newNamespace(t), newKafka(t)
	elder := newPipeline(namespace, kafka.ListenAddrs())
	elder.Spec.Topic.Name = "shared"
	startPipeline(t, elder)
	younger := newPipeline(namespace, []string{strings.Replace(kafka.ListenAddrs()[0], "127.0.0.1", "localhost", 1)})
	younger.Name, younger.Spec.Topic.Name = "zebra", "shared"
	create(t, younger)
	awaitCondition(t, younger, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonTopicTaken)
	err := api.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "zebra-consumer"}, &appsv1.Deployment{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("the younger has consumers: %v", err)
	}
}

func TestStorageFollowsTheClaim(t *testing.T) {
	namespace := newNamespace(t)
	p := newPipeline(namespace, newKafka(t).ListenAddrs())
	p.Spec.Storage = v1alpha1.StorageSpec{
		Type:                  v1alpha1.StoragePersistentVolumeClaim,
		PersistentVolumeClaim: &v1alpha1.PersistentVolumeClaimStorage{ClaimName: "archive"},
	}
	create(t, p)
	await.NoError(t, func() error { return play(t, p) })
	awaitCondition(t, p, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonClaimNotFound)

	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "archive", Namespace: namespace},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("1Gi")}},
		},
	}
	create(t, claim)
	awaitCondition(t, p, v1alpha1.ConditionStorageReady, metav1.ConditionFalse, v1alpha1.ReasonClaimPending)
	claim.Status.Phase = corev1.ClaimBound
	if err := api.Status().Update(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	awaitRunning(t, p) // the claim's access modes have changed the Deployment
	volumes := read[appsv1.Deployment](t, namespace, "orders-consumer").Spec.Template.Spec.Volumes
	if !slices.ContainsFunc(volumes, func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == "archive"
	}) {
		t.Errorf("no volume of the claim: %+v", volumes)
	}
}

func TestNothingIsMadeInATerminatingNamespace(t *testing.T) {
	namespace := newNamespace(t)
	p := newPipeline(namespace, newKafka(t).ListenAddrs())
	p.Spec.Topic.DeletionPolicy = v1alpha1.TopicDelete
	startPipeline(t, p)
	if err := api.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		t.Fatal(err)
	}
	// The namespace controller, which does not run here, deletes what is in it.
	for _, object := range []client.Object{&appsv1.Deployment{}, p} {
		name := "orders"
		if _, child := object.(*appsv1.Deployment); child {
			name = "orders-ingester"
		}
		object.SetName(name)
		object.SetNamespace(namespace)
		if err := api.Delete(t.Context(), object); client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
	}
	awaitGone(t, p)
	err := api.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "orders-ingester"}, &appsv1.Deployment{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("the Deployment is there again: %v", err)
	}
}
