package resources

import (
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/ingester/config"
)

func TestConfigRefusesWhatCannotWork(t *testing.T) {
	delay := func(seconds int64) *v1alpha1.ConsumerScalingSpec {
		return &v1alpha1.ConsumerScalingSpec{Auto: &v1alpha1.ConsumerAutoScaling{
			MaxReplicas: 3, Targets: []v1alpha1.ConsumerTarget{{Type: v1alpha1.TargetDelaySeconds, Value: seconds}},
		}}
	}
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
			[]string{"spec.ingester.requestLimits.maxBodyBytes is 512Mi, more than half of spec.ingester.queue.maxBytes (256Mi)"},
		},
		"spool smaller than two bodies": {
			func(s *v1alpha1.LogPipelineSpec) {
				s.Ingester.Acknowledge = v1alpha1.AcknowledgeQueued
				s.Ingester.Spool = &v1alpha1.SpoolSpec{MaxBytes: resource.MustParse("1Mi")}
			},
			[]string{"spec.ingester.spool.maxBytes is 1Mi: at least twice spec.ingester.requestLimits.maxBodyBytes (16Mi) is needed"},
		},
		"dead letters where they come from": {
			func(s *v1alpha1.LogPipelineSpec) {
				s.DeadLetter.Topic = &v1alpha1.DeadLetterTopicSpec{Name: "logs.orders"}
			},
			[]string{`spec.deadLetter.topic.name is "logs.orders", as topic is`},
		},
		"dead letters in a topic whose name is too long": {
			func(s *v1alpha1.LogPipelineSpec) {
				s.Topic.Name = strings.Repeat("t", 249)
				s.DeadLetter.Topic = &v1alpha1.DeadLetterTopicSpec{}
			},
			[]string{"spec.deadLetter.topic.name is", "1 to 249 letters"},
		},
		"memory limit below the queue": {
			func(s *v1alpha1.LogPipelineSpec) {
				s.Ingester.Pod.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("351Mi")}
			},
			[]string{"spec.ingester.pod.resources.limits.memory is 351Mi", "spec.ingester.queue.maxBytes (256Mi)", "need 352Mi"},
		},
		"disk limit below the spool": {
			func(s *v1alpha1.LogPipelineSpec) {
				s.Ingester.Acknowledge = v1alpha1.AcknowledgeQueued
				s.Ingester.Spool = &v1alpha1.SpoolSpec{MaxBytes: resource.MustParse("1Gi")}
				s.Ingester.Pod.Resources.Limits = corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse("1Gi")}
			},
			[]string{"spec.ingester.pod.resources.limits.ephemeral-storage is 1Gi", "needs 1152Mi", "lower spec.ingester.spool.maxBytes"},
		},
		"disk limit below what waits to be uploaded": {
			func(s *v1alpha1.LogPipelineSpec) {
				stored("s3://bucket")(s)
				s.Consumer.Pod.Resources.Limits = corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse("1Gi")}
			},
			[]string{"spec.consumer.pod.resources.limits.ephemeral-storage is 1Gi", "lower spec.storage.segment.maxOpenBytes"},
		},
		"topic that takes no records, or not all": {
			func(s *v1alpha1.LogPipelineSpec) {
				s.Topic.Config = map[string]v1alpha1.TopicConfigValue{"cleanup.policy": "compact,delete", "max.message.bytes": "1000"}
			},
			[]string{`spec.topic.config[cleanup.policy] is "compact,delete"`, `spec.topic.config[max.message.bytes] is "1000"`, "need 1049600"},
		},
		"port out of range": {
			func(s *v1alpha1.LogPipelineSpec) { s.Kafka.BootstrapServers = []string{"kafka:70000"} },
			[]string{`spec.kafka.bootstrapServers[0] is "kafka:70000"`},
		},
		"delay below the age that is the default": {
			func(s *v1alpha1.LogPipelineSpec) { s.Consumer.Scaling = delay(10) },
			[]string{"spec.consumer.scaling.auto.targets: DelaySeconds is 10", "after up to 10 s (spec.storage.segment.maxAgeSeconds)"},
		},
		"delay below the age of object stores": {
			func(s *v1alpha1.LogPipelineSpec) { stored("s3://bucket")(s); s.Consumer.Scaling = delay(30) },
			[]string{"DelaySeconds is 30", "after up to 60 s"},
		},
		"store of no known kind": {
			func(s *v1alpha1.LogPipelineSpec) { stored("s3://?region=x")(s) },
			[]string{`spec.storage.objectStore.url is "s3://?region=x"`},
		},
		"segments larger than stores copy": {
			func(s *v1alpha1.LogPipelineSpec) {
				stored("s3://bucket")(s)
				s.Storage.Segment.MaxBytes = quantity("4Gi")
			},
			[]string{"spec.storage.segment.maxBytes is 4Gi"},
		},
		"level that the codec does not have": {
			func(s *v1alpha1.LogPipelineSpec) {
				s.Ingester.Producer.Compression, s.Ingester.Producer.CompressionLevel = "gzip", ptr.To[int32](12)
			},
			[]string{"spec.ingester.producer.compressionLevel is 12: choose from 0 to 9"},
		},
		"aggregation by one field twice": {
			func(s *v1alpha1.LogPipelineSpec) {
				s.Aggregation = &v1alpha1.AggregationSpec{GroupBy: []string{"a", "a"}}
			},
			[]string{`spec.aggregation.groupBy[1] is "a", which stands there twice`},
		},
		"size limit of nothing": {
			func(s *v1alpha1.LogPipelineSpec) {
				s.Storage.Ephemeral = &v1alpha1.EphemeralStorage{SizeLimit: quantity("0")}
			},
			[]string{`spec.storage.ephemeral.sizeLimit is "0"`},
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

// Both roles check the addresses of the brokers.
func TestMistakesOfBothRolesAreNamedOnce(t *testing.T) {
	_, err := Config(pipeline(func(s *v1alpha1.LogPipelineSpec) { s.Kafka.BootstrapServers = []string{"kafka:70000"} }))
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 1 {
		t.Errorf("%d mistakes:\n%v", len(lines), err)
	}
}

// ours are the settings that the operator decides on: no field of the spec is
// behind them alone.
var ours = []string{
	"version", "listen", "adminListen", "dataDir", "instance", "topic", "acknowledge", "standalone.", "direct.",
	"kafka.clientID", "kafka.tls.", "kafka.sasl.", "tls.", "authentication.",
	"spool.dir", "deadLetter.topic", "deadLetter.dir", "objectStore.stagingDir", "consumer.instanceID",
}

// Every other setting of the ingester is in the spec, under the name that the
// messages give it.
func TestEverySettingIsInTheSpec(t *testing.T) {
	for _, name := range settings(reflect.TypeFor[config.Config](), "") {
		if decidedByUs(name) {
			continue
		}
		path := inSpecWords(name)
		if path == name || !hasField(reflect.TypeFor[v1alpha1.LogPipelineSpec](), strings.Split(path, ".")[1:]) {
			t.Errorf("setting %s is %s in messages, which the resource does not have", name, path)
		}
	}
}

func decidedByUs(name string) bool {
	for _, prefix := range ours {
		if name == prefix || strings.HasSuffix(prefix, ".") && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// settings are the paths of the fields of a configuration, as in its file.
func settings(t reflect.Type, prefix string) []string {
	var paths []string
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Type.Kind() == reflect.Struct {
			paths = append(paths, settings(field.Type, prefix+name+".")...)
		} else {
			paths = append(paths, prefix+name)
		}
	}
	return paths
}

func hasField(t reflect.Type, path []string) bool {
	if len(path) == 0 {
		return true
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name == path[0] {
			return hasField(t.Field(i).Type, path[1:])
		}
	}
	return false
}
