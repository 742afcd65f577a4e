package ingester

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
)

func TestCheckAsksForBothTopics(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "logs"), kfake.SeedTopics(2, "letters"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cfg := config.Default()
	cfg.Kafka.BootstrapServers, cfg.Topic, cfg.DeadLetter.Topic = cluster.ListenAddrs(), "logs", "letters"
	var said bytes.Buffer
	if err := Check(t.Context(), cfg, &said); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"topic logs (id ", "topic letters (id "} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("%q isn't in\n%s", want, &said)
		}
	}
	nowhere := cfg
	nowhere.Kafka.BootstrapServers = []string{"127.0.0.1:1"}
	if err := Check(t.Context(), nowhere, &said); err == nil || strings.Contains(err.Error(), "(*Client)") || !strings.HasPrefix(err.Error(), "ask 127.0.0.1:1: ") {
		t.Errorf("without brokers: %v", err)
	}
	cfg.DeadLetter.Topic = "absent"
	if err := Check(t.Context(), cfg, &said); !errors.Is(err, kafka.UnknownTopic) || !strings.Contains(err.Error(), "absent") {
		t.Errorf("without the dead-letter topic: %v", err)
	}
}
