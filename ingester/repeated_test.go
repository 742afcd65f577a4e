package ingester

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/logpipeline/logpipeline/ingester/signal"
)

// answer is what a request with a key was told.
type answer struct {
	status   int
	replayed string
	body     string
}

func (p *subprocess) postOnce(t *testing.T, query, key, record string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url()+query, strings.NewReader(record))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-ndjson")
	r.Header.Set("Idempotency-Key", key)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{}
	}
	defer func() { _ = response.Body.Close() }()
	body, _ := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header.Get("Idempotency-Replayed"), string(body)}
}

// The process is killed while Kafka is away. Started again, it answers the
// repetition of a request that its spool has as it answered it before, and one
// that asks for Kafka once Kafka has the records, which it has once.
func TestRepeatedAfterARestart(t *testing.T) {
	direct := onKafka(t, 1)
	spooled(&direct)
	cfg, line := byCable(t, direct)
	p := launch(t, cfg)
	line.become(cut)
	first := p.postOnce(t, "", "k", `{"n":1}`)
	if first.status != http.StatusAccepted {
		t.Fatalf("got %+v, want 202", first)
	}
	waiting := make(chan answer, 1)
	go func() { waiting <- p.postOnce(t, "?ack=produced", "p", `{"n":2}`) }()
	awaitSpooled(t, cfg.AdminListen, 2)
	p.kill()
	if lost := <-waiting; lost.status != 0 {
		t.Errorf("got %+v of a process that was killed", lost)
	}

	p = launch(t, cfg)
	again := p.postOnce(t, "", "k", `{"n":1}`)
	if want := (answer{http.StatusAccepted, "true", first.body}); again != want {
		t.Errorf("got %+v, want %+v", again, want)
	}
	go func() { waiting <- p.postOnce(t, "?ack=produced", "p", `{"n":2}`) }()
	select {
	case early := <-waiting:
		t.Fatalf("got %+v with Kafka away", early)
	case <-time.After(200 * time.Millisecond): // long enough to be answered, were it wrong
	}
	line.become(whole)
	if got := <-waiting; got.status != http.StatusOK || !strings.Contains(got.body, `"placements":[{`) {
		t.Errorf("got %+v, want 200 and where the record is", got)
	}
	if err := p.stop(t, time.Minute); err != nil {
		t.Errorf("stopped with %v", err)
	}
	log := readLog(t, direct)
	if len(log.places[`{"n":1}`]) != 1 || len(log.places[`{"n":2}`]) != 1 || len(log.records) != 2 {
		t.Errorf("the log has %v, want each record once", log.records)
	}
}

// awaitSpooled waits until the process says that so many records are in its
// spool alone.
func awaitSpooled(t *testing.T, admin string, records int64) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		signals, err := readSignals(t, admin)
		if err == nil && signals.Ingester != nil && signals.Ingester.SpoolRecords == records {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("signals are %+v (%v), want %d records in the spool", signals.Ingester, err, records)
		}
	}
}

func readSignals(t *testing.T, admin string) (signals signal.Signals, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+admin+signal.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return signals, err
	}
	defer func() { _ = response.Body.Close() }()
	return signals, json.NewDecoder(response.Body).Decode(&signals)
}
