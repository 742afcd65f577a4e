package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/logpipeline/logpipeline/ingester/config"
)

// called is what one call of the command did.
type called struct {
	code           int
	stdout, stderr string
}

func call(t *testing.T, arguments ...string) called {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), arguments, output{&stdout, &stderr})
	return called{code, stdout.String(), stderr.String()}
}

func write(t *testing.T, content string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCalledWrongly(t *testing.T) {
	for name, tc := range map[string]struct {
		arguments []string
		code      int
		stderr    string
	}{
		"no command":               {nil, 2, "Usage: ingester COMMAND"},
		"a command that isn't one": {[]string{"srve"}, 2, `there is no command "srve"`},
		"a flag that isn't one":    {[]string{"serve", "--lisen", "x"}, 2, "flag provided but not defined: -lisen (see ingester serve --help)"},
		"an extra argument":        {[]string{"version", "now"}, 2, `unexpected argument "now"`},
		"a format that isn't one":  {[]string{"verify", "-o", "yaml"}, 2, `-o is "yaml": choose text or json`},
		"a limit below 0":          {[]string{"cat", "--limit", "-5"}, 2, "--limit is -5: choose 0 for all, or a number of records"},
		"check without brokers":    {[]string{"check"}, 2, "no brokers: give --config or --bootstrap-servers"},
		"a file that isn't there":  {[]string{"serve", "--config", "/nowhere/config.yaml"}, 1, "open /nowhere/config.yaml"},
		"a configuration with mistakes": {
			[]string{"serve"}, 1, "topic is \"\": name a Kafka topic",
		},
		"a data directory that isn't there": {[]string{"verify", "--data-dir", "/nowhere"}, 1, "/nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			got := call(t, tc.arguments...)
			if got.code != tc.code || !strings.Contains(got.stderr, tc.stderr) {
				t.Errorf("ingester %q: code %d, said %q, want code %d and %q", tc.arguments, got.code, got.stderr, tc.code, tc.stderr)
			}
		})
	}
}

func TestHelpIsNoMistake(t *testing.T) {
	for _, arguments := range [][]string{{"--help"}, {"help"}, {"help", "consume"}, {"serve", "--help"}, {"verify", "-h"}} {
		if got := call(t, arguments...); got.code != 0 || !strings.Contains(got.stdout, "Usage: ingester") {
			t.Errorf("ingester %q: %+v, want the usage and code 0", arguments, got)
		}
	}
}

func TestVersion(t *testing.T) {
	for _, argument := range []string{"version", "--version"} {
		if diff := cmp.Diff(called{0, version + "\n", ""}, call(t, argument), cmp.AllowUnexported(called{})); diff != "" {
			t.Error(diff)
		}
	}
}

func TestPrintConfig(t *testing.T) {
	file := write(t, "topic: orders\nlisten: \":7000\"\nqueue: {maxBytes: 64Mi}\nkafka: {bootstrapServers: [\"kafka:9092\"]}\n")
	want := config.Default()
	want.Topic, want.Listen, want.AdminListen, want.Queue.MaxBytes = "orders", ":7000", ":7001", 64<<20
	want.Kafka.BootstrapServers = []string{"kafka:9092"}

	got := call(t, "serve", "--config", file, "--admin-listen", ":7001", "--print-config")
	if got.code != 0 {
		t.Fatal(got)
	}
	effective, err := config.Parse([]byte(got.stdout), config.Config{})
	if err != nil {
		t.Fatalf("parse what --print-config printed: %v\n%s", err, got.stdout)
	}
	if diff := cmp.Diff(want, effective); diff != "" {
		t.Errorf("effective configuration (-want +got):\n%s", diff)
	}
}

func TestPrintConfigOfMistakes(t *testing.T) {
	got := call(t, "serve", "--config", write(t, "topic: orders\nkafka: {bootstrapServers: [kafka]}\n"), "--print-config")
	if got.code != 2 || !strings.Contains(got.stdout, "topic: orders\n") || !strings.Contains(got.stderr, `kafka.bootstrapServers[0] is "kafka": write host:port`) {
		t.Errorf("%+v, want the configuration, its mistake and code 2", got)
	}
}

func TestVerifyOfAnEmptyDirectoryFails(t *testing.T) {
	dataDir := t.TempDir()
	if got := call(t, "verify", "--data-dir", dataDir); got.code != 1 || !strings.Contains(got.stdout, "no chain") {
		t.Errorf("text: %+v, want code 1 and the word that there is no chain", got)
	}
	got := call(t, "verify", "--data-dir", dataDir, "-o", "json")
	var report struct {
		Complete *bool
		Problems []json.RawMessage
	}
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil {
		t.Fatalf("%v in %q", err, got.stdout)
	}
	if got.code != 1 || report.Complete == nil || *report.Complete || len(report.Problems) != 1 {
		t.Errorf("json: %+v, want code 1, not complete, one problem", got)
	}
}
