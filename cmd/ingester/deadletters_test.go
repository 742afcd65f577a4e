package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/deadletter"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// callDeadLetters is call for this command alone.
func callDeadLetters(t *testing.T, arguments ...string) called {
	t.Helper()
	var stdout, stderr bytes.Buffer
	out := output{&stdout, &stderr}
	code := exitCode("dead-letters", deadLetters(t.Context(), arguments, out), out)
	return called{code, stdout.String(), stderr.String()}
}

// threeLetters puts into a folder one that is replayed unasked, one whose
// outcome is unknown, and one without a receipt.
func threeLetters(t *testing.T, dir string) {
	t.Helper()
	store, err := deadletter.Open(config.DeadLetter{MaxBytes: 1 << 20}, dir, nil, slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	letters := []record.DeadLetter{
		{Batch: "web-1.0192", Partition: 1, Acknowledged: true, Records: [][]byte{[]byte(`{"message":"first"}`), []byte(`{"n":2}`)}},
		{Batch: "web-1.0193", Partition: -1, Acknowledged: true, Unknown: true, Records: [][]byte{[]byte(`{"long":"` + strings.Repeat("x", 100) + `"}`)}},
		{Batch: "web-2.0194", Partition: 0, Records: [][]byte{[]byte(`{}`)}},
	}
	for i := range letters {
		d := &letters[i]
		d.Topic, d.Reason, d.Time = "logs", "no replicas", time.Date(2026, 3, 1, 12, 0, i, 0, time.UTC)
	}
	if errs := store.Put(t.Context(), letters); errs != nil {
		t.Fatal(errors.Join(errs...))
	}
}

func TestListDeadLetters(t *testing.T) {
	dir := t.TempDir()
	threeLetters(t, dir)
	file := write(t, "deadLetter: {dir: "+dir+"}\n")
	want := `GIVEN UP              BATCH       RECORDS  TO      IN THE TOPIC?  RECEIPT?  KEPT IN
2026-03-01T12:00:00Z  web-1.0192  2        logs/1  no             yes       folder
2026-03-01T12:00:01Z  web-1.0193  1        logs    perhaps        yes       folder
2026-03-01T12:00:02Z  web-2.0194  1        logs/0  no             no        folder

2026-03-01T12:00:00Z: no replicas
  web-1.0192: {"message":"first"}
  web-1.0193: {"long":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
  web-2.0194: {}

4 records in 3 letters are left; 0 were replayed
`
	if diff := cmp.Diff(called{0, want, ""}, callDeadLetters(t, "list", "--config", file), cmp.AllowUnexported(called{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var inventory struct {
		Letters []struct {
			Batch    string
			Pending  int
			InFolder bool
			Unknown  bool
		}
	}
	got := callDeadLetters(t, "list", "-o", "json", "--config", file)
	if err := json.Unmarshal([]byte(got.stdout), &inventory); err != nil || got.code != 0 {
		t.Fatalf("%v in %+v", err, got)
	}
	if len(inventory.Letters) != 3 || inventory.Letters[0].Pending != 2 || !inventory.Letters[1].Unknown || !inventory.Letters[1].InFolder {
		t.Errorf("got %+v", inventory)
	}
}

func TestReplayDeadLetters(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "logs"), kfake.SeedTopics(1, "letters"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	dir := t.TempDir()
	threeLetters(t, dir)
	file := write(t, fmt.Sprintf("topic: logs\ndeadLetter: {topic: letters, dir: %s}\nkafka: {bootstrapServers: [%q]}\n", dir, cluster.ListenAddrs()[0]))
	for _, tc := range []struct {
		arguments []string
		want      string
	}{
		{nil, `2 records were replayed into logs
1 were left: they may be in the topic already (--include-unknown replays them nevertheless)
1 were left: their client holds no receipt, and may have sent them again (--include-unacknowledged)
`},
		{[]string{"--include-unacknowledged", "--batch", "web-2.0194"}, `1 records were replayed into logs
1 were left: they are of another batch or topic
`},
		{[]string{"--include-unknown"}, "1 records were replayed into logs\n"},
		{[]string{"--include-unknown", "--include-unacknowledged"}, "0 records were replayed into logs\n"},
	} {
		got := callDeadLetters(t, append([]string{"replay", "--config", file}, tc.arguments...)...)
		if diff := cmp.Diff(called{0, tc.want, ""}, got, cmp.AllowUnexported(called{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tc.arguments, diff)
		}
	}
	if got := callDeadLetters(t, "list", "--config", file); got.code != 0 || !strings.Contains(got.stdout, "0 records in 0 letters are left") {
		t.Errorf("afterwards: %+v", got)
	}
}

// What consumers have set aside is listed, each once, and left by a replay.
func TestListWhatCouldNotBeStored(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "logs", "letters"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	servers := cluster.ListenAddrs()
	put := func(identity, content, part, next, value string) {
		t.Helper()
		var headers []record.Header
		for _, h := range [][2]string{
			{record.HeaderUndecodable, identity}, {record.HeaderUndecodableContent, content}, {record.HeaderUndecodablePart, part},
			{record.HeaderUndecodableNextOffset, next}, {record.HeaderUndecodableReason, "the " + content + " is\x1b[2J none"},
			{record.HeaderUndecodableTime, "2026-03-01T12:00:00.5Z"}, {"own", "header"},
		} {
			headers = append(headers, record.Header{Key: h[0], Value: []byte(h[1])})
		}
		client := kafka.New(config.Kafka{BootstrapServers: servers, ClientID: "test"}, "letters")
		defer client.Close()
		var b kafka.BatchBuilder
		b.Append(time.Now().UnixMilli(), []byte(identity), []byte(value), headers)
		if _, err := client.Produce(t.Context(), &kafka.ProduceRequest{Topic: "letters", Batch: b.Seal(kafka.NoProducer, -1), Timeout: 5 * time.Second}); err != nil {
			t.Fatal(err)
		}
	}
	put("logs/0/30", "batch", "1/2", "33", "12345")
	put("logs/0/30", "batch", "1/2", "33", "12345") // once more, around a crash
	put("logs/0/30", "batch", "2/2", "33", "678")
	put("logs/0/7", "record", "1/1", "8", "")
	put("logs/zero/7", "record", "1/1", "8", "")
	file := write(t, fmt.Sprintf("topic: logs\ndeadLetter: {topic: letters, dir: %s}\nkafka: {bootstrapServers: [%q]}\n", t.TempDir(), servers[0]))
	want := `
0 records in 0 letters are left; 0 were replayed

2 records or record batches could not be stored and are kept in the topic; they are never replayed:
GIVEN UP              FROM    OFFSET  WHAT    BYTES  REASON
2026-03-01T12:00:00Z  logs/0  7       record  0      the record is�[2J none
2026-03-01T12:00:00Z  logs/0  30-32   batch   8      the batch is�[2J none
1 records of the topic are no dead letters of ours
`
	if diff := cmp.Diff(called{0, want, ""}, callDeadLetters(t, "list", "--config", file), cmp.AllowUnexported(called{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var inventory struct{ Undecodable []deadletter.Undecodable }
	got := callDeadLetters(t, "list", "-o", "json", "--config", file)
	if err := json.Unmarshal([]byte(got.stdout), &inventory); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 5e8, time.UTC)
	all := []deadletter.Undecodable{
		{Topic: "logs", Offset: 7, NextOffset: 8, Content: "record", Reason: "the record is\x1b[2J none", Time: at},
		{Topic: "logs", Offset: 30, NextOffset: 33, Content: "batch", Reason: "the batch is\x1b[2J none", Time: at, Bytes: 8},
	}
	if diff := cmp.Diff(all, inventory.Undecodable, cmpopts.IgnoreUnexported(deadletter.Undecodable{})); diff != "" {
		t.Errorf("as JSON (-want +got):\n%s", diff)
	}
	if got := callDeadLetters(t, "replay", "--config", file, "--include-unknown", "--include-unacknowledged"); got.stdout != "0 records were replayed into logs\n" {
		t.Errorf("replay: %+v", got)
	}
}

// noteEmbeddedKafka writes what a standalone writes.
func noteEmbeddedKafka(t *testing.T, dataDir, address string) {
	t.Helper()
	file := config.Config{DataDir: dataDir}.EmbeddedKafkaFile()
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(address+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// The embedded Kafka of a standalone has another port at each start.
func TestReplayDeadLettersOfAStandalone(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "logs"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	dir := t.TempDir()
	noteEmbeddedKafka(t, dir, cluster.ListenAddrs()[0])
	threeLetters(t, filepath.Join(dir, "dead-letters"))
	for _, step := range []struct {
		arguments []string
		want      string
	}{
		{[]string{"list", "--data-dir", dir}, "4 records in 3 letters are left; 0 were replayed"},
		{[]string{"replay", "--data-dir", dir}, "2 records were replayed into logs\n"},
		{[]string{"list", "--config", write(t, "dataDir: "+dir+"\n")}, "2 records in 2 letters are left"},
		{[]string{"replay", "--config", write(t, "dataDir: "+dir+"\n"), "--include-unknown"}, "1 records were replayed into logs\n"},
	} {
		if got := callDeadLetters(t, step.arguments...); got.code != 0 || !strings.Contains(got.stdout, step.want) {
			t.Errorf("%q: %+v, want %q", step.arguments, got, step.want)
		}
	}
}

func TestDeadLettersCalledWrongly(t *testing.T) {
	withTopic := write(t, "deadLetter: {topic: letters}\n")
	nobody := write(t, "topic: logs\nkafka: {bootstrapServers: [\"127.0.0.1:1\"]}\ndeadLetter: {topic: letters, dir: "+t.TempDir()+"}\n")
	empty, ended := t.TempDir(), t.TempDir()
	noteEmbeddedKafka(t, ended, "127.0.0.1:1")
	for name, tc := range map[string]struct {
		arguments []string
		code      int
		said      string
	}{
		"no verb":                     {nil, 2, "choose list or replay"},
		"a verb that isn't one":       {[]string{"delete"}, 2, `there is no "delete": choose list or replay`},
		"a format that isn't one":     {[]string{"list", "-o", "yaml", "--config", nobody}, 2, `-o is "yaml": choose text or json`},
		"replay without brokers":      {[]string{"replay"}, 2, "no brokers or no topic: give --config, or the --data-dir of an ingester standalone that runs"},
		"replay where none has run":   {[]string{"replay", "--data-dir", empty}, 2, "no brokers or no topic"},
		"a directory that isn't one":  {[]string{"list", "--data-dir", filepath.Join(empty, "nothing")}, 2, "no such file or directory"},
		"a standalone that has ended": {[]string{"replay", "--data-dir", ended}, 1, "no answer from Kafka"},
		"list without --config":       {[]string{"list"}, 2, "neither topic nor folder to look into: give --config"},
		"a topic without brokers":     {[]string{"list", "--config", withTopic}, 2, "there are no brokers to ask for it"},
		"brokers that don't answer":   {[]string{"list", "--config", nobody}, 1, "no answer from Kafka"},
		"replay, and nobody answers":  {[]string{"replay", "--config", nobody}, 1, "no answer from Kafka"},
		"an argument after the flags": {[]string{"list", "all"}, 2, `unexpected argument "all"`},
	} {
		if got := callDeadLetters(t, tc.arguments...); got.code != tc.code || !strings.Contains(got.stderr, tc.said) {
			t.Errorf("%s: %+v, want code %d and %q", name, got, tc.code, tc.said)
		}
	}
	for _, arguments := range [][]string{{"--help"}, {"list", "--help"}, {"replay", "-h"}} {
		if got := callDeadLetters(t, arguments...); got.code != 0 || !strings.Contains(got.stdout, "Usage: ingester dead-letters") {
			t.Errorf("%q: %+v", arguments, got)
		}
	}
}
