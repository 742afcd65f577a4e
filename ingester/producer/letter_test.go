package producer

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// Only the bad record of a batch that nobody waits for is dead-lettered; the
// rest of it, and of the others, is delivered.
func TestOneBadRecordIsDeadLettered(t *testing.T) {
	for name, refused := range map[string]error{"too large": kafkago.MessageSizeTooLarge, "invalid": kafkago.InvalidRecord, "its time": kafkago.InvalidTimestamp} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(t)
				s.refuse = func(v string) error {
					if v == value("bad") {
						return refused
					}
					return nil
				}
				left, waits := newBatch(t, "left", "a", "bad", "b"), newBatch(t, "waits", "c", "d")
				left.Headers = []record.Header{{Key: "x-tenant", Value: []byte("t")}}
				left.Acknowledged = left.Leave()
				source, l := newSource(left, waits), &letters{}
				source.close()
				p := newProducer(t, small, s, source, Options{DeadLetters: l})
				if err := p.Run(t.Context()); err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff([]string{value("a"), value("b"), value("c"), value("d")}, s.logs[0].values); diff != "" {
					t.Errorf("log (-want +got):\n%s", diff)
				}
				if o := outcome(t, waits); o.Err != nil {
					t.Error(o.Err)
				}
				o := outcome(t, left)
				want := []record.DeadLetter{{
					Batch: "left", FirstRecord: 1, Reason: o.Err.Error(), Acknowledged: true, Topic: "logs",
					Received: left.Received, Time: time.Now(), Headers: left.Headers, Records: [][]byte{[]byte(value("bad"))},
				}}
				if diff := cmp.Diff(want, l.put); diff != "" {
					t.Errorf("dead letters (-want +got):\n%s", diff)
				}
				if got := testutil.ToFloat64(p.metrics.deadLettered); got != 1 {
					t.Errorf("%v dead-lettered records are counted", got)
				}
			})
		})
	}
}

// Dead letters are logged, with what one looks for them by, but not each of
// many.
func TestDeadLettersAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		s.refuse = func(v string) error {
			if strings.Contains(v, "bad") {
				return kafkago.InvalidRecord
			}
			return nil
		}
		left := newBatch(t, "left", "bad1", "good", "bad2")
		left.Leave()
		source := newSource(left)
		source.close()
		p := newProducer(t, small, s, source, Options{DeadLetters: &letters{}})
		var log bytes.Buffer
		p.logger = slog.New(slog.NewTextHandler(&log, nil))
		if err := p.Run(t.Context()); err != nil {
			t.Error(err)
		}
		var told []string
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, "records dead-lettered") {
				told = append(told, line)
			}
		}
		want := "level=WARN"
		if len(told) != 1 || !strings.Contains(told[0], want) || !strings.Contains(told[0], "topic=logs partition=0 batch=left firstRecord=0 records=1 unknown=false reason=") {
			t.Errorf("the log tells %d times of dead letters:\n%s", len(told), &log)
		}
	})
}

// What can't be delivered and not be dead-lettered is lost, which is counted.
func TestLostRecordsAreCounted(t *testing.T) {
	for name, options := range map[string]Options{
		"no place for them": {},
		"no room for them":  {DeadLetters: &letters{fail: errors.New("full")}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(t, reply{err: kafkago.TopicAuthorizationFailed})
				left, waits := newBatch(t, "left", "a", "b"), newBatch(t, "waits", "c")
				left.Leave()
				source := newSource(left, waits)
				source.close()
				p := newProducer(t, small, s, source, options)
				if err := p.Run(t.Context()); err != nil {
					t.Error(err)
				}
				if got := testutil.ToFloat64(p.metrics.lost); got != 2 {
					t.Errorf("%v lost records are counted, want the 2 that nobody waits for", got)
				}
				if source.reserved() != 0 {
					t.Errorf("%d bytes were not released", source.reserved())
				}
			})
		})
	}
}

// What the spool holds may wait for Kafka for longer than the delivery timeout.
func TestSpooledBatchesAreNeverOverdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		s.away = true
		b := spooled(t, 1, "a")
		b.Received = time.Now().Add(-24 * time.Hour)
		source, l, j := newSource(b), &letters{}, &journal{}
		p := newProducer(t, small, s, source, Options{DeadLetters: l, Journal: j})
		done := make(chan error, 1)
		go func() { done <- p.Run(t.Context()) }()
		time.Sleep(time.Hour)
		if !p.Unreachable() {
			t.Error("Kafka is said to be reachable")
		}
		s.comeBack()
		if o := <-settled(b); o.Err != nil {
			t.Error(o.Err)
		}
		if p.Unreachable() {
			t.Error("Kafka is said to be unreachable")
		}
		source.close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
