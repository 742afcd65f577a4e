package resources

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/ingester/config"
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
	s.Ingester = v1alpha1.IngesterSpec{
		Queue:         v1alpha1.QueueSpec{MaxBytes: quantity("512Mi")},
		Producer:      v1alpha1.ProducerSpec{BatchRecords: ptr.To[int32](1000), BatchMaxDelayMilliseconds: ptr.To[int32](0), DeliveryTimeoutSeconds: ptr.To[int32](30)},
		RequestLimits: v1alpha1.RequestLimitsSpec{MaxBodyBytes: quantity("8Mi"), MaxRecordBytes: quantity("2Mi")},
		Drain:         v1alpha1.DrainSpec{DelaySeconds: ptr.To[int32](0), TimeoutSeconds: ptr.To[int32](20)},
		Scaling:       &v1alpha1.ScalingSpec{Fixed: &v1alpha1.FixedScaling{Replicas: 3}},
		Pod: v1alpha1.PodSpec{Resources: v1alpha1.ResourcesSpec{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("2Gi")},
		}},
	}
	s.Consumer = v1alpha1.ConsumerSpec{
		Group:   "archive",
		Scaling: &v1alpha1.ScalingSpec{Fixed: &v1alpha1.FixedScaling{Replicas: 4}},
		Pod:     v1alpha1.PodSpec{Resources: v1alpha1.ResourcesSpec{Limits: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m")}}},
	}
	s.Storage = v1alpha1.StorageSpec{
		Type:                  v1alpha1.StoragePersistentVolumeClaim,
		PersistentVolumeClaim: &v1alpha1.PersistentVolumeClaimStorage{ClaimName: "orders"},
		Segment:               v1alpha1.SegmentSpec{MaxBytes: quantity("128Mi"), MaxAgeSeconds: ptr.To[int32](60)},
	}
}

func quantity(s string) *resource.Quantity { return ptr.To(resource.MustParse(s)) }

func TestChildren(t *testing.T) {
	tests := map[string]func(*v1alpha1.LogPipelineSpec){
		"minimal":   minimal,
		"full":      full,
		"suspended": func(s *v1alpha1.LogPipelineSpec) { full(s); s.Suspend = true },
		"ephemeral": func(s *v1alpha1.LogPipelineSpec) {
			s.Storage.Ephemeral = &v1alpha1.EphemeralStorage{SizeLimit: quantity("10Gi")}
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			compareGolden(t, name, render(t, pipeline(change)))
		})
	}
}

func build(t *testing.T, p *v1alpha1.LogPipeline) Children {
	t.Helper()
	c, err := Config(p)
	if err != nil {
		t.Fatal(err)
	}
	children, err := Build(Input{Pipeline: p, Config: c, Partitions: 12, Image: "registry.example/logpipeline/ingester:v1"})
	if err != nil {
		t.Fatal(err)
	}
	return children
}

func render(t *testing.T, p *v1alpha1.LogPipeline) []byte {
	t.Helper()
	c := build(t, p)
	var documents [][]byte
	for _, object := range []any{c.ServiceAccount, c.ConfigMap, c.Service, c.Ingester, c.Consumer} {
		document, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, document)
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

func TestIngestersReadWhatIsRendered(t *testing.T) {
	p := pipeline(full)
	want, err := Config(p)
	if err != nil {
		t.Fatal(err)
	}
	got, err := config.Parse([]byte(build(t, p).ConfigMap.Data[configKey]), config.Default())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-rendered +parsed\n%s", diff)
	}
}

func TestConfigTakesDefaultsOfTheIngester(t *testing.T) {
	got, err := Config(pipeline(minimal))
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Listen, want.AdminListen, want.DataDir = ":8080", ":9090", "/data"
	want.Topic, want.Consumer.Group = "logs.orders", "logpipeline.logs.orders"
	want.Kafka = config.Kafka{BootstrapServers: []string{"kafka:9092"}, ClientID: "logpipeline.logs.orders"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestConfigRefusesWhatCannotWork(t *testing.T) {
	tests := map[string]struct {
		change func(*v1alpha1.LogPipelineSpec)
		says   []string
	}{
		"no whole number of bytes": {
			func(s *v1alpha1.LogPipelineSpec) {
				s.Ingester.Queue.MaxBytes = quantity("100m")
				s.Storage.Segment.MaxBytes = quantity("-1")
			},
			[]string{`spec.ingester.queue.maxBytes is "100m"`, `spec.storage.segment.maxBytes is "-1"`, "such as 64Mi"},
		},
		"body larger than the queue": {
			func(s *v1alpha1.LogPipelineSpec) { s.Ingester.RequestLimits.MaxBodyBytes = quantity("512Mi") },
			[]string{"requestLimits.maxBodyBytes", "queue.maxBytes"},
		},
		"memory limit below the queue": {
			func(s *v1alpha1.LogPipelineSpec) {
				s.Ingester.Pod.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("351Mi")}
			},
			[]string{"spec.ingester.pod.resources.limits.memory is 351Mi", "queue.maxBytes (256Mi)", "need 352Mi"},
		},
		"topic that takes no records, or not all": {
			func(s *v1alpha1.LogPipelineSpec) {
				s.Topic.Config = map[string]v1alpha1.TopicConfigValue{"cleanup.policy": "compact,delete", "max.message.bytes": "1000"}
			},
			[]string{`spec.topic.config[cleanup.policy] is "compact,delete"`, `spec.topic.config[max.message.bytes] is "1000"`, "need 1049600"},
		},
		"port out of range": {
			func(s *v1alpha1.LogPipelineSpec) { s.Kafka.BootstrapServers = []string{"kafka:70000"} },
			[]string{"kafka.bootstrapServers", "kafka:70000"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Config(pipeline(test.change))
			if err == nil {
				t.Fatal("no error")
			}
			for _, word := range test.says {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("error doesn't say %q:\n%v", word, err)
				}
			}
		})
	}
}

func TestConfigIgnoresOrderOfServers(t *testing.T) {
	a, errA := Config(pipeline(func(s *v1alpha1.LogPipelineSpec) { s.Kafka.BootstrapServers = []string{"a:1", "b:1"} }))
	b, errB := Config(pipeline(func(s *v1alpha1.LogPipelineSpec) { s.Kafka.BootstrapServers = []string{"b:1", "a:1"} }))
	if diff := cmp.Diff(a, b); diff != "" || errA != nil || errB != nil {
		t.Errorf("%v, %v, %s", errA, errB, diff)
	}
}

func TestContainerResources(t *testing.T) {
	const derived = 640 << 20
	list := func(pairs ...string) corev1.ResourceList {
		l := corev1.ResourceList{}
		for i := 0; i < len(pairs); i += 2 {
			l[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
		}
		return l
	}
	tests := map[string]struct {
		spec             v1alpha1.ResourcesSpec
		requests, limits corev1.ResourceList
	}{
		"nothing given": {
			v1alpha1.ResourcesSpec{},
			list("cpu", "100m", "memory", "640Mi"), list("memory", "640Mi"),
		},
		"more requested than derived": {
			v1alpha1.ResourcesSpec{Requests: list("memory", "1Gi")},
			list("cpu", "100m", "memory", "1Gi"), list("memory", "1Gi"),
		},
		"less requested than derived": {
			v1alpha1.ResourcesSpec{Requests: list("memory", "64Mi")},
			list("cpu", "100m", "memory", "64Mi"), list("memory", "640Mi"),
		},
		"limits given": {
			v1alpha1.ResourcesSpec{Limits: list("memory", "1Gi", "cpu", "50m", "ephemeral-storage", "1Gi")},
			list("cpu", "50m", "memory", "1Gi"), list("memory", "1Gi", "cpu", "50m", "ephemeral-storage", "1Gi"),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := containerResources(test.spec, derived)
			if diff := cmp.Diff(corev1.ResourceRequirements{Requests: test.requests, Limits: test.limits}, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// A pipeline's name may be another one's with a suffix of a child.
func TestNamesOfTwoPipelinesNeverMeet(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"a", "a-ingester", "a-consumer", "a-logpipeline", "a-ingester-logpipeline"} {
		p := &v1alpha1.LogPipeline{ObjectMeta: metav1.ObjectMeta{Name: name}}
		for _, child := range []string{"Deployment " + IngesterName(p), "Deployment " + ConsumerName(p), "ConfigMap " + SharedName(p)} {
			if other, taken := seen[child]; taken {
				t.Errorf("%s belongs to %q and to %q", child, other, name)
			}
			seen[child] = name
		}
	}
}
