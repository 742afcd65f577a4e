package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMeasure measures baselines for a moment: every figure must be there, and
// the counts must agree.
func TestMeasure(t *testing.T) {
	b := newBench(t, "discard", "baseline")
	closed, fixed := scenario{name: "closed", connections: 2}, scenario{name: "fixed", connections: 8, rate: 100}
	for _, p := range []pair{
		{baseline("file", inFile, false, "none"), closed},
		{baseline("handler", inKafka, false, "snappy"), closed},
		{baseline("handler", inKafka, false, "none"), fixed},
		{baseline("channel", inMemory, false, "none"), fixed},
	} {
		t.Run(p.contender.name+" "+p.scenario.name, func(t *testing.T) {
			r, err := b.measure(t.Context(), p.contender, p.scenario)
			if err != nil {
				t.Fatal(err)
			}
			if !r.countsAgree() || r.AcknowledgedRecords == 0 || r.FailedRequests != 0 || r.RecordsPerSecond <= 0 ||
				r.RecordsPerCPUSecond <= 0 || r.P50Milliseconds <= 0 || r.P999Milliseconds < r.P50Milliseconds || r.ResidentPeakMiB <= 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A contender that takes more than it delivers must show.
func TestMeasureStopsWhatGrowsTooLarge(t *testing.T) {
	b := newBench(t, "discard", "baseline")
	b.duration, b.maxResident, b.drain = time.Minute, 96<<20, time.Millisecond
	r, err := b.measure(t.Context(), baseline("channel", inMemory, false, "none"), scenario{name: "closed", connections: 8})
	if err != nil {
		t.Fatal(err)
	}
	if !r.StoppedForMemory || r.ResidentPeakMiB < 96 || !strings.Contains(r.counts(), "behind") {
		t.Errorf("%+v", r)
	}
}

func TestAContenderThatDoesNotStart(t *testing.T) {
	b := newBench(t, "discard", "baseline")
	_, err := b.measure(t.Context(), baseline("none such", inKafka, false, "none"), scenario{connections: 1})
	if err == nil || !strings.Contains(err.Error(), "ended before it listened") {
		t.Errorf("error is %v", err)
	}
}

func newBench(t *testing.T, programs ...string) *bench {
	t.Helper()
	b := &bench{binaries: t.TempDir(), scratch: t.TempDir(), warmUp: 100 * time.Millisecond, duration: 500 * time.Millisecond, drain: 30 * time.Second, maxResident: 1 << 30}
	for _, program := range programs {
		build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(b.binaries, program), "../"+program)
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			t.Fatalf("build %s: %v", program, err)
		}
	}
	return b
}

func TestRender(t *testing.T) {
	s := setting{Dir: t.TempDir(), Listen: "127.0.0.1:1", Admin: "127.0.0.1:2", Broker: "127.0.0.1:3", Topic: "logs", Codec: "snappy", Queued: true, Checked: true}
	s.Config = filepath.Join(s.Dir, "config")
	for name, want := range map[string]string{
		"ingester.yaml": "acknowledge: Queued\nproducer: {compression: snappy}\n",
		"bento.yaml":    `compression: "snappy"`,
		"otelcol.yaml":  "queue_size: 20000",
	} {
		if err := render(name, s); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(s.Config)
		if err != nil || !strings.Contains(string(content), want) {
			t.Errorf("%s: %v\n%s\nlacks %q", name, err, content, want)
		}
	}
}

func TestMetric(t *testing.T) {
	page := []byte("# TYPE a_total counter\na_total_other 7\na_total 1.5e+06\n")
	if got, err := metric(page, "a_total"); got != 1_500_000 || err != nil {
		t.Errorf("%d, %v", got, err)
	}
	if got, err := metric(page, "b_total"); err == nil {
		t.Errorf("of a metric that isn't there: %d", got)
	}
}
