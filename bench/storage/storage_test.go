package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/logpipeline/logpipeline/bench/broker"
)

const testRecords = 20_000

// TestMeasure measures ours and a baseline for a moment: every figure must be
// there, and the counts must agree.
func TestMeasure(t *testing.T) {
	b := newBench(t, "../consumers", "../../cmd/ingester")
	chosen := []contender{consumers("kafka-go Reader", "reader"), ingester(topicLZ4, "zstd")}
	fill(t, b, chosen)
	results, failures := b.measureAll(t.Context(), chosen)
	if len(results) != len(chosen) {
		t.Fatalf("%d results: %v", len(results), failures)
	}
	for _, r := range results {
		if !r.exact() || r.Records != testRecords || r.RecordsPerCPUSecond <= 0 || r.WallSeconds <= 0 || r.ResidentPeakMiB <= 0 {
			t.Errorf("%+v", r)
		}
	}
}

// A contender that does not store all must show, and must not be waited for.
func TestMeasureShowsWhatIsLost(t *testing.T) {
	b := newBench(t, "../consumers")
	chosen := []contender{consumers("kafka-go Reader", "reader")}
	fill(t, b, chosen)
	b.records, b.patience = testRecords+3, 5*time.Second
	r, err := b.measure(t.Context(), chosen[0])
	if err != nil || r.count() != "3 LOST" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestAContenderThatEnds(t *testing.T) {
	b := newBench(t, "../consumers")
	b.topics = map[string]*broker.Broker{topicNone: {Topic: "logs"}}
	if _, err := b.measure(t.Context(), consumers("none such", "none such")); err == nil || !strings.Contains(err.Error(), "had ended") {
		t.Errorf("error is %v", err)
	}
	if _, err := b.measure(t.Context(), contender{topic: topicNone, program: "none-such", arguments: func(setting) []string { return nil }}); err == nil {
		t.Error("no error for a program that isn't there")
	}
}

// newBench uses the real broker that KAFKA_BOOTSTRAP names, else one in this
// process.
func newBench(t *testing.T, programs ...string) *bench {
	t.Helper()
	b := &bench{binaries: t.TempDir(), scratch: t.TempDir(), kafka: os.Getenv("KAFKA_BOOTSTRAP"), records: testRecords, patience: time.Minute}
	if b.kafka == "" {
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cluster.Close)
		b.kafka = cluster.ListenAddrs()[0]
	}
	for _, program := range programs {
		build := exec.CommandContext(t.Context(), "go", "build", "-o", b.binaries+"/", "./"+program)
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			t.Fatalf("build %s: %v", program, err)
		}
	}
	return b
}

// fill makes the topics, which go with the test.
func fill(t *testing.T, b *bench, chosen []contender) {
	t.Helper()
	t.Cleanup(func() {
		if err := b.deleteTopics(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if err := b.fillTopics(t.Context(), chosen); err != nil {
		t.Fatal(err)
	}
}

func TestRender(t *testing.T) {
	b := &bench{scratch: t.TempDir(), kafka: "127.0.0.1:3", topics: map[string]*broker.Broker{topicNone: {Topic: "logs"}, topicLZ4: {Topic: "logs-lz4"}}}
	for _, c := range contenders() {
		if c.config == "" {
			continue
		}
		s, err := b.newSetting(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := render(c.config, s); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(s.Config)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"127.0.0.1:3"`, `"` + b.topics[c.topic].Topic + `"`, s.Group, filepath.Dir(c.output(s))} {
			if !strings.Contains(string(content), want) {
				t.Errorf("%s:\n%s\nlacks %q", c.config, content, want)
			}
		}
	}
}
