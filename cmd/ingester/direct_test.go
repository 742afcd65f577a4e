package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/segment"
)

// TestDirectSurvivesKills kills the process ten times while clients send as
// fast as they can: what was answered with 200 is stored once, where the
// receipt said, and verify proves the store.
func TestDirectSurvivesKills(t *testing.T) {
	for name, inStore := range map[string]func(t *testing.T, cfg *config.Config) (where []string){
		"directory": func(_ *testing.T, cfg *config.Config) []string { return []string{"--data-dir", cfg.DataDir} },
		"S3": func(t *testing.T, cfg *config.Config) []string {
			cfg.ObjectStore.URL = s3Bucket(t)
			return []string{"--object-store", cfg.ObjectStore.URL}
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config.DefaultFor(config.RoleDirect)
			cfg.DataDir, cfg.Listen, cfg.AdminListen = t.TempDir(), freeAddress(t), freeAddress(t)
			cfg.Segment.MaxBytes, cfg.Segment.MaxAgeSeconds, cfg.Direct.JournalMaxBytes = 256<<10, 1, 32<<20
			where := inStore(t, &cfg)
			clients := &directClients{url: "http://" + cfg.Listen + "/logs", taken: map[string]int64{}, sent: map[string]bool{}}
			for round := range 10 {
				kill := startDirect(t, cfg)
				stop := clients.start(t, round)
				want := clients.count.Load() + int64(500*(1+round%4))
				await(t, "acknowledging enough", func() bool { return clients.count.Load() >= want })
				kill()
				stop()
			}
			kill := startDirect(t, cfg)
			await(t, "storing the rest", func() bool {
				return strings.Contains(get(cfg.AdminListen, "/metrics"), "\nlogpipeline_journal_unsealed_records 0\n")
			})
			kill()
			verified := call(t, append([]string{"verify", "--no-gaps"}, where...)...)
			if verified.code != 0 {
				t.Errorf("verify: %+v", verified)
			}
			clients.check(t, where[1])
		})
	}
}

// startDirect starts the process and waits until it is ready.
func startDirect(t *testing.T, cfg config.Config) (kill func()) {
	t.Helper()
	document, err := cfg.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	command := exec.Command(os.Args[0], "direct", "--config", write(t, string(document)))
	command.Env, command.Stderr = append(os.Environ(), asIngester+"=1"), &log
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	kill = func() {
		once.Do(func() {
			_ = command.Process.Kill()
			_ = command.Wait()
			if text := log.String(); strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic") || strings.Contains(text, `"ERROR"`) || t.Failed() {
				t.Errorf("the process said:\n%s", text)
			}
		})
	}
	t.Cleanup(kill)
	await(t, "ready", func() bool { return get(cfg.AdminListen, "/readyz") != "" })
	return kill
}

// get returns the body of a 200, or "".
func get(address, path string) string {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	response, err := client.Get("http://" + address + path)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return ""
	}
	return string(body)
}

func await(t *testing.T, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if check() {
			return
		}
	}
	t.Fatalf("not %s within 90 s", what)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// directClients send records of their own and remember what they were told.
type directClients struct {
	url   string
	count atomic.Int64 // of records that were acknowledged

	mu    sync.Mutex
	taken map[string]int64 // offset by record
	sent  map[string]bool  // by record: it may be stored
}

// start sends until stop is called, which waits for the last answers.
func (c *directClients) start(t *testing.T, round int) (stop func()) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: 60 * time.Second}
	var enough atomic.Bool
	var sending sync.WaitGroup
	for sender := range 16 {
		sending.Go(func() {
			for n := 0; !enough.Load(); n++ {
				if !c.send(client, fmt.Sprintf("%d-%d-%d", round, sender, n), 1+n%20) {
					return // the process is gone
				}
			}
		})
	}
	stop = func() {
		enough.Store(true)
		sending.Wait()
		client.CloseIdleConnections()
	}
	t.Cleanup(stop)
	return stop
}

// send is false when there was no answer.
func (c *directClients) send(client *http.Client, name string, records int) bool {
	lines := make([]string, records)
	c.mu.Lock()
	for i := range lines {
		lines[i] = fmt.Sprintf(`{"id":"%s-%d"}`, name, i)
		c.sent[lines[i]] = true
	}
	c.mu.Unlock()
	response, err := client.Post(c.url, "application/x-ndjson", strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		return false
	}
	defer response.Body.Close()
	var receipt struct{ Placements []struct{ FirstOffset int64 } }
	err = json.NewDecoder(response.Body).Decode(&receipt)
	if err != nil || response.StatusCode != http.StatusOK || len(receipt.Placements) != 1 {
		return err == nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, line := range lines {
		c.taken[line] = receipt.Placements[0].FirstOffset + int64(i)
	}
	c.count.Add(int64(records))
	return true
}

// check reads the store, whose chain begins at offset 0 and has no gap.
func (c *directClients) check(t *testing.T, location string) {
	t.Helper()
	stored, offset := map[string]bool{}, int64(0)
	for line, err := range segment.Records(t.Context(), location, "logs", 0) {
		if err != nil {
			t.Fatal(err)
		}
		text := strings.TrimSuffix(string(line.Bytes), "\n")
		if stored[text] || !c.sent[text] {
			t.Errorf("%s at offset %d is stored twice, or nobody sent it", text, offset)
		}
		stored[text] = true
		if told, taken := c.taken[text]; taken && told != offset {
			t.Errorf("%s is stored at offset %d, but its receipt said %d", text, offset, told)
		}
		offset++
	}
	for line := range c.taken {
		if !stored[line] {
			t.Fatalf("%s was acknowledged and is not stored", line)
		}
	}
	t.Logf("%d records acknowledged, %d stored", len(c.taken), len(stored))
}

// s3Bucket starts an S3 server and returns the URL of a bucket in it.
func s3Bucket(t *testing.T) string {
	t.Helper()
	build := os.Getenv("BUILD")
	if build == "" {
		build = "../../.build"
	}
	binary, err := filepath.Abs(filepath.Join(build, "bin/versitygw"))
	if err != nil {
		t.Fatal(err)
	}
	making := exec.CommandContext(t.Context(), "go", "build", "-modfile=hack/tools/versitygw/go.mod", "-trimpath", "-o", binary, "github.com/versity/versitygw/cmd/versitygw")
	making.Dir = "../.."
	if output, err := making.CombinedOutput(); err != nil {
		t.Fatalf("build the S3 server: %v: %s", err, output)
	}
	dir, address := t.TempDir(), freeAddress(t)
	if err := os.Mkdir(filepath.Join(dir, "bucket"), 0o755); err != nil {
		t.Fatal(err)
	}
	server := exec.Command(binary, "--access", "direct-tests", "--secret", "of-no-value", "--port", address, "--health", "/health", "--quiet", "posix", dir)
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	await(t, "answering as S3", func() bool { return get(address, "/health") != "" })
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "direct-tests", "AWS_SECRET_ACCESS_KEY": "of-no-value",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	return "s3://bucket/logs?endpoint=http://" + address + "&use_path_style=true&region=us-east-1"
}
