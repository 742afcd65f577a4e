package kill

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/logpipeline/logpipeline/bench/process"
	"github.com/logpipeline/logpipeline/ingester/config"
)

// store is where the consumers store.
type store struct {
	root string // the folder in which its files or objects are found
	url  string // of the object store; "" of a directory
	own  string // holds a folder for each consumer, beside an object store
}

func newStore(t *testing.T, kind string) store {
	t.Helper()
	if kind == "directory" {
		return store{root: t.TempDir()}
	}
	const bucket, prefix = "segments", "kill"
	objects := t.TempDir()
	if err := os.Mkdir(filepath.Join(objects, bucket), 0o755); err != nil {
		t.Fatal(err)
	}
	address := startS3(t, objects)
	return store{
		root: filepath.Join(objects, bucket, prefix),
		url:  fmt.Sprintf("s3://%s/%s?endpoint=http://%s&use_path_style=true&region=us-east-1", bucket, prefix, address),
		own:  t.TempDir(),
	}
}

// configure has a consumer store here.
func (s store) configure(cfg *config.Config, seat int) {
	cfg.DataDir = s.root
	if s.url != "" {
		cfg.ObjectStore.URL = s.url
		cfg.DataDir = filepath.Join(s.own, strconv.Itoa(seat))
	}
}

// verify has the program prove that what is stored has no gap and no double.
func (s store) verify(t *testing.T, program string, produced [partitions]int) {
	t.Helper()
	location := []string{"--data-dir", s.root}
	if s.url != "" {
		location = []string{"--object-store", s.url}
	}
	output, err := exec.CommandContext(t.Context(), program, append([]string{"verify", "--no-gaps", "-o", "json"}, location...)...).Output()
	var report struct {
		Complete          bool
		Records, Segments int
		Problems          []struct{ Path, Problem string }
	}
	if parsed := json.Unmarshal(output, &report); parsed != nil {
		t.Errorf("verify: %v (%v)", parsed, err)
		return
	}
	if err != nil || !report.Complete || report.Records != sum(produced) {
		t.Errorf("verify: %v; complete: %t, %d of %d records, problems %v", err, report.Complete, report.Records, sum(produced), report.Problems)
		return
	}
	t.Logf("verified: %d records in %d segments", report.Records, report.Segments)
}

// startS3 starts a real S3 server, built from hack/tools/versitygw, that keeps
// its objects as files, and returns its address.
func startS3(t *testing.T, objects string) (address string) {
	t.Helper()
	address, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	server, err := process.Start(filepath.Join(t.TempDir(), "s3.log"), buildS3(t), "--access", "kill-test", "--secret", "of-no-value",
		"--port", address, "--health", "/health", "--quiet", "posix", objects)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Kill(); err != nil {
			t.Errorf("S3 server: %v", err)
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		response, err := http.Get("http://" + address + "/health")
		if err == nil {
			_ = response.Body.Close()
			return address
		}
		if time.Now().After(deadline) {
			t.Fatalf("S3 server does not answer: %v", err)
		}
	}
}

// setCredentials puts those of the S3 server where the consumers look for them.
func setCredentials(t *testing.T) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "kill-test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "of-no-value")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

// buildS3 builds the program, unless it is there already.
func buildS3(t *testing.T) string {
	t.Helper()
	folder := os.Getenv("BUILD")
	if folder == "" {
		folder = "../../.build"
	}
	program, err := filepath.Abs(filepath.Join(folder, "bin", "versitygw"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err == nil {
		return program
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-modfile=hack/tools/versitygw/go.mod", "-trimpath", "-o", program, "github.com/versity/versitygw/cmd/versitygw")
	build.Dir = "../.."
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build S3 server: %v\n%s", err, output)
	}
	return program
}
