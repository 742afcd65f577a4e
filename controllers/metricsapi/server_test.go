package metricsapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/metrics/pkg/apis/external_metrics/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/logpipeline/logpipeline/controllers/metricsapi/aggregationtest"
	"github.com/logpipeline/logpipeline/controllers/scaling"
	"github.com/logpipeline/logpipeline/test/await"
)

func newServer(t *testing.T, pod, kubeconfig string, store *scaling.Store) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := New(Options{
		Listener: listener, Service: service, Pod: pod, Kubeconfig: kubeconfig,
		Client: operator, Store: store, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// start runs a replica until the test ends, or stop is called.
func start(t *testing.T, pod string, store *scaling.Store) (server *Server, address string, stop func()) {
	t.Helper()
	server = newServer(t, pod, kubeconfig, store)
	address = server.options.Listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Start(ctx) }()
	stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("replica %s: %v", pod, err)
		}
		ended <- nil
	}
	t.Cleanup(stop)
	return server, address, stop
}

// asker is a user who asks as an autoscaler does.
type asker struct{ dynamic.Interface }

func newAsker(t *testing.T, name string) asker {
	t.Helper()
	user, err := environment.AddUser(envtest.User{Name: name}, nil)
	if err != nil {
		t.Fatal(err)
	}
	config := user.Config()
	config.QPS, config.Burst = 1000, 1000
	asking, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return asker{asking}
}

func (a asker) ask(ctx context.Context, namespace, metric, selector string) (map[string]string, error) {
	list, err := a.Resource(schema.GroupVersionResource{Group: "external.metrics.k8s.io", Version: "v1beta1", Resource: metric}).
		Namespace(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for _, item := range list.Items {
		labels, _, _ := unstructured.NestedStringMap(item.Object, "metricLabels")
		values[labels[PipelineLabel]], _, _ = unstructured.NestedString(item.Object, "value")
	}
	return values, nil
}

func filledStore() *scaling.Store {
	store := scaling.NewStore()
	now := time.Now()
	known := func(v float64) scaling.Value { return scaling.Value{Value: v, At: now} }
	store.Put(scaling.Pipeline{Namespace: "default", Name: "orders"}, scaling.Sample{
		QueueBytes: known(5 << 20), LagRecords: known(1234567), WantedReplicas: known(3.5),
	})
	store.Put(scaling.Pipeline{Namespace: "default", Name: "clicks"}, scaling.Sample{LagRecords: known(0)})
	store.Put(scaling.Pipeline{Namespace: "default", Name: "old"}, scaling.Sample{LagRecords: scaling.Value{Value: 7, At: now.Add(-time.Hour)}})
	store.Put(scaling.Pipeline{Namespace: "other", Name: "orders"}, scaling.Sample{LagRecords: known(9)})
	return store
}

func TestAutoscalersAreAnswered(t *testing.T) {
	createService(t, service)
	server, address, _ := start(t, "replica-a", filledStore())
	create(t, aggregationtest.APIService(service, aggregationtest.NewBalancer(t, address).Port()))
	autoscaler, stranger := newAsker(t, "autoscaler"), newAsker(t, "stranger")
	grant(t, "autoscaler")

	only := func(name string) string { return labels.Set{PipelineLabel: name}.String() }
	await.NoError(t, func() error {
		_, err := autoscaler.ask(t.Context(), "default", scaling.LagRecordsMetric, only("orders"))
		return err
	})
	if err := server.Ready(nil); err != nil {
		t.Error(err)
	}
	cases := []struct {
		name, namespace, metric, selector string
		want                              map[string]string
		fails                             func(error) bool
	}{
		{"queue", "default", scaling.QueueBytesMetric, only("orders"), map[string]string{"orders": "5242880"}, nil},
		{"lag", "default", scaling.LagRecordsMetric, only("orders"), map[string]string{"orders": "1234567"}, nil},
		{"a share of a replica", "default", scaling.WantedReplicasMetric, only("orders"), map[string]string{"orders": "3500m"}, nil},
		{"no lag is 0", "default", scaling.LagRecordsMetric, only("clicks"), map[string]string{"clicks": "0"}, nil},
		{"two pipelines", "default", scaling.LagRecordsMetric, PipelineLabel + " in (orders,clicks)", map[string]string{"orders": "1234567", "clicks": "0"}, nil},
		{"another namespace", "other", scaling.LagRecordsMetric, only("orders"), map[string]string{"orders": "9"}, nil},
		{"stale is an error", "default", scaling.LagRecordsMetric, only("old"), nil, apierrors.IsServiceUnavailable},
		{"one of several unknown is an error", "default", scaling.LagRecordsMetric, "", nil, apierrors.IsServiceUnavailable},
		{"never collected is an error", "default", scaling.QueueBytesMetric, only("clicks"), nil, apierrors.IsServiceUnavailable},
		{"no such pipeline", "default", scaling.LagRecordsMetric, only("none"), nil, apierrors.IsNotFound},
		{"another label", "default", scaling.LagRecordsMetric, "app=orders", nil, apierrors.IsNotFound},
		{"no such metric", "default", "anything", only("orders"), nil, apierrors.IsNotFound},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := autoscaler.ask(t.Context(), c.namespace, c.metric, c.selector)
			if c.fails != nil {
				if err == nil || !c.fails(err) {
					t.Errorf("got %v, %v", got, err)
				}
				return
			}
			if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
				t.Errorf("%v, -want +got\n%s", err, diff)
			}
		})
	}
	t.Run("a user without the right", func(t *testing.T) {
		if _, err := stranger.ask(t.Context(), "default", scaling.LagRecordsMetric, only("orders")); !apierrors.IsForbidden(err) {
			t.Errorf("got %v, want forbidden", err)
		}
	})
	t.Run("nobody may ask around the API server", func(t *testing.T) { refusesDirectly(t, address) })
	t.Run("discovery", discovers)
}

// grant lets a user read external metrics, as the autoscaler's role does.
func grant(t *testing.T, user string) {
	t.Helper()
	create(t, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"external.metrics.k8s.io"}, Resources: []string{"*"}, Verbs: []string{"get", "list"}},
	}})
	create(t, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
	})
}

func discovers(t *testing.T) {
	await.NoError(t, func() error {
		found, err := discovery.NewDiscoveryClientForConfigOrDie(environment.Config).ServerResourcesForGroupVersion(v1beta1.SchemeGroupVersion.String())
		if err != nil {
			return err
		}
		names := map[string]bool{}
		for _, r := range found.APIResources {
			names[r.Name] = r.Namespaced
		}
		want := map[string]bool{scaling.QueueBytesMetric: true, scaling.LagRecordsMetric: true, scaling.WantedReplicasMetric: true}
		if diff := cmp.Diff(want, names); diff != "" {
			return fmt.Errorf("-want +got\n%s", diff)
		}
		return nil
	})
}

// Two replicas behind one Service: when one goes, no question goes unanswered.
func TestOneReplicaIsKilled(t *testing.T) {
	createService(t, service)
	store := filledStore()
	_, first, kill := start(t, "replica-a", store)
	second, other, _ := start(t, "replica-b", store)
	create(t, aggregationtest.APIService(service, aggregationtest.NewBalancer(t, first, other).Port()))
	autoscaler := newAsker(t, "autoscaler-of-two")
	grant(t, "autoscaler-of-two")
	ask := func() error {
		_, err := autoscaler.ask(t.Context(), "default", scaling.LagRecordsMetric, labels.Set{PipelineLabel: "orders"}.String())
		return err
	}
	await.NoError(t, ask)
	await.NoError(t, func() error { // both have published their certificates
		if err := second.Ready(nil); err != nil {
			return err
		}
		live, err := readAPIService(t.Context(), api)
		if err != nil {
			return err
		}
		if got := mergeBundle(bundleOf(live), "replica-b", second.keeper.own(), time.Now()); string(got) != string(bundleOf(live)) {
			return errors.New("replica-b is not in the bundle")
		}
		return nil
	})
	await.NoError(t, ask)
	stopped := make(chan struct{})
	go func() { kill(); close(stopped) }()
	for after := 0; after < 50; {
		if err := ask(); err != nil {
			t.Fatalf("question unanswered: %v", err)
		}
		select {
		case <-stopped:
			after++
		default:
		}
	}
}

// Pipelines go on without autoscalers, so the operator does not end.
func TestWhoMayAskCannotBeTold(t *testing.T) {
	server := newServer(t, "replica-a", "no such file", scaling.NewStore())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Start(ctx) }()
	if err := server.Ready(nil); err == nil {
		t.Error("ready, though it does not serve")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("ends with %v", err)
	}
}
