package controllers

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/resources"
)

var childKinds = []schema.GroupVersionKind{
	corev1.SchemeGroupVersion.WithKind("ServiceAccount"),
	corev1.SchemeGroupVersion.WithKind("ConfigMap"),
	corev1.SchemeGroupVersion.WithKind("Service"),
	appsv1.SchemeGroupVersion.WithKind("Deployment"),
	networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"),
	policyv1.SchemeGroupVersion.WithKind("PodDisruptionBudget"),
	autoscalingv2.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler"),
}

// childrenOf are the objects that a pipeline controls, by kind and name.
func childrenOf(t *testing.T, p *v1alpha1.LogPipeline) map[string]*unstructured.Unstructured {
	t.Helper()
	children := map[string]*unstructured.Unstructured{}
	for _, kind := range childKinds {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind)
		if err := api.List(t.Context(), list, client.InNamespace(p.Namespace)); err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			if child := &list.Items[i]; metav1.IsControlledBy(child, p) {
				children[kind.Kind+"/"+child.GetName()] = child
			}
		}
	}
	return children
}

// specified is what children are without what differs from one namespace, one
// Kafka or one moment to the next.
func specified(t *testing.T, p *v1alpha1.LogPipeline, port string) map[string]any {
	t.Helper()
	state := map[string]any{}
	children := childrenOf(t, p)
	for name, child := range children {
		object := child.DeepCopy().Object
		annotations := child.GetAnnotations()
		delete(annotations, resources.SpecAnnotation) // has the names of this one's Kafka and topic
		object["metadata"] = map[string]any{"labels": child.GetLabels(), "annotations": annotations}
		delete(object, "status")
		switch child.GetKind() {
		case "Service":
			for _, field := range []string{"clusterIP", "clusterIPs"} {
				unstructured.RemoveNestedField(object, "spec", field)
			}
		case "Deployment":
			if scaledByAny(p, child.GetName()) {
				unstructured.RemoveNestedField(object, "spec", "replicas")
			}
			if meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionReady) {
				checkChecksum(t, child, children["ConfigMap/"+child.GetName()])
			}
			unstructured.RemoveNestedField(object, "spec", "template", "metadata", "annotations", "ingest.logpipeline.io/config-checksum")
		}
		state[name] = anonymous(t, object, p.Namespace, port)
	}
	return state
}

// scaledByAny tells whether somebody else than the operator decides on the
// replicas of a Deployment.
func scaledByAny(p *v1alpha1.LogPipeline, deployment string) bool {
	if p.Spec.Suspend {
		return false
	}
	if deployment == resources.IngesterName(p) {
		scaling := p.Spec.Ingester.Scaling
		return scaling != nil && (scaling.Auto != nil || scaling.External != nil)
	}
	scaling := p.Spec.Consumer.Scaling
	return scaling != nil && (scaling.Auto != nil || scaling.External != nil)
}

// withoutReplicas is for comparing what children were under another spec, by
// which somebody else may have scaled them.
func withoutReplicas(state map[string]any) map[string]any {
	stripped := runtime.DeepCopyJSON(state)
	for name, object := range stripped {
		if strings.HasPrefix(name, "Deployment/") {
			unstructured.RemoveNestedField(object.(map[string]any), "spec", "replicas")
		}
	}
	return stripped
}

// checkChecksum finds pods that would not be replaced for what they read.
func checkChecksum(t *testing.T, deployment, config *unstructured.Unstructured) {
	t.Helper()
	if config == nil {
		return
	}
	document, _, _ := unstructured.NestedString(config.Object, "data", "config.yaml")
	sum := sha256.Sum256([]byte(document))
	annotations, _, _ := unstructured.NestedStringMap(deployment.Object, "spec", "template", "metadata", "annotations")
	if got := annotations["ingest.logpipeline.io/config-checksum"]; got != hex.EncodeToString(sum[:]) {
		t.Errorf("Deployment %s has the checksum %s of another configuration:\n%s", deployment.GetName(), got, document)
	}
}

func anonymous(t *testing.T, value any, namespace, port string) any {
	t.Helper()
	document, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var result any
	text := strings.NewReplacer(namespace, "NAMESPACE", "127.0.0.1:"+port, broker, "localhost:"+port, brokerByName).Replace(string(document))
	if err := json.Unmarshal([]byte(text), &result); err != nil {
		t.Fatal(err)
	}
	return result
}

// rested is where a pipeline has come to rest, such as "Running" or "Stalled
// InvalidSpec"; empty while it has something to do by itself. The error is a
// status that contradicts itself.
func rested(p *v1alpha1.LogPipeline) (string, error) {
	ready := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || p.Status.ObservedGeneration != p.Generation {
		return "", nil
	}
	reconciling := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReconciling)
	stalled := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionStalled)
	for _, c := range p.Status.Conditions {
		if c.ObservedGeneration != p.Generation {
			return "", fmt.Errorf("condition %s is of generation %d, the status of %d", c.Type, c.ObservedGeneration, p.Generation)
		}
		if ready.Reason == v1alpha1.ReasonRunning && c.Status != metav1.ConditionTrue {
			return "", fmt.Errorf("Ready, and %s is %s", c.Type, c.Status)
		}
	}
	switch {
	case reconciling != nil && stalled != nil:
		return "", fmt.Errorf("both Reconciling and Stalled: %+v", p.Status.Conditions)
	case ready.Status == metav1.ConditionTrue && (reconciling != nil || stalled != nil):
		return "", fmt.Errorf("ready, and still has something to do: %+v", p.Status.Conditions)
	case ready.Status == metav1.ConditionTrue && ready.Reason == v1alpha1.ReasonSuspended:
		return "Suspended", nil
	case ready.Status == metav1.ConditionTrue:
		return "Running", nil
	case stalled != nil:
		return "Stalled " + stalled.Reason, nil
	case reconciling != nil && reconciling.Reason == v1alpha1.ReasonRetrying:
		return "Retrying " + ready.Reason, nil
	case ready.Reason == v1alpha1.ReasonResourceMetricsMissing:
		return "Waiting " + ready.Reason, nil // nobody serves them here
	case reconciling != nil:
		return "", nil
	default:
		return "", fmt.Errorf("neither Ready nor Reconciling nor Stalled nor suspended: %+v", p.Status.Conditions)
	}
}

// playAll is play, and what provides volumes, and the autoscalers' controller
// that gets its numbers.
func playAll(t *testing.T, p *v1alpha1.LogPipeline) error {
	t.Helper()
	for _, name := range []string{resources.IngesterName(p), resources.ConsumerName(p)} {
		d := &appsv1.Deployment{}
		err := api.Get(t.Context(), client.ObjectKey{Namespace: p.Namespace, Name: name}, d)
		if err == nil && metav1.IsControlledBy(d, p) {
			n := *d.Spec.Replicas
			d.Status = appsv1.DeploymentStatus{
				ObservedGeneration: d.Generation,
				Replicas:           n, UpdatedReplicas: n, ReadyReplicas: n, AvailableReplicas: n,
			}
			err = api.Status().Update(t.Context(), d)
		}
		if client.IgnoreNotFound(err) != nil {
			return err
		}
		if err := playAutoscaler(t, p, name); err != nil {
			return err
		}
	}
	return nil
}

func playAutoscaler(t *testing.T, p *v1alpha1.LogPipeline, name string) error {
	t.Helper()
	a := &autoscalingv2.HorizontalPodAutoscaler{}
	err := api.Get(t.Context(), client.ObjectKey{Namespace: p.Namespace, Name: name}, a)
	if err == nil && metav1.IsControlledBy(a, p) && len(a.Status.Conditions) == 0 {
		a.Status.ObservedGeneration = ptr.To(a.Generation)
		a.Status.Conditions = []autoscalingv2.HorizontalPodAutoscalerCondition{
			{Type: autoscalingv2.ScalingActive, Status: corev1.ConditionTrue, Reason: "ValidMetricFound"},
			{Type: autoscalingv2.AbleToScale, Status: corev1.ConditionTrue, Reason: "ReadyForNewScale"},
		}
		err = api.Status().Update(t.Context(), a)
	}
	return client.IgnoreNotFound(err)
}
