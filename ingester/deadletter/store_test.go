package deadletter

import (
	"bytes"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// That the topic doesn't exist is told at the start, not with the first letter.
func TestMissingTopicIsToldAtOnce(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, c cluster) {
		for _, exists := range []bool{true, false} {
			if !exists {
				c.letters = "test.absent"
			}
			s, _ := c.open(t, t.TempDir(), 1<<20)
			var log bytes.Buffer
			s.logger = slog.New(slog.NewTextHandler(&log, nil))
			if !s.lookForTopic(t.Context()) {
				t.Error("the brokers did not answer")
			}
			if told := strings.Contains(log.String(), "deadLetter.topic doesn't exist"); told == exists {
				t.Errorf("the topic exists: %t, and the log is %q", exists, &log)
			}
		}
	})
}

func TestPutIntoTheTopic(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, c cluster) {
		dir := t.TempDir()
		s, reg := c.open(t, dir, 1<<20)
		d := c.newLetter("web-1.0192", 7, 2)
		d.Unknown = true
		put(t, s, d)
		var headers []string
		for _, index := range []string{"7", "8"} {
			headers = append(headers, "logpipeline-dead-letter=web-1.0192/"+index+";logpipeline-dead-letter-part=7+2;logpipeline-dead-letter-reason=[19] no replicas;"+
				"logpipeline-dead-letter-topic="+c.logs+";logpipeline-dead-letter-partition=1;logpipeline-dead-letter-received=2026-03-01T11:59:00Z;"+
				"logpipeline-dead-letter-time=2026-03-01T12:00:00Z;logpipeline-dead-letter-unknown=true;logpipeline-dead-letter-acknowledged=true;tenant=blue;")
		}
		got := c.log(t, c.letters)
		for i := range got {
			got[i].Partition, got[i].Timestamp = 0, 0
		}
		want := []logged{
			{Key: "web-1.0192/7", Value: `{"batch":"web-1.0192","record":7}`, Headers: headers[0]},
			{Key: "web-1.0192/8", Value: `{"batch":"web-1.0192","record":8}`, Headers: headers[1]},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if sizeOf(t, dir) != 0 {
			t.Error("it is in the folder, too")
		}
		if err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP logpipeline_deadletter_records_total Records that were kept as dead letters: in the topic, or in the folder; definitely not delivered, or with their outcome unknown.
# TYPE logpipeline_deadletter_records_total counter
logpipeline_deadletter_records_total{place="folder",reason="not-delivered"} 0
logpipeline_deadletter_records_total{place="folder",reason="unknown"} 0
logpipeline_deadletter_records_total{place="topic",reason="not-delivered"} 0
logpipeline_deadletter_records_total{place="topic",reason="unknown"} 2
`), "logpipeline_deadletter_records_total"); err != nil {
			t.Error(err)
		}
	})
}

// While the topic takes nothing, letters go to the folder, and from there to
// the topic as soon as it does.
func TestLettersOfTheFolderMoveToTheTopic(t *testing.T) {
	servers := newFake(t).ListenAddrs()
	c := newCluster(t, servers, false)
	dir := t.TempDir()
	s, reg := c.open(t, dir, 1<<20)
	put(t, s, c.newLetter("a", 0, 3), c.newLetter("b", 0, 2))
	if bytes, files := s.folder.usage(); files != 2 || bytes == 0 {
		t.Fatalf("%d files of %d bytes in the folder", files, bytes)
	}
	during(t, s, func() {
		createTopic(t, servers, c.letters, 2)
		await(t, "an empty folder", func() bool { return sizeOf(t, dir) == 0 })
		await(t, "a topic that is tried again", func() bool { return !s.away.Load() })
	})
	put(t, s, c.newLetter("c", 0, 1))
	inv := c.scan(t, dir)
	if len(inv.Letters) != 3 || inv.Letters[0].Pending != 3 || !inv.Letters[0].InTopic || inv.Letters[0].InFolder {
		t.Errorf("got %+v", inv.Letters)
	}
	if n, err := testutil.GatherAndCount(reg, "logpipeline_deadletter_moved_records_total"); n != 1 || err != nil || testutil.ToFloat64(s.metrics.moved) != 5 {
		t.Errorf("%v moved, %v", testutil.ToFloat64(s.metrics.moved), err)
	}
}

// A letter that the topic refuses, or that can't be read, stays, and holds up
// no other.
func TestStuckLetters(t *testing.T) {
	c := newCluster(t, newFake(t).ListenAddrs(), true)
	dir := t.TempDir()
	s, _ := c.open(t, dir, 10<<20)
	var log bytes.Buffer
	s.logger = slog.New(slog.NewTextHandler(&log, nil))
	giant := c.newLetter("giant", 0, 1)
	giant.Records[0] = make([]byte, 1_100_000)
	put(t, s, giant)
	if s.away.Load() {
		t.Error("a topic that refuses a giant is taken to be away")
	}
	const remedy = "raise its max.message.bytes to 2048 more than that of the topic where the record should have gone"
	if said := log.String(); !strings.Contains(said, "the dead-letter topic refuses a letter, which stays in the folder") || !strings.Contains(said, "batch=giant") || !strings.Contains(said, remedy) {
		t.Errorf("the log says %s", said)
	}
	log.Reset()
	if err := os.WriteFile(filepath.Join(dir, "0"+letterSuffix), []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	putAlone(t, s.folder, c.newLetter("good", 0, 1))
	if err := s.move(t.Context()); err != nil {
		t.Fatal(err)
	}
	if stuck := testutil.ToFloat64(s.metrics.stuck); stuck != 2 {
		t.Errorf("%v letters are stuck", stuck)
	}
	if said := log.String(); !strings.Contains(said, "dead letters are stuck in the folder") {
		t.Errorf("the log says %s", said)
	}
	inv := c.scan(t, dir)
	if len(inv.Letters) != 2 || !inv.Letters[0].InFolder || inv.Letters[0].Batch != "giant" || !inv.Letters[1].InTopic || inv.Letters[1].Batch != "good" || len(inv.Corrupt) != 1 {
		t.Errorf("got %+v, corrupt %q", inv.Letters, inv.Corrupt)
	}
}

// What a record takes in the dead-letter topic is known beforehand.
func TestHeadersAreBounded(t *testing.T) {
	at := time.Date(2026, 12, 31, 23, 59, 59, 123456789, time.UTC)
	l := letterOf(record.DeadLetter{
		Batch: strings.Repeat("i", 253) + ".019ab1c2-0000-7000-8000-000000000001", FirstRecord: maxRecords - 9, Records: make([][]byte, 9),
		Reason: strings.Repeat("wörter", 1000), Topic: strings.Repeat("t", 249), Partition: math.MaxInt32, Received: at, Time: at,
	})
	if !utf8.ValidString(l.Reason) || len(l.Reason) > reasonBytes || len(l.Reason) < reasonBytes-4 {
		t.Errorf("the reason is %q", l.Reason)
	}
	own := []record.Header{{Key: "tenant", Value: []byte("blue")}}
	key, value := []byte(identity(l.Batch, strconv.Itoa(maxRecords-1))), make([]byte, 1000)
	var before, after kafka.BatchBuilder
	before.Append(at.UnixMilli(), nil, value, own)
	after.Append(at.UnixMilli(), key, value, append(l.headers(maxRecords-1), own...))
	grown := len(after.Seal(kafka.NoProducer, -1)) - len(before.Seal(kafka.NoProducer, -1))
	if grown > headerBytes || grown < headerBytes/2 {
		t.Errorf("a record grows by %d bytes", grown)
	}
}

func TestWithoutATopic(t *testing.T) {
	dir := t.TempDir()
	s, reg := cluster{logs: "logs"}.open(t, dir, 700)
	put(t, s, cluster{logs: "logs"}.newLetter("a", 0, 1))
	err := errors.Join(s.Put(t.Context(), []record.DeadLetter{cluster{logs: "logs"}.newLetter("b", 0, 30)})...)
	if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "raise deadLetter.maxBytes") {
		t.Errorf("got %v", err)
	}
	during(t, s, func() {})
	inv, err := Scan(t.Context(), nil, "", dir)
	if err != nil || len(inv.Letters) != 1 || inv.Letters[0].Sample != `{"batch":"a","record":0}` {
		t.Errorf("%+v, %v", inv, err)
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP logpipeline_deadletter_folder_capacity_bytes Bytes that the folder may hold.
# TYPE logpipeline_deadletter_folder_capacity_bytes gauge
logpipeline_deadletter_folder_capacity_bytes 700
# HELP logpipeline_deadletter_folder_files Files in the folder, each of one dead letter or more.
# TYPE logpipeline_deadletter_folder_files gauge
logpipeline_deadletter_folder_files 1
# HELP logpipeline_deadletter_refused_records_total Records that could not be kept, because the folder was full or failed. They are lost, unless the spool has them.
# TYPE logpipeline_deadletter_refused_records_total counter
logpipeline_deadletter_refused_records_total 30
`), "logpipeline_deadletter_folder_capacity_bytes", "logpipeline_deadletter_folder_files", "logpipeline_deadletter_refused_records_total"); err != nil {
		t.Error(err)
	}
}

func TestOpenFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(config.DeadLetter{}, file, nil, nil, nil); err == nil || !strings.HasPrefix(err.Error(), "open folder of dead letters: ") {
		t.Errorf("got %v", err)
	}
}
