package resources

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/ptr"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/ingester/config"
)

func TestPodsReadWhatIsRendered(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.LogPipelineSpec){"full": full, "secured": secured, "s3": stored("s3://bucket")} {
		t.Run(name, func(t *testing.T) {
			p := pipeline(change)
			want, err := Config(p)
			if err != nil {
				t.Fatal(err)
			}
			children := build(t, p, nil)
			for role, want := range map[*Role]config.Config{&children.Ingester: want.Ingester, &children.Consumer: want.Consumer} {
				got, err := config.Parse([]byte(role.ConfigMap.Data[configKey]), config.Default())
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("-rendered +parsed\n%s", diff)
				}
			}
		})
	}
}

func TestConfigTakesDefaultsOfTheIngester(t *testing.T) {
	got, err := Config(pipeline(minimal))
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Listen, want.AdminListen, want.DataDir, want.Topic = ":8080", ":9090", "/data", "logs.orders"
	want.Kafka = config.Kafka{BootstrapServers: []string{"kafka:9092"}, ClientID: "logpipeline.logs.orders"}
	consumer := want
	consumer.Consumer.Group, consumer.Consumer.InstanceID = "logpipeline.logs.orders", "$HOSTNAME"
	if diff := cmp.Diff(Configs{Ingester: want, Consumer: consumer}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestSegmentsInObjectStoresAreOlderByDefault(t *testing.T) {
	tests := map[string]struct {
		change func(*v1alpha1.LogPipelineSpec)
		want   int
	}{
		"claim":        {full, 60},
		"nothing said": {minimal, 10},
		"object store": {stored("gs://bucket"), 60},
		"object store and age said": {func(s *v1alpha1.LogPipelineSpec) {
			stored("gs://b")(s)
			s.Storage.Segment.MaxAgeSeconds = ptr.To[int32](5)
		}, 5},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := Config(pipeline(test.change))
			if err != nil || c.Consumer.Segment.MaxAgeSeconds != test.want {
				t.Errorf("%d seconds, %v, want %d", c.Consumer.Segment.MaxAgeSeconds, err, test.want)
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

// A change that concerns one role restarts no pod of the other one.
func TestChangesRestartTheirRoleAlone(t *testing.T) {
	tests := map[string]struct {
		change             func(*v1alpha1.LogPipelineSpec)
		ingester, consumer bool
	}{
		"queue":     {func(s *v1alpha1.LogPipelineSpec) { s.Ingester.Queue.MaxBytes = quantity("128Mi") }, true, false},
		"drain":     {func(s *v1alpha1.LogPipelineSpec) { s.Ingester.Drain.TimeoutSeconds = ptr.To[int32](9) }, true, false},
		"segment":   {func(s *v1alpha1.LogPipelineSpec) { s.Storage.Segment.MaxAgeSeconds = ptr.To[int32](9) }, false, true},
		"brokers":   {func(s *v1alpha1.LogPipelineSpec) { s.Kafka.BootstrapServers = []string{"other:9092"} }, true, true},
		"scaling":   {scaled, false, false},
		"deletion":  {func(s *v1alpha1.LogPipelineSpec) { s.Topic.DeletionPolicy = v1alpha1.TopicDelete }, false, false},
		"admission": {func(s *v1alpha1.LogPipelineSpec) { s.NetworkPolicy.Management = v1alpha1.NetworkPolicyNone }, false, false},
		"admin":     {func(s *v1alpha1.LogPipelineSpec) { s.Kafka.AdminSecurity.TLS = &v1alpha1.KafkaTLSSpec{} }, false, false},
	}
	before := build(t, pipeline(minimal), nil)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			after := build(t, pipeline(test.change), nil)
			ingester := cmp.Diff(before.Ingester.Deployment.Spec.Template, after.Ingester.Deployment.Spec.Template) != ""
			consumer := cmp.Diff(before.Consumer.Deployment.Spec.Template, after.Consumer.Deployment.Spec.Template) != ""
			if ingester != test.ingester || consumer != test.consumer {
				t.Errorf("ingesters restart: %t, want %t; consumers restart: %t, want %t", ingester, test.ingester, consumer, test.consumer)
			}
		})
	}
}
