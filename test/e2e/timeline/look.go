package timeline

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/logpipeline/logpipeline/test/e2e/scenario"
)

// look reads everything once. What can't be read is left unknown: the cluster
// may be without an operator for a moment.
func (w *Watch) look(ctx context.Context) (Moment, error) {
	moment := Moment{Told: math.NaN(), Served: math.NaN()}
	deployment := struct {
		Spec   struct{ Replicas int }
		Status struct{ ReadyReplicas int }
	}{}
	var autoscaler autoscalingv2.HorizontalPodAutoscaler
	namespace, name := "/namespaces/"+w.Pipeline.Namespace, w.Pipeline.Name+"-"+w.Component
	if err := errors.Join(
		w.API.Get(ctx, "/apis/apps/v1"+namespace+"/deployments/"+name, &deployment),
		w.API.Get(ctx, "/apis/autoscaling/v2"+namespace+"/horizontalpodautoscalers/"+name, &autoscaler),
	); err != nil {
		return moment, err
	}
	moment.Replicas, moment.Ready = deployment.Spec.Replicas, deployment.Status.ReadyReplicas
	moment.readAutoscaler(autoscaler)
	moment.Served, moment.ServedErr = w.served(ctx)
	moment.Pages, _ = OperatorPages(ctx, w.API, w.Pipeline)
	return moment, nil
}

func (m *Moment) readAutoscaler(a autoscalingv2.HorizontalPodAutoscaler) {
	m.Desired, m.Of = int(a.Status.DesiredReplicas), int(a.Status.CurrentReplicas)
	for _, metric := range a.Status.CurrentMetrics {
		if m.Of > 0 && metric.External != nil && metric.External.Current.AverageValue != nil {
			m.Told = metric.External.Current.AverageValue.AsApproximateFloat64()
		}
	}
	var reasons []string
	for _, c := range a.Status.Conditions {
		reasons = append(reasons, string(c.Type)+"="+string(c.Status)+":"+c.Reason)
	}
	slices.Sort(reasons)
	m.Reason = strings.Join(reasons, " ")
}

// served asks the metrics API as the autoscaler does.
func (w *Watch) served(ctx context.Context) (float64, error) {
	var list struct {
		Items []struct{ Value resource.Quantity }
	}
	selector := url.QueryEscape("ingest.logpipeline.io/pipeline=" + w.Pipeline.Name)
	path := "/apis/external.metrics.k8s.io/v1beta1/namespaces/" + w.Pipeline.Namespace + "/" + w.Metric + "?labelSelector=" + selector
	if err := w.API.Get(ctx, path, &list); err != nil {
		return math.NaN(), err
	}
	if len(list.Items) != 1 {
		return math.NaN(), fmt.Errorf("%s has %d values, want 1", w.Metric, len(list.Items))
	}
	return list.Items[0].Value.AsApproximateFloat64(), nil
}

// OperatorPages reads the numbers of a pipeline from the /metrics, served in
// plain HTTP, of every operator that has them.
func OperatorPages(ctx context.Context, api scenario.API, p scenario.Pipeline) (pages []map[string]float64, err error) {
	pods := "/api/v1/namespaces/" + scenario.OperatorNamespace + "/pods"
	var list corev1.PodList
	if err := api.Get(ctx, pods+"?labelSelector=app.kubernetes.io/name%3Dlogpipeline-operator", &list); err != nil {
		return nil, err
	}
	for _, pod := range list.Items {
		text, pageErr := api.Text(ctx, pods+"/"+pod.Name+":8443/proxy/metrics")
		if page := numbersOf(text, p); len(page) > 0 {
			pages = append(pages, page)
		}
		err = errors.Join(err, pageErr)
	}
	return pages, err
}

func numbersOf(text string, p scenario.Pipeline) map[string]float64 {
	numbers := map[string]float64{}
	labels := fmt.Sprintf(`{namespace=%q,pipeline=%q} `, p.Namespace, p.Name)
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		name, value, found := strings.Cut(lines.Text(), labels)
		if number, err := strconv.ParseFloat(value, 64); found && err == nil && slices.Contains(pageNames, name) {
			numbers[name] = number
		}
	}
	return numbers
}
