package httpapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/mounted"
)

// secured is a server over TLS whose files can be changed.
type secured struct {
	t        *testing.T
	ca       *authority // of the server's certificate
	dir      string     // of tls.crt and tls.key
	clientCA string     // directory of ca.crt, "" for none
	address  string
	metrics  *prometheus.Registry
	auth     *Authenticator
}

// secure serves until the test ends. It answers with the name of the client,
// or refuses it.
func secure(t *testing.T, clients *authority, authentication config.Authentication) *secured {
	t.Helper()
	s := &secured{t: t, ca: newAuthority(t, "server CA"), dir: t.TempDir(), metrics: prometheus.NewPedanticRegistry()}
	chain, key := s.ca.server()
	s.swapPair(chain, key)
	cfg := config.TLS{CertFile: filepath.Join(s.dir, "tls.crt"), KeyFile: filepath.Join(s.dir, "tls.key")}
	if clients != nil {
		s.clientCA = t.TempDir()
		swap(t, s.clientCA, map[string]string{"ca.crt": clients.pem()})
		cfg.ClientCAFile = filepath.Join(s.clientCA, "ca.crt")
	}
	files := mounted.New(slog.New(slog.DiscardHandler), s.metrics)
	server, err := ServerTLS(cfg, authentication, files, s.metrics)
	if err != nil {
		t.Fatal(err)
	}
	if s.auth, err = NewAuthenticator(authentication, files); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = listener.Addr().String()
	s.serve(tls.NewListener(listener, server), files)
	return s
}

func (s *secured) serve(listener net.Listener, files *mounted.Watcher) {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: s, Protocols: &protocols, ErrorLog: log.New(io.Discard, "", 0)}
	ctx, stop := context.WithCancel(s.t.Context())
	var running sync.WaitGroup
	running.Go(func() { files.Run(ctx) })
	running.Go(func() { _ = server.Serve(listener) })
	s.t.Cleanup(func() {
		stop()
		if err := server.Close(); err != nil {
			s.t.Error(err)
		}
		running.Wait()
	})
}

func (s *secured) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	client, refusal := s.auth.identify(r)
	if refusal != nil {
		http.Error(w, refusal.kind.name, refusal.Status)
		return
	}
	fmt.Fprintf(w, "%s over %s", client, r.Proto)
}

func (s *secured) swapPair(chain, key string) {
	s.t.Helper()
	swap(s.t, s.dir, map[string]string{"tls.crt": chain, "tls.key": key})
}

// client trusts the server, and shows certificate unless it is nil. Its
// connections are closed when the test ends.
func (s *secured) client(certificate *tls.Certificate, change func(*tls.Config)) *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(s.ca.certificate)
	cfg := &tls.Config{RootCAs: roots, ServerName: "localhost"}
	if certificate != nil {
		// As GetClientCertificate, it is shown whether or not the server
		// names its CA.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	transport := &http.Transport{TLSClientConfig: cfg, ForceAttemptHTTP2: true}
	if change != nil {
		change(cfg)
		transport.ForceAttemptHTTP2 = len(cfg.NextProtos) == 0
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// reply is what the server says: "<status> <body>", or the error.
type reply struct {
	text string
	tls  *tls.ConnectionState
}

func (s *secured) get(client *http.Client, token string) reply {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "https://"+s.address+"/logs", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(r)
	if err != nil {
		return reply{text: err.Error()}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{fmt.Sprintf("%d %s", response.StatusCode, strings.TrimSpace(string(body))), response.TLS}
}

// refusal is the alert that ends a connection. With TLS 1.3 it comes after the
// client's handshake; a client that writes then may see a reset instead.
func (s *secured) refusal(certificate *tls.Certificate, change func(*tls.Config)) string {
	s.t.Helper()
	cfg := s.client(certificate, change).Transport.(*http.Transport).TLSClientConfig
	dialer := tls.Dialer{Config: cfg, NetDialer: &net.Dialer{Timeout: time.Minute}}
	connection, err := dialer.DialContext(s.t.Context(), "tcp", s.address)
	if err != nil {
		return err.Error()
	}
	defer connection.Close()
	if err := connection.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		s.t.Fatal(err)
	}
	if _, err := connection.Read(make([]byte, 1)); err != nil {
		return err.Error()
	}
	return "none"
}

func (s *secured) serial(a reply) int64 {
	s.t.Helper()
	if a.tls == nil {
		s.t.Fatalf("no connection: %s", a.text)
	}
	return a.tls.PeerCertificates[0].SerialNumber.Int64()
}

func (s *secured) waitFor(what string, condition func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("gave up waiting for %s", what)
		}
	}
}

// failures is how many reloads failed.
func (s *secured) failures() (sum float64) {
	s.t.Helper()
	families, err := s.metrics.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, family := range families {
		if strings.HasSuffix(family.GetName(), "_reload_failures_total") {
			for _, m := range family.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func TestProtocolsOverTLS(t *testing.T) {
	s := secure(t, nil, config.Authentication{})
	for name, tc := range map[string]struct {
		change func(*tls.Config)
		want   string // a part of the answer
	}{
		"HTTP/2":         {nil, "200 over HTTP/2.0"},
		"HTTP/1.1":       {func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }, "200 over HTTP/1.1"},
		"TLS 1.2":        {func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, "200 over HTTP/2.0"},
		"TLS 1.1":        {func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, "protocol version"},
		"another name":   {func(c *tls.Config) { c.ServerName = "example.org" }, "certificate is valid for localhost, not example.org"},
		"other protocol": {func(c *tls.Config) { c.NextProtos = []string{"spdy/3"} }, "no application protocol"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := s.get(s.client(nil, tc.change), ""); !strings.Contains(got.text, tc.want) {
				t.Errorf("answer is %q, want %q in it", got.text, tc.want)
			}
		})
	}
}

func TestCertificateIsReloaded(t *testing.T) {
	s := secure(t, nil, config.Authentication{})
	old := s.client(nil, nil)
	first := s.serial(s.get(old, ""))

	chain, key := s.ca.server()
	s.swapPair(chain, key)
	var second int64
	s.waitFor("the new certificate", func() bool {
		second = s.serial(s.get(s.client(nil, nil), ""))
		return second != first
	})
	if got := s.serial(s.get(old, "")); got != first {
		t.Errorf("the old connection has certificate %d, want it to go on with %d", got, first)
	}

	other, _ := s.ca.server()
	s.swapPair(other, key)
	s.waitFor("the refusal of a pair that doesn't match", func() bool { return s.failures() > 0 })
	if got := s.serial(s.get(s.client(nil, nil), "")); got != second {
		t.Errorf("after a broken pair the certificate is %d, want still %d", got, second)
	}
	s.swapPair(s.ca.server())
	s.waitFor("the certificate after that", func() bool { return s.serial(s.get(s.client(nil, nil), "")) > second })
}

func TestClientCertificates(t *testing.T) {
	clients, others := newAuthority(t, "client CA"), newAuthority(t, "other CA")
	later := time.Now().Add(time.Hour)
	good, eve := clients.client("edge", later), clients.client("eve", later)
	expired, unknown := clients.client("edge", time.Now().Add(-time.Hour)), others.client("edge", later)
	certificates := config.ClientCertificates{Accepted: true, AllowedNames: []string{"edge"}}
	tokens := directory(t, map[string]string{"shipper": "t0ken"})

	alone := secure(t, clients, config.Authentication{ClientCertificates: certificates})
	beside := secure(t, clients, config.Authentication{ClientCertificates: certificates, BearerTokensDir: tokens})
	for name, tc := range map[string]struct {
		server      *secured
		certificate *tls.Certificate
		token       string
		want        string // a part of the answer
	}{
		"alone: a good one":                    {alone, good, "", "200 edge over HTTP/2.0"},
		"alone: of a name that isn't allowed":  {alone, eve, "", "403 forbidden"},
		"beside: a good one":                   {beside, good, "", "200 edge"},
		"beside: none, but a token":            {beside, nil, "t0ken", "200 shipper"},
		"beside: none, and no token":           {beside, nil, "", "401 "},
		"beside: none, and a wrong token":      {beside, nil, "token", "401 "},
		"beside: of another name, and a token": {beside, eve, "t0ken", "200 shipper"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.server.get(tc.server.client(tc.certificate, nil), tc.token); !strings.Contains(got.text, tc.want) {
				t.Errorf("answer is %q, want %q in it", got.text, tc.want)
			}
		})
	}
	for name, tc := range map[string]struct {
		server      *secured
		certificate *tls.Certificate
		want        string
	}{
		"alone: none":                 {alone, nil, "remote error: tls: certificate required"},
		"alone: one that is expired":  {alone, expired, "remote error: tls: expired certificate"},
		"alone: of another CA":        {alone, unknown, "remote error: tls: unknown certificate authority"},
		"beside: one that is expired": {beside, expired, "remote error: tls: expired certificate"},
		"beside: of another CA":       {beside, unknown, "remote error: tls: unknown certificate authority"},
	} {
		t.Run("refused/"+name, func(t *testing.T) {
			if got := tc.server.refusal(tc.certificate, nil); got != tc.want {
				t.Errorf("the connection ends with %q, want %q", got, tc.want)
			}
		})
	}
}

// A CA that is taken away ends what it vouched for with the next connection,
// sessions that could be resumed included.
func TestClientCAIsReloaded(t *testing.T) {
	before, after := newAuthority(t, "client CA"), newAuthority(t, "next client CA")
	s := secure(t, before, config.Authentication{ClientCertificates: config.ClientCertificates{Accepted: true}})
	later := time.Now().Add(time.Hour)
	sessions := tls.NewLRUClientSessionCache(4)
	resuming := func(c *tls.Config) { c.ClientSessionCache = sessions }
	leaving, coming := before.client("leaving", later), after.client("coming", later)

	open := s.client(leaving, nil)
	for _, resumed := range []bool{false, true} {
		got := s.get(s.client(leaving, resuming), "")
		if got.text != "200 leaving over HTTP/2.0" || got.tls.DidResume != resumed {
			t.Fatalf("answer is %+v, want it over a session that was resumed: %v", got, resumed)
		}
	}
	s.get(open, "")

	swap(t, s.clientCA, map[string]string{"ca.crt": after.pem()})
	s.waitFor("the new CA", func() bool { return s.get(s.client(coming, nil), "").text == "200 coming over HTTP/2.0" })
	if got, want := s.refusal(leaving, resuming), "remote error: tls: unknown certificate authority"; got != want {
		t.Errorf("a session of the old CA ends with %q, want %q", got, want)
	}
	if got := s.get(open, ""); got.text != "200 leaving over HTTP/2.0" {
		t.Errorf("the connection that was open: %q, want it to go on", got.text)
	}
	swap(t, s.clientCA, map[string]string{"ca.crt": before.pem() + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"})
	s.waitFor("the refusal of a broken bundle", func() bool { return s.failures() > 0 })
	if got := s.get(s.client(coming, nil), ""); got.text != "200 coming over HTTP/2.0" {
		t.Errorf("after a broken bundle: %q", got.text)
	}
}

func TestTokensAreReloaded(t *testing.T) {
	dir := t.TempDir()
	swap(t, dir, map[string]string{"shipper": "first"})
	s := secure(t, nil, config.Authentication{BearerTokensDir: dir})
	client := s.client(nil, nil)
	if got := s.get(client, "first"); got.text != "200 shipper over HTTP/2.0" {
		t.Fatal(got.text)
	}
	swap(t, dir, map[string]string{"shipper": "second", "agent": "third"})
	s.waitFor("the new tokens", func() bool { return s.get(client, "third").text == "200 agent over HTTP/2.0" })
	if got := s.get(client, "first"); !strings.HasPrefix(got.text, "401") {
		t.Errorf("the old token: %s", got.text)
	}
	swap(t, dir, map[string]string{"shipper": "fourth", "agent": ""})
	s.waitFor("the refusal of an empty token", func() bool { return s.failures() > 0 })
	for token, want := range map[string]string{"second": "401", "third": "401", "fourth": "200", "": "401"} {
		if got := s.get(client, token); !strings.HasPrefix(got.text, want) {
			t.Errorf("token %q beside an empty file: %s, want %s", token, got.text, want)
		}
	}
}

func TestCertificateExpiryIsShown(t *testing.T) {
	s := secure(t, nil, config.Authentication{})
	expiry := func() int64 {
		families, err := s.metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			if family.GetName() == "logpipeline_ingester_tls_certificate_expiry_timestamp_seconds" {
				return int64(family.GetMetric()[0].GetGauge().GetValue())
			}
		}
		return 0
	}
	shown := s.get(s.client(nil, nil), "").tls.PeerCertificates[0].NotAfter.Unix()
	if got := expiry(); got != shown {
		t.Errorf("the expiry is %d, want %d", got, shown)
	}
	certificate, key := s.ca.sign(&x509.Certificate{DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(99 * time.Hour)})
	s.swapPair(s.ca.encode(certificate, key))
	s.waitFor("the expiry of the new certificate", func() bool { return expiry() == certificate.NotAfter.Unix() })
}

func TestServerTLSRefuses(t *testing.T) {
	ca := newAuthority(t, "CA")
	chain, key := ca.server()
	_, otherKey := ca.server()
	dir := directory(t, map[string]string{"tls.crt": chain, "tls.key": key, "other.key": otherKey, "empty": ""})
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, tc := range map[string]struct {
		config config.TLS
		want   string
	}{
		"no such certificate":           {config.TLS{CertFile: at("absent"), KeyFile: at("tls.key")}, "load tls.certFile and tls.keyFile: read " + at("absent") + ": no such file"},
		"the key of another":            {config.TLS{CertFile: at("tls.crt"), KeyFile: at("other.key")}, "use " + at("tls.crt") + " with " + at("other.key") + ": tls: private key does not match"},
		"a key instead of certificates": {config.TLS{CertFile: at("tls.crt"), KeyFile: at("tls.key"), ClientCAFile: at("tls.key")}, "load tls.clientCAFile: " + at("tls.key") + " holds no certificate"},
		"an empty client CA":            {config.TLS{CertFile: at("tls.crt"), KeyFile: at("tls.key"), ClientCAFile: at("empty")}, at("empty") + " holds no certificate"},
		"a directory":                   {config.TLS{CertFile: dir, KeyFile: at("tls.key")}, "are two files"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ServerTLS(tc.config, config.Authentication{}, newWatcher(), prometheus.NewPedanticRegistry()); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("ServerTLS: %v, want %q in it", err, tc.want)
			}
		})
	}
	if plain, err := ServerTLS(config.TLS{}, config.Authentication{}, newWatcher(), prometheus.NewPedanticRegistry()); plain != nil || err != nil {
		t.Errorf("without a certificate: %v, %v, want no TLS", plain, err)
	}
}
