package resources

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden files")

func pipeline(change func(*v1alpha1.LogPipelineSpec)) *v1alpha1.LogPipeline {
	p := &v1alpha1.LogPipeline{
		ObjectMeta: metav1.ObjectMeta{Name: "orders", Namespace: "logs", UID: "8d7f1c3e-0000-4000-8000-000000000001"},
		Spec: v1alpha1.LogPipelineSpec{
			Kafka:   v1alpha1.KafkaSpec{BootstrapServers: []string{"kafka:9092"}},
			Storage: v1alpha1.StorageSpec{Type: v1alpha1.StorageEphemeral},
		},
	}
	change(&p.Spec)
	return p
}

func minimal(*v1alpha1.LogPipelineSpec) {}

func full(s *v1alpha1.LogPipelineSpec) {
	s.Kafka.BootstrapServers = []string{"kafka-1:9092", "kafka-0:9092"}
	s.Topic = v1alpha1.TopicSpec{Name: "audit", Partitions: ptr.To[int32](12)}
	s.DeadLetter = v1alpha1.DeadLetterSpec{Topic: &v1alpha1.DeadLetterTopicSpec{}, MaxBytes: quantity("128Mi")}
	s.Ingester = v1alpha1.IngesterSpec{
		Acknowledge: v1alpha1.AcknowledgeQueued,
		Queue:       v1alpha1.QueueSpec{MaxBytes: quantity("512Mi")},
		Spool:       &v1alpha1.SpoolSpec{MaxBytes: resource.MustParse("1Gi")},
		Producer: v1alpha1.ProducerSpec{
			BatchRecords: ptr.To[int32](1000), BatchBytes: quantity("500Ki"), BatchMaxDelayMilliseconds: ptr.To[int32](0), DeliveryTimeoutSeconds: ptr.To[int32](30),
			Compression: "zstd", CompressionLevel: ptr.To[int32](3), RequiredAcks: v1alpha1.RequiredAcksOne, KeyField: "user.id", Headers: []string{"X-Tenant"},
		},
		RequestLimits: v1alpha1.RequestLimitsSpec{
			MaxBodyBytes: quantity("8Mi"), MaxRecordBytes: quantity("2Mi"), MaxDepth: ptr.To[int32](8), MaxConnections: ptr.To[int32](10),
			MaxInFlight: ptr.To[int32](20), MinBodyBytesPerSecond: quantity("0"), BodyTimeoutSeconds: ptr.To[int32](9),
		},
		Drain:   v1alpha1.DrainSpec{DelaySeconds: ptr.To[int32](0), TimeoutSeconds: ptr.To[int32](20)},
		Scaling: &v1alpha1.IngesterScalingSpec{Fixed: &v1alpha1.FixedScaling{Replicas: 3}},
		Pod: v1alpha1.PodSpec{
			Resources: v1alpha1.ResourcesSpec{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")},
				Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("2Gi")},
			},
			Scheduling: v1alpha1.SchedulingSpec{
				NodeSelector: map[string]v1alpha1.LabelValue{"disk": "fast"},
				Tolerations:  []corev1.Toleration{{Key: "logs", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}},
				Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
					TopologyKey: "kubernetes.io/hostname", LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "kafka"}},
				}}}},
				PriorityClassName: "high",
			},
			Labels:      map[string]v1alpha1.LabelValue{"team": "audit"},
			Annotations: map[string]v1alpha1.AnnotationValue{"example.com/note": "a b"},
		},
	}
	s.Consumer = v1alpha1.ConsumerSpec{
		Group: "archive", OnLoss: v1alpha1.OnLossRecordGap,
		SessionTimeoutSeconds: ptr.To[int32](45), FetchMaxBytes: quantity("1Mi"), FetchMaxTotalBytes: quantity("32Mi"), DrainTimeoutSeconds: ptr.To[int32](90),
		Scaling: &v1alpha1.ConsumerScalingSpec{Fixed: &v1alpha1.FixedScaling{Replicas: 4}},
		Pod:     v1alpha1.PodSpec{Resources: v1alpha1.ResourcesSpec{Limits: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m")}}},
	}
	s.Storage = v1alpha1.StorageSpec{
		Type:                  v1alpha1.StoragePersistentVolumeClaim,
		PersistentVolumeClaim: &v1alpha1.PersistentVolumeClaimStorage{ClaimName: "orders"},
		Segment:               v1alpha1.SegmentSpec{MaxBytes: quantity("128Mi"), MaxAgeSeconds: ptr.To[int32](60), MaxOpenBytes: quantity("512Mi"), Compression: "zstd"},
		Retention:             v1alpha1.RetentionSpec{MaxAgeSeconds: ptr.To[int64](2592000), MaxBytes: quantity("500Gi")},
	}
	s.Aggregation = &v1alpha1.AggregationSpec{
		WindowSeconds: ptr.To[int32](30), GroupBy: []string{"level"}, Numeric: []string{"took"}, Quantiles: []string{"0.5", "1"}, MaxGroups: ptr.To[int32](100),
	}
}

// secured has every Secret that both roles can have, but for a store's.
func secured(s *v1alpha1.LogPipelineSpec) {
	s.Kafka.Security = v1alpha1.KafkaSecuritySpec{
		TLS: &v1alpha1.KafkaTLSSpec{
			CASecretRef: &v1alpha1.CASecretReference{Name: "kafka-ca", Key: "root.pem"}, ClientCertSecretRef: &v1alpha1.SecretReference{Name: "kafka-client"}, ServerName: "kafka",
		},
		SASL: &v1alpha1.KafkaSASLSpec{Mechanism: v1alpha1.SASLScramSHA512, CredentialsSecretRef: v1alpha1.SecretReference{Name: "app"}},
	}
	s.Kafka.AdminSecurity = v1alpha1.KafkaSecuritySpec{
		SASL: &v1alpha1.KafkaSASLSpec{Mechanism: v1alpha1.SASLPlain, CredentialsSecretRef: v1alpha1.SecretReference{Name: "admin"}},
	}
	s.Ingester.TLS = &v1alpha1.IngesterTLSSpec{}
	s.Ingester.Authentication = v1alpha1.AuthenticationSpec{
		BearerTokensSecretRef: &v1alpha1.SecretReference{Name: "tokens"},
		BasicSecretRef:        &v1alpha1.SecretReference{Name: "users"},
		ClientCertificates:    &v1alpha1.ClientCertificatesSpec{CASecretRef: v1alpha1.CASecretReference{Name: "clients"}, AllowedNames: []string{"shipper"}},
	}
	s.NetworkPolicy = v1alpha1.NetworkPolicySpec{
		IngressFrom: []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"logs": "yes"}}}},
		MetricsFrom: []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "prometheus"}}}},
		Egress:      []networkingv1.NetworkPolicyEgressRule{{To: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/8"}}}}},
	}
}

func scaled(s *v1alpha1.LogPipelineSpec) {
	s.Ingester.Scaling = &v1alpha1.IngesterScalingSpec{Auto: &v1alpha1.IngesterAutoScaling{
		MinReplicas: ptr.To[int32](3), MaxReplicas: 20, QueueTargetPercent: ptr.To[int32](25), TargetCPUPercent: ptr.To[int32](80), StabilizationWindowSeconds: ptr.To[int32](30),
	}}
	s.Consumer.Scaling = &v1alpha1.ConsumerScalingSpec{Auto: &v1alpha1.ConsumerAutoScaling{
		MinReplicas: ptr.To[int32](0), MaxReplicas: 64,
		Targets: []v1alpha1.ConsumerTarget{{Type: v1alpha1.TargetLagRecords, Value: 5000}, {Type: v1alpha1.TargetDelaySeconds, Value: 90}},
	}}
}

func stored(url string) func(*v1alpha1.LogPipelineSpec) {
	return func(s *v1alpha1.LogPipelineSpec) {
		s.Storage = v1alpha1.StorageSpec{Type: v1alpha1.StorageObjectStore, ObjectStore: &v1alpha1.ObjectStoreStorage{
			URL: url, CredentialsSecretRef: &v1alpha1.SecretReference{Name: "store"},
			ServiceAccountAnnotations: map[string]v1alpha1.AnnotationValue{"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/logs"},
		}}
	}
}

func quantity(s string) *resource.Quantity { return ptr.To(resource.MustParse(s)) }

func TestChildren(t *testing.T) {
	tests := map[string]struct {
		spec  func(*v1alpha1.LogPipelineSpec)
		input func(*Input)
	}{
		"minimal": {minimal, nil},
		"full":    {full, nil},
		"suspended": {
			func(s *v1alpha1.LogPipelineSpec) { scaled(s); s.Suspend = true }, nil,
		},
		"ephemeral": {func(s *v1alpha1.LogPipelineSpec) {
			s.Storage.Ephemeral = &v1alpha1.EphemeralStorage{SizeLimit: quantity("10Gi")}
			s.NetworkPolicy.Management = v1alpha1.NetworkPolicyNone
		}, nil},
		"single-node": {
			func(s *v1alpha1.LogPipelineSpec) {
				s.Storage = v1alpha1.StorageSpec{Type: v1alpha1.StoragePersistentVolumeClaim, PersistentVolumeClaim: &v1alpha1.PersistentVolumeClaimStorage{ClaimName: "archive"}}
			},
			func(in *Input) { in.SingleNode = true },
		},
		"secured": {secured, func(in *Input) { in.OperatorNamespace = "logpipeline-system" }},
		"scaled":  {scaled, func(in *Input) { in.Server = Server{ScaleToZero: true, Tolerance: true} }},
		"external": {func(s *v1alpha1.LogPipelineSpec) {
			s.Ingester.Scaling = &v1alpha1.IngesterScalingSpec{External: &v1alpha1.ExternalScaling{}}
			s.Consumer.Scaling = &v1alpha1.ConsumerScalingSpec{External: &v1alpha1.ExternalScaling{}}
		}, nil},
		"s3":    {stored("s3://bucket/prefix?region=eu-central-1"), nil},
		"azure": {stored("azblob://container"), nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			compareGolden(t, name, render(t, build(t, pipeline(test.spec), test.input)))
		})
	}
}

func build(t *testing.T, p *v1alpha1.LogPipeline, change func(*Input)) Children {
	t.Helper()
	c, err := Config(p)
	if err != nil {
		t.Fatal(err)
	}
	in := Input{Pipeline: p, Configs: c, Partitions: 12, Image: "registry.example/logpipeline/ingester:v1", Release: "v1"}
	if change != nil {
		change(&in)
	}
	children, err := Build(in)
	if err != nil {
		t.Fatal(err)
	}
	return children
}

// render leaves out what is not wanted.
func render(t *testing.T, c Children) []byte {
	t.Helper()
	var documents [][]byte
	objects := []any{c.Service}
	for _, r := range []Role{c.Ingester, c.Consumer} {
		objects = append(objects, r.ServiceAccount, r.ConfigMap, r.NetworkPolicy, r.Budget, r.Deployment, r.Autoscaler)
	}
	for _, object := range objects {
		document, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		if string(document) != "null\n" {
			documents = append(documents, document)
		}
	}
	return bytes.Join(documents, []byte("---\n"))
}

func compareGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name+".yaml")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (go test ./controllers/resources -update writes it anew), -want +got\n%s", file, diff)
	}
}

func TestEndpointIsThatOfTheService(t *testing.T) {
	for want, spec := range map[string]func(*v1alpha1.LogPipelineSpec){
		"http://orders-ingester.logs.svc:8080/logs": minimal, "https://orders-ingester.logs.svc:8080/logs": secured,
	} {
		children := build(t, pipeline(spec), nil)
		port := children.Service.Spec.Ports[0]
		if got := Endpoint(asLive(t, children.Ingester.Deployment)); got != want || !strings.HasPrefix(want, *port.AppProtocol+":") || *port.Port != ingestPort {
			t.Errorf("got %s, want %s; the Service has %+v", got, want, port)
		}
	}
}

// asLive is what an API server makes of a Deployment, but for its defaults.
func asLive(t *testing.T, desired *appsv1ac.DeploymentApplyConfiguration) *appsv1.Deployment {
	t.Helper()
	document, err := json.Marshal(desired)
	live := &appsv1.Deployment{}
	if err := errors.Join(err, json.Unmarshal(document, live)); err != nil {
		t.Fatal(err)
	}
	return live
}

// A pipeline's name may be another one's with a suffix of a child.
func TestNamesOfTwoPipelinesNeverMeet(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"a", "a-ingester", "a-consumer", "a-ingester-consumer"} {
		p := &v1alpha1.LogPipeline{ObjectMeta: metav1.ObjectMeta{Name: name}}
		for _, child := range []string{IngesterName(p), ConsumerName(p)} {
			if other, taken := seen[child]; taken {
				t.Errorf("%s belongs to %q and to %q", child, other, name)
			}
			seen[child] = name
		}
	}
}
