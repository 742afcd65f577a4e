package controllers

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/test/await"
)

// resyncs is how often idle pipelines are looked at: as in ten minutes.
const resyncs = 10

// kinds counts requests by verb and resource, such as "GET secrets".
func kinds(requests []request) map[string]int {
	counts := map[string]int{}
	for _, r := range requests {
		_, after, namespaced := strings.Cut(r.path, "/namespaces/")
		if !namespaced {
			after = r.path
		}
		parts := strings.Split(after, "/")
		counts[r.method+" "+parts[min(1, len(parts)-1)]]++
	}
	return counts
}

// resync has the operator look at each pipeline as often as it does within ten
// minutes, and returns what it asked of the API server for that.
func resync(t *testing.T, namespace string, pipelines ...*v1alpha1.LogPipeline) map[string]int {
	t.Helper()
	before := len(requests.all(namespace))
	for range resyncs {
		for _, p := range pipelines {
			if _, err := reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(p)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return kinds(requests.all(namespace)[before:])
}

// A pipeline that has nothing to do costs the API server nothing but the
// reading of what the operator may not watch.
func TestIdlePipelineIsOnlyRead(t *testing.T) {
	auto := map[string]any{"auto": map[string]any{"minReplicas": int64(1), "maxReplicas": int64(2)}}
	tests := map[string]struct {
		spec map[string]any
		want map[string]int
	}{
		"minimal": {nil, map[string]int{}},
		"scaled": {
			map[string]any{"ingester": map[string]any{"scaling": auto}, "consumer": map[string]any{"scaling": auto}},
			map[string]int{},
		},
		"stored in a claim": {
			map[string]any{"storage": map[string]any{"type": "PersistentVolumeClaim", "persistentVolumeClaim": map[string]any{"claimName": "claim"}}},
			map[string]int{"GET persistentvolumeclaims": resyncs},
		},
		"two fields that name one Secret": {
			map[string]any{"ingester": map[string]any{
				"tls":            map[string]any{"certSecretRef": map[string]any{"name": "credentials"}},
				"authentication": map[string]any{"bearerTokensSecretRef": map[string]any{"name": "credentials"}},
			}},
			map[string]int{"GET secrets": resyncs},
		},
		"dead letters":             {map[string]any{"deadLetter": map[string]any{"topic": map[string]any{}}}, map[string]int{}},
		"held until it is deleted": {map[string]any{"topic": map[string]any{"deletionPolicy": "Delete"}}, map[string]int{}},
		"suspended":                {map[string]any{"suspend": true}, map[string]int{}},
		"invalid, as it was found": {
			map[string]any{"ingester": map[string]any{"queue": map[string]any{"maxBytes": "1Ki"}}}, map[string]int{},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := surround(t)
			spec := minimalSpec()
			maps.Copy(spec, test.spec)
			p := s.begin(t, spec)
			s.come(t, p, settled)
			s.awaitQuiet(t, p)
			if diff := cmp.Diff(test.want, resync(t, s.namespace, p)); diff != "" {
				t.Errorf("%d resyncs, -want +got\n%s", resyncs, diff)
			}
		})
	}
}

// Pipelines that share a Kafka cost it one description a minute, however many
// they are and whatever topics they have.
func TestIdlePipelinesShareWhatTheyAskOfKafka(t *testing.T) {
	const pipelines = 20
	s := surround(t)
	var mu sync.Mutex
	asked := map[string]int{}
	s.kafka.Control(func(request kmsg.Request) (kmsg.Response, error, bool) {
		s.kafka.KeepControl()
		// The transport itself asks for the brokers, every few seconds and about
		// no topic.
		if m, ok := request.(*kmsg.MetadataRequest); request.Key() == int16(kmsg.ApiVersions) || ok && m.Version < 10 {
			return nil, nil, false
		}
		mu.Lock()
		defer mu.Unlock()
		asked[kmsg.NameForKey(request.Key())]++
		return nil, nil, false
	})
	all := make([]*v1alpha1.LogPipeline, pipelines)
	for i := range all {
		p := newPipeline(s.namespace, []string{"127.0.0.1:" + s.port})
		p.Name = fmt.Sprintf("idle-%d", i)
		if i%2 == 0 {
			p.Spec.DeadLetter.Topic = &v1alpha1.DeadLetterTopicSpec{}
		}
		if i%4 == 0 {
			p.Spec.Ingester.Scaling = scaledIngesters(1, 2)
		}
		if i%5 == 0 {
			p.Spec.Ingester.Authentication.BasicSecretRef = &v1alpha1.SecretReference{Name: "credentials"}
		}
		create(t, p)
		all[i] = p
	}
	for _, p := range all {
		s.come(t, p, func(rests string) bool { return rests == "Running" })
	}
	await.NoError(t, func() error {
		if asked := resync(t, s.namespace, all...); len(asked) > 1 {
			return fmt.Errorf("still something to do: %v", asked)
		}
		return nil
	})
	mu.Lock()
	clear(asked)
	mu.Unlock()
	began := time.Now()
	if diff := cmp.Diff(map[string]int{"GET secrets": resyncs * pipelines / 5}, resync(t, s.namespace, all...)); diff != "" {
		t.Errorf("%d resyncs of %d pipelines, -want +got\n%s", resyncs, pipelines, diff)
	}
	// What was described before counts for less than a minute, and the running
	// operator looks as well.
	rounds := 2 + 2*int(time.Since(began)/(50*time.Second))
	mu.Lock()
	defer mu.Unlock()
	for kind, n := range asked {
		if kind != "Metadata" && kind != "DescribeConfigs" || n > rounds {
			t.Errorf("%d requests of the kind %s, want %d descriptions at most", n, kind, rounds)
		}
	}
}

// What the operator asks about no namespace, such as who serves metrics, it
// asks for all pipelines at once, and writes nothing there.
func TestNothingOutsideOfNamespacesIsWritten(t *testing.T) {
	for _, r := range requests.all("") {
		if r.method != http.MethodGet {
			t.Errorf("%s %s", r.method, r.path)
		}
	}
}
