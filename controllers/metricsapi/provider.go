package metricsapi

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/metrics/pkg/apis/external_metrics"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/logpipeline/logpipeline/controllers/scaling"
)

// PipelineLabel selects a metric's pipeline by its name, beside the namespace.
const PipelineLabel = "ingest.logpipeline.io/pipeline"

// metric picks one of a sample's values.
type metric struct {
	name string
	pick func(scaling.Sample) scaling.Value
}

// served are the metrics that autoscalers may ask for.
var served = []metric{
	{scaling.QueueBytesMetric, func(s scaling.Sample) scaling.Value { return s.QueueBytes }},
	{scaling.LagRecordsMetric, func(s scaling.Sample) scaling.Value { return s.LagRecords }},
	{scaling.WantedReplicasMetric, func(s scaling.Sample) scaling.Value { return s.WantedReplicas }},
}

// metrics answers autoscalers from what was collected. A value is the total of
// one pipeline, so it is to be compared with an AverageValue. One that isn't
// known is an error.
type metrics struct {
	store *scaling.Store
	now   func() time.Time
}

// ListAllExternalMetrics implements provider.ExternalMetricsProvider.
func (m *metrics) ListAllExternalMetrics() []provider.ExternalMetricInfo {
	all := make([]provider.ExternalMetricInfo, len(served))
	for i, s := range served {
		all[i] = provider.ExternalMetricInfo{Metric: s.name}
	}
	return all
}

// GetExternalMetric implements provider.ExternalMetricsProvider. An autoscaler
// adds up what it is given, so one unknown value makes all of them unknown.
func (m *metrics) GetExternalMetric(_ context.Context, namespace string, selector labels.Selector, info provider.ExternalMetricInfo) (*external_metrics.ExternalMetricValueList, error) {
	i := slices.IndexFunc(served, func(s metric) bool { return s.name == info.Metric })
	if i < 0 {
		return nil, notFound(info.Metric)
	}
	list := &external_metrics.ExternalMetricValueList{}
	for _, p := range m.selected(namespace, selector) {
		sample, found := m.store.Sample(p)
		if !found {
			continue
		}
		value := served[i].pick(sample)
		if err := value.Known(m.now()); err != nil {
			return nil, apierrors.NewServiceUnavailable(fmt.Sprintf("%s of pipeline %s/%s is not known: %v", info.Metric, p.Namespace, p.Name, err))
		}
		list.Items = append(list.Items, external_metrics.ExternalMetricValue{
			MetricName:   info.Metric,
			MetricLabels: map[string]string{PipelineLabel: p.Name},
			Timestamp:    metav1.NewTime(value.At),
			Value:        quantity(value.Value),
		})
	}
	if len(list.Items) == 0 {
		return nil, notFound(fmt.Sprintf("%s of %q in namespace %q", info.Metric, selector, namespace))
	}
	return list, nil
}

// selected are the pipelines of a namespace that a selector means, by name.
func (m *metrics) selected(namespace string, selector labels.Selector) []scaling.Pipeline {
	if name, exact := selector.RequiresExactMatch(PipelineLabel); exact && selector.Matches(labels.Set{PipelineLabel: name}) {
		return []scaling.Pipeline{{Namespace: namespace, Name: name}}
	}
	pipelines := slices.DeleteFunc(m.store.Pipelines(namespace), func(p scaling.Pipeline) bool {
		return p.Namespace != namespace || !selector.Matches(labels.Set{PipelineLabel: p.Name})
	})
	slices.SortFunc(pipelines, func(a, b scaling.Pipeline) int { return cmp.Compare(a.Name, b.Name) })
	return pipelines
}

func notFound(what string) error {
	return apierrors.NewNotFound(schema.GroupResource{Group: external_metrics.GroupName, Resource: "externalmetrics"}, what)
}

// quantity keeps thousandths, as autoscalers do, unless the value is too large
// to have any.
func quantity(value float64) resource.Quantity {
	if value == math.Trunc(value) || math.Abs(value) > math.MaxInt64/2000 {
		return *resource.NewQuantity(int64(value), resource.DecimalSI)
	}
	return *resource.NewMilliQuantity(int64(math.Ceil(value*1000)), resource.DecimalSI)
}
