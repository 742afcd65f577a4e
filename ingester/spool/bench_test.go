package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/queue"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// BenchmarkAppend appends batches of 100 records of about 255 bytes by closed
// loops, each of which waits until its batch is durable. A taker settles what
// comes from the queue, as the producer does, as many at a time as there are.
func BenchmarkAppend(b *testing.B) {
	for _, waiters := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("waiters=%d", waiters), func(b *testing.B) { benchmarkAppend(b, waiters) })
	}
}

func benchmarkAppend(b *testing.B, waiters int) {
	reg := prometheus.NewRegistry()
	q := queue.New(256<<20, reg)
	s, err := Open(Options{Dir: b.TempDir(), MaxBytes: 1 << 30}, q, slog.New(slog.NewTextHandler(io.Discard, nil)), reg)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	taken := make(chan struct{})
	go func() { takeAndSettle(b, s, q); close(taken) }()

	buffer, lengths := benchRecords()
	b.SetBytes(int64(len(buffer)))
	b.ReportAllocs()
	before := cpuTime(b)
	b.ResetTimer()
	var next atomic.Int64
	done := make(chan struct{})
	for range waiters {
		go func() {
			account := q.NewAccount()
			for next.Add(1) <= int64(b.N) {
				appendBench(b, s, account, buffer, lengths)
			}
			done <- struct{}{}
		}()
	}
	for range waiters {
		<-done
	}
	b.StopTimer()
	used := cpuTime(b) - before
	b.ReportMetric(float64(syncCount(b, reg))/float64(b.N), "fsyncs/batch")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "batches/s")
	b.ReportMetric(float64(used.Nanoseconds())/float64(b.N)/float64(len(lengths)), "cpu-ns/record")
	q.Close()
	<-taken
	cancel()
	<-ended
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

func benchRecords() (buffer []byte, lengths []uint32) {
	for i := range 100 {
		n := len(buffer)
		buffer = fmt.Appendf(buffer, `{"timestamp":"2026-03-01T12:00:%02d.000000Z","level":"info","service":"checkout","host":"node-%02d","trace":"4bf92f3577b34da6a3ce929d0e0e%04x","status":200,"duration_ms":%d.25,"message":"GET /api/v1/carts/%05d/items finished: \"ok\", 3 items, cache warm","retry":false}`, i%60, i%32, i, i, i)
		lengths = append(lengths, uint32(len(buffer)-n))
	}
	return buffer, lengths
}

func appendBench(b *testing.B, s *Spool, account record.Account, buffer []byte, lengths []uint32) {
	batch, err := record.Restore("ingester-0.0190f3c2-7b5a-7cc1-8d3e-5a2b1c0d9e8f", buffer, lengths)
	if err != nil {
		b.Error(err)
		return
	}
	batch.Received, batch.Account, batch.Reserved = time.Now(), account, batch.Memory()
	for account.Reserve(batch.Reserved) != nil {
		time.Sleep(100 * time.Microsecond)
	}
	for {
		err := s.Append(context.Background(), batch)
		if err == nil {
			return
		}
		if !errors.Is(err, record.ErrSpoolFull) {
			b.Error(err)
			return
		}
		time.Sleep(time.Millisecond) // the taker is behind
	}
}

func takeAndSettle(b *testing.B, s *Spool, q *queue.Queue) {
	var batches []*record.Batch
	var sequence int32
	for {
		var err error
		batches, err = q.Take(context.Background(), batches[:0], 50_000, 8<<20, 0, nil)
		if err != nil {
			return
		}
		sequence++
		a := record.Assignment{Sequence: sequence, Time: time.Now()}
		for _, batch := range batches {
			a.Sections = append(a.Sections, record.AssignedSection{Position: batch.Position, To: batch.Len()})
		}
		if err := s.Assign(context.Background(), a); err != nil {
			b.Error(err)
		}
		s.Settle(a)
		for _, batch := range batches {
			batch.Complete(record.Outcome{})
			batch.Free()
		}
	}
}

// cpuTime is what this process has used.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
