package kafka

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/mounted"
	"github.com/logpipeline/logpipeline/test/await"
)

// What a user may no longer do fails on a connection that is open; once the
// files name another user, it is that one's, though the client was never idle.
func TestOpenConnectionsBecomeTheNewUsers(t *testing.T) {
	servers, certificate := secureBroker(t)
	plainServers := strings.Split(os.Getenv("KAFKA_BOOTSTRAP"), ",")
	plain, topic := newClient(t, plainServers), newTopic(t, plainServers)
	before, after := "user-"+uuid.NewString(), "user-"+uuid.NewString()
	setPassword(t, plain, before, "before")
	setPassword(t, plain, after, "after")
	cfg := secured(t, servers, certificate, config.SASLScramSHA512, before, "before")
	client := openWatched(t, cfg)
	await.NoError(t, client.describes(t, topic, nil))

	rule(t, plain, kafkago.ACLPermissionTypeDeny, before, topic)
	rule(t, plain, kafkago.ACLPermissionTypeAllow, after, topic) // without it nobody may, now that there is a rule
	await.NoError(t, client.describes(t, topic, kafkago.TopicAuthorizationFailed))
	write(t, cfg.SASL.UsernameFile, after)
	write(t, cfg.SASL.PasswordFile, "after")
	await.NoError(t, client.describes(t, topic, nil))

	// What makes no sense, and what the brokers refuse, stays out of use, also
	// for new connections.
	for _, bad := range []string{"", "guessed"} {
		failures := client.failures()
		write(t, cfg.SASL.PasswordFile, bad)
		await.NoError(t, func() error {
			if client.failures() == failures {
				return fmt.Errorf("password %q was not read yet", bad)
			}
			return nil
		})
		client.transport.CloseIdleConnections()
		if err := client.describes(t, topic, nil)(); err != nil {
			t.Errorf("with password %q in the file: %v", bad, err)
		}
	}
}

// Nobody can be asked while the brokers are away: the old credentials stay in
// use, and the new ones are tried until that is so no more, whichever are good.
func TestOpenFindsTheGoodCredentialsAfterAnOutage(t *testing.T) {
	servers, certificate := secureBroker(t)
	plain := newClient(t, strings.Split(os.Getenv("KAFKA_BOOTSTRAP"), ","))
	gate := newGate(t, servers[0])
	user := "user-" + uuid.NewString()
	setPassword(t, plain, user, "first")
	cfg := secured(t, []string{gate.Addr().String()}, certificate, config.SASLScramSHA512, user, "first")
	client := openWatched(t, cfg)
	for _, outage := range []struct{ inFile, atBroker string }{
		{"of nobody", "first"},
		{"second", "second"},
	} {
		gate.shut(true)
		failures := client.failures()
		write(t, cfg.SASL.PasswordFile, outage.inFile)
		await.NoError(t, func() error {
			if client.failures() < failures+2 {
				return fmt.Errorf("password %q was not tried twice", outage.inFile)
			}
			return nil
		})
		if outage.atBroker != "first" {
			setPassword(t, plain, user, outage.atBroker)
		}
		gate.shut(false)
		await.NoError(t, func() error { return askBy(t, client.Client) })
	}
}

// gate is an address of a broker at which it can be kept from answering.
type gate struct {
	net.Listener
	running sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   []net.Conn
}

func newGate(t *testing.T, broker string) *gate {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{Listener: listener}
	g.running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			g.running.Go(func() { g.pass(client, broker) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		g.shut(true)
		g.running.Wait()
	})
	return g
}

func (g *gate) pass(client net.Conn, broker string) {
	defer client.Close()
	server, err := net.Dial("tcp", broker)
	if err != nil {
		return
	}
	defer server.Close()
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return
	}
	g.open = append(g.open, client, server)
	g.mu.Unlock()
	var back sync.WaitGroup
	back.Go(func() { _, _ = io.Copy(client, server); client.Close() })
	_, _ = io.Copy(server, client)
	server.Close()
	back.Wait()
}

// shut ends all connections, and new ones from now on.
func (g *gate) shut(closed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = closed
	for _, conn := range g.open {
		_ = conn.Close()
	}
	g.open = nil
}

func TestOpenNeedsGoodFiles(t *testing.T) {
	for name, empty := range map[string]func(config.Kafka) []string{
		"no authority":                func(c config.Kafka) []string { return []string{c.TLS.CAFile} },
		"no certificate":              func(c config.Kafka) []string { return []string{c.TLS.CertFile} },
		"neither certificate nor key": func(c config.Kafka) []string { return []string{c.TLS.CertFile, c.TLS.KeyFile} },
		"no user":                     func(c config.Kafka) []string { return []string{c.SASL.UsernameFile} },
		"no password":                 func(c config.Kafka) []string { return []string{c.SASL.PasswordFile} },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := secured(t, []string{"127.0.0.1:1"}, "", config.SASLPlain, "somebody", "secret")
			dir := t.TempDir()
			cfg.TLS.CAFile, cfg.TLS.CertFile, cfg.TLS.KeyFile = filepath.Join(dir, "ca.crt"), filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
			certificate, key := newPair(t)
			write(t, cfg.TLS.CAFile, certificate)
			write(t, cfg.TLS.CertFile, certificate)
			write(t, cfg.TLS.KeyFile, key)
			open := func() error {
				_, err := Open(cfg, mounted.New(slog.New(slog.DiscardHandler), prometheus.NewRegistry()))
				return err
			}
			if err := open(); err != nil {
				t.Fatal(err)
			}
			for _, content := range []string{"", "\n"} {
				for _, path := range empty(cfg) {
					write(t, path, content)
				}
				if err := open(); err == nil {
					t.Errorf("%q was accepted", content)
				}
			}
		})
	}
}

type watched struct {
	*Client
	registry *prometheus.Registry
}

// openWatched opens a client whose files are watched until the test ends.
func openWatched(t *testing.T, cfg config.Kafka) watched {
	t.Helper()
	registry := prometheus.NewRegistry()
	files := mounted.New(slog.New(slog.NewTextHandler(io.Discard, nil)), registry)
	client, err := Open(cfg, files)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { files.Run(t.Context()) })
	t.Cleanup(func() { running.Wait(); client.Close() })
	return watched{client, registry}
}

// describes checks what comes of asking for the topic.
func (w watched) describes(t *testing.T, topic string, want error) func() error {
	return func() error {
		if _, err := w.Topic(t.Context(), topic); !errors.Is(err, want) {
			return errors.Join(errors.New("unexpected outcome"), err)
		}
		return nil
	}
}

func (w watched) failures() (count float64) {
	families, _ := w.registry.Gather()
	for _, family := range families {
		if family.GetName() == "logpipeline_ingester_mounted_reload_failures_total" {
			count += family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return count
}

// rule says what a user may do with a topic: all, or nothing.
func rule(t *testing.T, plain *Client, permission kafkago.ACLPermissionType, user, topic string) {
	t.Helper()
	response, err := plain.Admin().CreateACLs(t.Context(), &kafkago.CreateACLsRequest{ACLs: []kafkago.ACLEntry{{
		ResourceType: kafkago.ResourceTypeTopic, ResourceName: topic, ResourcePatternType: kafkago.PatternTypeLiteral,
		Principal: "User:" + user, Host: "*", Operation: kafkago.ACLOperationTypeAll, PermissionType: permission,
	}}})
	if err == nil {
		err = errors.Join(response.Errors...)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// newPair makes a certificate that vouches for itself, and its key.
func newPair(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
}
