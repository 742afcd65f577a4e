package controllers

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	autoscalingv2ac "k8s.io/client-go/applyconfigurations/autoscaling/v2"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/metricsapi"
	"github.com/logpipeline/logpipeline/controllers/resources"
	"github.com/logpipeline/logpipeline/controllers/scaling"
)

// The API server takes every child of every sample as it was built: what it
// has of ours afterwards is what we would apply again, so that an idle
// pipeline is left alone.
func TestServerKeepsWhatIsBuilt(t *testing.T) {
	for name, pipeline := range samples(t) {
		t.Run(name, func(t *testing.T) {
			pipeline.Namespace, pipeline.UID = newNamespace(t), "8d7f1c3e-0000-4000-8000-000000000001"
			configs, err := resources.Config(pipeline)
			if err != nil {
				t.Fatal(err)
			}
			c, err := resources.Build(resources.Input{
				Pipeline: pipeline, Configs: configs, Partitions: 12, Image: image, OperatorNamespace: "logpipeline-system",
				Server: resources.Server{ScaleToZero: true, Tolerance: true},
			})
			if err != nil {
				t.Fatal(err)
			}
			keeps(t, c.Service, &corev1.Service{}, corev1ac.ExtractService)
			for _, r := range []resources.Role{c.Ingester, c.Consumer} {
				keeps(t, r.ServiceAccount, &corev1.ServiceAccount{}, corev1ac.ExtractServiceAccount)
				keeps(t, r.ConfigMap, &corev1.ConfigMap{}, corev1ac.ExtractConfigMap)
				keeps(t, r.NetworkPolicy, &networkingv1.NetworkPolicy{}, networkingv1ac.ExtractNetworkPolicy)
				keeps(t, r.Budget, &policyv1.PodDisruptionBudget{}, policyv1ac.ExtractPodDisruptionBudget)
				keeps(t, r.Deployment, &appsv1.Deployment{}, appsv1ac.ExtractDeployment)
				keeps(t, r.Autoscaler, &autoscalingv2.HorizontalPodAutoscaler{}, autoscalingv2ac.ExtractHorizontalPodAutoscaler)
			}
		})
	}
}

func keeps[C applyConfiguration, T client.Object](t *testing.T, desired C, live T, extract func(T, string) (C, error)) {
	t.Helper()
	if reflect.ValueOf(desired).IsNil() {
		return // not wanted
	}
	if err := api.Apply(t.Context(), copyOf(t, desired), client.FieldOwner(fieldManager)); err != nil {
		t.Errorf("%T: %v", live, err)
		return
	}
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: *desired.GetNamespace(), Name: *desired.GetName()}, live); err != nil {
		t.Fatal(err)
	}
	kept, err := extract(live, fieldManager)
	if err != nil {
		t.Fatal(err)
	}
	if !equality.Semantic.DeepEqual(desired, kept) {
		t.Errorf("%T would be applied for ever: -desired +kept\n%s", live, cmp.Diff(desired, kept))
	}
}

// The autoscalers ask for what the operator serves.
func TestAutoscalersAskForOurMetrics(t *testing.T) {
	asked := []string{resources.MetricQueueBytes, resources.MetricLagRecords, resources.MetricWantedReplicas, resources.PipelineLabel}
	served := []string{scaling.QueueBytesMetric, scaling.LagRecordsMetric, scaling.WantedReplicasMetric, metricsapi.PipelineLabel}
	if diff := cmp.Diff(served, asked); diff != "" {
		t.Errorf("-served +asked\n%s", diff)
	}
}

// copyOf is for the client, which writes the server's answer into what it
// applies.
func copyOf[C applyConfiguration](t *testing.T, desired C) C {
	t.Helper()
	document, err := json.Marshal(desired)
	if err != nil {
		t.Fatal(err)
	}
	var copied C
	if err := json.Unmarshal(document, &copied); err != nil {
		t.Fatal(err)
	}
	return copied
}

// samples are the LogPipelines of config/samples, and what the design has in
// full, by name.
func samples(t *testing.T) map[string]*v1alpha1.LogPipeline {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "config", "samples", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*v1alpha1.LogPipeline{}
	for _, file := range files {
		document, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := bytes.Cut(document, []byte("\n---\n"))
		pipeline := &v1alpha1.LogPipeline{}
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		if err := yaml.UnmarshalStrict(first, pipeline); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		found[pipeline.Name] = pipeline
	}
	for name, spec := range map[string]string{"design": design, "handed-through": handedThrough} {
		pipeline := &v1alpha1.LogPipeline{}
		pipeline.Name = name
		if err := yaml.UnmarshalStrict([]byte(spec), &pipeline.Spec); err != nil {
			t.Fatal(err)
		}
		found[name] = pipeline
	}
	return found
}

// handedThrough has what the operator hands to Kubernetes as it is.
const handedThrough = `
kafka: {bootstrapServers: ["kafka:9092"], security: {tls: {}}}
ingester:
  tls: {}
  scaling: {auto: {maxReplicas: 1, targetCPUPercent: 80}}
  pod:
    resources: {requests: {cpu: "1.5", ephemeral-storage: 1500Mi}, limits: {memory: 1.5Gi}}
    scheduling:
      nodeSelector: {disk: fast}
      tolerations: [{operator: Exists}, {key: a, value: b, effect: NoExecute, tolerationSeconds: 30}]
      affinity:
        nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {matchExpressions: [{key: a, operator: In, values: [b]}]}}]}
        podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, labelSelector: {}}]}
      priorityClassName: high
    labels: {team: a}
    annotations: {example.com/a: b}
    serviceAccountAnnotations: {example.com/c: d}
consumer: {scaling: {auto: {minReplicas: 0, maxReplicas: 64, targets: [{type: DelaySeconds, value: 90}]}}}
storage: {type: ObjectStore, objectStore: {url: "azblob://logs", credentialsSecretRef: {name: azure}}}
networkPolicy:
  ingressFrom: [{podSelector: {}, namespaceSelector: {matchLabels: {a: b}}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]
  metricsFrom: [{podSelector: {matchLabels: {app: prometheus}}}]
  egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 9092, endPort: 9094}]}, {}]
`
