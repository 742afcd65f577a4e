package collector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/httpapi"
	"github.com/logpipeline/logpipeline/ingester/queue"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// In a process of its own, which the test can kill, this binary is an intake
// whose Kafka is a file: INTAKES are its addresses, as name=address, and
// INTAKE_DIR is where <name>.ndjson takes the records and <name>.statuses the
// status of each answer.
const (
	intakesVariable   = "INTAKES"
	intakeDirVariable = "INTAKE_DIR"
)

func TestMain(m *testing.M) {
	if intakes := os.Getenv(intakesVariable); intakes != "" {
		if err := serve(strings.Split(intakes, ","), os.Getenv(intakeDirVariable)); err != nil {
			fmt.Fprintln(os.Stderr, "serve:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serve runs the intakes until SIGTERM, and drains them.
func serve(intakes []string, dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var running sync.WaitGroup
	failures := make(chan error, len(intakes))
	for _, intake := range intakes {
		name, address, _ := strings.Cut(intake, "=")
		running.Go(func() {
			if err := runIntake(ctx, address, filepath.Join(dir, name)); err != nil {
				failures <- fmt.Errorf("%s: %w", name, err)
				stop()
			}
		})
	}
	running.Wait()
	close(failures)
	return <-failures
}

// queueBytes has room for a few requests of the test at a time, so that the
// others are told to come back; a zstd body needs 280 KiB while it is decoded.
const queueBytes = 384 << 10

func runIntake(ctx context.Context, address, file string) error {
	records, err := openLines(file + ".ndjson")
	if err != nil {
		return err
	}
	defer records.Close()
	statuses, err := openLines(file + ".statuses")
	if err != nil {
		return err
	}
	defer statuses.Close()

	registry := prometheus.NewRegistry()
	waiting := queue.New(queueBytes, registry)
	logger := slog.New(slog.DiscardHandler)
	handler := httpapi.New(httpapi.Options{Instance: "collector", Limits: config.Default().RequestLimits}, waiting, logger, registry)
	server := httpapi.NewServer(handler, logger)
	server.Handler = recordStatus(server.Handler, statuses)
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	taken := make(chan error, 1)
	go func() { taken <- take(waiting, records) }()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	<-ctx.Done()
	handler.Drain()
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err = server.Shutdown(shutdown)
	<-served
	waiting.Close()
	return errors.Join(err, <-taken)
}

// openLines opens a file that is appended to, without the part of a line that
// a killed process may have left at its end.
func openLines(name string) (*os.File, error) {
	content, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	return file, file.Truncate(int64(bytes.LastIndexByte(content, '\n') + 1))
}

// take delivers what is queued to the file until the queue is closed. The
// second batch is not delivered, and the third is, without being known to be.
func take(waiting *queue.Queue, records *os.File) error {
	for count := 1; ; count++ {
		batches, err := waiting.Take(context.Background(), nil, 1, 1, 0, nil)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		b := batches[0]
		outcome := record.Outcome{Placements: []record.Placement{{Topic: "file"}}}
		switch count {
		case 2:
			outcome = record.Outcome{Err: record.ErrNotDelivered}
		case 3:
			outcome = record.Outcome{Err: record.ErrOutcomeUnknown}
		}
		if count != 2 {
			time.Sleep(10 * time.Millisecond) // as a slow broker
			if err := writeBatch(records, b); err != nil {
				return err
			}
		}
		b.Complete(outcome)
		b.Free()
	}
}

func writeBatch(file *os.File, b *record.Batch) error {
	var lines []byte
	for i := range b.Len() {
		lines = append(append(lines, b.Record(i)...), '\n')
	}
	_, err := file.Write(lines)
	return err
}

// recordStatus writes the status of each answer to a file.
func recordStatus(handler http.Handler, file *os.File) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(&statusWriter{w, file}, r)
	})
}

type statusWriter struct {
	http.ResponseWriter
	file *os.File
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *statusWriter) WriteHeader(status int) {
	fmt.Fprintln(w.file, status)
	w.ResponseWriter.WriteHeader(status)
}
