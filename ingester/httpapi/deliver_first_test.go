package httpapi

import (
	"net/http"
	"testing"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// sleepyQueue begins to work on what was added when it is woken, and by that
// takes as long as the test wants.
type sleepyQueue struct {
	*accounts
	added chan *record.Batch
	woken chan struct{}
}

func newSleepyQueue() *sleepyQueue {
	return &sleepyQueue{newAccounts(), make(chan *record.Batch, 1), make(chan struct{})}
}

func (q *sleepyQueue) Add(b *record.Batch) error {
	if q.refuse != nil {
		return q.refuse
	}
	q.added <- b
	return nil
}

func (q *sleepyQueue) Wake() {
	<-q.woken
	q.produce(<-q.added)
	q.woken <- struct{}{} // the batch is being produced, which can be waited for
}

// The answer of a queued batch is with its client before the work on the batch
// begins.
func TestQueuedIsAnsweredFirst(t *testing.T) {
	for name, request := range map[string]string{
		"ours":       head("Content-Length: 2") + "{}",
		"net/http's": head("Transfer-Encoding: chunked") + chunk("{}") + "0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			q := newSleepyQueue()
			p := startPod(t, q, nil, func(o *Options) { o.Acknowledge = config.AcknowledgeQueued })
			w := (&intake{address: p.address}).dial(t)
			for range 2 {
				w.write(t, request)
				if got := w.answer(t); got.status != 202 || got.header.Get("Content-Length") == "" || got.header.Get("Connection") != "" {
					t.Errorf("got %d %v %s", got.status, got.header, got.body)
				}
				q.woken <- struct{}{}
				<-q.woken
				q.producing.Wait()
			}
		})
	}
}

// Nobody is woken for what others are, or for nothing.
func TestOnlyQueuedIsAnsweredFirst(t *testing.T) {
	q := newSleepyQueue()
	p := startPod(t, q, nil, func(o *Options) { o.Acknowledge = config.AcknowledgeQueued })
	for name, request := range map[string]struct {
		client      *http.Client
		query, body string
		status      int
	}{
		"produced":  {http.DefaultClient, "?ack=produced", `{}`, 200},
		"HTTP/2":    {http2Client(t), "", `{}`, 202},
		"no record": {http.DefaultClient, "", `[]`, 202},
		"malformed": {http.DefaultClient, "", `[`, 400},
	} {
		if status, err := post(t.Context(), request.client, "http://"+p.address, request.body, request.query); status != request.status || err != nil {
			t.Errorf("%s: got %d, %v", name, status, err)
		}
	}
	q.refuse = record.ErrClosed
	if status, err := post(t.Context(), http.DefaultClient, "http://"+p.address, `{}`); status != 503 || err != nil {
		t.Errorf("refused: got %d, %v", status, err)
	}
	http.DefaultClient.CloseIdleConnections()
}
