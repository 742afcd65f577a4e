package resources

import (
	"testing"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

func TestPodsAreKnownByTheirLabels(t *testing.T) {
	p := &v1alpha1.LogPipeline{}
	p.Name, p.Spec.Kafka.BootstrapServers = "orders", []string{"kafka:9092"}
	configs, err := Config(p)
	if err != nil {
		t.Fatal(err)
	}
	in := Input{Pipeline: p, Configs: configs}
	for want, r := range map[string]role{IngesterComponent: ingesterRole(in), ConsumerComponent: consumerRole(in)} {
		if pipeline, component := PodOf(podTemplate(in, r, "").Labels); pipeline != "orders" || component != want {
			t.Errorf("a pod of %s is taken for one of %q, %q", want, pipeline, component)
		}
	}
}

func TestAdminAddress(t *testing.T) {
	for ip, want := range map[string]string{"10.0.0.1": "10.0.0.1:9090", "fd00::1": "[fd00::1]:9090"} {
		if got := AdminAddress(ip); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
