package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"github.com/logpipeline/logpipeline/ingester/http1"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testBodyBytes  = 256 << 10
	testQueueBytes = 4 << 20
	testInstance   = "orders-ingester-5d4f.logs"
)

// producerQueue is a queue that is bounded in bytes, with a producer that
// completes each batch at once as complete says.
type producerQueue struct {
	complete  func(*record.Batch) record.Outcome
	cancelled func() // called by Cancel, unless it is nil
	refuse    error  // returned by Put
	producing sync.WaitGroup

	mu       sync.Mutex
	maxBytes int64
	reserved int64
	peak     int64
	closed   bool
	records  []string
	put      []putBatch
	unheard  int // batches for whose outcome nobody waited
	accounts int
	wanted   []int64 // what RetryAfter was asked for
}

// putBatch is what came with the records of a batch.
type putBatch struct {
	id, key string
	headers []record.Header
	beside  int64 // bytes that are reserved beside its memory
	// acknowledged is what its dead letters would say.
	acknowledged bool
}

// retryAfter is what the queue says, not a whole number of seconds.
const retryAfter = 1200 * time.Millisecond

func (q *producerQueue) MaxBytes() int64 { return q.maxBytes }

func (q *producerQueue) NewAccount() record.Account {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.accounts++
	return (*sharedAccount)(q)
}

func (q *producerQueue) RetryAfter(n int64) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.wanted = append(q.wanted, n)
	return retryAfter
}

func (q *producerQueue) Put(b *record.Batch) error {
	if q.refuse != nil {
		return q.refuse
	}
	q.produce(b)
	return nil
}

// produce takes the batch over.
func (q *producerQueue) produce(b *record.Batch) {
	q.mu.Lock()
	q.put = append(q.put, putBatch{b.ID, b.IdempotencyKey, b.Headers, b.Reserved - b.Memory(), b.Acknowledged})
	q.mu.Unlock()
	q.producing.Go(func() {
		outcome := q.complete(b)
		q.mu.Lock()
		for i := range b.Len() {
			q.records = append(q.records, string(b.Record(i)))
		}
		q.mu.Unlock()
		if !b.Complete(outcome) {
			q.mu.Lock()
			q.unheard++
			q.mu.Unlock()
		}
		b.Free()
	})
}

// sharedAccount is the account of every connection.
type sharedAccount producerQueue

func (q *sharedAccount) Reserve(n int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return fmt.Errorf("reserve %d bytes: %w", n, record.ErrClosed)
	case n > q.maxBytes:
		return fmt.Errorf("reserve %d bytes: %w of %d bytes", n, record.ErrNeverFits, q.maxBytes)
	case q.reserved+n > q.maxBytes:
		return fmt.Errorf("reserve %d bytes: %w", n, record.ErrFull)
	}
	q.reserved += n
	q.peak = max(q.peak, q.reserved)
	return nil
}

func (q *sharedAccount) Cancel(n int64) {
	if q.cancelled != nil {
		q.cancelled()
	}
	q.Release(n)
}

func (q *sharedAccount) Release(n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reserved -= n
}

// deliver places each batch at the same offsets.
func deliver(b *record.Batch) record.Outcome {
	return record.Outcome{Placements: []record.Placement{{Topic: "logs", Partition: 3, FirstOffset: 10, LastOffset: int64(10 + b.Len() - 1)}}}
}

// intake is a running server.
type intake struct {
	address string
	handler *Handler
	server  *http1.Server
	queue   *producerQueue
	metrics *prometheus.Registry
	client  *http.Client
}

// start serves on loopback until the test ends, and then makes sure that every
// reservation has been given back.
func start(t *testing.T, change func(*Options, *producerQueue)) *intake {
	t.Helper()
	options := Options{Instance: testInstance, Limits: config.RequestLimits{MaxBodyBytes: testBodyBytes, MaxRecordBytes: 1 << 10, MaxDepth: 4}}
	queue := &producerQueue{maxBytes: testQueueBytes, complete: deliver}
	if change != nil {
		change(&options, queue)
	}
	logger := slog.New(slog.DiscardHandler)
	in := &intake{queue: queue, metrics: prometheus.NewPedanticRegistry()}
	in.handler = New(options, queue, logger, in.metrics)
	in.server = http1.New(NewServer(in.handler, logger))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	in.address = listener.Addr().String()
	transport := &http.Transport{}
	in.client = &http.Client{Transport: transport, Timeout: time.Minute}
	var serving sync.WaitGroup
	serving.Go(func() { _ = in.server.Serve(listener) })
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
		defer cancel()
		if err := in.server.Shutdown(ctx); err != nil {
			t.Errorf("shut down: %v", err)
		}
		serving.Wait()
		queue.producing.Wait()
		in.waitFor(t, "no reservation", func() bool {
			queue.mu.Lock()
			defer queue.mu.Unlock()
			return queue.reserved == 0
		})
	})
	return in
}

func (in *intake) waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("gave up waiting for %s", what)
			return
		}
	}
}

// answer is what a client sees of a response.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) problem(t *testing.T) problem {
	t.Helper()
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type is %q", got)
	}
	var p problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatalf("%v in %q", err, a.body)
	}
	return p
}

func (in *intake) send(t *testing.T, method, path, body string, headers ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+in.address+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	response, err := in.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return readAnswer(t, response)
}

func (in *intake) post(t *testing.T, body string) answer {
	t.Helper()
	return in.send(t, "POST", "/logs", body, "Content-Type", "application/json")
}

func readAnswer(t *testing.T, response *http.Response) answer {
	t.Helper()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.Close { // net/http takes the field away
		response.Header.Set("Connection", "close")
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

// wire is a connection on which a test says exactly what is sent.
type wire struct {
	*net.TCPConn
	reader *bufio.Reader
}

func (in *intake) dial(t *testing.T) *wire {
	t.Helper()
	connection, err := net.Dial("tcp", in.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	if err := connection.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &wire{connection.(*net.TCPConn), bufio.NewReader(connection)}
}

func (w *wire) write(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

// answer reads one response, which may be an interim one.
func (w *wire) answer(t *testing.T) answer {
	t.Helper()
	response, err := http.ReadResponse(w.reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	return readAnswer(t, response)
}

// closed reports whether the server closes the connection in an orderly way.
func (w *wire) closed(t *testing.T) bool {
	t.Helper()
	_, err := w.reader.ReadByte()
	return err == io.EOF
}

// head is a request's header with what precedes it.
func head(fields ...string) string {
	return "POST /logs HTTP/1.1\r\nHost: logs\r\nContent-Type: application/json\r\n" + strings.Join(fields, "\r\n") + "\r\n\r\n"
}

func chunk(data string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(data), data) }

// arrayOf returns an array of records that is exactly size bytes long.
func arrayOf(size int) string {
	const record = `{"message":"0123456789012345678901234567890123456789"},`
	body := "[" + strings.Repeat(record, (size-2)/len(record)-1) + "{}"
	return body + strings.Repeat(" ", size-len(body)-1) + "]"
}
