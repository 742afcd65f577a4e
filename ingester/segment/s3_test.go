package segment

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/logpipeline/logpipeline/ingester/segment/s3server"
	_ "gocloud.dev/blob/s3blob"
)

// s3Server is the one that all tests of this package share.
type s3Server struct{ *s3server.Server }

var (
	startS3   = sync.OnceValues(func() (*s3server.Server, error) { return s3server.New(context.Background()) })
	runningS3 *s3server.Server
)

func TestMain(m *testing.M) {
	code := m.Run()
	if runningS3 != nil {
		runningS3.Stop()
	}
	os.Exit(code)
}

// s3 returns the server, and lets the test find its credentials.
func s3(t testing.TB) s3Server {
	t.Helper()
	server, err := startS3()
	if err != nil {
		t.Fatal(err)
	}
	runningS3 = server
	server.Login(t)
	return s3Server{server}
}

// proxy passes requests on to the server; interfere sees each before, and says
// what is done instead or afterwards.
func (s s3Server) proxy(t testing.TB, interfere func(http.ResponseWriter, *http.Request, http.Handler)) (address string) {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: s.Address}
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // it is signed
	}}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { interfere(w, r, pass) })}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() {
		_ = server.Close()
		serving.Wait()
	})
	return l.Addr().String()
}

// lost lets the server do what is asked, and ends the connection without an
// answer.
func lost(r *http.Request, pass http.Handler) {
	pass.ServeHTTP(discard{http.Header{}}, r)
	panic(http.ErrAbortHandler)
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// isLinkCreate tells the request that seals.
func isLinkCreate(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/chain/") && r.Header.Get("If-None-Match") == "*" && !strings.HasSuffix(r.URL.Path, "/header")
}

func newPrefix() string { return strings.ToLower(rand.Text()) }
