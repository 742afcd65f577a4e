package main

import (
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
)

func TestCounterSeesEveryRequestAndHidesTheBroker(t *testing.T) {
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "logs"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	c, err := startCounter(fake.ListenAddrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	transport := &kafka.Transport{}
	client := kafka.Client{Addr: kafka.TCP(c.address()), Transport: transport, Timeout: 30 * time.Second}
	metadata, err := client.Metadata(t.Context(), &kafka.MetadataRequest{Topics: []string{"logs"}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := advertisedBy(metadata), c.address(); got != want {
		t.Errorf("the broker is named %s, want %s", got, want)
	}
	before := c.requests.Load()
	if _, err := client.ListOffsets(t.Context(), &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{"logs": {kafka.LastOffsetOf(0)}}}); err != nil {
		t.Fatal(err)
	}
	if c.requests.Load() == before || c.open.Load() == 0 {
		t.Errorf("after another request: %d requests, was %d; %d connections", c.requests.Load(), before, c.open.Load())
	}
	transport.CloseIdleConnections()
	if err := c.stop(); err != nil || c.open.Load() != 0 {
		t.Errorf("stop: %v, %d connections are open", err, c.open.Load())
	}
}

func advertisedBy(m *kafka.MetadataResponse) string {
	return net.JoinHostPort(m.Brokers[0].Host, strconv.Itoa(m.Brokers[0].Port))
}
