package ingester

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
	"github.com/logpipeline/logpipeline/ingester/segment"
)

func directConfig(dataDir string) config.Config {
	cfg := config.DefaultFor(config.RoleDirect)
	cfg.DataDir = dataDir
	return cfg
}

// loadDirect is clients that send to a role that runs in this process.
func loadDirect(t *testing.T, name string, r *running) *load {
	return startLoad(t, name, r.url, 16)
}

// checkDirect checks that what was acknowledged is stored where its receipt
// said, that whatever is not a plain refusal is stored whole or not at all, and
// that nothing else is.
func checkDirect(t *testing.T, dataDir string, loads ...*load) {
	t.Helper()
	stored(t, dataDir, "logs") // verifies
	offsets := map[string]int64{}
	next := int64(0)
	for line, err := range segment.Records(t.Context(), dataDir, "logs", 0) {
		if err != nil {
			t.Fatal(err)
		}
		text := string(bytes.TrimSuffix(line.Bytes, []byte("\n")))
		if before, doubled := offsets[text]; doubled {
			t.Errorf("%s is stored twice, at offsets %d and %d", text, before, next)
		}
		offsets[text] = next
		next++
	}
	for _, l := range loads {
		for _, a := range l.attempts {
			checkAttempt(t, a, offsets)
			for _, line := range a.lines {
				delete(offsets, line)
			}
		}
	}
	if len(offsets) > 0 {
		t.Errorf("%d records are stored that nobody sent", len(offsets))
	}
}

func checkAttempt(t *testing.T, a *attempt, offsets map[string]int64) {
	t.Helper()
	var at []int64
	for _, line := range a.lines {
		if offset, there := offsets[line]; there {
			at = append(at, offset)
		}
	}
	inDoubt := a.status == 0 && !a.refused || a.status == http.StatusGatewayTimeout
	switch {
	case a.status == http.StatusOK:
		first := int64(-1)
		if len(at) > 0 {
			first = at[0]
		}
		want := []record.Placement{{Topic: "logs", FirstOffset: first, LastOffset: first + int64(len(a.lines)) - 1}}
		if diff := cmp.Diff(want, a.receipt.Placements); diff != "" || len(at) != len(a.lines) || at[len(at)-1]-first != int64(len(at))-1 {
			t.Errorf("acknowledged, but stored at %v (-want +receipt):\n%s", at, diff)
		}
	case inDoubt && len(at) == len(a.lines):
	case len(at) > 0:
		t.Errorf("answered %d %s, but %d of its %d records are stored", a.status, a.receipt.Type, len(at), len(a.lines))
	}
}

func TestDirectStoresWhatItAcknowledged(t *testing.T) {
	for name, change := range map[string]func(*config.Config){
		"plain":      func(*config.Config) {},
		"small":      func(c *config.Config) { c.Segment.MaxBytes, c.Direct.JournalMaxBytes = 64<<10, 32<<20 },
		"zstd":       func(c *config.Config) { c.Segment.Compression, c.Segment.MaxAgeSeconds = config.CompressionZstd, 1 },
		"aggregated": func(c *config.Config) { c.Aggregation.GroupBy = []string{"key"} },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := directConfig(t.TempDir())
			change(&cfg)
			var loads []*load
			for round := range 2 {
				r := start(t, config.RoleDirect, cfg)
				l := loadDirect(t, fmt.Sprint("round", round), r)
				l.awaitMore(t, 4000)
				r.stop(t)
				l.stop()
				loads = append(loads, l)
			}
			checkDirect(t, cfg.DataDir, loads...)
			if left, err := filepath.Glob(filepath.Join(cfg.JournalDir(), "*.journal")); err != nil || len(left) > 0 {
				t.Errorf("left in the journal: %v, %v", left, err)
			}
		})
	}
}

// What the handler knows of other dialects and of keys holds here, too.
func TestDirectSpeaksAllDialects(t *testing.T) {
	cfg := directConfig(t.TempDir())
	r := start(t, config.RoleDirect, cfg)
	send := func(path, contentType, key, body string) (status int, replayed, batch string) {
		request, err := http.NewRequest(http.MethodPost, strings.TrimSuffix(r.url, "/logs")+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", contentType)
		if key != "" {
			request.Header.Set("Idempotency-Key", key)
		}
		response, err := r.client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		content, err := io.ReadAll(response.Body)
		var receipt struct{ Batch string }
		if err != nil || json.Unmarshal(content, &receipt) != nil {
			t.Fatalf("%v, answer %s", err, content)
		}
		return response.StatusCode, response.Header.Get("Idempotency-Replayed"), receipt.Batch
	}
	if status, _, _ := send("/logs", "application/json", "", `[{"a":1},{"a":2}]`); status != http.StatusOK {
		t.Errorf("JSON: %d", status)
	}
	if status, _, _ := send("/logs", "application/x-ndjson", "", "{\"a\":3}\nnonsense\n"); status != http.StatusBadRequest {
		t.Errorf("nonsense: %d", status)
	}
	if status, _, _ := send("/logs?ack=queued", "application/json", "", `{"a":9}`); status != http.StatusBadRequest {
		t.Errorf("a weaker acknowledgement: %d", status)
	}
	otlp := `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"hello"}}]}]}]}`
	if status, _, _ := send("/v1/logs", "application/json", "", otlp); status != http.StatusOK {
		t.Errorf("OTLP: %d", status)
	}
	status, replayed, first := send("/logs", "application/json", `"k"`, `{"a":4}`)
	if status != http.StatusOK || replayed != "" {
		t.Errorf("with a key: %d, replayed %q", status, replayed)
	}
	if status, replayed, second := send("/logs", "application/json", `"k"`, `{"a":4}`); status != http.StatusOK || replayed != "true" || second != first {
		t.Errorf("again with the key: %d, replayed %q, batch %s and %s", status, replayed, first, second)
	}
	r.stop(t)
	got := stored(t, cfg.DataDir, "logs")
	others := slices.DeleteFunc(slices.Clone(got), func(line string) bool { return strings.Contains(line, "hello") })
	if want := []string{`{"a":1}`, `{"a":2}`, `{"a":4}`}; !cmp.Equal(want, others) || len(got) != 4 {
		t.Errorf("stored %q, want %q and the OTLP record", got, want)
	}
}

// The disk is full for a while: requests are refused with 503, and taken again
// once there is room, by the same process.
func TestDirectOnAFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=8m"); err != nil {
		t.Fatalf("mount a tmpfs, as root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	cfg := directConfig(filepath.Join(disk, "data"))
	cfg.Segment.MaxBytes, cfg.Segment.MaxAgeSeconds = 256<<10, 1
	r := start(t, config.RoleDirect, cfg)
	l := loadDirect(t, "load", r)
	l.awaitMore(t, 500)
	filler := filepath.Join(disk, "filler")
	fill(t, filler)
	probe := &load{name: "probe", url: r.url, client: r.client}
	n := 0
	eventually(t, "refusing with 503", func() bool {
		n++
		return probe.send(0, n).status == http.StatusServiceUnavailable
	})
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	l.awaitMore(t, 2000)
	l.stop() // before what they send fills the disk by itself
	r.stop(t)
	checkDirect(t, cfg.DataDir, l, probe)
	for status := range l.statuses() {
		if status != http.StatusOK && status != http.StatusServiceUnavailable {
			t.Errorf("answers: %v, want 200 and 503 alone", l.statuses())
		}
	}
}

// fill takes all the room of a disk.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	if err := f.Close(); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// A receipt, and what is known of a batch later, name what has the records.
func TestDirectReceipt(t *testing.T) {
	r := start(t, config.RoleDirect, directConfig(t.TempDir()))
	ok, answer := r.post([]string{`{"a":1}`})
	if !ok {
		t.Fatal(answer)
	}
	var receipt struct{ Batch, Acknowledgement, Durability, Survives string }
	if err := json.Unmarshal([]byte(answer), &receipt); err != nil {
		t.Fatal(err)
	}
	response, err := r.client.Get(r.url + "/batches/" + receipt.Batch)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var later struct{ State, Acknowledgement, Durability string }
	if err := json.NewDecoder(response.Body).Decode(&later); err != nil {
		t.Fatal(err)
	}
	got := []string{receipt.Acknowledgement, receipt.Durability, receipt.Survives, later.State, later.Acknowledgement, later.Durability}
	want := []string{"Persisted", "disk", "everything that the disk survives", "persisted", "Persisted", "disk"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r.stop(t)
}

func TestDirectRefusesToStart(t *testing.T) {
	for name, tc := range map[string]struct {
		before func(t *testing.T, cfg config.Config)
		want   string
	}{
		"beside another process": {func(t *testing.T, cfg config.Config) {
			start(t, config.RoleDirect, cfg)
		}, "another process runs on it"},
		"on what another journal has stored": {func(t *testing.T, cfg config.Config) {
			r := start(t, config.RoleDirect, cfg)
			if ok, answer := r.post([]string{`{"a":1}`}); !ok {
				t.Fatal(answer)
			}
			r.stop(t)
			if err := os.RemoveAll(cfg.JournalDir()); err != nil {
				t.Fatal(err)
			}
		}, "did not come from this journal"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := directConfig(t.TempDir())
			tc.before(t, cfg)
			cfg.Listen, cfg.AdminListen = freeAddress(t), freeAddress(t)
			err := Run(t.Context(), config.RoleDirect, cfg, "test", slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

// A record that comes alone is sealed by its age.
func TestDirectSealsByAge(t *testing.T) {
	cfg := directConfig(t.TempDir())
	cfg.Segment.MaxAgeSeconds = 1
	r := start(t, config.RoleDirect, cfg)
	if ok, answer := r.post([]string{`{"a":1}`}); !ok {
		t.Fatal(answer)
	}
	sealed := func() bool {
		names, err := filepath.Glob(filepath.Join(cfg.DataDir, "segments/*/*/*.ndjson"))
		return err == nil && len(names) == 1
	}
	eventually(t, "sealed", sealed)
	r.stop(t)
	if diff := cmp.Diff([]string{`{"a":1}`}, stored(t, cfg.DataDir, "logs")); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}
