package controllers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kfake"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/scaling"
	"github.com/logpipeline/logpipeline/controllers/topics"
	"github.com/logpipeline/logpipeline/test/await"
)

// One API server and one running operator serve every test; each test has a
// namespace, and a Kafka where it needs one. There are no other controllers:
// tests play their parts.
var (
	api        client.Client // the user's
	kubeconfig []byte        // the user's
	reconciler *Reconciler
	requests   = &requestLog{log: map[string][]request{}}
)

const image = "registry.example/logpipeline/ingester:test"

func TestMain(m *testing.M) {
	code, err := runSuite(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "suite:", err)
		code = 1
	}
	os.Exit(code)
}

func runSuite(m *testing.M) (code int, err error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return 0, errors.New("KUBEBUILDER_ASSETS names no folder with etcd and kube-apiserver: run make test")
	}
	environment := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	config, err := environment.Start()
	if err != nil {
		return 0, fmt.Errorf("start API server: %w", err)
	}
	defer func() { err = errors.Join(err, environment.Stop()) }()

	if err := v1alpha1.AddToScheme(scheme.Scheme); err != nil {
		return 0, err
	}
	if api, err = client.New(config, client.Options{Scheme: scheme.Scheme}); err != nil {
		return 0, err
	}
	user, err := environment.AddUser(envtest.User{Name: "user", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return 0, err
	}
	if kubeconfig, err = user.KubeConfig(); err != nil {
		return 0, err
	}
	if config, err = asOperator(environment); err != nil {
		return 0, err
	}
	stop, err := startOperator(config)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return m.Run(), nil
}

// asOperator is the configuration of a user who has the operator's role and no
// other right.
func asOperator(environment *envtest.Environment) (*rest.Config, error) {
	document, err := os.ReadFile(filepath.Join("..", "config", "rbac", "role.yaml"))
	if err != nil {
		return nil, err
	}
	role := &rbacv1.ClusterRole{}
	if err := yaml.UnmarshalStrict(document, role); err != nil {
		return nil, err
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "operator"}},
	}
	for _, object := range []client.Object{role, binding} {
		if err := api.Create(context.Background(), object); err != nil {
			return nil, err
		}
	}
	user, err := environment.AddUser(envtest.User{Name: "operator"}, nil)
	if err != nil {
		return nil, err
	}
	return user.Config(), nil
}

func startOperator(config *rest.Config) (stop func() error, err error) {
	ctrl.SetLogger(logr.FromSlogHandler(slog.NewTextHandler(operatorLog(), nil)))
	config.Wrap(requests.wrap)
	config.QPS = -1 // no test waits for the requests of others
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme.Scheme, Cache: CacheOptions(nil), Metrics: metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		return nil, err
	}
	pool := topics.NewPool()
	autoscaling, err := NewAutoscaling(mgr, scaling.NewStore(), types.NamespacedName{})
	if err != nil {
		return nil, err
	}
	reconciler = NewReconciler(mgr, pool, autoscaling, image)
	reconciler.DrainWithin = 0 // nobody reads the lag here: drain_test.go has an operator of its own
	if err := reconciler.SetupWithManager(context.Background(), mgr); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	return func() error {
		cancel()
		err := <-ended
		pool.Close()
		return err
	}, nil
}

// operatorLog is where the operator logs: nowhere, unless OPERATOR_LOG names a
// file.
func operatorLog() *os.File {
	name := os.Getenv("OPERATOR_LOG")
	if name == "" {
		name = os.DevNull
	}
	file, err := os.Create(name)
	if err != nil {
		panic(err)
	}
	return file
}

// requestLog notes what the operator asks of the API server, by namespace.
type requestLog struct {
	mu  sync.Mutex
	log map[string][]request
}

type request struct {
	method, path string
	status       int
}

func (l *requestLog) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(r)
		if err == nil {
			_, after, _ := strings.Cut(r.URL.Path, "/namespaces/")
			namespace, _, _ := strings.Cut(after, "/")
			l.mu.Lock()
			l.log[namespace] = append(l.log[namespace], request{r.Method, r.URL.Path, response.StatusCode})
			l.mu.Unlock()
		}
		return response, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// in returns what the operator wrote in a namespace, without events and what
// the API server refused.
func (l *requestLog) in(namespace string) []string {
	var found []string
	for _, r := range l.all(namespace) {
		if r.method != http.MethodGet && r.status < 300 && !strings.Contains(r.path, "/events") {
			found = append(found, r.method+" "+r.path)
		}
	}
	return found
}

// all returns every request about a namespace; without one, those about
// objects that are in none, and about all namespaces.
func (l *requestLog) all(namespace string) []request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.log[namespace])
}

func newNamespace(t *testing.T) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "test-" + uuid.NewString()[:8]}}
	create(t, namespace)
	return namespace.Name
}

// newKafka starts a fake Kafka of one broker for the test, a cluster of its
// own unless the options say which.
func newKafka(t *testing.T, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	kafka, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.DefaultNumPartitions(2), kfake.ClusterID(uuid.NewString())}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	return kafka
}

// newPipeline is a valid pipeline that is not created yet.
func newPipeline(namespace string, servers []string) *v1alpha1.LogPipeline {
	return &v1alpha1.LogPipeline{
		ObjectMeta: metav1.ObjectMeta{Name: "orders", Namespace: namespace},
		Spec: v1alpha1.LogPipelineSpec{
			Kafka:   v1alpha1.KafkaSpec{BootstrapServers: servers},
			Storage: v1alpha1.StorageSpec{Type: v1alpha1.StorageEphemeral},
		},
	}
}

func create(t *testing.T, object client.Object) {
	t.Helper()
	if err := api.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

// change reads the object anew, changes and writes it, until nobody else has
// written in between.
func change[T client.Object](t *testing.T, object T, f func(T)) {
	t.Helper()
	await.NoError(t, func() error {
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		f(object)
		return api.Update(t.Context(), object)
	})
}

// awaitCondition waits for a condition of the current generation and reads the
// pipeline.
func awaitCondition(t *testing.T, p *v1alpha1.LogPipeline, conditionType string, status metav1.ConditionStatus, reason string) metav1.Condition {
	t.Helper()
	var found metav1.Condition
	await.NoError(t, func() error {
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
			return err
		}
		c := meta.FindStatusCondition(p.Status.Conditions, conditionType)
		if c == nil || c.Status != status || c.Reason != reason || c.ObservedGeneration != p.Generation {
			return fmt.Errorf("want %s=%s %s, have %+v", conditionType, status, reason, p.Status.Conditions)
		}
		found = *c
		return nil
	})
	return found
}

// awaitGone waits until an object is gone.
func awaitGone(t *testing.T, object client.Object) {
	t.Helper()
	await.NoError(t, func() error {
		err := api.Get(t.Context(), client.ObjectKeyFromObject(object), object)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("still there, or %w", errors.Join(err, errors.New(object.GetName())))
	})
}

// read returns an object as it is.
func read[T any, O interface {
	*T
	client.Object
}](t *testing.T, namespace, name string) O {
	t.Helper()
	object := O(new(T))
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, object); err != nil {
		t.Fatal(err)
	}
	return object
}

// play is what the Deployment controller and the kubelet do: every pod that
// is wanted is ready at once.
func play(t *testing.T, p *v1alpha1.LogPipeline) error {
	for _, name := range []string{p.Name + "-ingester", p.Name + "-consumer"} {
		d := &appsv1.Deployment{}
		if err := api.Get(t.Context(), client.ObjectKey{Namespace: p.Namespace, Name: name}, d); err != nil {
			return err
		}
		n := *d.Spec.Replicas
		d.Status = appsv1.DeploymentStatus{
			ObservedGeneration: d.Generation,
			Replicas:           n, UpdatedReplicas: n, ReadyReplicas: n, AvailableReplicas: n,
		}
		if err := api.Status().Update(t.Context(), d); err != nil {
			return err
		}
	}
	return nil
}

// awaitRunning plays until the pipeline is Ready in its current generation,
// and reads it.
func awaitRunning(t *testing.T, p *v1alpha1.LogPipeline) {
	t.Helper()
	await.NoError(t, func() error {
		if err := play(t, p); err != nil {
			return err
		}
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
			return err
		}
		ready := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReady)
		if ready == nil || ready.Status != metav1.ConditionTrue || ready.ObservedGeneration != p.Generation {
			return fmt.Errorf("not Ready: %+v", p.Status.Conditions)
		}
		return nil
	})
}

// awaitCache waits until the operator has seen the objects as they are given.
func awaitCache(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, object := range objects {
		await.NoError(t, func() error {
			cached := object.DeepCopyObject().(client.Object)
			if err := reconciler.Client.Get(t.Context(), client.ObjectKeyFromObject(object), cached); err != nil {
				return err
			}
			if cached.GetResourceVersion() != object.GetResourceVersion() {
				return fmt.Errorf("%T %s is cached at %s, not %s", object, object.GetName(), cached.GetResourceVersion(), object.GetResourceVersion())
			}
			return nil
		})
	}
}

// startPipeline creates a pipeline and sees it Ready.
func startPipeline(t *testing.T, p *v1alpha1.LogPipeline) {
	t.Helper()
	create(t, p)
	awaitRunning(t, p)
}
