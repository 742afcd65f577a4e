package httpapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/mounted"
)

// directory makes a directory of files.
func directory(t testing.TB, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func newWatcher() *mounted.Watcher {
	return mounted.New(slog.New(slog.DiscardHandler), prometheus.NewPedanticRegistry())
}

func newAuthenticator(t testing.TB, cfg config.Authentication) *Authenticator {
	t.Helper()
	a, err := NewAuthenticator(cfg, newWatcher())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestIdentify(t *testing.T) {
	tokens := directory(t, map[string]string{"shipper": "s3cret-token\n", "agent": "another.token~+/==", ".hidden": "hidden"})
	users := directory(t, map[string]string{"ann": "pass word:with colon\r\n", "bob": "пароль"})
	const (
		both    = `Bearer realm="logpipeline", Basic realm="logpipeline", charset="UTF-8"`
		invalid = `Bearer realm="logpipeline", error="invalid_token", Basic realm="logpipeline", charset="UTF-8"`
	)
	certificate := func(common string, dns ...string) *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: common}, DNSNames: dns}
	}
	all := config.Authentication{BearerTokensDir: tokens, BasicDir: users, ClientCertificates: config.ClientCertificates{Accepted: true, AllowedNames: []string{"edge", "agent.example.org"}}}
	anyCertificate := config.Authentication{ClientCertificates: config.ClientCertificates{Accepted: true}}
	bearerAlone := config.Authentication{BearerTokensDir: tokens}

	type answer struct {
		Client    string
		Problem   string
		Challenge string
	}
	unknown := func(challenge string) answer { return answer{"", unauthorized.name, challenge} }
	for name, tc := range map[string]struct {
		config        config.Authentication
		authorization []string
		certificate   *x509.Certificate
		want          answer
	}{
		"nothing is configured":                    {config.Authentication{}, nil, nil, answer{}},
		"nothing is configured, something is sent": {config.Authentication{}, []string{"Bearer x"}, nil, answer{}},
		"a token":                                    {all, []string{"Bearer s3cret-token"}, nil, answer{Client: "shipper"}},
		"another token":                              {all, []string{"Bearer another.token~+/=="}, nil, answer{Client: "agent"}},
		"a scheme in another case":                   {all, []string{"bEARER s3cret-token"}, nil, answer{Client: "shipper"}},
		"several spaces":                             {all, []string{"Bearer   s3cret-token"}, nil, answer{Client: "shipper"}},
		"a wrong token":                              {all, []string{"Bearer s3cret-tokem"}, nil, unknown(invalid)},
		"the beginning of a token":                   {all, []string{"Bearer s3cret"}, nil, unknown(invalid)},
		"a token with more behind it":                {all, []string{"Bearer s3cret-token x"}, nil, unknown(invalid)},
		"a token with the newline of its file":       {all, []string{"Bearer s3cret-token\n"}, nil, unknown(invalid)},
		"an empty token":                             {all, []string{"Bearer "}, nil, unknown(invalid)},
		"a scheme alone":                             {all, []string{"Bearer"}, nil, unknown(invalid)},
		"a hidden file is no client's":               {all, []string{"Bearer hidden"}, nil, unknown(invalid)},
		"a user's password is no token":              {all, []string{"Bearer пароль"}, nil, unknown(invalid)},
		"no header":                                  {all, nil, nil, unknown(both)},
		"an empty header":                            {all, []string{""}, nil, unknown(both)},
		"two headers":                                {all, []string{"Bearer s3cret-token", "Bearer s3cret-token"}, nil, unknown(both)},
		"another scheme":                             {all, []string{"Digest username=ann"}, nil, unknown(both)},
		"a scheme that isn't configured":             {bearerAlone, []string{basic("ann", "pass word:with colon")}, nil, unknown(`Bearer realm="logpipeline"`)},
		"a user":                                     {all, []string{basic("ann", "pass word:with colon")}, nil, answer{Client: "ann"}},
		"a user with a password in UTF-8":            {all, []string{basic("bob", "пароль")}, nil, answer{Client: "bob"}},
		"basic in another case":                      {all, []string{strings.Replace(basic("bob", "пароль"), "Basic", "BASIC", 1)}, nil, answer{Client: "bob"}},
		"a wrong password":                           {all, []string{basic("ann", "pass")}, nil, unknown(both)},
		"another user's password":                    {all, []string{basic("ann", "пароль")}, nil, unknown(both)},
		"an unknown user":                            {all, []string{basic("eve", "пароль")}, nil, unknown(both)},
		"no password":                                {all, []string{basic("ann", "")}, nil, unknown(both)},
		"no base64":                                  {all, []string{"Basic ***"}, nil, unknown(both)},
		"a token as a password":                      {all, []string{basic("shipper", "s3cret-token")}, nil, unknown(both)},
		"a certificate by its common name":           {all, nil, certificate("edge"), answer{Client: "edge"}},
		"a certificate by a DNS name":                {all, nil, certificate("x", "y", "Agent.Example.org"), answer{Client: "agent.example.org"}},
		"a certificate of another name":              {all, nil, certificate("eve", "edge.example.org"), answer{Problem: forbidden.name}},
		"a certificate without any name":             {all, nil, certificate(""), answer{Problem: forbidden.name}},
		"a certificate of another name and a token":  {all, []string{"Bearer s3cret-token"}, certificate("eve"), answer{Client: "shipper"}},
		"a certificate and a wrong token":            {all, []string{"Bearer wrong"}, certificate("edge"), answer{Client: "edge"}},
		"neither certificate nor token are good":     {all, []string{"Bearer wrong"}, certificate("eve"), unknown(invalid)},
		"any certificate":                            {anyCertificate, nil, certificate("eve"), answer{Client: "eve"}},
		"any certificate, without a common name":     {anyCertificate, nil, certificate("", "eve.example.org"), answer{Client: "eve.example.org"}},
		"no certificate where only these count":      {anyCertificate, nil, nil, answer{Problem: forbidden.name}},
		"a certificate where none is configured":     {bearerAlone, nil, certificate("edge"), unknown(`Bearer realm="logpipeline"`)},
		"a token where only certificates are taken ": {anyCertificate, []string{"Bearer s3cret-token"}, nil, answer{Problem: forbidden.name}},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/logs", nil)
			for _, value := range tc.authorization {
				r.Header.Add("Authorization", value)
			}
			if tc.certificate != nil {
				r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{tc.certificate}, VerifiedChains: [][]*x509.Certificate{{tc.certificate}}}
			}
			a := newAuthenticator(t, tc.config)
			client, refusal := a.identify(r)
			got := answer{Client: client}
			if refusal != nil {
				got.Problem = refusal.kind.name
				for _, h := range refusal.headers {
					if h[0] != "WWW-Authenticate" {
						t.Errorf("unexpected header %q", h)
					}
					got.Challenge += h[1]
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("identify (-want +got):\n%s", diff)
			}
		})
	}
}

// A certificate that was shown but not verified is none.
func TestUnverifiedCertificateDoesNotCount(t *testing.T) {
	a := newAuthenticator(t, config.Authentication{ClientCertificates: config.ClientCertificates{Accepted: true}})
	r := httptest.NewRequest(http.MethodPost, "/logs", nil)
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Subject: pkix.Name{CommonName: "edge"}}}}
	if _, refusal := a.identify(r); refusal == nil || refusal.kind != forbidden {
		t.Errorf("identify = %v, want %v", refusal, forbidden)
	}
}

func basic(user, password string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

func TestAuthenticationFilesThatAreRefused(t *testing.T) {
	bearer := func(dir string) config.Authentication { return config.Authentication{BearerTokensDir: dir} }
	users := func(dir string) config.Authentication { return config.Authentication{BasicDir: dir} }
	for name, tc := range map[string]struct {
		config  func(string) config.Authentication
		content map[string]string
		want    string // behind the directory
	}{
		"no tokens":                    {bearer, nil, " holds no files: put one there for each client"},
		"hidden files alone":           {bearer, map[string]string{".a": "token"}, " holds no files"},
		"no users":                     {users, nil, " holds no files"},
		"an empty token":               {bearer, map[string]string{"b": "\n"}, "/b is empty"},
		"an empty password":            {users, map[string]string{"a": ""}, "/a is empty"},
		"a token of two words":         {bearer, map[string]string{"a": "to ken"}, "/a: a bearer token is one word"},
		"a token beyond ASCII":         {bearer, map[string]string{"a": "tökен"}, "/a: a bearer token is one word"},
		"a password of two lines":      {users, map[string]string{"a": "1\n2\n"}, "/a: a password is one line"},
		"a user's name with a colon":   {users, map[string]string{"a:b": "x"}, "/a:b: a user's name can't have a colon"},
		"a token with a null byte":     {bearer, map[string]string{"a": "x\x00"}, "/a: a bearer token is one word"},
		"a directory that isn't there": {func(dir string) config.Authentication { return bearer(dir + "/absent") }, nil, "/absent: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := directory(t, tc.content)
			_, err := NewAuthenticator(tc.config(dir), newWatcher())
			if err == nil || !strings.Contains(err.Error(), dir+tc.want) {
				t.Errorf("NewAuthenticator: %v, want an error with %q", err, dir+tc.want)
			}
		})
	}
}

// A bad file is nobody's but its client's: not at the start, and not when
// another client's access is revoked, even that of the last one.
func TestBadFileLeavesOutItsClientAlone(t *testing.T) {
	dir := directory(t, map[string]string{"alice": "a", "bob": "b", "zed": "", "yan": "two words"})
	if err := os.Symlink("nowhere", filepath.Join(dir, "xia")); err != nil {
		t.Fatal(err)
	}
	files := newWatcher()
	a, err := NewAuthenticator(config.Authentication{BearerTokensDir: dir}, files)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { files.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	admitted := func(token string) bool {
		r := httptest.NewRequest(http.MethodPost, "/logs", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		_, refusal := a.identify(r)
		return refusal == nil
	}
	if !admitted("a") || !admitted("b") || admitted("two words") || admitted("") {
		t.Error("not just the clients with good files are admitted")
	}
	for _, revoked := range []struct{ client, token string }{{"alice", "a"}, {"bob", "b"}} {
		if err := os.Remove(filepath.Join(dir, revoked.client)); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); admitted(revoked.token); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s is still admitted", revoked.client)
			}
		}
		if left := admitted("b"); left != (revoked.client == "alice") {
			t.Errorf("without %s: bob is admitted: %t", revoked.client, left)
		}
	}
}

// manyClients has n tokens and n users, and a header of each for the last.
func manyClients(t testing.TB, n int) (a *Authenticator, bearer, basicHeader string) {
	content := map[string]string{}
	for i := range n {
		content[fmt.Sprintf("client-%05d", i)] = fmt.Sprintf("a-token-that-is-long-enough-to-be-good-%05d", i)
	}
	last := fmt.Sprintf("client-%05d", n-1)
	dir := directory(t, content)
	a = newAuthenticator(t, config.Authentication{BearerTokensDir: dir, BasicDir: dir})
	return a, "Bearer " + content[last], basic(last, content[last])
}

func TestIdentifyAllocatesNothing(t *testing.T) {
	a, bearer, user := manyClients(t, 10)
	for _, header := range []string{bearer, user} {
		r := httptest.NewRequest(http.MethodPost, "/logs", nil)
		r.Header.Set("Authorization", header)
		if n := testing.AllocsPerRun(100, func() {
			if client, _ := a.identify(r); client != "client-00009" {
				t.Fatalf("client is %q", client)
			}
		}); n != 0 {
			t.Errorf("%q: %v allocations a request", header, n)
		}
	}
}

func BenchmarkIdentify(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		a, bearer, user := manyClients(b, n)
		for name, header := range map[string]string{"bearer": bearer, "basic": user} {
			b.Run(fmt.Sprintf("%s, %d clients", name, n), func(b *testing.B) {
				r := httptest.NewRequest(http.MethodPost, "/logs", nil)
				r.Header.Set("Authorization", header)
				b.ReportAllocs()
				for b.Loop() {
					if _, refusal := a.identify(r); refusal != nil {
						b.Fatal("refused")
					}
				}
			})
		}
	}
}
