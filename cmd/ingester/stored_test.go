package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
	"github.com/logpipeline/logpipeline/ingester/segment"
)

// topicOf makes a topic "logs" whose one partition holds the values, some of
// them nil, and returns a configuration that names it.
func topicOf(t *testing.T, values ...[]byte) (file string, topic kafka.Topic) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "logs"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	var messages []kafkago.Message
	for i, value := range values {
		messages = append(messages, kafkago.Message{Value: value, Time: time.UnixMilli(int64(1000 + i))})
	}
	writer := &kafkago.Writer{Addr: kafkago.TCP(cluster.ListenAddrs()...), Topic: "logs", BatchSize: 3, BatchTimeout: time.Millisecond, RequiredAcks: kafkago.RequireAll}
	if err := writer.WriteMessages(t.Context(), messages...); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	client := kafka.New(config.Kafka{BootstrapServers: cluster.ListenAddrs()}, "logs")
	defer client.Close()
	if topic, err = client.Topic(t.Context(), "logs"); err != nil {
		t.Fatal(err)
	}
	return write(t, fmt.Sprintf("topic: logs\nkafka: {bootstrapServers: [%q]}\n", cluster.ListenAddrs()[0])), topic
}

func TestRestore(t *testing.T) {
	values := make([][]byte, 10)
	for i := range values {
		values[i] = fmt.Appendf(nil, `{"n":%d}`, i)
	}
	values[4], values[6] = nil, []byte("{\n}")
	file, topic := topicOf(t, values...)
	dir := filepath.Join(t.TempDir(), "again")
	got := call(t, "restore", "--config", file, "--partition", "0", "--from", "2", "--until", "9", "--to", dir)
	said := "logs/0: offsets 2 to 8: 5 records, 40 bytes in " + filepath.Join(dir, "logs-0-00000000000000000002.ndjson") + "; 2 records skipped, because they cannot be lines\n"
	if diff := cmp.Diff(called{0, said, ""}, got, cmp.AllowUnexported(called{})); diff != "" {
		t.Fatal(diff)
	}
	lines, err := os.ReadFile(filepath.Join(dir, "logs-0-00000000000000000002.ndjson"))
	if want := "{\"n\":2}\n{\"n\":3}\n{\"n\":5}\n{\"n\":7}\n{\"n\":8}\n"; err != nil || string(lines) != want {
		t.Errorf("error %v, lines %q, want %q", err, lines, want)
	}
	document, err := os.ReadFile(filepath.Join(dir, "logs-0-00000000000000000002.manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m manifest
	if err := json.Unmarshal(document, &m); err != nil {
		t.Fatal(err)
	}
	want := manifest{
		Version: 1, ClusterID: topic.ClusterID, Topic: "logs", TopicID: topic.ID, FirstOffset: 2, NextOffset: 9,
		File: "logs-0-00000000000000000002.ndjson", Records: 5, Bytes: 40, FirstTimestamp: 1002, LastTimestamp: 1008,
		Skipped: []skipped{{4, "is null"}, {6, "contains a line break"}},
	}
	if diff := cmp.Diff(want, m, cmpopts.IgnoreFields(manifest{}, "Checksum")); diff != "" {
		t.Errorf("manifest (-want +got):\n%s", diff)
	}
	if got := call(t, "restore", "--config", file, "--partition", "0", "--from", "0", "--to", dir); got.code != 0 || !strings.Contains(got.stdout, "offsets 0 to 9: 8 records") {
		t.Errorf("up to the log's end: %+v", got)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.partial")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestRestoreRefuses(t *testing.T) {
	file, _ := topicOf(t, []byte("{}"), []byte("{}"))
	done, store := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(store, "chain"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := call(t, "restore", "--config", file, "--partition", "0", "--from", "0", "--to", done); got.code != 0 {
		t.Fatal(got)
	}
	for name, tc := range map[string]struct {
		arguments []string
		code      int
		said      string
	}{
		"without brokers":         {[]string{"--partition", "0", "--from", "0", "--to", done}, 2, "no brokers or no topic"},
		"without an offset":       {[]string{"--config", file, "--partition", "0", "--to", done}, 2, "give --partition, --from and --to"},
		"an end before the start": {[]string{"--config", file, "--partition", "0", "--from", "1", "--until", "1", "--to", done}, 2, "give an offset after --from"},
		"beyond the log":          {[]string{"--config", file, "--partition", "0", "--from", "1", "--until", "5", "--to", done}, 1, "begins at offset 0 and ends before 2"},
		"a second time":           {[]string{"--config", file, "--partition", "0", "--from", "0", "--to", done}, 1, "is there already"},
		"into a data directory":   {[]string{"--config", file, "--partition", "0", "--from", "0", "--to", store}, 1, "holds a chain"},
	} {
		t.Run(name, func(t *testing.T) {
			got := call(t, append([]string{"restore"}, tc.arguments...)...)
			if got.code != tc.code || !strings.Contains(got.stderr, tc.said) {
				t.Errorf("%+v, want code %d and %q", got, tc.code, tc.said)
			}
		})
	}
}

// storeOf seals n records of the topic, from offset 0 on, in one segment.
func storeOf(t *testing.T, topicID string, n int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	store, err := segment.OpenDirectory(dir, config.Default().Segment, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	chain, err := store.Open(t.Context(), "logs", topicID, 0, func(context.Context) (int64, error) { return 0, nil })
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).UnixMilli()
	span := record.Span{NextOffset: int64(n), Records: int64(n), FirstTimestamp: at, LastTimestamp: at}
	if err := chain.Append(bytes.Repeat([]byte("{}\n"), n), span); err != nil {
		t.Fatal(err)
	}
	if sealed, err := chain.Seal(t.Context()); err != nil || !sealed {
		t.Fatal(sealed, err)
	}
	return dir
}

func TestResumeWithAGap(t *testing.T) {
	file, topic := topicOf(t, []byte("{}"), []byte("{}"), []byte("{}"), []byte("{}"))
	dir := storeOf(t, topic.ID, 2)
	other := storeOf(t, "of-another-incarnation", 2)
	resume := func(arguments ...string) called {
		return call(t, append([]string{"chain", "resume", "--partition", "0"}, arguments...)...)
	}
	for name, tc := range map[string]struct {
		arguments []string
		code      int
		said      string
	}{
		"without the word":         {[]string{"--topic", "logs", "--to", "3", "--data-dir", dir}, 2, "--record-gap is missing"},
		"without a topic":          {[]string{"--record-gap", "--to", "3", "--data-dir", dir}, 2, "no topic or no partition"},
		"without an offset":        {[]string{"--record-gap", "--topic", "logs", "--data-dir", dir}, 2, "no offset: give --to, or a --config"},
		"nothing is lost":          {[]string{"--record-gap", "--config", file, "--data-dir", dir}, 1, "nothing is lost: the chain ends before offset 2, and Kafka's log begins at offset 0"},
		"Kafka has the records":    {[]string{"--record-gap", "--config", file, "--to", "3", "--data-dir", dir}, 1, "kafka still has the offsets 2 to 2 of that gap: --force gives them up"},
		"behind the chain's end":   {[]string{"--record-gap", "--topic", "logs", "--to", "1", "--data-dir", dir}, 1, "--to is 1, but the chain ends before offset 2"},
		"beyond the log":           {[]string{"--record-gap", "--config", file, "--to", "9", "--force", "--data-dir", dir}, 1, "Kafka's log ends before offset 4"},
		"another incarnation":      {[]string{"--record-gap", "--config", file, "--to", "3", "--force", "--data-dir", other}, 1, "use another data directory"},
		"a topic that isn't there": {[]string{"--record-gap", "--topic", "others", "--to", "3", "--data-dir", dir}, 1, "has no chain"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := resume(tc.arguments...); got.code != tc.code || !strings.Contains(got.stderr, tc.said) {
				t.Errorf("%+v, want code %d and %q", got, tc.code, tc.said)
			}
		})
	}
	want := "logs/0: recorded that offsets 2 to 2 are not stored; the chain goes on at offset 3\n"
	if got := resume("--record-gap", "--config", file, "--to", "3", "--force", "--reason", "the batch is corrupt", "--data-dir", dir); got.code != 0 || got.stdout != want {
		t.Errorf("by force: %+v", got)
	}
	want = "logs/0: recorded that offsets 3 to 99 are not stored; the chain goes on at offset 100\n"
	if got := resume("--record-gap", "--topic", "logs", "--to", "100", "--data-dir", dir); got.code != 0 || got.stdout != want {
		t.Errorf("without brokers: %+v", got)
	}
	if got := call(t, "verify", "--data-dir", dir); got.code != 0 || !strings.Contains(got.stdout, "complete but for 98 offsets in recorded gaps: 2 records") || !strings.Contains(got.stdout, ": the batch is corrupt\n") {
		t.Errorf("verify: %+v", got)
	}
	if got := call(t, "verify", "--data-dir", dir, "--no-gaps"); got.code != 1 || !strings.Contains(got.stdout, "NOT PROVEN COMPLETE: 2 problems") {
		t.Errorf("verify --no-gaps: %+v", got)
	}
}

func TestShowChains(t *testing.T) {
	dir := storeOf(t, "an-id", 2)
	if got := call(t, "chain", "show", "--data-dir", dir); got.code != 0 || !strings.Contains(got.stdout, "logs/0, topic id an-id\n  begins at         0; data from 0, links from 0\n  ends before       2\n") {
		t.Errorf("text: %+v", got)
	}
	got := call(t, "chain", "show", "--data-dir", dir, "--topic", "logs", "--partition", "0", "-o", "json")
	var states []segment.ChainState
	if err := json.Unmarshal([]byte(got.stdout), &states); err != nil || got.code != 0 || len(states) != 1 || states[0].NextOffset != 2 {
		t.Errorf("json: error %v, %+v", err, got)
	}
	if got := call(t, "chain", "show", "--data-dir", dir, "--topic", "others"); got.code != 1 || !strings.Contains(got.stderr, "there is no topic others in "+dir+"; there are: logs\n") {
		t.Errorf("another topic: %+v", got)
	}
	if got := call(t, "cat", "--data-dir", dir, "--topic", "others"); got.code != 1 || !strings.Contains(got.stderr, "there is no topic others in "+dir+"; there are: logs\n") {
		t.Errorf("records of another topic: %+v", got)
	}
	empty := t.TempDir()
	if got := call(t, "cat", "--data-dir", empty, "--topic", "logs"); got.code != 1 || !strings.Contains(got.stderr, "there is no topic logs in "+empty+": nothing is stored there\n") {
		t.Errorf("records of nothing: %+v", got)
	}
	if got := call(t, "chain", "--help"); got.code != 0 || !strings.HasPrefix(got.stdout, "Usage: ingester chain VERB [FLAGS]\n") || !strings.Contains(got.stdout, "\n  show     print where") {
		t.Errorf("help: %+v", got)
	}
	if got := call(t, "chain", "look"); got.code != 2 || !strings.Contains(got.stderr, "choose show or resume") {
		t.Errorf("another verb: %+v", got)
	}
}

func TestOneStoreIsNamedWell(t *testing.T) {
	const both = "--data-dir and --object-store name two stores: give one of them"
	for _, command := range [][]string{{"verify"}, {"cat"}, {"chain", "show"}, {"chain", "resume"}, {"aggregate"}} {
		for want, arguments := range map[string][]string{
			both:                       {"--data-dir", "d", "--object-store", "s3://bucket"},
			both + " ":                 {"--object-store", "s3://bucket", "--data-dir", "d"},
			"write s3://bucket/prefix": {"--object-store", "s3//bucket"},
		} {
			if got := call(t, append(command, arguments...)...); got.code != 2 || !strings.Contains(got.stderr, want) {
				t.Errorf("%q %q: %+v, want code 2 and %q", command, arguments, got, want)
			}
		}
	}
}

func TestVerifyARangeAndFixOrphans(t *testing.T) {
	dir := storeOf(t, "an-id", 2)
	orphan := filepath.Join(dir, "segments/dt=2026-11-23/hour=12/logs-0-00000000000000000001.ndjson")
	if err := os.WriteFile(orphan, []byte("{}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		arguments []string
		code      int
		said      string
	}{
		"a time that is none":     {[]string{"--from", "yesterday"}, 2, "give a date, or a time as in 2026-11-23T12:00:00Z"},
		"an end before the start": {[]string{"--from", "2026-11-23", "--to", "2026-11-23"}, 2, "is not before --to"},
		"orphans of a range":      {[]string{"--from", "2026-11-23", "--fix-orphans"}, 2, "leave --from and --to out"},
		"the day of the orphan":   {[]string{"--from", "2026-11-23", "--to", "2026-11-24"}, 1, "no link names it"},
		"another day":             {[]string{"--from", "2026-11-24T00:00:00+01:00"}, 0, "complete: 2 records in 1 segments of 1 chains, 6 bytes; of all segments the links were checked, and the data of 0\n"},
		"the whole store":         {nil, 1, "no link names it"},
	} {
		t.Run(name, func(t *testing.T) {
			got := call(t, append([]string{"verify", "--data-dir", dir}, tc.arguments...)...)
			if got.code != tc.code || !strings.Contains(got.stdout+got.stderr, tc.said) {
				t.Errorf("%+v, want code %d and %q", got, tc.code, tc.said)
			}
		})
	}
	if got := call(t, "verify", "--data-dir", dir, "--fix-orphans"); got.code != 0 || !strings.HasPrefix(got.stdout, "logs/0: ") || !strings.Contains(got.stdout, "\nremoved: segments/dt=") {
		t.Errorf("fix: %+v", got)
	}
	if _, err := os.Stat(orphan); !os.IsNotExist(err) {
		t.Errorf("the orphan: %v", err)
	}
}
