package ingester

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/segment"
	kafkago "github.com/segmentio/kafka-go"
)

// A running role, until stop.
type running struct {
	url    string // of POST /logs
	admin  string
	cancel context.CancelFunc
	done   chan error
	client *http.Client
}

func start(t *testing.T, role config.Role, cfg config.Config) *running {
	t.Helper()
	cfg.Listen, cfg.AdminListen = freeAddress(t), freeAddress(t)
	cfg.Drain = config.Drain{DelaySeconds: 0, TimeoutSeconds: 30}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r := &running{
		url: "http://" + cfg.Listen + "/logs", admin: "http://" + cfg.AdminListen,
		cancel: cancel, done: make(chan error, 1),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}},
	}
	go func() { r.done <- Run(ctx, role, cfg, "test", slog.New(slog.NewTextHandler(t.Output(), nil))) }()
	t.Cleanup(cancel)
	t.Cleanup(r.client.CloseIdleConnections)
	eventually(t, "ready", func() bool { return r.status(t, "/readyz") == http.StatusOK })
	return r
}

// stop is what SIGTERM does.
func (r *running) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	select {
	case err := <-r.done:
		if err != nil {
			t.Fatalf("stopped with %v, want a clean end", err)
		}
	case <-time.After(40 * time.Second):
		t.Fatal("did not stop within 40 s")
	}
}

func (r *running) status(t *testing.T, path string) int {
	response, err := r.client.Get(r.admin + path)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// post returns whether the lines were acknowledged. Anything but 200, or a
// connection that ended, means that they were not.
func (r *running) post(lines []string) (acknowledged bool, answer string) {
	response, err := r.client.Post(r.url, "application/x-ndjson", strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		return false, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	var receipt struct{ Records int }
	if response.StatusCode != http.StatusOK || err != nil || json.Unmarshal(body, &receipt) != nil || receipt.Records != len(lines) {
		return false, fmt.Sprintf("%d %s", response.StatusCode, body)
	}
	return true, string(body)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if check() {
			return
		}
	}
	t.Fatalf("not %s within 30 s", what)
}

// stored returns every stored line, sorted, once verify has proven them.
func stored(t *testing.T, dataDir, topic string) []string {
	t.Helper()
	report, err := segment.Verify(t.Context(), dataDir)
	if err != nil || !report.Complete {
		t.Fatalf("verify: %v, %+v", err, report)
	}
	var lines []string
	for line, err := range segment.Records(t.Context(), dataDir, topic, -1) {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(bytes.TrimSuffix(line.Bytes, []byte("\n"))))
	}
	if report.Records != int64(len(lines)) {
		t.Errorf("verify counts %d records, but there are %d lines", report.Records, len(lines))
	}
	slices.Sort(lines)
	return lines
}

func standalone(dataDir string) config.Config {
	cfg := config.DefaultFor(config.RoleStandalone)
	cfg.DataDir = dataDir
	return cfg
}

// Clients send as fast as they can while the process is told to stop: what
// was acknowledged is stored, once, and a second run goes on from there.
func TestStandaloneStoresWhatItAcknowledged(t *testing.T) {
	dataDir := t.TempDir()
	var acknowledged []string
	for round := range 2 {
		r := start(t, config.RoleStandalone, standalone(dataDir))
		var mu sync.Mutex
		var senders sync.WaitGroup
		enough := make(chan struct{})
		for sender := range 8 {
			senders.Go(func() {
				for n := 0; ; n++ {
					lines := make([]string, 1+n%7)
					for i := range lines {
						lines[i] = fmt.Sprintf(`{"round":%d,"sender":%d,"n":%d,"i":%d}`, round, sender, n, i)
					}
					ok, _ := r.post(lines)
					if !ok {
						return // stopping: an answer without an acknowledgement promises nothing
					}
					mu.Lock()
					acknowledged = append(acknowledged, lines...)
					if sender == 0 && n == 50 {
						close(enough)
					}
					mu.Unlock()
				}
			})
		}
		<-enough
		r.stop(t)
		senders.Wait()
	}
	slices.Sort(acknowledged)
	got := stored(t, dataDir, "logs")
	// A request whose answer was lost with its connection may be stored too,
	// so that only what was acknowledged is compared, and doubles are sought.
	if doubled := len(got) - len(slices.Compact(slices.Clone(got))); doubled != 0 {
		t.Errorf("%d records are stored twice", doubled)
	}
	missing := slices.DeleteFunc(slices.Clone(acknowledged), func(line string) bool {
		_, found := slices.BinarySearch(got, line)
		return found
	})
	if len(missing) != 0 {
		t.Errorf("%d of %d acknowledged records are not stored, such as %s", len(missing), len(acknowledged), missing[0])
	}
}

func TestReceiptSaysWhereTheRecordsAre(t *testing.T) {
	dataDir := t.TempDir()
	r := start(t, config.RoleStandalone, standalone(dataDir))
	ok, answer := r.post([]string{`{"a":1}`, `{"b":2}`, `{"c":3}`})
	if !ok {
		t.Fatal(answer)
	}
	var receipt struct {
		Acknowledgement string
		Placements      []struct {
			Topic                              string
			Partition, FirstOffset, LastOffset int
		}
	}
	if err := json.Unmarshal([]byte(answer), &receipt); err != nil {
		t.Fatal(err)
	}
	r.stop(t)
	if receipt.Acknowledgement != "Produced" || len(receipt.Placements) != 1 {
		t.Fatalf("receipt is %s, want one placement, Produced", answer)
	}
	p := receipt.Placements[0]
	var lines []string
	for line, err := range segment.Records(t.Context(), dataDir, p.Topic, int32(p.Partition)) {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line.Bytes))
	}
	want := []string{"{\"a\":1}\n", "{\"b\":2}\n", "{\"c\":3}\n"}
	if diff := cmp.Diff(want, lines[p.FirstOffset:p.LastOffset+1]); diff != "" {
		t.Errorf("records at the receipt's place (-want +got):\n%s", diff)
	}
}

func TestRunRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, change := range map[string]func(*config.Config){
		"an intake address that is taken": func(c *config.Config) { c.Listen = taken.Addr().String() },
		"an admin address that is taken":  func(c *config.Config) { c.AdminListen = taken.Addr().String() },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := standalone(t.TempDir())
			cfg.Listen, cfg.AdminListen = "127.0.0.1:0", "127.0.0.1:0"
			change(&cfg)
			err := Run(t.Context(), config.RoleStandalone, cfg, "test", slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), taken.Addr().String()) {
				t.Errorf("Run = %v, want an error that names %s", err, taken.Addr())
			}
		})
	}
}

// Kafka isn't there: the ingester is alive and ready, accepts nothing for
// good, and stops within its deadline.
func TestServeWithoutKafkaStopsInTime(t *testing.T) {
	cfg := config.Default()
	cfg.Topic = "logs"
	cfg.Kafka.BootstrapServers = []string{freeAddress(t)}
	cfg.Producer.DeliveryTimeoutSeconds = 1
	r := start(t, config.RoleServe, cfg)
	if ok, answer := r.post([]string{`{"a":1}`}); ok || !strings.HasPrefix(answer, "503 ") {
		t.Errorf("post without Kafka answered %q, want 503", answer)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if status := r.status(t, path); status != http.StatusOK {
			t.Errorf("%s is %d without Kafka, want 200", path, status)
		}
	}
	r.stop(t)
}

// serve and consume as two processes would run them, on the real broker.
func TestServeAndConsumeOnRealKafka(t *testing.T) {
	bootstrap := os.Getenv("KAFKA_BOOTSTRAP")
	if bootstrap == "" {
		t.Skip("KAFKA_BOOTSTRAP is not set")
	}
	cfg := config.Default()
	cfg.DataDir = t.TempDir()
	cfg.Topic = fmt.Sprintf("ingester-test-%d", time.Now().UnixNano())
	cfg.Kafka.BootstrapServers = []string{bootstrap}
	createTestTopic(t, cfg, 3)

	serve, consume := start(t, config.RoleServe, cfg), start(t, config.RoleConsume, cfg)
	var want []string
	for n := range 200 {
		lines := []string{fmt.Sprintf(`{"n":%d,"i":0}`, n), fmt.Sprintf(`{"n":%d,"i":1}`, n)}
		if ok, answer := serve.post(lines); !ok {
			t.Fatal(answer)
		}
		want = append(want, lines...)
		if n == 100 { // a consumer leaves, another takes its place
			consume.stop(t)
			consume = start(t, config.RoleConsume, cfg)
		}
	}
	serve.stop(t)
	eventually(t, "everything read", func() bool { return stillUnread(t, cfg) == 0 })
	consume.stop(t)
	slices.Sort(want)
	if diff := cmp.Diff(want, stored(t, cfg.DataDir, cfg.Topic)); diff != "" {
		t.Errorf("stored records (-want +got):\n%s", diff)
	}
}

func createTestTopic(t *testing.T, cfg config.Config, partitions int) {
	t.Helper()
	client := kafka.New(cfg.Kafka)
	defer client.Close()
	response, err := client.Admin().CreateTopics(t.Context(), &kafkago.CreateTopicsRequest{
		Topics: []kafkago.TopicConfig{{Topic: cfg.Topic, NumPartitions: partitions, ReplicationFactor: 1}},
	})
	if err == nil {
		err = response.Errors[cfg.Topic]
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client := kafka.New(cfg.Kafka)
		defer client.Close()
		_, err := client.Admin().DeleteTopics(context.WithoutCancel(t.Context()), &kafkago.DeleteTopicsRequest{Topics: []string{cfg.Topic}})
		if err != nil {
			t.Errorf("delete topic %s: %v", cfg.Topic, err)
		}
	})
}

// stillUnread is the number of records that no sealed segment holds.
func stillUnread(t *testing.T, cfg config.Config) int64 {
	t.Helper()
	client := kafka.New(cfg.Kafka, cfg.Topic)
	defer client.Close()
	ends, err := logEnds(t.Context(), client, cfg.Topic)
	if err != nil {
		t.Fatal(err)
	}
	report, err := segment.Verify(t.Context(), cfg.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	var left int64
	for _, end := range ends {
		left += end
	}
	return left - report.Records
}
