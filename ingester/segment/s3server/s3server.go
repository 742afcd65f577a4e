// Package s3server runs a real S3 server for tests: versitygw, built from
// hack/tools, which keeps the objects of a bucket as files in a folder of its
// name.
package s3server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Bucket is there from the start.
const Bucket = "segments"

const (
	access = "logpipeline-tests"
	secret = "of-no-value"
)

// Server is a process of its own, on a loopback address.
type Server struct {
	Address string // host:port
	Dir     string // holds a folder for each bucket
	process *exec.Cmd
}

// Start runs a server until the test has ended, and lets the test find its
// credentials; see Login.
func Start(t testing.TB) *Server {
	t.Helper()
	s, err := New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	s.Login(t)
	return s
}

// New starts a server, which Stop ends. It dies with ctx, and with the test's
// process.
func New(ctx context.Context) (*Server, error) {
	binary, err := build(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "s3server-")
	if err != nil {
		return nil, err
	}
	address, err := freeAddress(ctx)
	if err := errors.Join(err, os.Mkdir(filepath.Join(dir, Bucket), 0o755)); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	command := exec.CommandContext(ctx, binary, "--access", access, "--secret", secret, "--port", address, "--health", "/health", "--quiet", "posix", dir)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s := &Server{Address: address, Dir: dir, process: command}
	if err := s.await(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// Login puts the credentials into the test's environment, where SDKs look for
// them, and keeps all others out.
func (s *Server) Login(t testing.TB) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", access)
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

// URL names a prefix, as objectStore.url takes it.
func (s *Server) URL(prefix string) string { return URL(s.Address, prefix) }

// URL names a prefix at an address: of a server, or of a proxy of it.
func URL(address, prefix string) string {
	return fmt.Sprintf("s3://%s/%s?endpoint=http://%s&use_path_style=true&region=us-east-1", Bucket, prefix, address)
}

// Stop ends the server and removes all that it holds.
func (s *Server) Stop() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
	_ = os.RemoveAll(s.Dir)
}

// build is quick when the binary is there already.
func build(ctx context.Context) (binary string, err error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	folder := os.Getenv("BUILD")
	if folder == "" {
		folder = filepath.Join(root, ".build")
	}
	binary = filepath.Join(folder, "bin/versitygw")
	unlock, err := lock(binary + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	command := exec.CommandContext(ctx, "go", "build", "-modfile=hack/tools/versitygw/go.mod", "-trimpath", "-o", binary, "github.com/versity/versitygw/cmd/versitygw")
	command.Dir = root
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build S3 server: %w: %s", err, output)
	}
	return binary, nil
}

// lock keeps other tests, which run at the same time, from building what is
// about to be started here.
func lock(name string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// moduleRoot is above the folder of the test.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("build S3 server: there is no go.mod above the working directory")
		}
		dir = parent
	}
	return "", err
}

func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Address+"/health", nil)
	if err != nil {
		return err
	}
	for {
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			return response.Body.Close()
		}
		if ctx.Err() != nil {
			return fmt.Errorf("S3 server does not answer: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
