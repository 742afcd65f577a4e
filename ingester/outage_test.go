package ingester

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/deadletter"
	"github.com/logpipeline/logpipeline/ingester/kafka"
)

func queued(c *config.Config)  { c.Acknowledge = config.AcknowledgeQueued }
func spooled(c *config.Config) { queued(c); c.Spool.MaxBytes = 256 << 20 }
func keyed(c *config.Config)   { c.Producer.KeyField = "key" }

// Kafka goes away for a while, with a bang or in silence, and comes back: what
// was acknowledged is there, once, and nobody is refused who can wait.
func TestOutage(t *testing.T) {
	for name, c := range map[string]struct {
		how    cableState
		change []func(*config.Config)
		want   []int // answers
	}{
		"produced, cut":    {cut, nil, []int{200}},
		"produced, silent": {silent, nil, []int{200}},
		"queued, cut":      {cut, []func(*config.Config){queued, keyed}, []int{202}},
		"queued, silent":   {silent, []func(*config.Config){queued}, []int{202}},
		"spooled, silent":  {silent, []func(*config.Config){spooled, keyed}, []int{202}},
	} {
		t.Run(name, func(t *testing.T) {
			direct := onKafka(t, 3)
			for _, change := range c.change {
				change(&direct)
			}
			cfg, line := byCable(t, direct)
			p := launch(t, cfg)
			l := startLoad(t, "o", p.url(), 8)
			l.awaitMore(t, 2000)
			line.become(c.how)
			began := l.taken.Load()
			for away := time.Now(); time.Since(away) < 1500*time.Millisecond && (len(c.change) == 0 || l.taken.Load() < began+2000); {
				time.Sleep(10 * time.Millisecond)
			}
			line.become(whole)
			l.awaitMore(t, 2000)
			l.stop()
			if err := p.stop(t, 30*time.Second); err != nil {
				t.Errorf("stopped with %v", err)
			}
			for status := range l.statuses() {
				if !slices.Contains(c.want, status) {
					t.Errorf("answers are %v, want %v only", l.statuses(), c.want)
				}
			}
			readLog(t, direct).check(t, deadLetters{}, l)
		})
	}
}

// Kafka is away when the process is told to stop. Whoever waits is told what
// became of the records, in time, and not just disconnected.
func TestDrainWithoutKafkaTellsWhoWaits(t *testing.T) {
	direct := onKafka(t, 3)
	direct.Drain.TimeoutSeconds = 1
	cfg, line := byCable(t, direct)
	p := launch(t, cfg)
	l := startLoad(t, "d", p.url(), 8)
	l.awaitMore(t, 500)
	line.become(silent)
	eventually(t, "all waiting", func() bool {
		before := l.taken.Load()
		time.Sleep(200 * time.Millisecond)
		return l.taken.Load() == before
	})
	if err := p.stop(t, 15*time.Second); err == nil {
		t.Error("stopped with success, but left records behind")
	}
	l.stop()
	line.become(whole)
	statuses := l.statuses()
	if told := statuses[http.StatusServiceUnavailable] + statuses[http.StatusGatewayTimeout]; told < 8 {
		t.Errorf("answers are %v, want that all 8 who waited are told (503 or 504)", statuses)
	}
	for _, a := range l.attempts {
		if a.status == 0 && !a.refused {
			t.Errorf("a request of %d records got no answer", len(a.lines))
		}
	}
	readLog(t, direct).check(t, deadLetters{}, l)
}

// What was acknowledged as queued in memory, and can't be delivered before the
// drain's deadline, is in dead letters when the process ends, and is put back
// by a replay. The deadline holds however many partitions the records are for.
func TestDrainWithoutKafkaKeepsDeadLetters(t *testing.T) {
	for name, change := range map[string][]func(*config.Config){"sticky": {queued}, "keyed": {queued, keyed}} {
		t.Run(name, func(t *testing.T) {
			direct := onKafka(t, 6)
			direct.Drain.TimeoutSeconds = 1
			for _, c := range change {
				c(&direct)
			}
			cfg, line := byCable(t, direct)
			p := launch(t, cfg)
			l := startLoad(t, "l", p.url(), 8)
			l.awaitMore(t, 2000)
			line.become(cut)
			l.awaitMore(t, 20_000)
			if err := p.stop(t, 15*time.Second); err == nil {
				t.Error("stopped with success, but left records behind")
			}
			l.stop()
			letters := listed(t, cfg)
			if len(letters.definite) == 0 {
				t.Error("there are no dead letters")
			}
			readLog(t, direct).check(t, letters, l)
			replayAll(t, direct)
			if letters = listed(t, cfg); len(letters.definite) > 0 {
				t.Errorf("dead letters are left: %v", letters.definite)
			}
			readLog(t, direct).check(t, letters, l)
		})
	}
}

// listed are the dead letters in the folder.
func listed(t *testing.T, cfg config.Config) deadLetters {
	t.Helper()
	inventory, err := deadletter.Scan(t.Context(), nil, "", cfg.DeadLetterDir())
	if err != nil {
		t.Fatal(err)
	}
	l := deadLetters{map[string]int{}, map[string]int{}}
	for _, e := range inventory.Letters {
		if e.Unknown {
			l.unknown[e.Batch] += e.Pending
		} else {
			l.definite[e.Batch] += e.Pending
		}
	}
	return l
}

// replayAll puts dead letters back twice, of which the second finds nothing.
func replayAll(t *testing.T, cfg config.Config) {
	t.Helper()
	client := kafka.New(cfg.Kafka, cfg.Topic)
	defer client.Close()
	replayer := deadletter.Replayer{Client: client, Topic: cfg.Topic, Dir: cfg.DeadLetterDir()}
	first, err := replayer.Replay(t.Context())
	if err != nil || first.Replayed == 0 {
		t.Errorf("replay: %+v, %v", first, err)
	}
	second, err := replayer.Replay(t.Context())
	if err != nil || second.Replayed != 0 {
		t.Errorf("second replay: %+v, %v", second, err)
	}
}
