package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/logpipeline/logpipeline/bench/records"
)

func TestEveryRecordIsStoredOnce(t *testing.T) {
	const n, partitions = 500, 2
	for name := range designs {
		t.Run(name, func(t *testing.T) {
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, "logs"), kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}))
			if err != nil {
				t.Fatal(err)
			}
			defer cluster.Close()
			topic := records.Topic{Brokers: cluster.ListenAddrs()[0], Name: "logs", Partitions: partitions, Codec: "none", BatchRecords: 50}
			if _, err := topic.Fill(t.Context(), 1, n); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "logs.ndjson")
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ended := make(chan error, 1)
			go func() { ended <- run(ctx, []string{name, "--brokers", topic.Brokers, "--file", file}) }()
			var got [][]byte
			for deadline := time.Now().Add(time.Minute); len(got) < n && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
				content, _ := os.ReadFile(file)
				got = bytes.Split(bytes.TrimSuffix(content, []byte("\n")), []byte("\n"))
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			want := records.Lines(1, n)
			slices.SortFunc(got, bytes.Compare)
			slices.SortFunc(want, bytes.Compare)
			if !slices.EqualFunc(got, want, bytes.Equal) {
				t.Errorf("%d records are stored, and they are not the %d that were sent", len(got), n)
			}
		})
	}
}

func TestCalledWrongly(t *testing.T) {
	for _, arguments := range [][]string{nil, {"nothing"}, {"reader", "--speed", "high"}} {
		if err := run(t.Context(), arguments); err == nil {
			t.Errorf("consumers %q: no error", strings.Join(arguments, " "))
		}
	}
}
