package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/controllers/metricsapi"
	"github.com/logpipeline/logpipeline/test/await"
)

// The rights that the chart gives in some namespaces are enough there, and the
// others are left alone.
func TestInstalledForOneNamespace(t *testing.T) {
	watched, other, kafka := newNamespace(t), newNamespace(t), newKafka(t)
	i := install(t, "--set", "watchNamespaces={"+watched+"}")
	r := i.newReplica()
	i.route(t, r)
	elsewhere, p := newPipeline(other, kafka), newPipeline(watched, kafka)
	create(t, elsewhere)
	create(t, p)
	r.start(t)
	awaitObjects(t, p)
	produce(t, kafka, p.Spec.Topic.Name, 5)
	r.restart(t)
	autoscaler, reader := newAutoscaler(t, i), i.newReader(t)
	await.NoError(t, func() error { return autoscaler.sees(p, "5") })
	await.NoError(t, func() error { return r.shows(reader, leads) })

	patch(t, p, `{"spec": {"ingester": {"scaling": {"auto": null, "fixed": {"replicas": 2}}}, "networkPolicy": {"management": "None"}}}`)
	awaitGone(t, &autoscalingv2.HorizontalPodAutoscaler{}, p.Namespace, p.Name+"-ingester")
	awaitGone(t, &networkingv1.NetworkPolicy{}, p.Namespace, p.Name+"-ingester")
	deletePipelines(t, p)
	untouched(t, elsewhere)
	r.stop(t)
	r.lacksNoRight(t)
}

func TestInstalledMetricsAskWhoReadsThem(t *testing.T) {
	i := install(t, "--set", "operator.pprof=true")
	r := i.newReplica()
	i.route(t, r)
	r.start(t)
	reader := i.newReader(t)
	await.NoError(t, func() error { return r.shows(reader, "logpipeline_operator_build_info{commit=") })
	create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: i.name, Name: "stranger"}})
	for token, want := range map[string]int{"": http.StatusUnauthorized, i.token(t, "stranger"): http.StatusForbidden} {
		if status, said, err := r.metrics(token); err != nil || status != want {
			t.Errorf("token %.10q is answered %d %q, %v, want %d", token, status, said, err, want)
		}
	}
	if status, said, err := get("http://"+r.at(pprofPort)+"/debug/pprof/cmdline", ""); err != nil || status != http.StatusOK || !strings.Contains(said, "--pprof-bind-address") {
		t.Errorf("profiles: %d %q, %v", status, said, err)
	}
}

func TestAppliedAgainTheChartChangesNothing(t *testing.T) {
	i := install(t, "--set", "operator.replicas=2")
	published := find(t, i.objects, "APIService", metricsapi.APIServiceName)
	patch(t, published.DeepCopy(), `{"spec": {"caBundle": "b3BlcmF0b3I="}}`) // the operator's
	before := i.live(t)
	i.apply(t)
	if diff := cmp.Diff(before, i.live(t)); diff != "" {
		t.Errorf("-before +after\n%s", diff)
	}
}

// live is all that was installed, but what others write in the status.
func (i *installation) live(t *testing.T) []map[string]any {
	t.Helper()
	var all []map[string]any
	for _, object := range i.objects {
		live := object.DeepCopy()
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(live), live); err != nil {
			t.Fatal(err)
		}
		var fields []metav1.ManagedFieldsEntry
		for _, entry := range live.GetManagedFields() {
			if entry.Subresource == "" {
				fields = append(fields, entry)
			}
		}
		live.SetManagedFields(fields)
		live.SetResourceVersion("")
		delete(live.Object, "status")
		all = append(all, live.Object)
	}
	return all
}
