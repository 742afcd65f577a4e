package segment

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
	"github.com/logpipeline/logpipeline/ingester/segment/s3server"
)

// takeAll leaves no encoder to segments that grow.
func takeAll(pool *encoderPool) {
	for range cap(pool.places) {
		pool.places <- struct{}{}
	}
}

// openPartitions opens the chains of n partitions, each with a segment of some
// appends of its own size.
func openPartitions(t testing.TB, s *Store, n, appends, records int) []*Chain {
	t.Helper()
	lines, span := logLines(5, records)
	chains := make([]*Chain, n)
	for i := range chains {
		c, err := s.Open(t.Context(), testTopic, testID, int32(i), beginAt(5))
		if err != nil {
			t.Fatal(err)
		}
		chains[i] = c
	}
	for range appends { // in turns, as a consumer does
		for _, c := range chains {
			span.BaseOffset, span.NextOffset = c.NextOffset(), c.NextOffset()+span.Records
			if err := c.Append(lines, span); err != nil {
				t.Fatal(err)
			}
		}
	}
	return chains
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC() // the first one leaves the victims of pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestMemoryOfOpenSegmentsIsBounded: a store holds next to nothing for an open
// segment, and for all of them together no more than its encoders.
func TestMemoryOfOpenSegmentsIsBounded(t *testing.T) {
	const perSegment, ofEncoders = 32 << 10, 20 << 20
	for compression, bound := range map[config.Compression]int64{
		config.CompressionNone: 100 * perSegment,
		config.CompressionGzip: 100*perSegment + ofEncoders,
		config.CompressionZstd: 100*perSegment + ofEncoders,
	} {
		for name, records := range map[string]int{"small appends": 10, "large appends": 300} {
			t.Run(string(compression)+" "+name, func(t *testing.T) {
				s := openCompressed(t, t.TempDir(), compression)
				before := heapInUse()
				chains := openPartitions(t, s, 100, 3, records)
				if held := heapInUse() - before; held > bound {
					t.Errorf("%d KiB are held for 100 open segments, want at most %d", held>>10, bound>>10)
				} else {
					t.Logf("%d KiB are held", held>>10)
				}
				for _, c := range chains {
					seal(t, c)
				}
				if held := heapInUse() - before; held > bound {
					t.Errorf("%d KiB are held after sealing, want at most %d", held>>10, bound>>10)
				}
				runtime.KeepAlive(chains)
			})
		}
	}
}

// TestMemoryOfUploadsIsBounded looks at what is in use whenever a request for
// an upload arrives, of which there are many at once.
func TestMemoryOfUploadsIsBounded(t *testing.T) {
	const bound = uploadBytes + 8<<20 // of the server's proxy, which is in this process, and the rest
	for name, test := range map[string]struct{ partitions, records, appends int }{
		"large segments": {2, 20_000, 4},
		"small segments": {16, 2_000, 1},
	} {
		t.Run(name, func(t *testing.T) {
			server := s3(t)
			var before, most atomic.Int64
			address := server.proxy(t, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
				if strings.Contains(r.URL.Path, "/staging/") && r.Method == http.MethodPut {
					most.Store(max(most.Load(), heapInUse()-before.Load()))
				}
				pass.ServeHTTP(w, r)
			})
			s := openS3(t, s3server.URL(address, newPrefix()), "")
			chains := openPartitions(t, s, test.partitions, test.appends, test.records)
			before.Store(heapInUse())
			sealAll(t, chains)
			t.Logf("%d KiB are in use", most.Load()>>10)
			if most.Load() > bound || most.Load() == 0 {
				t.Errorf("%d KiB are in use, want at most %d", most.Load()>>10, int64(bound)>>10)
			}
			expectProblemsIn(t, s)
		})
	}
}

func sealAll(t testing.TB, chains []*Chain) {
	t.Helper()
	results := make(chan error, len(chains))
	for _, c := range chains {
		go func() {
			_, err := c.Seal(t.Context())
			results <- err
		}()
	}
	for range chains {
		if err := <-results; err != nil {
			t.Fatal(err)
		}
	}
}

// TestMoreSegmentsThanEncoders seals segments that were compressed as they grew
// and others that were not, at once: nobody waits for ever, and all are proven.
func TestMoreSegmentsThanEncoders(t *testing.T) {
	for _, p := range places(t) {
		for _, compression := range segmentCodecs[1:] {
			t.Run(p.name+" "+string(compression), func(t *testing.T) {
				s := newPlace(t, p.name).open(t, compression)
				for range 2 { // the second time with encoders that were used before
					chains := openPartitions(t, s, 2*(streamEncoders+sealEncoders), 1, 20)
					sealAll(t, chains)
					if inUse := len(s.encoders.streams.places) + len(s.encoders.seals.places); inUse != 0 {
						t.Errorf("%d encoders were not given back", inUse)
					}
				}
				report := expectProblemsIn(t, s)
				if len(report.Chains) != 2*(streamEncoders+sealEncoders) || report.Bytes >= report.UncompressedBytes {
					t.Errorf("%d chains, %d bytes of %d", len(report.Chains), report.Bytes, report.UncompressedBytes)
				}
				if left := namesIn(t, s, stagingDir); len(left) > 0 {
					t.Errorf("left in staging: %v", left)
				}
			})
		}
	}
}

// TestWaitingForAnEncoderEndsWithTheContext: nothing is sealed then, and nothing
// is lost.
func TestWaitingForAnEncoderEndsWithTheContext(t *testing.T) {
	dir := t.TempDir()
	s := openCompressed(t, dir, config.CompressionZstd)
	takeAll(&s.encoders.streams)
	takeAll(&s.encoders.seals)
	c := openChain(t, s)
	appendRecords(t, c, 2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if sealed, err := c.Seal(ctx); err == nil || sealed {
		t.Fatal("sealed without an encoder")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if left := files(t, dir+"/"+stagingDir); len(left) > 0 {
		t.Errorf("left in staging: %v", left)
	}
}

// TestPlainLinesOfADeadWriterAreRemoved once their place in the chain is taken.
func TestPlainLinesOfADeadWriterAreRemoved(t *testing.T) {
	dir := t.TempDir()
	s := openCompressed(t, dir, config.CompressionGzip)
	takeAll(&s.encoders.streams)
	dying := openChain(t, s)
	appendRecords(t, dying, 2000)
	if left := files(t, dir+"/"+stagingDir); len(left) != 1 || !strings.HasSuffix(left[0], ".ndjson.gz"+plainSuffix) {
		t.Fatalf("staged: %v", left)
	}
	c := openChain(t, openDirectory(t, dir))
	appendRecords(t, c, 2)
	seal(t, c)
	openChain(t, s)
	if left := files(t, dir+"/"+stagingDir); len(left) > 0 {
		t.Errorf("left in staging: %v", left)
	}
	expectExact(t, dir, 7)
}

// TestDiskFullWhileCompressing loses nothing: see also the tests of trouble.
func TestDiskFullWhileCompressing(t *testing.T) {
	dir := t.TempDir()
	s := openCompressed(t, dir, config.CompressionZstd)
	takeAll(&s.encoders.streams)
	s.files = failingStage{s.files}
	c := openChain(t, s)
	appendRecords(t, c, 2)
	if _, err := c.Seal(t.Context()); err == nil {
		t.Fatal("sealed without a file")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if len(s.encoders.seals.places) != 0 {
		t.Error("an encoder was not given back")
	}
	if left := files(t, dir+"/"+stagingDir); len(left) > 0 {
		t.Errorf("left in staging: %v", left)
	}
}

// failingStage takes plain lines only.
type failingStage struct{ store }

func (f failingStage) stage(name string) (stagedData, error) {
	if !strings.HasSuffix(name, plainSuffix) {
		return nil, errFault
	}
	return f.store.stage(name)
}

// BenchmarkManyPartitions is the cost of a record when its segment has an
// encoder of its own, and when it has to wait for one.
func BenchmarkManyPartitions(b *testing.B) {
	for _, compression := range segmentCodecs {
		for name, drained := range map[string]bool{"streamed": false, "waiting": true} {
			b.Run(string(compression)+"/"+name, func(b *testing.B) {
				s := openCompressed(b, b.TempDir(), compression)
				if drained {
					takeAll(&s.encoders.streams)
				}
				c := openChain(b, s)
				lines, span := logLines(5, 4_000)
				b.SetBytes(int64(len(lines)))
				for b.Loop() {
					if err := c.Append(lines, span); err != nil {
						b.Fatal(err)
					}
					span = record.Span{BaseOffset: span.NextOffset, NextOffset: span.NextOffset + span.Records, Records: span.Records, FirstTimestamp: noon, LastTimestamp: noon}
					if c.pending.link.UncompressedBytes > 16<<20 {
						seal(b, c)
					}
				}
			})
		}
	}
}
