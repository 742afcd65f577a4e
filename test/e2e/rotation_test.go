//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/test/e2e/scenario"
)

// Rotated credentials are in use after this; most of it is the kubelet's.
const rotatedWithin = 2 * time.Minute

// rotate replaces the user of Kafka, the certificate of the ingesters and the
// token of their clients, as docs/operations.md says.
func (e environment) rotate(t *testing.T) {
	kafka := realBroker(t)
	p := e.pipelineNamed(t, "rotation")
	serverName := p.Name + "-ingester." + p.Namespace + ".svc"
	signer, firstEnds, secondEnds := newAuthority(t), time.Unix(1<<31, 0), time.Unix(1<<31+3600, 0)
	before, after := kafka.newUser(t), kafka.newUser(t)
	e.put(t, p, "kafka-ca", map[string][]byte{"ca.crt": kafka.certificate})
	e.put(t, p, "kafka-user", before.secret())
	e.put(t, p, "serving", signer.sign(t, 1, serverName, firstEnds))
	e.put(t, p, "tokens", tokens("first", "second"))
	e.claim(t, p)
	e.create(t, p, fmt.Sprintf(`
  kafka:
    bootstrapServers: [%q]
    security:
      tls: {caSecretRef: {name: kafka-ca}}
      sasl: {mechanism: SCRAM-SHA-512, credentialsSecretRef: {name: kafka-user}}
  topic: {partitions: 3, replicationFactor: 1, deletionPolicy: Delete}
  ingester:
    tls: {certSecretRef: {name: serving}}
    authentication: {bearerTokensSecretRef: {name: tokens}}
  consumer: {scaling: {fixed: {replicas: 2}}}
  storage:
    type: PersistentVolumeClaim
    persistentVolumeClaim: {claimName: rotation}
    segment: {maxAgeSeconds: 2}
`, kafka.secure))
	e.awaitReady(t, p)
	var client atomic.Value // whose token the stream shows
	client.Store("first")
	secure := &tls.Config{RootCAs: signer.pool(), ServerName: serverName}
	stream := e.stream(t, p, secure, func() string { return "token-of-" + client.Load().(string) })
	pods, reachable := e.pods(t, p), e.condition(t, p, v1alpha1.ConditionKafkaReachable)

	client.Store("second")
	e.goesOn(t, stream)
	e.put(t, p, "kafka-user", after.secret())
	e.put(t, p, "serving", signer.sign(t, 2, serverName, secondEnds))
	e.put(t, p, "tokens", tokens("second", "third"))
	await(t, rotatedWithin, "take the new credentials into use", func(ctx context.Context) error {
		return errors.Join(e.nudge(ctx, p),
			e.eachHas(ctx, p, "ingester", reloads("kafka"), 1), e.eachHas(ctx, p, "consumer", reloads("kafka"), 1),
			e.eachHas(ctx, p, "ingester", reloads("bearer-tokens"), 1),
			e.eachHas(ctx, p, "ingester", "logpipeline_ingester_tls_certificate_expiry_timestamp_seconds", float64(secondEnds.Unix())))
	})
	kafka.end(t, before, after, p.Namespace+"."+p.Name, "logpipeline."+p.Namespace+"."+p.Name)
	e.goesOn(t, stream)
	if serial := serialAt(t, stream, secure); serial != 2 {
		t.Errorf("a new connection is shown certificate %d, want 2", serial)
	}
	// A request without records is refused only after its token was found good.
	for name, want := range map[string]int{"first": http.StatusUnauthorized, "second": http.StatusUnsupportedMediaType, "third": http.StatusUnsupportedMediaType} {
		if status := statusFor(t, stream, secure, "token-of-"+name); status != want {
			t.Errorf("with the token of %s the answer is %d, want %d", name, status, want)
		}
	}
	e.goesOn(t, stream)
	e.stop(t, stream)
	e.assertAllStored(t, p, stream)

	if diff := cmp.Diff(pods, e.pods(t, p)); diff != "" {
		t.Errorf("the pods are not those of before, -before +after\n%s", diff)
	}
	e.assertOperatorFollows(t, p, reachable)
}

// nudge has the kubelet bring changed Secrets now, by touching the pods, where
// there is no time to wait until it does so by itself (OPERATIONS=full).
func (e environment) nudge(ctx context.Context, p scenario.Pipeline) error {
	if os.Getenv("OPERATIONS") == "full" {
		return nil
	}
	_, err := e.cluster.Run(ctx, "annotate", "pods", "-n", p.Namespace, "-l", "app.kubernetes.io/instance="+p.Name,
		"--overwrite", fmt.Sprintf("nudged=%d", time.Now().UnixNano()))
	return err
}

// assertOperatorFollows has the operator make its own connections as the new
// user: a change of the spec that moves no pod calls for a look at Kafka.
func (e environment) assertOperatorFollows(t *testing.T, p scenario.Pipeline, before scenario.Condition) {
	t.Helper()
	e.patch(t, p, `{"spec":{"topic":{"partitions":4}}}`)
	await(t, time.Minute, "grow the topic as the new user", func(ctx context.Context) error {
		partitions, err := e.cluster.Run(ctx, "get", "logpipeline", p.Name, "-n", p.Namespace, "-o", "jsonpath={.status.topic.partitions}")
		if err == nil && partitions != "4" {
			err = fmt.Errorf("the topic has %s partitions", partitions)
		}
		return err
	})
	now := e.condition(t, p, v1alpha1.ConditionKafkaReachable)
	now.ObservedGeneration = before.ObservedGeneration
	if diff := cmp.Diff(before, now); diff != "" {
		t.Errorf("KafkaReachable, -before +after\n%s", diff)
	}
}

// tokens is a Secret with a token for each client.
func tokens(clients ...string) map[string][]byte {
	data := map[string][]byte{}
	for _, name := range clients {
		data[name] = []byte("token-of-" + name)
	}
	return data
}

func reloads(files string) string {
	return fmt.Sprintf("logpipeline_ingester_mounted_reloads_total{files=%q}", files)
}

// eachHas compares a series of each pod of a role.
func (e environment) eachHas(ctx context.Context, p scenario.Pipeline, role, series string, want float64) error {
	pods, err := e.cluster.Pods(ctx, p, role)
	if err != nil {
		return err
	}
	for _, pod := range pods {
		got, err := e.cluster.Metric(ctx, p, pod.Name, series)
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("%s of %s is %v, want %v", series, pod.Name, got, want)
		}
	}
	return nil
}

func (e environment) put(t *testing.T, p scenario.Pipeline, name string, data map[string][]byte) {
	t.Helper()
	within(t, time.Minute, "put Secret "+name, func(ctx context.Context) error { return e.cluster.PutSecret(ctx, p.Namespace, name, data) })
}

func (e environment) condition(t *testing.T, p scenario.Pipeline, conditionType string) scenario.Condition {
	t.Helper()
	condition, err := e.cluster.Condition(t.Context(), p, conditionType)
	if err != nil {
		t.Fatal(err)
	}
	return condition
}

// serialAt is that of the certificate that a new connection is shown.
func serialAt(t *testing.T, s *scenario.Stream, secure *tls.Config) int64 {
	t.Helper()
	dialer := &tls.Dialer{Config: secure}
	connection, err := dialer.DialContext(t.Context(), "tcp", s.Host())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	return connection.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// statusFor is what a new client with the token is answered.
func statusFor(t *testing.T, s *scenario.Stream, secure *tls.Config, token string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	transport := &http.Transport{TLSClientConfig: secure}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}
