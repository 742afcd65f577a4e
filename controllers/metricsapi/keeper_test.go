package metricsapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/controllers/metricsapi/aggregationtest"
	"github.com/logpipeline/logpipeline/controllers/scaling"
)

func newKeeper(t *testing.T, pod string, now func() time.Time) *keeper {
	t.Helper()
	first, err := newCertificate(pod, service.Name, service.Namespace, now())
	if err != nil {
		t.Fatal(err)
	}
	return &keeper{client: operator, service: service, pod: pod, logger: slog.New(slog.DiscardHandler), now: now, serving: &serving{current: first}}
}

func (k *keeper) mustKeep(t *testing.T) {
	t.Helper()
	if err := k.keep(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// bundled are the pods whose certificates the API servers trust.
func bundled(t *testing.T) (pods []string, bundle []byte) {
	t.Helper()
	live, err := readAPIService(t.Context(), api)
	if err != nil {
		t.Fatal(err)
	}
	bundle = bundleOf(live)
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		pods = append(pods, c.Subject.CommonName)
	}
	return pods, bundle
}

// trusted says whether who trusts the bundle takes what is served.
func trusted(t *testing.T, bundle []byte, k *keeper) bool {
	t.Helper()
	pair, err := tls.X509KeyPair(k.serving.CurrentCertKeyContent())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "logpipeline-operator.default.svc", CurrentTime: k.now()})
	return err == nil
}

func TestCertificatesAreRenewedWithoutAGap(t *testing.T) {
	create(t, aggregationtest.APIService(service, 443))
	now := time.Now()
	clock := func() time.Time { return now }
	a, b := newKeeper(t, "a", clock), newKeeper(t, "b", clock)
	a.mustKeep(t)
	b.mustKeep(t)
	a.mustKeep(t) // changes nothing more
	pods, bundle := bundled(t)
	if diff := cmp.Diff([]string{"a", "b"}, pods); diff != "" || !trusted(t, bundle, a) || !trusted(t, bundle, b) {
		t.Fatalf("both are to be trusted\n%s", diff)
	}
	first := a.serving.current
	for range 13 { // they are renewed within
		now = now.Add(2 * 24 * time.Hour)
		for _, k := range []*keeper{a, b} {
			k.mustKeep(t)
			if _, bundle := bundled(t); !trusted(t, bundle, k) {
				t.Fatalf("%s is not trusted on %v", k.pod, now)
			}
		}
	}
	pods, _ = bundled(t)
	if diff := cmp.Diff([]string{"a", "b"}, pods); diff != "" || a.serving.current == first {
		t.Errorf("renewed, and only the new ones left\n%s", diff)
	}
}

func TestAContainerThatRestartsReplacesItsCertificate(t *testing.T) {
	create(t, aggregationtest.APIService(service, 443))
	for range 3 {
		newKeeper(t, "a", time.Now).mustKeep(t)
	}
	if pods, _ := bundled(t); len(pods) != 1 {
		t.Errorf("the bundle has %v", pods)
	}
}

func TestTheBundleIsBounded(t *testing.T) {
	now := time.Now()
	var bundle []byte
	for i := range 2 * mostCertificates {
		pod := string(rune('a' + i))
		c, err := newCertificate(pod, "s", "n", now)
		if err != nil {
			t.Fatal(err)
		}
		bundle = mergeBundle(bundle, pod, [][]byte{c.certPEM}, now)
		if again := mergeBundle(bundle, pod, [][]byte{c.certPEM}, now); string(again) != string(bundle) {
			t.Fatal("merging again changes the bundle")
		}
	}
	n := 0
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		n++
	}
	if n != mostCertificates {
		t.Errorf("%d certificates, want %d", n, mostCertificates)
	}
}

func TestOwner(t *testing.T) {
	owner := func() Owner {
		t.Helper()
		got, err := OwnerOf(t.Context(), operator, service)
		if err != nil {
			t.Fatal(err)
		}
		got.Unavailable = "" // depends on when it is asked
		return got
	}
	if diff := cmp.Diff(Owner{Ownership: Absent}, owner()); diff != "" {
		t.Error(diff)
	}
	k := newKeeper(t, "a", time.Now)
	k.mustKeep(t) // does nothing

	other := aggregationtest.APIService(types.NamespacedName{Namespace: "keda", Name: "keda-metrics"}, 443)
	if err := api.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Owner{Ownership: Other, Service: "keda/keda-metrics"}, owner()); diff != "" {
		t.Error(diff)
	}
	k.mustKeep(t)
	if pods, _ := bundled(t); len(pods) != 0 {
		t.Errorf("another's APIService was changed: it has certificates of %v", pods)
	}
	if err := api.Delete(context.Background(), other); client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}

	create(t, aggregationtest.APIService(service, 443))
	if diff := cmp.Diff(Owner{Ownership: Ours, Service: "default/logpipeline-operator"}, owner()); diff != "" {
		t.Error(diff)
	}
}

// refusesDirectly asks a replica without the API server's word for who asks.
func refusesDirectly(t *testing.T, address string) {
	insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/apis/external.metrics.k8s.io/v1beta1/namespaces/default/"+scaling.LagRecordsMetric, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Remote-User", "autoscaler")
	request.Header.Set("X-Remote-Group", "system:masters")
	response, err := insecure.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusForbidden && response.StatusCode != http.StatusUnauthorized {
		t.Errorf("answers %s to who claims to be the autoscaler", response.Status)
	}
}
