package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/segment"
	"github.com/logpipeline/logpipeline/ingester/segment/s3server"
)

const (
	chainOfOrders = "chain/orders/AAAAAAAAQACAAAAAAAAAAQ/0/"
	hourOfOrders  = "segments/dt=1970-01-01/hour=00/"
	secondSegment = hourOfOrders + "orders-0-00000000000000000004.ndjson"
	orphan        = hourOfOrders + "orders-0-00000000000000000002.ndjson"
)

// TestVerifyFails on any damage, wherever the segments are. The server keeps
// objects as files, which is how they are damaged there too.
func TestVerifyFails(t *testing.T) {
	server := s3server.Start(t)
	for name, tc := range map[string]struct {
		damage func(t *testing.T, root string)
		says   string
	}{
		"one damaged byte": {func(t *testing.T, root string) {
			change(t, filepath.Join(root, secondSegment), func(b []byte) []byte { return bytes.Replace(b, []byte("info"), []byte("infp"), 1) })
		}, secondSegment + ": "},
		"one damaged byte of a link": {func(t *testing.T, root string) {
			change(t, filepath.Join(root, chainOfOrders, "00000000000000000004"), func(b []byte) []byte { return bytes.Replace(b, []byte(`"nextOffset":8`), []byte(`"nextOffset":9`), 1) })
		}, "00000000000000000004: "},
		"one removed segment": {func(t *testing.T, root string) { remove(t, filepath.Join(root, secondSegment)) }, secondSegment + ": data is missing"},
		"one removed link":    {func(t *testing.T, root string) { remove(t, filepath.Join(root, chainOfOrders, "00000000000000000004")) }, "leaves a gap: offsets 4 to 7 are in no link"},
		"one doubled link":    {doubleLink, "overlaps the link before it"},
		"one orphan": {func(t *testing.T, root string) {
			if err := os.WriteFile(filepath.Join(root, orphan), []byte("{}\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, orphan + ": no link names it"},
	} {
		for _, kind := range []string{"directory", "object store"} {
			t.Run(name+" in a "+kind, func(t *testing.T) {
				cfg := config.Default()
				cfg.DataDir = t.TempDir()
				root, located := cfg.DataDir, []string{"verify", "--data-dir", cfg.DataDir}
				if kind == "object store" {
					prefix := strings.ReplaceAll(name, " ", "-")
					cfg.ObjectStore.URL = server.URL(prefix)
					root, located = filepath.Join(server.Dir, s3server.Bucket, prefix), []string{"verify", "--object-store", cfg.ObjectStore.URL}
				}
				storeIn(t, cfg, 3)
				if got := call(t, located...); got.code != 0 || !strings.Contains(got.stdout, "\ncomplete: 24 records in 6 segments of 2 chains") {
					t.Fatalf("before: %+v", got)
				}
				tc.damage(t, root)
				if got := call(t, located...); got.code != 1 || !strings.Contains(got.stdout, tc.says) || !strings.Contains(got.stdout, "\nNOT PROVEN COMPLETE: ") {
					t.Errorf("%+v, want code 1 and %q", got, tc.says)
				}
				got := call(t, append(located, "-o", "json")...)
				var report segment.Report
				if err := json.Unmarshal([]byte(got.stdout), &report); err != nil || got.code != 1 || report.Complete || len(report.Problems) == 0 {
					t.Errorf("as JSON: error %v, %+v", err, got)
				}
			})
		}
	}
}

func change(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := change(bytes.Clone(content))
	if bytes.Equal(changed, content) {
		t.Fatalf("%s is as it was: %q", path, content)
	}
	if err := os.WriteFile(path, changed, 0o644); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// doubleLink adds a link of two of the records that another one has, which is
// sound in itself.
func doubleLink(t *testing.T, root string) {
	content, err := os.ReadFile(filepath.Join(root, chainOfOrders, "00000000000000000004"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := bytes.Cut(content, []byte(`,"lineChecksum":`))
	for _, pair := range [][2]string{{`"baseOffset":4`, `"baseOffset":6`}, {"00004", "00006"}, {`"records":4,"bytes"`, `"records":2,"bytes"`}, {`"batches":[[4`, `"batches":[[6`}} {
		line = bytes.ReplaceAll(line, []byte(pair[0]), []byte(pair[1]))
	}
	sum := crc32.Checksum(line, crc32.MakeTable(crc32.Castagnoli))
	line = fmt.Appendf(line, `,"lineChecksum":"crc32c:%08x"}`+"\n", sum)
	if err := os.WriteFile(filepath.Join(root, chainOfOrders, "00000000000000000006"), line, 0o644); err != nil {
		t.Fatal(err)
	}
}
