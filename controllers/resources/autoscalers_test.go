package resources

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/ptr"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/ingester/config"
)

func TestAutoscalersStayWithinBounds(t *testing.T) {
	auto := func(least *int32, most int32) func(*v1alpha1.LogPipelineSpec) {
		return func(s *v1alpha1.LogPipelineSpec) {
			s.Ingester.Scaling = &v1alpha1.IngesterScalingSpec{Auto: &v1alpha1.IngesterAutoScaling{MaxReplicas: most}}
			s.Consumer.Scaling = &v1alpha1.ConsumerScalingSpec{Auto: &v1alpha1.ConsumerAutoScaling{MinReplicas: least, MaxReplicas: most}}
		}
	}
	type bounds struct{ ingesterMin, ingesterMax, consumerMin, consumerMax int32 }
	tests := map[string]struct {
		spec       func(*v1alpha1.LogPipelineSpec)
		partitions int32
		server     Server
		want       bounds
	}{
		"as asked":                            {auto(ptr.To[int32](2), 5), 12, Server{}, bounds{2, 5, 2, 5}},
		"fewer partitions than asked for":     {auto(ptr.To[int32](2), 20), 12, Server{}, bounds{2, 20, 2, 12}},
		"fewer partitions than the least":     {auto(ptr.To[int32](8), 20), 3, Server{}, bounds{2, 20, 3, 3}},
		"partitions not known":                {auto(nil, 20), 0, Server{}, bounds{2, 20, 1, 20}},
		"at most one":                         {auto(nil, 1), 12, Server{}, bounds{1, 1, 1, 1}},
		"to zero":                             {auto(ptr.To[int32](0), 5), 12, Server{ScaleToZero: true}, bounds{2, 5, 0, 5}},
		"to zero where the server refuses it": {auto(ptr.To[int32](0), 5), 12, Server{}, bounds{2, 5, 1, 5}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := build(t, pipeline(test.spec), func(in *Input) { in.Partitions, in.Server = test.partitions, test.server })
			i, k := c.Ingester.Autoscaler.Spec, c.Consumer.Autoscaler.Spec
			if got := (bounds{*i.MinReplicas, *i.MaxReplicas, *k.MinReplicas, *k.MaxReplicas}); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if c.Ingester.Deployment.Spec.Replicas != nil || c.Consumer.Deployment.Spec.Replicas != nil {
				t.Error("a Deployment that is scaled has replicas: they would be fought over")
			}
		})
	}
}

func TestConsumersAreHeldAtADelayUnlessToldOtherwise(t *testing.T) {
	lag := []v1alpha1.ConsumerTarget{{Type: v1alpha1.TargetLagRecords, Value: 7}}
	tests := map[string]struct {
		targets []v1alpha1.ConsumerTarget
		age     int // of segments, in seconds
		want    []v1alpha1.ConsumerTarget
	}{
		"nothing said":               {nil, 10, []v1alpha1.ConsumerTarget{{Type: v1alpha1.TargetDelaySeconds, Value: 60}}},
		"segments open for a minute": {nil, 60, []v1alpha1.ConsumerTarget{{Type: v1alpha1.TargetDelaySeconds, Value: 120}}},
		"lag":                        {lag, 60, lag},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var c config.Config
			c.Segment.MaxAgeSeconds = test.age
			if diff := cmp.Diff(test.want, ConsumerTargets(&v1alpha1.ConsumerAutoScaling{Targets: test.targets}, c)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
