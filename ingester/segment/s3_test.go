package segment

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "gocloud.dev/blob/s3blob"
)

// s3Server is a real S3 server for the tests of this package: it is built from
// hack/tools/versitygw, serves a temporary directory on a loopback address, and
// ends with the tests.
type s3Server struct {
	address string // host:port
	dir     string // holds the objects of a bucket in a folder of its name
	process *exec.Cmd
}

const s3Bucket = "segments"

var (
	startS3   = sync.OnceValues(newS3Server)
	runningS3 *s3Server
)

func TestMain(m *testing.M) {
	code := m.Run()
	if runningS3 != nil {
		runningS3.stop()
	}
	os.Exit(code)
}

// s3 returns the server's address, and the credentials in the environment where
// the SDK looks for them.
func s3(t testing.TB) *s3Server {
	t.Helper()
	server, err := startS3()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "segment-tests")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "of-no-value")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	return server
}

// url names a prefix, at the server itself or at a proxy of it.
func (s *s3Server) url(address, prefix string) string {
	return fmt.Sprintf("s3://%s/%s?endpoint=http://%s&use_path_style=true&region=us-east-1", s3Bucket, prefix, address)
}

func newS3Server() (*s3Server, error) {
	binary, err := buildS3Server()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "segment-s3-")
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(dir, s3Bucket), 0o755); err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	command := exec.Command(binary, "--access", "segment-tests", "--secret", "of-no-value", "--port", address, "--health", "/health", "--quiet", "posix", dir)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return nil, err
	}
	runningS3 = &s3Server{address: address, dir: dir, process: command}
	return runningS3, runningS3.await()
}

// buildS3Server is quick when the binary is there already.
func buildS3Server() (string, error) {
	binary, err := filepath.Abs(filepath.Join(orDefault(os.Getenv("BUILD"), "../../.build"), "bin/versitygw"))
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-modfile=hack/tools/versitygw/go.mod", "-trimpath", "-o", binary, "github.com/versity/versitygw/cmd/versitygw")
	build.Dir = "../.."
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build S3 server: %w: %s", err, output)
	}
	return binary, nil
}

func orDefault(value, fallback string) string {
	if value != "" {
		return value
	}
	return fallback
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (s *s3Server) await() error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		response, err := http.Get("http://" + s.address + "/health")
		if err == nil {
			_ = response.Body.Close()
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("S3 server does not answer: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *s3Server) stop() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
	_ = os.RemoveAll(s.dir)
}

// proxy passes requests on to the server; interfere sees each before, and says
// what is done instead or afterwards.
func (s *s3Server) proxy(t testing.TB, interfere func(http.ResponseWriter, *http.Request, http.Handler)) (address string) {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: s.address}
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
