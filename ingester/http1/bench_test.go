package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

var receipt = []byte(`{"batch":"orders-0.019a8c5e-9d9c-7c7e-b6a6-0d2a0f3f6f10","acknowledgement":"Produced","durability":"replicas","survives":"everything that the topic survives","records":100,"placements":[{"topic":"orders","partition":3,"firstOffset":1000,"lastOffset":1099}]}` + "\n")

var bodies = sync.Pool{New: func() any { return new([bodyBytes]byte) }}

var jsonType = []string{"application/json"}

// take reads a body into a pooled buffer, and answers with a receipt.
func take(w http.ResponseWriter, r *http.Request) {
	body := bodies.Get().(*[bodyBytes]byte)
	defer bodies.Put(body)
	// As a handler does that bounds the time of a body.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadFull(r.Body, body[:]); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header()["Content-Type"] = jsonType
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(receipt)
}

// bare answers on a socket what look like requests, without any HTTP: what is
// left is what the operating system and the scheduler cost.
func bare(c net.Conn) {
	defer c.Close()
	buffer := make([]byte, bodyBytes+4096)
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Mon, 23 Nov 2026 18:00:00 GMT\r\nContent-Length: %d\r\n\r\n%s", len(receipt), receipt)
	for {
		n, end := 0, -1
		for end < 0 || n < end+4+bodyBytes {
			read, err := c.Read(buffer[n:])
			if err != nil {
				return
			}
			n += read
			if end < 0 {
				end = bytes.Index(buffer[:n], []byte("\r\n\r\n"))
			}
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// BenchmarkRequest compares the cost of a request of 25.7 KB and its receipt,
// for the process of the server alone: CPU time (user and system) and objects
// allocated.
func BenchmarkRequest(b *testing.B) {
	servers := map[string]func(b *testing.B, l net.Listener) (stop func()){
		"http1": func(b *testing.B, l net.Listener) func() {
			s := New(settings())
			served := make(chan error, 1)
			go func() { served <- s.Serve(l) }()
			return func() { _ = s.Close(); <-served }
		},
		"nethttp": func(b *testing.B, l net.Listener) func() {
			s := settings()
			served := make(chan error, 1)
			go func() { served <- s.Serve(l) }()
			return func() { _ = s.Close(); <-served }
		},
		"bare": func(b *testing.B, l net.Listener) func() {
			var serving sync.WaitGroup
			serving.Go(func() {
				for {
					c, err := l.Accept()
					if errors.Is(err, net.ErrClosed) {
						return
					}
					serving.Go(func() { bare(c) })
				}
			})
			return func() { _ = l.Close(); serving.Wait() }
		},
	}
	for _, connections := range []int{16, 64} {
		for _, name := range []string{"bare", "http1", "nethttp"} {
			b.Run(fmt.Sprintf("%s/connections=%d", name, connections), func(b *testing.B) {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					b.Fatal(err)
				}
				stop := servers[name](b, l)
				defer stop()
				measure(b, l.Addr().String(), connections)
			})
		}
	}
}

func settings() *http.Server {
	return &http.Server{
		Handler:           http.HandlerFunc(take),
		ReadHeaderTimeout: 10 * time.Second,
		WriteTimeout:      170 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
}

func measure(b *testing.B, address string, connections int) {
	client := exec.Command(os.Args[0])
	client.Env = append(os.Environ(), childVariable+"="+address+" "+strconv.Itoa(connections))
	client.Stderr = os.Stderr
	orders, err := client.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	output, err := client.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := client.Start(); err != nil {
		b.Fatal(err)
	}
	done := bufio.NewReader(output)
	send := func(requests int) {
		fmt.Fprintln(orders, requests)
		if _, err := done.ReadString('\n'); err != nil {
			b.Fatal(err)
		}
	}
	send(20 * connections)
	b.ResetTimer()
	objects, cpu := spent()
	send(b.N)
	objectsAfter, cpuAfter := spent()
	b.StopTimer()
	b.ReportMetric(float64(objectsAfter-objects)/float64(b.N), "objects/request")
	b.ReportMetric(float64((cpuAfter-cpu).Microseconds())/float64(b.N), "cpu-µs/request")
	_ = orders.Close()
	_ = client.Wait()
}

// spent is what this process has allocated, in objects, and its CPU time.
func spent() (objects uint64, cpu time.Duration) {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return memory.Mallocs, time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
