package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kfake"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/resources"
	"github.com/logpipeline/logpipeline/controllers/scaling"
	"github.com/logpipeline/logpipeline/controllers/topics"
	"github.com/logpipeline/logpipeline/test/await"
)

func pipelines(names ...string) map[client.ObjectKey]bool {
	set := map[client.ObjectKey]bool{}
	for _, name := range names {
		set[client.ObjectKey{Namespace: "logs", Name: name}] = true
	}
	return set
}

func TestRolloutTurns(t *testing.T) {
	queued := rolloutSeen{held: v1alpha1.ReasonRolloutQueued, message: `the pods of release "v2" follow when it is this pipeline's turn: 5 pipelines are rolled out at a time`}
	paused := rolloutSeen{held: v1alpha1.ReasonRolloutsPaused, message: `the pods of release "v2" follow when those of logs/a, logs/b are well: mend those, or install a release that mends them`}
	for name, c := range map[string]struct {
		given []string // before the cache shows it
		seen  rolloutsSeen
		want  rolloutSeen
	}{
		"nobody else rolls":                     {want: rolloutSeen{}},
		"four others do":                        {seen: rolloutsSeen{rolling: pipelines("a", "b", "c", "d")}, want: rolloutSeen{}},
		"five others do":                        {seen: rolloutsSeen{rolling: pipelines("a", "b", "c", "d", "e")}, want: queued},
		"five others do, of whom one is unseen": {[]string{"e"}, rolloutsSeen{rolling: pipelines("a", "b", "c", "d")}, queued},
		"those seen and given are counted once": {[]string{"a", "b"}, rolloutsSeen{rolling: pipelines("a", "b", "c", "d")}, rolloutSeen{}},
		"it is one of five":                     {seen: rolloutsSeen{rolling: pipelines("a", "b", "c", "d", "orders")}, want: rolloutSeen{}},
		"it has a turn that is unseen":          {[]string{"orders"}, rolloutsSeen{rolling: pipelines("a", "b", "c", "d", "e")}, rolloutSeen{}},
		"one has failed":                        {seen: rolloutsSeen{rolling: pipelines("a"), failed: pipelines("a")}, want: rolloutSeen{}},
		"two have failed":                       {seen: rolloutsSeen{rolling: pipelines("a", "b"), failed: pipelines("a", "b")}, want: paused},
		"two have failed, and it rolls":         {seen: rolloutsSeen{rolling: pipelines("a", "b", "orders"), failed: pipelines("a", "b")}, want: rolloutSeen{}},
	} {
		t.Run(name, func(t *testing.T) {
			turns := rolloutTurns{given: pipelines(c.given...)}
			got := turns.ask(client.ObjectKey{Namespace: "logs", Name: "orders"}, "v2", c.seen)
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(rolloutSeen{}), cmpopts.IgnoreFields(rolloutSeen{}, "again")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestForgottenTurnIsFree(t *testing.T) {
	var turns rolloutTurns
	for i := range rolloutsAtOnce + 1 {
		key := client.ObjectKey{Name: fmt.Sprint(i)}
		if got := turns.ask(key, "v2", rolloutsSeen{}); (got.held != "") != (i == rolloutsAtOnce) {
			t.Fatalf("pipeline %d: %+v", i, got)
		}
	}
	turns.forget(client.ObjectKey{Name: "0"})
	if got := turns.ask(client.ObjectKey{Name: "last"}, "v2", rolloutsSeen{}); got.held != "" {
		t.Errorf("got %+v", got)
	}
}

func TestSeeRollouts(t *testing.T) {
	deployment := func(pipeline, release, rollout string, replicas int32, conditions ...appsv1.DeploymentCondition) appsv1.Deployment {
		d := appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "logs", Labels: map[string]string{"app.kubernetes.io/instance": pipeline},
				Annotations: map[string]string{resources.ReleaseAnnotation: release, resources.RolloutAnnotation: rollout},
			},
			Spec: appsv1.DeploymentSpec{Replicas: &replicas},
		}
		d.Status.Conditions = conditions
		return d
	}
	atRest := deployment("well, and nobody has said so yet", "v2", "v2", 0)
	stuck := appsv1.DeploymentCondition{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse}
	got := seeRollouts([]appsv1.Deployment{
		deployment("done", "v2", "", 2), atRest,
		deployment("rolling", "v2", "v2", 2), deployment("rolling", "v2", "", 1),
		deployment("half", "v2", "v2", 2), deployment("half", "v1", "", 1),
		deployment("stuck", "v2", "v2", 2, stuck),
		deployment("broken before", "v2", "", 2, stuck),
		deployment("broken before as now", "v2", "from-unwell v2", 2, stuck),
		deployment("broken before, and perhaps not now", "v2", "from-unwell v2", 2),
		deployment("stuck before", "v1", "v1", 2, stuck),
		deployment("waiting", "v1", "", 2),
		deployment("asleep", "v1", "", 0),
		deployment("older than annotations", "", "", 1),
	}, "v2")
	want := rolloutsSeen{
		rolling: pipelines("rolling", "half", "stuck", "stuck before", "broken before, and perhaps not now"),
		failed:  pipelines("stuck"),
		waiting: pipelines("waiting", "older than annotations"),
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(rolloutsSeen{})); diff != "" {
		t.Error(diff)
	}
}

// fleet is many pipelines on an API server of their own, on which one release
// of the operator runs after the other.
type fleet struct {
	api       client.Client
	operator  *rest.Config
	kafka     *kfake.Cluster
	pipelines []*v1alpha1.LogPipeline
	// broken is an image whose pods never get ready, but those of the spared
	// pipelines.
	broken string
	spared map[string]bool
	// ahead is by how much later it is for the operator.
	ahead time.Duration
	// templates are those that the Deployments' pods were last made from.
	templates map[string]corev1.PodTemplateSpec
}

func newFleet(t *testing.T, size int) *fleet {
	t.Helper()
	environment := &envtest.Environment{CRDDirectoryPaths: []string{filepath.Join("..", "config", "crd", "bases")}, ErrorIfCRDPathMissing: true}
	cluster, err := environment.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Error(err)
		}
	})
	f := &fleet{operator: cluster, kafka: newKafka(t), templates: map[string]corev1.PodTemplateSpec{}}
	if f.api, err = client.New(cluster, client.Options{Scheme: scheme.Scheme}); err != nil {
		t.Fatal(err)
	}
	for i := range size {
		p := newPipeline("default", f.kafka.ListenAddrs())
		p.Name = fmt.Sprintf("orders-%02d", i)
		if err := f.api.Create(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		f.pipelines = append(f.pipelines, p)
	}
	return f
}

// run runs a release of the operator until the test, or the caller, stops it.
func (f *fleet) run(t *testing.T, release string) (r *Reconciler, stop func()) {
	t.Helper()
	mgr, err := ctrl.NewManager(f.operator, ctrl.Options{
		Scheme: scheme.Scheme, Cache: CacheOptions(nil), Metrics: metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: ptr.To(true)}, // the suite's own has the name
	})
	if err != nil {
		t.Fatal(err)
	}
	pool := topics.NewPool()
	autoscaling, err := NewAutoscaling(mgr, scaling.NewStore(), types.NamespacedName{})
	if err != nil {
		t.Fatal(err)
	}
	r = NewReconciler(mgr, pool, autoscaling, "registry.example/logpipeline/ingester:"+release)
	r.Release = release
	ahead := f.ahead
	r.Now = func() time.Time { return time.Now().Add(ahead) }
	if err := r.SetupWithManager(t.Context(), mgr); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		pool.Close()
	})
	t.Cleanup(stop)
	return r, stop
}

// play is what the Deployment controller and the kubelets do in a step: who
// has another template loses its pods, and who has lost them gets new ones. It
// returns how many pipelines are between two templates.
func (f *fleet) play(t *testing.T) (rolling int) {
	t.Helper()
	var all appsv1.DeploymentList
	if err := f.api.List(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	busy := map[string]bool{}
	for i := range all.Items {
		d := &all.Items[i]
		pipeline, _ := resources.PodOf(d.Labels)
		before, began := f.templates[d.Name]
		same := equality.Semantic.DeepEqual(before, d.Spec.Template)
		if began && (!same || !rolledOut(d)) {
			busy[pipeline] = true
		}
		ready := same && (tagOf(d) != f.broken || f.spared[pipeline]) || !began
		d.Status = replaced(d, same || !began, ready)
		f.templates[d.Name] = d.Spec.Template
		if err := f.api.Status().Update(t.Context(), d); apierrors.IsConflict(err) {
			f.templates[d.Name] = before // it was another one by then
			if !began {
				delete(f.templates, d.Name)
			}
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return len(busy)
}

// replaced is the status of a Deployment whose pods are new, or all still to be replaced. Those
// that are new and not ready never get so.
func replaced(d *appsv1.Deployment, updated, ready bool) appsv1.DeploymentStatus {
	n := *d.Spec.Replicas
	status := appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: n}
	progressing := corev1.ConditionTrue
	if updated {
		status.UpdatedReplicas = n
	}
	if ready {
		status.ReadyReplicas, status.AvailableReplicas = n, n
	} else if updated {
		progressing = corev1.ConditionFalse
	}
	status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: progressing}}
	return status
}

// images are the tags of the images that the Deployments ask for, by how many
// do.
func (f *fleet) images(t *testing.T) map[string]int {
	t.Helper()
	var all appsv1.DeploymentList
	if err := f.api.List(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for i := range all.Items {
		counts[tagOf(&all.Items[i])]++
	}
	return counts
}

func tagOf(d *appsv1.Deployment) string {
	_, tag, _ := strings.Cut(d.Spec.Template.Spec.Containers[0].Image, ":")
	return tag
}

// settle plays until all is as want says, and nothing rolls.
func (f *fleet) settle(t *testing.T, want map[string]int) {
	t.Helper()
	await.NoError(t, func() error {
		if rolling := f.play(t); rolling > rolloutsAtOnce {
			t.Fatalf("%d pipelines roll at a time", rolling)
		}
		if got := f.images(t); !maps.Equal(got, want) {
			return fmt.Errorf("images are %v, want %v", got, want)
		}
		return nil
	})
}

// otherwise is what a release renders for whatever spec.
var otherwise = map[string]string{"config.yaml": "rendered: otherwise"}

// renderOtherwise has all pods of a role read what no later release renders. No
// operator runs.
func (f *fleet) renderOtherwise(t *testing.T, role string) {
	t.Helper()
	for _, p := range f.pipelines {
		config := f.config(t, p, role)
		config.Data = otherwise
		deployment := &appsv1.Deployment{}
		if err := f.api.Get(t.Context(), client.ObjectKeyFromObject(config), deployment); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(otherwise["config.yaml"]))
		applied, err := appsv1ac.ExtractDeployment(deployment, fieldManager)
		if err != nil {
			t.Fatal(err)
		}
		applied.Spec.Template.WithAnnotations(map[string]string{"ingest.logpipeline.io/config-checksum": hex.EncodeToString(sum[:])})
		err = errors.Join(f.api.Update(t.Context(), config), f.api.Apply(t.Context(), applied, client.FieldOwner(fieldManager), client.ForceOwnership))
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 3 { // until all is at rest
		f.play(t)
	}
}

func (f *fleet) config(t *testing.T, p *v1alpha1.LogPipeline, role string) *corev1.ConfigMap {
	t.Helper()
	config := &corev1.ConfigMap{}
	if err := f.api.Get(t.Context(), client.ObjectKey{Namespace: p.Namespace, Name: p.Name + "-" + role}, config); err != nil {
		t.Fatal(err)
	}
	return config
}

// reasons are those of a condition type, by how many pipelines have it.
func (f *fleet) reasons(t *testing.T, conditionType string) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, p := range f.pipelines {
		if err := f.api.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
			t.Fatal(err)
		}
		if c := meta.FindStatusCondition(p.Status.Conditions, conditionType); c != nil {
			counts[c.Reason]++
		}
	}
	return counts
}

// A new release reaches a few pipelines at a time, and no further ones once it
// has broken two, until there is one that mends them.
func TestReleaseReachesFewPipelinesAtATime(t *testing.T) {
	f := newFleet(t, 8)
	_, stop := f.run(t, "v1")
	f.settle(t, map[string]int{"v1": 16})
	stop()

	_, stop = f.run(t, "v2")
	f.settle(t, map[string]int{"v2": 16})
	stop()
	f.renderOtherwise(t, "ingester")

	f.broken = "v3"
	r, stop := f.run(t, "v3")
	var broken map[string]int
	await.NoError(t, func() error {
		if rolling := f.play(t); rolling > rolloutsAtOnce {
			t.Fatalf("%d pipelines roll at a time", rolling)
		}
		if got := f.reasons(t, v1alpha1.ConditionReconciling)[v1alpha1.ReasonRolloutsPaused]; got < 8-rolloutsAtOnce {
			return fmt.Errorf("%d pipelines say that rollouts are paused", got)
		}
		broken = f.images(t)
		return nil
	})
	if diff := cmp.Diff(map[string]int{"v2": 6, "v3": 10}, broken); diff != "" {
		t.Error(diff)
	}
	want := strings.NewReader(`
# HELP logpipeline_operator_rollouts_paused 1 while no further pipeline is brought to the operator's release, because two that were have failed.
# TYPE logpipeline_operator_rollouts_paused gauge
logpipeline_operator_rollouts_paused 1
# HELP logpipeline_operator_rollout_pipelines Pipelines that are not yet well on the operator's release: whose pods are being replaced, of these the ones that make no progress, and those whose turn has not come.
# TYPE logpipeline_operator_rollout_pipelines gauge
logpipeline_operator_rollout_pipelines{state="failed"} 5
logpipeline_operator_rollout_pipelines{state="rolling"} 5
logpipeline_operator_rollout_pipelines{state="waiting"} 3
`)
	if err := testutil.CollectAndCompare(NewRolloutGauges(r), want); err != nil {
		t.Error(err)
	}

	t.Log("what a user changes goes at once")
	kept := slices.IndexFunc(f.pipelines, func(p *v1alpha1.LogPipeline) bool {
		c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReconciling)
		return c != nil && c.Reason == v1alpha1.ReasonRolloutsPaused
	})
	f.spared = map[string]bool{f.pipelines[kept].Name: true}
	edited := f.pipelines[kept].DeepCopy()
	edited.Spec.Ingester.Pod.Annotations = map[string]v1alpha1.AnnotationValue{"example.com/team": "orders"}
	if err := f.api.Update(t.Context(), edited); err != nil {
		t.Fatal(err)
	}
	await.NoError(t, func() error {
		f.play(t)
		if got := f.images(t); got["v3"] != 12 {
			return fmt.Errorf("images are %v", got)
		}
		return nil
	})
	f.play(t)
	f.play(t) // it is well

	t.Log("pods that wait find what they read, or do not wait")
	f.reasons(t, v1alpha1.ConditionReconciling)
	waits := f.pipelines[slices.IndexFunc(f.pipelines, func(p *v1alpha1.LogPipeline) bool {
		c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReconciling)
		return c != nil && c.Reason == v1alpha1.ReasonRolloutsPaused
	})]
	if got := f.config(t, waits, "ingester").Data; !maps.Equal(got, otherwise) {
		t.Errorf("pods of the release before would read %v", got)
	}
	rendered := f.config(t, waits, "consumer")
	if err := f.api.Delete(t.Context(), rendered); err != nil {
		t.Fatal(err)
	}
	await.NoError(t, func() error {
		f.play(t)
		again := &corev1.ConfigMap{}
		if err := f.api.Get(t.Context(), client.ObjectKeyFromObject(rendered), again); err != nil || !maps.Equal(again.Data, rendered.Data) {
			return fmt.Errorf("it reads %v, %w", again.Data, err)
		}
		return nil
	})
	if got := f.images(t); got["v3"] != 12 {
		t.Errorf("images are %v", got)
	}
	f.spared[waits.Name] = true
	if err := f.api.Delete(t.Context(), f.config(t, waits, "ingester")); err != nil {
		t.Fatal(err)
	}
	await.NoError(t, func() error {
		f.play(t)
		if got := f.images(t); got["v3"] != 13 {
			return fmt.Errorf("images are %v", got)
		}
		return nil
	})
	if got := f.config(t, waits, "ingester").Data; maps.Equal(got, otherwise) {
		t.Error("new pods read the old settings")
	}
	f.play(t)
	f.play(t) // they are well
	stop()

	r, stop = f.run(t, "v4")
	f.settle(t, map[string]int{"v4": 16})
	await.NoError(t, func() error {
		f.play(t)
		if got := f.reasons(t, v1alpha1.ConditionReady); got[v1alpha1.ReasonRunning] != 8 {
			return fmt.Errorf("reasons of Ready are %v", got)
		}
		return nil
	})
	if seen, err := r.observeRollouts(t.Context()); err != nil || len(seen.rolling)+len(seen.waiting) > 0 {
		t.Errorf("still %+v, %v", seen, err)
	}
	stop()
}
