package controllers

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

// What the API server takes and refuses, and with which words. The pipelines
// are only tried (dry run): the operator never sees them.

type edit = func(*v1alpha1.LogPipeline)

func TestCreateIsValidated(t *testing.T) {
	tests := map[string]struct {
		change edit
		says   string // empty: it is taken
	}{
		"minimal":                 {func(*v1alpha1.LogPipeline) {}, ""},
		"name of 45 characters":   {func(p *v1alpha1.LogPipeline) { p.Name = strings.Repeat("a", 45) }, ""},
		"name of 46 characters":   {func(p *v1alpha1.LogPipeline) { p.Name = strings.Repeat("a", 46) }, "metadata.name must be at most 45"},
		"name beginning with 1":   {func(p *v1alpha1.LogPipeline) { p.Name = "1st" }, "begin with a letter"},
		"name with a dot":         {func(p *v1alpha1.LogPipeline) { p.Name = "a.b" }, "metadata.name must be"},
		"no bootstrap server":     {func(p *v1alpha1.LogPipeline) { p.Spec.Kafka.BootstrapServers = []string{} }, "spec.kafka.bootstrapServers: Invalid value: 0: spec.kafka.bootstrapServers in body should have at least 1 items"},
		"17 bootstrap servers":    {servers(17), "Too many: 17: must have at most 16 items"},
		"the same server twice":   {func(p *v1alpha1.LogPipeline) { p.Spec.Kafka.BootstrapServers = []string{"a:1", "a:1"} }, "Duplicate value"},
		"server without a port":   {func(p *v1alpha1.LogPipeline) { p.Spec.Kafka.BootstrapServers = []string{"kafka"} }, "spec.kafka.bootstrapServers[0] in body should match"},
		"IPv6 server":             {func(p *v1alpha1.LogPipeline) { p.Spec.Kafka.BootstrapServers = []string{"[fd00::1]:9092"} }, ""},
		"topic name":              {topic(v1alpha1.TopicSpec{Name: "logs.orders_1-x"}), ""},
		"topic name with a slash": {topic(v1alpha1.TopicSpec{Name: "a/b"}), "spec.topic.name in body should match"},
		"topic name dot":          {topic(v1alpha1.TopicSpec{Name: "."}), "topic.name must not be"},
		"Kafka's own topic":       {topic(v1alpha1.TopicSpec{Name: "__consumer_offsets"}), "which Kafka keeps for itself"},
		"topic of no partitions":  {topic(v1alpha1.TopicSpec{Partitions: ptr.To[int32](0)}), "should be greater than or equal to 1"},
		"topic configuration":     {topic(v1alpha1.TopicSpec{Config: topicConfig("retention.ms", "1")}), ""},
		"topic key in capitals":   {topic(v1alpha1.TopicSpec{Config: topicConfig("Retention", "1")}), "topic.config has keys such as retention.ms"},
		"unknown management":      {topic(v1alpha1.TopicSpec{Management: "Shared"}), `Unsupported value: "Shared": supported values: "Managed", "Existing"`},
		"existing topic":          {topic(v1alpha1.TopicSpec{Management: v1alpha1.TopicExisting, Name: "x"}), ""},
		"existing topic unnamed":  {topic(v1alpha1.TopicSpec{Management: v1alpha1.TopicExisting}), "topic.name is required when topic.management is Existing"},
		"existing topic resized":  {topic(v1alpha1.TopicSpec{Management: v1alpha1.TopicExisting, Name: "x", Partitions: ptr.To[int32](3)}), "such a topic is never changed"},
		"existing topic deleted":  {topic(v1alpha1.TopicSpec{Management: v1alpha1.TopicExisting, Name: "x", DeletionPolicy: v1alpha1.TopicDelete}), "such a topic is never deleted"},
		"group with a space":      {func(p *v1alpha1.LogPipeline) { p.Spec.Consumer.Group = "a b" }, "spec.consumer.group in body should match"},
		"scaling of neither kind": {func(p *v1alpha1.LogPipeline) { p.Spec.Ingester.Scaling = &v1alpha1.ScalingSpec{} }, "exactly one of the fields in [fixed] must be set"},
		"fixed at 0":              {func(p *v1alpha1.LogPipeline) { p.Spec.Consumer.Scaling = fixed(0) }, "should be greater than or equal to 1"},
		"unknown storage":         {storage(v1alpha1.StorageSpec{Type: "Tape"}), `Unsupported value: "Tape"`},
		"claim":                   {storage(claimed("archive")), ""},
		"claim unnamed":           {storage(v1alpha1.StorageSpec{Type: v1alpha1.StoragePersistentVolumeClaim}), "storage.persistentVolumeClaim is required"},
		"claim when ephemeral":    {storage(mixed()), "must be left out otherwise"},
		"size limit with a claim": {storage(limited()), "storage.ephemeral must be left out"},
		"segment age 0":           {func(p *v1alpha1.LogPipeline) { p.Spec.Storage.Segment.MaxAgeSeconds = ptr.To[int32](0) }, "should be greater than or equal to 1"},
		"too many resources":      {func(p *v1alpha1.LogPipeline) { p.Spec.Ingester.Pod.Resources.Limits = many(17) }, "Too many: 17: must have at most 16 items"},
	}
	namespace := newNamespace(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPipeline(namespace, []string{"kafka:9092"})
			test.change(p)
			expect(t, api.Create(t.Context(), p, client.DryRunAll), test.says)
		})
	}
}

func TestUpdateIsValidated(t *testing.T) {
	named := topic(v1alpha1.TopicSpec{Name: "x", Partitions: ptr.To[int32](4), Management: v1alpha1.TopicManaged, DeletionPolicy: v1alpha1.TopicRetain})
	tests := map[string]struct {
		before, change edit
		says           string
	}{
		"more partitions":       {named, func(p *v1alpha1.LogPipeline) { p.Spec.Topic.Partitions = ptr.To[int32](5) }, ""},
		"fewer partitions":      {named, func(p *v1alpha1.LogPipeline) { p.Spec.Topic.Partitions = ptr.To[int32](3) }, "topic.partitions only grows"},
		"partitions left out":   {named, func(p *v1alpha1.LogPipeline) { p.Spec.Topic.Partitions = nil }, ""},
		"another topic":         {named, func(p *v1alpha1.LogPipeline) { p.Spec.Topic.Name = "y" }, "topic.name is immutable"},
		"topic name taken out":  {named, func(p *v1alpha1.LogPipeline) { p.Spec.Topic.Name = "" }, "topic.name is immutable"},
		"whole topic taken out": {named, func(p *v1alpha1.LogPipeline) { p.Spec.Topic = v1alpha1.TopicSpec{} }, "topic.name is immutable"},
		"topic name put in":     {unchanged, func(p *v1alpha1.LogPipeline) { p.Spec.Topic.Name = "y" }, "topic.name is immutable"},
		"group put in":          {unchanged, func(p *v1alpha1.LogPipeline) { p.Spec.Consumer.Group = "g" }, "consumer.group is immutable"},
		"group taken out":       {func(p *v1alpha1.LogPipeline) { p.Spec.Consumer.Group = "g" }, func(p *v1alpha1.LogPipeline) { p.Spec.Consumer = v1alpha1.ConsumerSpec{} }, "consumer.group is immutable"},
		"another kind of store": {unchanged, storage(claimed("archive")), "storage.type is immutable"},
		"another claim":         {storage(claimed("a")), storage(claimed("b")), ""},
		"other brokers":         {unchanged, func(p *v1alpha1.LogPipeline) { p.Spec.Kafka.BootstrapServers = []string{"b:1"} }, ""},
	}
	namespace := newNamespace(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPipeline(namespace, address(freePort(t)))
			p.Name = "p-" + strings.ReplaceAll(name, " ", "-")
			p.Spec.Suspend = true // so that the operator has nothing to do
			test.before(p)
			create(t, p)
			var err error
			eventually(t, func() error { // the operator's status may come in between
				if err := api.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
					return err
				}
				test.change(p)
				if err = api.Update(t.Context(), p, client.DryRunAll); apierrors.IsConflict(err) {
					return err
				}
				return nil
			})
			expect(t, err, test.says)
		})
	}
}

func TestStructureIsDefaulted(t *testing.T) {
	p := newPipeline(newNamespace(t), []string{"kafka:9092"})
	if err := api.Create(t.Context(), p, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	if p.Spec.Topic.Management != v1alpha1.TopicManaged || p.Spec.Topic.DeletionPolicy != v1alpha1.TopicRetain {
		t.Errorf("topic is %+v", p.Spec.Topic)
	}
	if p.Spec.Ingester.Queue.MaxBytes != nil || p.Spec.Consumer.Scaling != nil {
		t.Errorf("tuning is defaulted by the schema: %+v", p.Spec)
	}
}

func TestSamplesAreTaken(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "config", "samples", "*.yaml"))
	if err != nil || len(files) < 3 {
		t.Fatalf("found %v, %v", files, err)
	}
	namespace := newNamespace(t)
	for _, file := range files {
		document, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range bytes.Split(document, []byte("\n---\n")) {
			object := &unstructured.Unstructured{}
			if err := yaml.UnmarshalStrict(part, &object.Object); err != nil {
				t.Fatal(err)
			}
			if object.GetKind() == "" {
				continue // the list of the samples
			}
			object.SetNamespace(namespace)
			strict := client.FieldValidation(metav1.FieldValidationStrict)
			if err := api.Create(t.Context(), object, client.DryRunAll, strict); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

func unchanged(*v1alpha1.LogPipeline) {}

func topic(s v1alpha1.TopicSpec) edit {
	return func(p *v1alpha1.LogPipeline) { p.Spec.Topic = s }
}

func storage(s v1alpha1.StorageSpec) edit {
	return func(p *v1alpha1.LogPipeline) { p.Spec.Storage = s }
}

func claimed(name string) v1alpha1.StorageSpec {
	return v1alpha1.StorageSpec{
		Type:                  v1alpha1.StoragePersistentVolumeClaim,
		PersistentVolumeClaim: &v1alpha1.PersistentVolumeClaimStorage{ClaimName: name},
	}
}

func mixed() v1alpha1.StorageSpec {
	s := claimed("archive")
	s.Type = v1alpha1.StorageEphemeral
	return s
}

func limited() v1alpha1.StorageSpec {
	s := claimed("archive")
	s.Ephemeral = &v1alpha1.EphemeralStorage{}
	return s
}

func topicConfig(key string, value v1alpha1.TopicConfigValue) map[string]v1alpha1.TopicConfigValue {
	return map[string]v1alpha1.TopicConfigValue{key: value}
}

func fixed(replicas int32) *v1alpha1.ScalingSpec {
	return &v1alpha1.ScalingSpec{Fixed: &v1alpha1.FixedScaling{Replicas: replicas}}
}

func servers(n int) edit {
	return func(p *v1alpha1.LogPipeline) {
		p.Spec.Kafka.BootstrapServers = nil
		for i := range n {
			p.Spec.Kafka.BootstrapServers = append(p.Spec.Kafka.BootstrapServers, "kafka-"+string(rune('a'+i))+":9092")
		}
	}
}

func many(n int) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := range n {
		list[corev1.ResourceName("example.com/"+string(rune('a'+i)))] = resource.MustParse("1")
	}
	return list
}

func expect(t *testing.T, err error, says string) {
	t.Helper()
	switch {
	case says == "" && err != nil:
		t.Errorf("refused: %v", err)
	case says != "" && err == nil:
		t.Errorf("taken, want it refused with %q", says)
	case says != "" && !strings.Contains(err.Error(), says):
		t.Errorf("refused, but not with %q:\n%v", says, err)
	}
}
