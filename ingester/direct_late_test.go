package ingester

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "gocloud.dev/blob/s3blob"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/segment"
	"github.com/logpipeline/logpipeline/ingester/segment/s3server"
	"github.com/logpipeline/logpipeline/ingester/signal"
)

// launchRole starts a role in this process and doesn't wait for it to be ready.
func launchRole(t *testing.T, role config.Role, cfg config.Config) *running {
	t.Helper()
	cfg.Listen, cfg.AdminListen = freeAddress(t), freeAddress(t)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r := &running{
		url: "http://" + cfg.Listen + "/logs", admin: "http://" + cfg.AdminListen,
		cancel: cancel, done: make(chan error, 1), client: &http.Client{Transport: &http.Transport{}},
	}
	go func() { r.done <- Run(ctx, role, cfg, "test", slog.New(slog.NewTextHandler(t.Output(), nil))) }()
	t.Cleanup(cancel)
	t.Cleanup(r.client.CloseIdleConnections)
	return r
}

// awaitUnready waits until readiness says this.
func (r *running) awaitUnready(t *testing.T, why string) {
	t.Helper()
	eventually(t, "unready because of "+why, func() bool {
		response, err := r.client.Get(r.admin + "/readyz")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		return err == nil && response.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(answer), why)
	})
}

// signals are what the process tells of itself.
func (r *running) signals(t *testing.T) (told signal.Signals) {
	t.Helper()
	response, err := r.client.Get(r.admin + signal.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&told); err != nil {
		t.Fatal(err)
	}
	return told
}

// place posts a record and returns the offset that the receipt names.
func (r *running) place(t *testing.T, line string) (offset int64) {
	t.Helper()
	var receipt struct{ Placements []struct{ FirstOffset int64 } }
	eventually(t, "taking records", func() bool {
		ok, answer := r.post([]string{line})
		return ok && json.Unmarshal([]byte(answer), &receipt) == nil && len(receipt.Placements) == 1
	})
	return receipt.Placements[0].FirstOffset
}

// lead makes a server answer at an address.
func lead(t *testing.T, address, to string) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: to})
		r.Out.Host = r.In.Host // it is signed
	}}
	server := &http.Server{Handler: proxy}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
}

// The object store is away when the process starts: records are taken, with the
// offsets behind those that were stored, and stored once it is back.
func TestDirectStartsWithoutItsObjectStore(t *testing.T) {
	server := s3server.Start(t)
	prefix := "late"
	for name, before := range map[string]int{"for the first time": 0, "again": 3} {
		t.Run(name, func(t *testing.T) {
			prefix += "r"
			cfg := directConfig(t.TempDir())
			cfg.ObjectStore.URL = server.URL(prefix)
			want := []string{}
			if before > 0 {
				r := start(t, config.RoleDirect, cfg)
				for n := range before {
					want = append(want, fmt.Sprintf(`{"n":%d}`, n))
					r.place(t, want[n])
				}
				r.stop(t)
			}
			address := freeAddress(t)
			cfg.ObjectStore.URL = s3server.URL(address, prefix)
			cfg.Drain.TimeoutSeconds = 30
			r := launchRole(t, config.RoleDirect, cfg)
			for n := before; n < before+3; n++ {
				want = append(want, fmt.Sprintf(`{"n":%d}`, n))
				if got := r.place(t, want[n]); got != int64(n) {
					t.Errorf("record %d is placed at offset %d", n, got)
				}
			}
			r.awaitUnready(t, "the object store is not available")
			lead(t, address, server.Address)
			eventually(t, "ready", func() bool { return r.status(t, "/readyz") == http.StatusOK })
			r.stop(t)
			if diff := cmp.Diff(want, stored(t, server.URL(prefix), "logs")); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
		})
	}
}

// Without its object store a consumer waits, says why, also to the operator, and ends when it is told.
func TestConsumeWaitsForItsObjectStore(t *testing.T) {
	s3server.Start(t) // for the credentials
	cfg := config.DefaultFor(config.RoleConsume)
	cfg.DataDir, cfg.Kafka.BootstrapServers = t.TempDir(), []string{"127.0.0.1:1"}
	cfg.ObjectStore.URL = s3server.URL("127.0.0.1:1", "p")
	r := launchRole(t, config.RoleConsume, cfg)
	r.awaitUnready(t, "the object store is not available")
	if got := r.signals(t).Consumer; got == nil || got.Generation != -1 || !strings.Contains(got.StoreFailure, "the object store is not available") {
		t.Errorf("signals are %+v", got)
	}
	began := time.Now()
	r.stop(t)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("ended after %v", took)
	}
}

// A bucket that is not there ends both roles, and the error says so.
func TestMissingBucketEndsTheProcess(t *testing.T) {
	server := s3server.Start(t)
	for _, role := range []config.Role{config.RoleDirect, config.RoleConsume} {
		cfg := config.DefaultFor(role)
		cfg.DataDir, cfg.Kafka.BootstrapServers = t.TempDir(), []string{"127.0.0.1:1"}
		cfg.ObjectStore.URL = strings.Replace(server.URL("p"), s3server.Bucket, "not-there", 1)
		cfg.Listen, cfg.AdminListen = freeAddress(t), freeAddress(t)
		err := Run(t.Context(), role, cfg, "test", slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), "the bucket is not there") {
			t.Errorf("%s ended with %v", role, err)
		}
	}
}

// What is wrong with the chain stops the storing and not the intake; what was
// taken meanwhile is stored by the start after it was mended.
func TestDirectTakesRecordsWhileItsChainIsDamaged(t *testing.T) {
	for reason, change := range map[string][2]string{
		"ChainDamaged":      {`"nextOffset":1`, `"nextOffset":9`},
		"UnsupportedFormat": {`"version":1`, `"version":2`},
	} {
		t.Run(reason, func(t *testing.T) {
			cfg := directConfig(t.TempDir())
			r := start(t, config.RoleDirect, cfg)
			r.place(t, `{"n":0}`)
			r.stop(t)
			link := onlyLink(t, cfg.DataDir)
			whole, err := os.ReadFile(link)
			if err != nil {
				t.Fatal(err)
			}
			damaged := strings.Replace(string(whole), change[0], change[1], 1)
			if err := os.WriteFile(link, []byte(damaged), 0o644); err != nil {
				t.Fatal(err)
			}
			r = launchRole(t, config.RoleDirect, cfg)
			if got := r.place(t, `{"n":1}`); got != 1 {
				t.Errorf("placed at offset %d, want 1", got)
			}
			r.awaitUnready(t, reason)
			r.cancel()
			if err := <-r.done; err == nil || !strings.Contains(err.Error(), "1 records stay in it") {
				t.Errorf("ended with %v, want that a record stays", err)
			}
			if err := os.WriteFile(link, whole, 0o644); err != nil {
				t.Fatal(err)
			}
			start(t, config.RoleDirect, cfg).stop(t)
			if diff := cmp.Diff([]string{`{"n":0}`, `{"n":1}`}, stored(t, cfg.DataDir, "logs")); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
		})
	}
}

// onlyLink is the path of the only link of the only chain.
func onlyLink(t *testing.T, dataDir string) string {
	t.Helper()
	links, err := filepath.Glob(filepath.Join(dataDir, "chain/*/*/*/0*"))
	if err != nil || len(links) != 1 {
		t.Fatalf("links: %v, %v", links, err)
	}
	return links[0]
}

// The last link and its segment are lost: the offsets are not used again, and
// those that are lost are recorded as a gap.
func TestDirectWhoseLastLinkIsLost(t *testing.T) {
	cfg := directConfig(t.TempDir())
	r := start(t, config.RoleDirect, cfg)
	r.place(t, `{"n":0}`)
	r.stop(t)
	segments := filepath.Join(cfg.DataDir, "segments")
	if err := errors.Join(os.Remove(onlyLink(t, cfg.DataDir)), os.RemoveAll(segments)); err != nil {
		t.Fatal(err)
	}
	report, err := segment.Verify(t.Context(), cfg.DataDir)
	if err != nil || report.Complete {
		t.Errorf("verify: %v, %+v", err, report)
	}
	r = start(t, config.RoleDirect, cfg)
	if got := r.place(t, `{"n":1}`); got != 1 {
		t.Errorf("placed at offset %d, want 1", got)
	}
	r.stop(t)
	if diff := cmp.Diff([]string{`{"n":1}`}, stored(t, cfg.DataDir, "logs")); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if report, err = segment.Verify(t.Context(), cfg.DataDir); err != nil || report.GapOffsets != 1 {
		t.Errorf("verify: %v, %+v, want a gap of 1 offset", err, report)
	}
}
