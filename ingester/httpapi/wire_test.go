package httpapi

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
)

func TestBodySizes(t *testing.T) {
	tests := []struct {
		name   string
		size   int
		status int
	}{
		{"one step", 1 << 10, 200},
		{"exactly one step", firstStep, 200},
		{"a byte more than one step", firstStep + 1, 200},
		{"several steps", 100 << 10, 200},
		{"at the limit", testBodyBytes, 200},
		{"a byte over the limit", testBodyBytes + 1, 413},
		{"far over the limit", 2 * testBodyBytes, 413},
	}
	in := start(t, nil)
	for _, tt := range tests {
		body := arrayOf(tt.size)
		requests := map[string]string{
			"declared": head(fmt.Sprintf("Content-Length: %d", len(body))) + body,
			"chunked":  head("Transfer-Encoding: chunked") + chunk(body[:100]) + chunk(body[100:]) + chunk(""),
		}
		for how, request := range requests {
			t.Run(tt.name+", "+how, func(t *testing.T) {
				w := in.dial(t)
				w.write(t, request)
				got := w.answer(t)
				if got.status != tt.status {
					t.Fatalf("got %d %s, want %d", got.status, got.body, tt.status)
				}
				if got.status == 413 && got.problem(t).Type != problemBase+"body-too-large" {
					t.Errorf("got %s", got.body)
				}
				if got.header.Get("Connection") == "close" && !w.closed(t) {
					t.Error("the connection stays open")
				}
			})
		}
	}
}

// The bytes that a body needs while it grows never exceed what is reserved,
// and what isn't needed is given back before the batch is queued.
func TestChunkedBodyIsReservedInSteps(t *testing.T) {
	const size = 3 * firstStep
	reserved := make(chan int64, 1)
	in := start(t, func(_ *Options, q *producerQueue) {
		q.complete = func(b *record.Batch) record.Outcome { reserved <- b.Reserved; return deliver(b) }
	})
	body := arrayOf(size)
	w := in.dial(t)
	w.write(t, head("Transfer-Encoding: chunked")+chunk(body)+chunk(""))
	if got := w.answer(t); got.status != 200 {
		t.Fatal(got)
	}
	// The index begins with one entry of 16 bytes for each 128 bytes of the
	// buffer, and is doubled once for records of 55 bytes.
	index := record.Capacity((4*firstStep/128 + 1) * 16)
	if got, want := <-reserved, 4*firstStep+2*index+record.Overhead; got != want {
		t.Errorf("%d bytes are reserved for the batch, want %d", got, want)
	}
	in.queue.mu.Lock()
	defer in.queue.mu.Unlock()
	if want := max((2+4)*firstStep, 4*firstStep+(1+2)*index) + record.Overhead; in.queue.peak != want {
		t.Errorf("at most %d bytes were reserved, want %d", in.queue.peak, want)
	}
}

// A request that can't have its next step gives back what it holds at once,
// not only after the rest of its body.
func TestRefusedStepReturnsEverything(t *testing.T) {
	const others = 2 * firstStep // which other requests hold
	answeredBefore := make(chan float64, 10)
	var in *intake
	in = start(t, func(_ *Options, q *producerQueue) {
		q.maxBytes, q.reserved = 4*firstStep, others
		q.cancelled = func() {
			answeredBefore <- testutil.ToFloat64(in.handler.metrics.requests.WithLabelValues("429"))
		}
	})
	w := in.dial(t)
	w.write(t, head("Transfer-Encoding: chunked")+chunk(arrayOf(firstStep+1)))
	got := w.answer(t)
	if p := got.problem(t); got.status != 429 || p.Type != problemBase+"queue-full" {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	if n := <-answeredBefore; n != 0 {
		t.Error("the reservation was held until the request had been answered")
	}
	in.queue.NewAccount().Release(others)
}

func TestReservationPrecedesTheBody(t *testing.T) {
	in := start(t, nil)
	w := in.dial(t)
	w.write(t, head("Content-Length: 1000"))
	in.waitFor(t, "the body to be reserved", func() bool {
		in.queue.mu.Lock()
		defer in.queue.mu.Unlock()
		return in.queue.reserved == record.Capacity(1000)+record.Overhead
	})
	w.write(t, arrayOf(1000))
	if got := w.answer(t); got.status != 200 {
		t.Error(got)
	}
}

func TestSlowBody(t *testing.T) {
	for name, request := range map[string]string{
		"declared": head("Content-Length: 1000") + `[{"a":1},`,
		"chunked":  head("Transfer-Encoding: chunked") + chunk(`[{"a":1},`),
	} {
		t.Run(name, func(t *testing.T) {
			in := start(t, func(o *Options, _ *producerQueue) { o.Limits.BodyTimeoutSeconds = 1 })
			w := in.dial(t)
			w.write(t, request)
			got := w.answer(t)
			p := got.problem(t)
			if got.status != 408 || p.Type != problemBase+"body-timeout" || !strings.HasPrefix(p.Detail, "9 bytes of the body came within requestLimits.bodyTimeoutSeconds = 1; ") {
				t.Errorf("got %d %s", got.status, got.body)
			}
			if got.header.Get("Connection") != "close" || !w.closed(t) {
				t.Error("the connection stays open")
			}
		})
	}
}

// A body's deadline must not reach into the wait for the acknowledgement, or
// a client that leaves later isn't noticed, nor into the next request.
func TestBodyTimeoutEndsWithTheBody(t *testing.T) {
	const bodyTimeout = time.Second
	holding := make(chan struct{})
	letGo := make(chan struct{})
	in := start(t, func(o *Options, q *producerQueue) {
		o.Limits.BodyTimeoutSeconds = int(bodyTimeout.Seconds())
		q.complete = func(b *record.Batch) record.Outcome {
			<-time.After(bodyTimeout + bodyTimeout/4)
			holding <- struct{}{}
			<-letGo
			return deliver(b)
		}
	})
	w := in.dial(t)
	for range 2 {
		w.write(t, head("Content-Length: 2")+`{}`)
		<-holding
		letGo <- struct{}{}
		if got := w.answer(t); got.status != 200 {
			t.Fatalf("got %d %s", got.status, got.body)
		}
	}
	w.write(t, head("Content-Length: 2")+`{}`)
	<-holding
	w.Close()
	in.waitFor(t, "the client to be missed", func() bool {
		return testutil.ToFloat64(in.handler.metrics.requests.WithLabelValues("499")) == 1
	})
	letGo <- struct{}{}
}

func TestBodyThatBreaksOff(t *testing.T) {
	for name, request := range map[string]string{
		"declared":           head("Content-Length: 1000") + `[{"a":1},`,
		"chunked":            head("Transfer-Encoding: chunked") + chunk(`[{"a":1},`),
		"chunked at the end": head("Transfer-Encoding: chunked") + chunk(`{"a":11} `),
	} {
		t.Run(name, func(t *testing.T) {
			in := start(t, nil)
			w := in.dial(t)
			w.write(t, request)
			if err := w.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			got := w.answer(t)
			if p := got.problem(t); got.status != 400 || p.Type != problemBase+"incomplete-body" || !strings.Contains(p.Detail, "after 9 bytes") {
				t.Errorf("got %d %s", got.status, got.body)
			}
			if len(in.queue.records) > 0 {
				t.Errorf("records were taken: %q", in.queue.records)
			}
		})
	}
}

func TestMalformedChunk(t *testing.T) {
	in := start(t, nil)
	w := in.dial(t)
	w.write(t, head("Transfer-Encoding: chunked")+"zz\r\n")
	got := w.answer(t)
	if p := got.problem(t); got.status != 400 || p.Type != problemBase+"incomplete-body" {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestExpectContinue(t *testing.T) {
	t.Run("accepted", func(t *testing.T) {
		w := start(t, nil).dial(t)
		w.write(t, head("Content-Length: 2", "Expect: 100-continue"))
		if got := w.answer(t); got.status != 100 {
			t.Fatal(got)
		}
		w.write(t, `{}`)
		if got := w.answer(t); got.status != 200 || got.header.Get("Connection") == "close" {
			t.Error(got)
		}
	})
	t.Run("refused before the body", func(t *testing.T) {
		w := start(t, nil).dial(t)
		w.write(t, head(fmt.Sprintf("Content-Length: %d", testBodyBytes+1), "Expect: 100-continue"))
		if got := w.answer(t); got.status != 413 || got.header.Get("Connection") != "close" || !w.closed(t) {
			t.Error(got)
		}
	})
	t.Run("refused before the body, which is not waited for", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newSlowClient(t)
			began := time.Now()
			if _, err := io.WriteString(c, head(fmt.Sprintf("Content-Length: %d", testBodyBytes+1), "Expect: 100-continue")); err != nil {
				t.Fatal(err)
			}
			if got := <-c.answer; got.status != 413 {
				t.Error(got)
			}
			if waited := time.Since(began); waited >= drainAfterTime {
				t.Errorf("the server waited %v for a body that never comes", waited)
			}
		})
	})
	t.Run("refused in the body", func(t *testing.T) {
		w := start(t, nil).dial(t)
		w.write(t, head("Transfer-Encoding: chunked", "Expect: 100-continue"))
		if got := w.answer(t); got.status != 100 {
			t.Fatal(got)
		}
		w.write(t, chunk(arrayOf(testBodyBytes+1)))
		if got := w.answer(t); got.status != 413 {
			t.Error(got)
		}
	})
}

// A client that looks for the response only after it has sent everything must
// still find it, not a reset.
func TestEarlyRefusalIsSeenByClientsThatSendFirst(t *testing.T) {
	const limit = 16 << 20 // more than the kernel buffers on loopback
	in := start(t, func(o *Options, _ *producerQueue) { o.Limits.MaxBodyBytes = config.Bytes(limit) })
	body := strings.Repeat(" ", limit+1000)
	for name, request := range map[string]string{
		"declared": head(fmt.Sprintf("Content-Length: %d", len(body))) + body,
		"chunked":  head("Transfer-Encoding: chunked") + chunk(body) + chunk(""),
	} {
		t.Run(name, func(t *testing.T) {
			w := in.dial(t)
			w.write(t, request)
			if got := w.answer(t); got.status/100 != 4 {
				t.Errorf("got %d %s", got.status, got.body)
			}
			if !w.closed(t) {
				t.Error("the connection ended with a reset")
			}
		})
	}
}

func TestRefusedConnectionGoesOn(t *testing.T) {
	in := start(t, func(_ *Options, q *producerQueue) { q.maxBytes = 64 << 10 })
	body := arrayOf(drainFirstBytes)
	for name, request := range map[string]string{
		"declared": head(fmt.Sprintf("Content-Length: %d", len(body))) + body,
		"chunked":  head("Transfer-Encoding: chunked") + chunk(body) + chunk(""),
	} {
		t.Run(name, func(t *testing.T) {
			w := in.dial(t)
			w.write(t, request)
			if got := w.answer(t); got.status/100 != 4 || got.header.Get("Connection") == "close" {
				t.Fatalf("got %d, Connection %q", got.status, got.header.Get("Connection"))
			}
			w.write(t, head("Content-Length: 2")+`{}`)
			if got := w.answer(t); got.status != 200 {
				t.Errorf("the next request got %d %s", got.status, got.body)
			}
		})
	}
}

func TestRefusalOfALargeBodyPrecedesIt(t *testing.T) {
	in := start(t, func(o *Options, _ *producerQueue) { o.Limits.MaxBodyBytes = 4 * drainFirstBytes })
	w := in.dial(t)
	w.write(t, head(fmt.Sprintf("Content-Length: %d", 5*drainFirstBytes)))
	if got := w.answer(t); got.status != 413 || got.header.Get("Connection") != "close" {
		t.Fatalf("got %d, Connection %q", got.status, got.header.Get("Connection"))
	}
	// What follows is dropped, though it looks like a request.
	w.write(t, head("Content-Length: 2")+`{}`)
	if !w.closed(t) {
		t.Error("the rest of the body was taken for a request, or the connection reset")
	}
	if len(in.queue.records) > 0 {
		t.Errorf("records were taken: %q", in.queue.records)
	}
}

func TestStalledRefusedBodyIsGivenUp(t *testing.T) {
	in := start(t, func(_ *Options, q *producerQueue) { q.maxBytes = 64 << 10 })
	w := in.dial(t)
	w.write(t, head(fmt.Sprintf("Content-Length: %d", testBodyBytes))+"[")
	if got := w.answer(t); got.status != 413 {
		t.Fatal(got)
	}
	w.write(t, head("Content-Length: 2")+`{}`)
	if !w.closed(t) || len(in.queue.records) > 0 {
		t.Errorf("the rest of the body was taken for a request: %q", in.queue.records)
	}
}

func TestHeaderTooLarge(t *testing.T) {
	w := start(t, nil).dial(t)
	w.write(t, head("X-Long: "+strings.Repeat("x", 2*maxHeaderBytes)))
	if got := w.answer(t); got.status != 431 {
		t.Error(got)
	}
}
