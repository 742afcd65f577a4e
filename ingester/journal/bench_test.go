package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logpipeline/logpipeline/bench/records"
	"github.com/logpipeline/logpipeline/ingester/durable"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// benchBatch returns a batch of 100 records of about 255 bytes.
func benchBatch(b *testing.B, body []byte) *record.Batch {
	batch := record.NewBatch("ingester-0.0190f3c2-7b5a-7cc1-8d3e-5a2b1c0d9e8f")
	if err := record.ParseNDJSON(batch, body, record.Limits{MaxRecordBytes: 1 << 20, MaxDepth: 64}); err != nil {
		b.Fatal(err)
	}
	return batch
}

// BenchmarkJournal has clients post batches of 100 records by closed loops, each
// of which waits until its batch is durable, while the storer brings them into
// segments: everything of the role direct but HTTP.
func BenchmarkJournal(b *testing.B) {
	for _, clients := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			s := settings(b)
			s.maxBytes, s.fileBytes = 4<<30, 64<<20
			s.segment.MaxBytes = 64 << 20
			r := s.start(b, true)
			body := records.NDJSON(records.Lines(1, 100))
			var syncs atomic.Int64
			r.log.dataSync = func(f *os.File) error { syncs.Add(1); return durable.SyncData(f) }
			inParallel(b, clients, func() {
				if o := r.put(benchBatch(b, body), time.Now()); o.Err != nil {
					b.Error(o.Err)
				}
			})
			b.ReportMetric(float64(b.N)/float64(max(1, syncs.Load())), "batches/fsync")
			b.StopTimer()
			r.stop()
		})
	}
}

// BenchmarkFsyncPerRequest is the plain way: each request appends to the file
// and syncs it, under one lock. BenchmarkWithoutFsync is version 1, as it was
// reviewed: it doesn't sync at all.
func BenchmarkFsyncPerRequest(b *testing.B) { benchmarkLocked(b, (*os.File).Sync) }

func BenchmarkWithoutFsync(b *testing.B) {
	benchmarkLocked(b, func(*os.File) error { return nil })
}

func benchmarkLocked(b *testing.B, sync1 func(*os.File) error) {
	for _, clients := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			file, err := os.OpenFile(filepath.Join(b.TempDir(), "logs.ndjson"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
			if err != nil {
				b.Fatal(err)
			}
			defer file.Close()
			body := records.NDJSON(records.Lines(1, 100))
			var lock sync.Mutex
			inParallel(b, clients, func() {
				benchBatch(b, body) // the records are checked here, too
				lock.Lock()
				defer lock.Unlock()
				if _, err := file.Write(body); err != nil {
					b.Error(err)
				}
				if err := sync1(file); err != nil {
					b.Error(err)
				}
			})
		})
	}
}

// inParallel calls f b.N times, by so many at once, and reports records/s.
func inParallel(b *testing.B, clients int, f func()) {
	var next atomic.Int64
	var running sync.WaitGroup
	b.ResetTimer()
	for range clients {
		running.Go(func() {
			for next.Add(1) <= int64(b.N) {
				f()
			}
		})
	}
	running.Wait()
	b.ReportMetric(float64(100*b.N)/b.Elapsed().Seconds(), "records/s")
}
