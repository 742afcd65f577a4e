package httpapi

import (
	"bufio"
	"bytes"
	"fmt"
	"github.com/logpipeline/logpipeline/ingester/http1"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// benchConnections is how many clients send at once.
const benchConnections = 16

// BenchmarkConnection is the whole way of a request: from the socket through
// http1 and the handler into a queue, and back. The clients are another process,
// so that the CPU time of this one is the server's.
func BenchmarkConnection(b *testing.B) {
	body := string(hundredRecords())
	for _, c := range []coding{identity, gzipped, snappyFramed, zstandard} {
		name, fields, sent := "identity", []string{}, []byte(body)
		if c != identity {
			name, fields, sent = string(c), []string{"Content-Encoding: " + string(c)}, compressed(b, c, body)
		}
		request := head(append(fields, fmt.Sprintf("Content-Length: %d", len(sent)))...) + string(sent)
		b.Run(name, func(b *testing.B) { benchmarkPost(b, request) })
	}
	b.Run("chunked", func(b *testing.B) {
		benchmarkPost(b, head("Transfer-Encoding: chunked")+chunk(body)+chunk(""))
	})
}

// BenchmarkNetHTTP is what net/http and the kernel take of BenchmarkConnection:
// a handler that drops the body, and answers as many bytes as a receipt has.
func BenchmarkNetHTTP(b *testing.B) {
	body := hundredRecords()
	buffers := sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, 2*len(body))) }}
	receipt := bytes.Repeat([]byte("x"), 240)
	drop := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		buffer := buffers.Get().(*bytes.Buffer)
		buffer.Reset()
		_, _ = buffer.ReadFrom(r.Body)
		buffers.Put(buffer)
		_, _ = w.Write(receipt)
	})
	benchmarkServer(b, &http.Server{Handler: drop}, head(fmt.Sprintf("Content-Length: %d", len(body)))+string(body))
}

// A whole request on a steady connection, socket included, costs as few
// allocations as the handler alone: net/http's own would be 20 and more.
func TestAllocationsOnAConnection(t *testing.T) {
	const most, requests = 1 + pooledAllocations, 300
	body := hundredRecords()
	request := []byte(head(fmt.Sprintf("Content-Length: %d", len(body))) + string(body))
	logger := slog.New(slog.DiscardHandler)
	queue := &instantQueue{[]record.Placement{{Topic: "logs", Partition: 3, FirstOffset: 10, LastOffset: 109}}}
	server := http1.New(NewServer(New(Options{Limits: config.Default().RequestLimits}, queue, logger, prometheus.NewRegistry()), logger))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(Limit(listener, 1, slog.New(slog.DiscardHandler), prometheus.NewRegistry())) })
	defer serving.Wait()
	defer server.Close()
	connection, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	answer := make([]byte, 4<<10)
	n := testing.AllocsPerRun(requests, func() {
		if _, err := connection.Write(request); err != nil {
			t.Fatal(err)
		}
		if _, err := connection.Read(answer); err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) {
			t.Fatalf("%v: %.200s", err, answer)
		}
	})
	if n > most {
		t.Errorf("%v allocations a request, want at most %d", n, most)
	}
}

func benchmarkPost(b *testing.B, request string) {
	options := Options{Limits: config.Default().RequestLimits}
	logger := slog.New(slog.DiscardHandler)
	queue := &instantQueue{[]record.Placement{{Topic: "logs", Partition: 3, FirstOffset: 10, LastOffset: 109}}}
	benchmarkServer(b, NewServer(New(options, queue, logger, prometheus.NewRegistry()), logger), request)
}

func benchmarkServer(b *testing.B, server *http.Server, request string) {
	serve := http1.New(server)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		_ = serve.Serve(Limit(listener, benchConnections, slog.New(slog.DiscardHandler), prometheus.NewRegistry()))
	})
	defer serving.Wait()
	defer serve.Close()

	client := exec.Command(os.Args[0], "-test.run=^TestBenchClient$")
	client.Env = append(os.Environ(), "HTTPAPI_BENCH_CLIENT="+listener.Addr().String(), "HTTPAPI_BENCH_REQUESTS="+strconv.Itoa(b.N))
	client.Stdin, client.Stderr = strings.NewReader(request), os.Stderr
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	started := cpuTime(b)
	b.ResetTimer()
	if err := client.Run(); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	cpu := cpuTime(b) - started
	runtime.ReadMemStats(&after)
	requests := float64(b.N)
	b.ReportMetric(100*requests/cpu.Seconds()/1e6, "Mrecords/CPU-s")
	b.ReportMetric(float64(cpu.Microseconds())/requests, "CPU-µs/request")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/requests, "allocs/request")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/requests, "B/request")
}

// cpuTime is what this process has used so far, in user and in kernel mode.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// TestBenchClient is the client's process of BenchmarkConnection.
func TestBenchClient(t *testing.T) {
	address := os.Getenv("HTTPAPI_BENCH_CLIENT")
	if address == "" {
		return
	}
	requests, err := strconv.Atoi(os.Getenv("HTTPAPI_BENCH_REQUESTS"))
	if err != nil {
		t.Fatal(err)
	}
	request, err := io.ReadAll(os.Stdin)
	if err != nil {
		t.Fatal(err)
	}
	var sending sync.WaitGroup
	for i := range benchConnections {
		share := (requests + i) / benchConnections
		sending.Go(func() {
			if err := sendInTurn(address, request, share); err != nil {
				t.Error(err)
			}
		})
	}
	sending.Wait()
}

// sendInTurn sends a request, and the next when that has been answered.
func sendInTurn(address string, request []byte, times int) error {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer connection.Close()
	reader := bufio.NewReader(connection)
	for range times {
		if _, err := connection.Write(request); err != nil {
			return err
		}
		if err := skipAnswer(reader); err != nil {
			return err
		}
	}
	return nil
}

// skipAnswer reads a response that says its length, and drops it.
func skipAnswer(r *bufio.Reader) error {
	length := 0
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		text := string(line)
		if first && !strings.HasPrefix(text, "HTTP/1.1 200 ") {
			return fmt.Errorf("got %q", text)
		}
		if value, found := strings.CutPrefix(text, "Content-Length: "); found {
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
				return err
			}
		}
		if text == "\r\n" {
			_, err := r.Discard(length)
			return err
		}
	}
}
