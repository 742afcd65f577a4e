package scenario

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Stream posts small batches over connections that it keeps alive, as shippers
// do, and no batch twice: the first request that isn't answered 200 ends it.
// Over TLS every other client speaks HTTP/2.
type Stream struct {
	URL     string        // of POST /logs
	Clients int           // each has a connection of its own
	Pause   time.Duration // of a client between an answer and its next request
	TLS     *tls.Config   // for https
	Token   func() string // the bearer token of the next request; nil without

	requests, records atomic.Int64
	running           sync.WaitGroup
	ending            sync.Once
	ended             chan struct{}
	failure           error // what has ended it; read after ended
}

// batchRecords are in each request of a Stream.
const batchRecords = 10

// Start begins to send. The context's end interrupts what is on its way, unlike Stop.
func (s *Stream) Start(ctx context.Context) {
	s.ended = make(chan struct{})
	for number := range s.Clients {
		client := &http.Client{Transport: s.transport(number), Timeout: time.Minute}
		s.running.Go(func() {
			defer client.CloseIdleConnections()
			s.drive(ctx, client, number)
		})
	}
}

// Stop lets the requests on their way be answered, and returns what has ended
// the stream before.
func (s *Stream) Stop() error {
	s.end(nil)
	s.running.Wait()
	return s.failure
}

func (s *Stream) end(failure error) {
	s.ending.Do(func() {
		s.failure = failure
		close(s.ended)
	})
}

// Ended waits until a request has failed, and returns what came of it.
func (s *Stream) Ended(ctx context.Context) error {
	select {
	case <-s.ended:
		return s.Stop()
	case <-ctx.Done():
		return fmt.Errorf("the stream goes on: %w", ctx.Err())
	}
}

// Host and port that it sends to.
func (s *Stream) Host() string {
	return strings.TrimSuffix(s.URL[strings.Index(s.URL, "//")+2:], "/logs")
}

// Records that were acknowledged.
func (s *Stream) Records() int64 { return s.records.Load() }

// AwaitMore waits until that many more requests are answered.
func (s *Stream) AwaitMore(ctx context.Context, requests int64) error {
	want := s.requests.Load() + requests
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	return Eventually(ctx, func() error {
		select {
		case <-s.ended:
			cancel(s.failure)
		default:
		}
		if got := s.requests.Load(); got < want {
			return fmt.Errorf("%d of %d requests are answered", got, want)
		}
		return nil
	})
}

func (s *Stream) transport(number int) *http.Transport {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(number%2 == 0 || s.TLS == nil)
	protocols.SetHTTP2(number%2 == 1 && s.TLS != nil)
	return &http.Transport{TLSClientConfig: s.TLS.Clone(), Protocols: protocols, MaxConnsPerHost: 1}
}

func (s *Stream) drive(ctx context.Context, client *http.Client, number int) {
	for sent := 0; ; sent++ {
		if err := s.send(ctx, client, batch(number, sent)); err != nil {
			s.end(fmt.Errorf("request %d of client %d: %w", sent, number, err))
		}
		select {
		case <-s.ended:
			return
		case <-time.After(s.Pause):
		}
	}
}

func (s *Stream) send(ctx context.Context, client *http.Client, body []byte) error {
	token := ""
	if s.Token != nil {
		token = s.Token()
	}
	answer, err := send(ctx, client, s.URL, token, body)
	if err != nil {
		return err
	}
	if answer.status != http.StatusOK {
		return fmt.Errorf("want a receipt, have status %d: %s", answer.status, answer.body)
	}
	if _, err := answer.receipt(batchRecords); err != nil {
		return err
	}
	s.requests.Add(1)
	s.records.Add(batchRecords)
	return nil
}

func batch(client, request int) []byte {
	var body []byte
	for record := range batchRecords {
		body = fmt.Appendf(body, `{"client":%d,"request":%d,"record":%d,"message":"as steady as rain"}`+"\n", client, request, record)
	}
	return body
}
