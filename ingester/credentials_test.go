package ingester

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/logpipeline/logpipeline/ingester/config"
)

// While Kafka is away its user is replaced, and the old one is unknown when it
// is back: what was acknowledged before, meanwhile and afterwards is there.
func TestCredentialsReplacedWhileKafkaIsAway(t *testing.T) {
	dir, address := t.TempDir(), freeAddress(t)
	cfg := config.Default()
	cfg.DataDir = t.TempDir()
	cfg.Topic = "logs"
	cfg.Acknowledge = config.AcknowledgeQueued
	cfg.Listen, cfg.AdminListen = freeAddress(t), freeAddress(t)
	cfg.Drain = config.Drain{TimeoutSeconds: 40}
	cfg.Kafka.BootstrapServers = []string{address}
	cfg.Kafka.SASL = config.KafkaSASL{Mechanism: config.SASLPlain, UsernameFile: filepath.Join(dir, "username"), PasswordFile: filepath.Join(dir, "password")}
	as := func(user string) {
		writeFiles(t, dir, map[string]string{"username": user, "password": user + "-secret"})
	}
	data := t.TempDir()

	before := kafkaOf(t, address, data, "before")
	as("before")
	p := launch(t, cfg)
	l := startLoad(t, "c", p.url(), 2)
	l.awaitMore(t, 500)
	before.Close()
	as("after")
	eventually(t, "trying the new user in vain", func() bool { return !strings.Contains(metricsAt(t, p), failures+" 0\n") })
	l.awaitMore(t, 500)
	after := kafkaOf(t, address, data, "after")
	defer after.Close()
	l.awaitMore(t, 500)
	l.stop()
	if err := p.stop(t, time.Minute); err != nil {
		t.Errorf("stopped with %v", err)
	}
	readLog(t, cfg).check(t, deadLetters{}, l)
}

const failures = `logpipeline_ingester_mounted_reload_failures_total{files="kafka"}`

func metricsAt(t *testing.T, p *subprocess) string {
	t.Helper()
	response, err := http.Get("http://" + p.cfg.AdminListen + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || !strings.Contains(string(body), failures) {
		t.Fatalf("%v, in %s", err, body)
	}
	return string(body)
}

// kafkaOf starts a Kafka that knows one user, with what is in data of the topics.
func kafkaOf(t *testing.T, address, data, user string) *kfake.Cluster {
	t.Helper()
	_, portText, _ := net.SplitHostPort(address)
	port, err := strconv.Atoi(portText)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(data, "sasl.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(port), kfake.DataDir(data), kfake.SeedTopics(1, "logs"),
		kfake.EnableSASL(), kfake.Superuser("PLAIN", user, user+"-secret"))
	if err != nil {
		t.Fatal(err)
	}
	return cluster
}
