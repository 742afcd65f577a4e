package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/logpipeline/logpipeline/ingester/spool"
)

func callSpool(t *testing.T, arguments ...string) (stdout string, err error) {
	t.Helper()
	var out bytes.Buffer
	err = spoolVerbs.run(t.Context(), arguments, output{&out, &out})
	return out.String(), err
}

func TestSpoolCommand(t *testing.T) {
	empty, damaged := t.TempDir(), t.TempDir()
	salvaged := filepath.Join(t.TempDir(), "salvaged.ndjson")
	if err := os.WriteFile(filepath.Join(damaged, "00000000000000000001.segment"), []byte(strings.Repeat("no segment ", 8)+"\x00{\"text\":\"a record\"}\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(empty, "lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name      string
		arguments []string
		stdout    string
		err       error
	}{
		{"status of an empty one", []string{"status", empty}, "0 batches pending", nil},
		{"verify of an empty one", []string{"verify", empty}, "0 batches pending", nil},
		{"repair of an empty one", []string{"repair", empty}, "everything else can be read", nil},
		{"status of a damaged one", []string{"status", damaged}, "DAMAGE 00000000000000000001.segment", nil},
		{"verify of a damaged one", []string{"verify", damaged}, "DAMAGE 00000000000000000001.segment", errSaid},
		{"repair of a damaged one", []string{"repair", damaged}, "set aside from 00000000000000000001.segment", nil},
		{"verify of a repaired one", []string{"verify", damaged}, "set aside in " + damaged, nil},
		{"salvage", []string{"salvage", damaged, "--to", salvaged}, "00000000000000000001-0-109 (00000000000000000001.segment: bytes 0 to 109", nil},
		{"salvage of nothing", []string{"salvage", empty, "--to", salvaged + ".none"}, "0 stretches are set aside", nil},
		{"salvage to a file that is there", []string{"salvage", damaged, "--to", salvaged}, "", fs.ErrExist},
		{"salvage of no spool", []string{"salvage", t.TempDir(), "--to", salvaged + ".none"}, "", spool.ErrNoSpool},
		{"salvage as json", []string{"salvage", "-o", "json", damaged, "--to", salvaged + ".2"}, `"doubtfulRecords": 1,`, nil},
		{"help", []string{"--help"}, "Usage: ingester spool", flag.ErrHelp},
		{"help for a verb", []string{"salvage", "--help"}, "Usage: ingester spool salvage [FLAGS] DIR\n  -o text", flag.ErrHelp},
		{"flags before the directory", []string{"status", "-o", "json", empty}, `"pendingBatches": 0`, nil},
		{"flags behind the directory", []string{"verify", empty, "-o", "json"}, `"pendingBatches": 0`, nil},
		{"status of no spool", []string{"status", t.TempDir()}, "", spool.ErrNoSpool},
		{"verify of no spool", []string{"verify", t.TempDir()}, "", spool.ErrNoSpool},
		{"repair of no spool", []string{"repair", t.TempDir()}, "", spool.ErrNoSpool},
	} {
		stdout, err := callSpool(t, step.arguments...)
		if !errors.Is(err, step.err) || !strings.Contains(stdout, step.stdout) {
			t.Errorf("%s: error %v, said %q, want %v and %q", step.name, err, stdout, step.err, step.stdout)
		}
	}
	content, err := os.ReadFile(salvaged)
	if err != nil || string(content) != "{\"text\":\"a record\"}\n" {
		t.Errorf("salvaged %q: %v", content, err)
	}
	if _, err := os.Stat(salvaged + ".none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing was salvaged into a file: %v", err)
	}
	stdout, err := callSpool(t, "status", "-o", "json", empty)
	var report struct{ PendingBatches *int }
	if err := errors.Join(err, json.Unmarshal([]byte(stdout), &report)); err != nil || report.PendingBatches == nil {
		t.Errorf("json: %v in %s", err, stdout)
	}
}

func TestSpoolCommandCalledWrongly(t *testing.T) {
	for name, tc := range map[string]struct {
		arguments []string
		want      string
	}{
		"no verb":                 {nil, "choose status or verify or repair or salvage"},
		"a verb that isn't one":   {[]string{"mend", "x"}, `there is no "mend": choose status or`},
		"no directory":            {[]string{"status"}, "0 directories: name the one"},
		"two directories":         {[]string{"status", "a", "b"}, "2 directories"},
		"nowhere to write to":     {[]string{"salvage", "a"}, "no file for the records: name one with --to"},
		"a flag of another verb":  {[]string{"repair", "-o", "json", "a"}, "flag provided but not defined: -o"},
		"a format that isn't one": {[]string{"status", "-o", "yaml", "a"}, `-o is "yaml": choose text or json`},
	} {
		var usage usageError
		if _, err := callSpool(t, tc.arguments...); !errors.As(err, &usage) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q", name, err, tc.want)
		}
	}
	if _, err := callSpool(t, "status", "/nowhere"); err == nil || !strings.Contains(err.Error(), "inspect spool /nowhere") {
		t.Errorf("error %v", err)
	}
}
