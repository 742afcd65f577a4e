package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
	"github.com/logpipeline/logpipeline/ingester/segment"
)

// asIngester makes the test's own binary the command.
const asIngester = "LOGPIPELINE_TEST_AS_INGESTER"

func TestMain(m *testing.M) {
	if os.Getenv(asIngester) != "" {
		os.Exit(run(context.Background(), os.Args[1:], output{os.Stdout, os.Stderr}))
	}
	os.Exit(m.Run())
}

// TestDocumentedExamples runs every shell example of docs/storage.md that is
// followed by what it prints, on a store with a segment of each codec. The jq
// is gojq, pinned in hack/tools.
func TestDocumentedExamples(t *testing.T) {
	document, err := os.ReadFile("../../docs/storage.md")
	if err != nil {
		t.Fatal(err)
	}
	dir, path := exampleStore(t), examplePath(t)
	examples := examplesOf(string(document))
	if len(examples) < 3 {
		t.Fatalf("%d examples with an output, want 3 or more", len(examples))
	}
	for _, e := range examples {
		command := exec.CommandContext(t.Context(), "sh", "-e", "-c", e.command)
		command.Dir = dir
		command.Env = append(os.Environ(), "PATH="+path+":"+os.Getenv("PATH"), asIngester+"=1")
		var stderr strings.Builder
		command.Stderr = &stderr
		printed, err := command.Output()
		if diff := cmp.Diff(e.prints, string(printed)); err != nil || diff != "" {
			t.Errorf("%s\nerror %v, %s\n(-documented +printed):\n%s", e.command, err, stderr.String(), diff)
		}
	}
}

type example struct{ command, prints string }

// examplesOf finds the pairs of a block "sh" and a block "text" that follows it
// at once.
func examplesOf(document string) (examples []example) {
	for {
		_, rest, found := strings.Cut(document, "```sh\n")
		if !found {
			return examples
		}
		command, after, _ := strings.Cut(rest, "```\n")
		if prints, found := strings.CutPrefix(strings.TrimLeft(after, "\n"), "```text\n"); found {
			prints, _, _ = strings.Cut(prints, "```\n")
			examples = append(examples, example{command, prints})
		}
		document = after
	}
}

// examplePath is a folder with the programs jq and ingester.
func examplePath(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-modfile=hack/tools/gojq/go.mod", "-trimpath", "-o", filepath.Join(dir, "jq"), "github.com/itchyny/gojq/cmd/gojq")
	build.Dir = "../.."
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build jq: %v: %s", err, said)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "ingester")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// exampleStore holds nine records of three services, in three segments: one
// compressed by each codec, of noon, and of one and two hours later.
func exampleStore(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	offset := int64(0)
	for hour, codec := range []config.Compression{config.CompressionNone, config.CompressionGzip, config.CompressionZstd} {
		cfg := config.Default().Segment
		cfg.Compression = codec
		store, err := segment.OpenDirectory(dir, cfg, slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		chain, err := store.Open(t.Context(), "orders", "6e1d2f6c-2f0e-4a52-9a53-5f7d1c3b9a10", 0, func(context.Context) (int64, error) { return 0, nil })
		if err != nil {
			t.Fatal(err)
		}
		var lines strings.Builder
		for i, service := range []string{"cart", "cart", "pay"} {
			level := []string{"error", "info", "error"}[i]
			fmt.Fprintf(&lines, `{"level":%q,"service":%q,"message":"request %d","ms":%d}`+"\n", level, service, offset+int64(i), 10*(hour+1)+i)
		}
		at := noon.Add(time.Duration(hour) * time.Hour).UnixMilli()
		span := record.Span{BaseOffset: offset, NextOffset: offset + 3, Records: 3, FirstTimestamp: at, LastTimestamp: at}
		if err := chain.Append([]byte(lines.String()), span); err != nil {
			t.Fatal(err)
		}
		if sealed, err := chain.Seal(t.Context()); err != nil || !sealed {
			t.Fatal(sealed, err)
		}
		offset += 3
	}
	return dir
}
