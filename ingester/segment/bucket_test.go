package segment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/segment/s3server"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"gocloud.dev/blob/memblob"
)

func TestSealedSegmentIsLaidOutTheSameInEveryStore(t *testing.T) {
	inEachPlace(t, func(t *testing.T, p place) {
		s := p.open(t, config.CompressionZstd)
		c := openChain(t, s)
		appendRecords(t, c, 3)
		seal(t, c)
		want := map[string][]string{
			chainDir:    {chainOf0 + "00000000000000000005", chainOf0 + "head", chainOf0 + "header", chainOf0 + "milestone"},
			segmentsDir: {hour + "orders-0-00000000000000000005.ndjson.zst"},
			stagingDir:  nil,
		}
		for folder, want := range want {
			if diff := cmp.Diff(want, namesIn(t, s, folder)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", folder, diff)
			}
		}
		expectExactIn(t, s, 8)
	})
}

func TestWriterDiesAtEveryStepInEveryStore(t *testing.T) {
	for survived := range 4 {
		t.Run(fmt.Sprintf("after %d steps", survived), func(t *testing.T) {
			inEachPlace(t, func(t *testing.T, p place) {
				dying := openChain(t, p.open(t, config.CompressionGzip))
				appendRecords(t, dying, 4)
				seal(t, dying)
				appendRecords(t, dying, 3)
				for _, s := range dying.sealing()[:survived] {
					if err := s.run(t.Context()); err != nil {
						t.Fatalf("%s: %v", s.name, err)
					}
				}
				end := map[bool]int64{false: 9, true: 12}[survived >= 2]
				store := p.open(t, config.CompressionZstd)
				expectExactIn(t, store, end) // also while publishing is left to the next one
				next := openChain(t, store)
				if next.NextOffset() != end {
					t.Fatalf("next offset is %d, want %d", next.NextOffset(), end)
				}
				appendRecords(t, next, 2)
				seal(t, next)
				expectExactIn(t, store, end+2)
				openChain(t, store)
				if left := namesIn(t, store, stagingDir); len(left) > 0 {
					t.Errorf("left in staging: %v", left)
				}
			})
		})
	}
}

func TestLoserGoesOnInEveryStore(t *testing.T) {
	inEachPlace(t, func(t *testing.T, p place) {
		loser, winner := openChain(t, p.open(t, config.CompressionNone)), openChain(t, p.open(t, config.CompressionZstd))
		appendRecords(t, loser, 3)
		appendRecords(t, winner, 2)
		seal(t, winner)
		appendRecords(t, winner, 5)
		seal(t, winner)
		if sealed, err := loser.Seal(t.Context()); sealed || err != nil {
			t.Fatalf("loser: sealed %v, error %v", sealed, err)
		}
		appendRecords(t, loser, 1)
		seal(t, loser)
		expectExactIn(t, loser.store, 13)
		if left := namesIn(t, loser.store, stagingDir); len(left) != 0 {
			t.Errorf("left in staging: %v", left)
		}
		if lost := testutil.ToFloat64(loser.store.metrics.racesLost); lost != 1 {
			t.Errorf("%v races lost, want 1", lost)
		}
	})
}

func TestTwoWritersRaceInObjectStores(t *testing.T) {
	for _, p := range places(t)[1:] {
		t.Run(p.name, func(t *testing.T) {
			end := map[string]int64{"memory": 3000, "S3": 600}[p.name]
			var writers sync.WaitGroup
			for i, compression := range []config.Compression{config.CompressionGzip, config.CompressionZstd} {
				s, random := p.open(t, compression), rand.New(rand.NewPCG(uint64(i), 7))
				writers.Go(func() { race(t, s, random, end) })
			}
			writers.Wait()
			expectExactIn(t, p.open(t, ""), end)
		})
	}
}

// TestAmbiguousAnswersOfS3 lets requests that create a link fail in the ways of
// networks and servers.
func TestAmbiguousAnswersOfS3(t *testing.T) {
	server := s3(t)
	refuse := func(status int, code string) func(http.ResponseWriter, *http.Request, http.Handler) {
		return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(status)
			fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", code)
		}
	}
	for name, interfere := range map[string]func(http.ResponseWriter, *http.Request, http.Handler){
		"created, but the answer is lost": func(_ http.ResponseWriter, r *http.Request, pass http.Handler) { lost(r, pass) },
		"not created, and no answer":      func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) },
		"another create is under way":     refuse(http.StatusConflict, "ConditionalRequestConflict"),
		"slow down":                       refuse(http.StatusServiceUnavailable, "SlowDown"),
		"internal error":                  refuse(http.StatusInternalServerError, "InternalError"),
		"created, but said to have failed": func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
			pass.ServeHTTP(discard{http.Header{}}, r)
			refuse(500, "InternalError")(w, r, nil)
		},
		"created, but said to exist already": func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
			pass.ServeHTTP(discard{http.Header{}}, r)
			refuse(412, "PreconditionFailed")(w, r, nil)
		},
		"created, but said to be in conflict": func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
			pass.ServeHTTP(discard{http.Header{}}, r)
			refuse(409, "ConditionalRequestConflict")(w, r, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var times atomic.Int32
			address := server.proxy(t, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
				if isLinkCreate(r) && times.Add(1) == 1 {
					interfere(w, r, pass)
					return
				}
				pass.ServeHTTP(w, r)
			})
			s := openS3(t, s3server.URL(address, newPrefix()), "")
			c := openChain(t, s)
			times.Store(0)
			for range 2 {
				appendRecords(t, c, 2)
				seal(t, c)
			}
			if times.Load() < 2 {
				t.Errorf("%d creates seen, want one that failed and one that did not", times.Load())
			}
			expectExactIn(t, s, 9)
			if left := namesIn(t, s, stagingDir); len(left) != 0 {
				t.Errorf("left in staging: %v", left)
			}
		})
	}
}

// TestObjectStoreThatFails lets every request of one kind fail for good, and
// then the store come back.
func TestObjectStoreThatFails(t *testing.T) {
	server := s3(t)
	for name, test := range map[string]struct {
		fails func(*http.Request) bool
		end   int64 // after it has come back
		left  int   // objects in staging meanwhile
	}{
		"upload": {func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/staging/")
		}, 5, 0},
		"create of link": {isLinkCreate, 5, 1},
		"copy":           {func(r *http.Request) bool { return r.Header.Get("X-Amz-Copy-Source") != "" }, 7, 1},
		"removal":        {func(r *http.Request) bool { return r.Method == http.MethodDelete }, 7, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var broken atomic.Bool
			address := server.proxy(t, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
				if broken.Load() && test.fails(r) {
					w.WriteHeader(http.StatusForbidden)
					return
				}
				pass.ServeHTTP(w, r)
			})
			s := openS3(t, s3server.URL(address, newPrefix()), "")
			c := openChain(t, s)
			appendRecords(t, c, 2)
			broken.Store(true)
			if _, err := c.Seal(t.Context()); err == nil {
				t.Fatal("sealed in a store that fails")
			}
			if left := namesIn(t, s, stagingDir); test.left == 0 && len(left) != 0 {
				t.Errorf("left in staging: %v", left)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			broken.Store(false)
			c = openChain(t, s)
			if c.NextOffset() != test.end {
				t.Fatalf("next offset is %d, want %d", c.NextOffset(), test.end)
			}
			appendRecords(t, c, 2)
			seal(t, c)
			expectExactIn(t, s, test.end+2)
			openChain(t, s)
			if left := namesIn(t, s, stagingDir); len(left) != 0 {
				t.Errorf("left in staging: %v", left)
			}
		})
	}
}

// TestLargeSegmentGoesInParts seals more than one part of an upload holds.
func TestLargeSegmentGoesInParts(t *testing.T) {
	server := s3(t)
	s := openS3(t, s3server.URL(server.Address, newPrefix()), "")
	c := openChain(t, s)
	for range 15 {
		appendRecords(t, c, 60_000)
	}
	if c.pending.link.UncompressedBytes < 3*partBytes {
		t.Fatalf("%d bytes are too few for the test", c.pending.link.UncompressedBytes)
	}
	seal(t, c)
	expectProblemsIn(t, s)
}

func TestStagedDataHasNoNameOnTheLocalDisk(t *testing.T) {
	staging := t.TempDir()
	s, err := openObjectStore(t.Context(), memblob.OpenBucket(nil), staging, testConfig(""), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	appendRecords(t, openChain(t, s), 100_000) // and then the process dies
	if entries, err := os.ReadDir(staging); err != nil || len(entries) != 0 {
		t.Errorf("left on the disk: %v, %v", entries, err)
	}
}

// TestObjectStoreThatCannotExcludeIsRefused tells everybody that they have
// created what they wanted to.
func TestObjectStoreThatCannotExcludeIsRefused(t *testing.T) {
	server := s3(t)
	address := server.proxy(t, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		if r.Header.Get("If-None-Match") == "*" {
			pass.ServeHTTP(discard{http.Header{}}, r)
			return // 200
		}
		pass.ServeHTTP(w, r)
	})
	_, err := OpenObjectStore(t.Context(), s3server.URL(address, newPrefix()), t.TempDir(), testConfig(""), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if !errors.Is(err, ErrExclusiveCreateUnsupported) || !strings.Contains(err.Error(), "both of two contenders created it") {
		t.Errorf("error is %v", err)
	}
}

// TestStartWhereNothingAnswers can be ended.
func TestStartWhereNothingAnswers(t *testing.T) {
	server := s3(t)
	over := make(chan struct{})
	address := server.proxy(t, func(http.ResponseWriter, *http.Request, http.Handler) { <-over })
	defer close(over)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := OpenObjectStore(ctx, s3server.URL(address, newPrefix()), t.TempDir(), testConfig(""), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err == nil {
		t.Error("opened")
	}
	if took := time.Since(began); took > 3*tidyTimeout+time.Second {
		t.Errorf("ended after %v", took)
	}
}

func TestObjectStoreByURL(t *testing.T) {
	server := s3(t)
	address := s3server.URL(server.Address, newPrefix()+"/deeper")
	c := openChain(t, openS3(t, address, config.CompressionZstd))
	appendRecords(t, c, 3)
	seal(t, c)
	if report, err := Verify(t.Context(), address); err != nil || !report.Complete || report.Records != 3 {
		t.Errorf("report %+v, error %v", report, err)
	}
	if topics, err := Topics(t.Context(), address); err != nil || !cmp.Equal(topics, []string{testTopic}) {
		t.Errorf("topics %q, error %v", topics, err)
	}
	want, _ := numbered(5, 3, noon)
	if got := stored(t, address); got != string(want) {
		t.Errorf("stored %q, want %q", got, want)
	}
	for name, location := range map[string]string{
		"no bucket":  strings.Replace(address, s3server.Bucket, "another", 1),
		"no server":  s3server.URL("127.0.0.1:1", "x"),
		"no driver":  "ftp://bucket/prefix",
		"not an URL": "s3://%",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), requestTimeout)
		if report, err := Verify(ctx, location); err == nil {
			t.Errorf("%s: verified %+v", name, report)
		}
		cancel()
	}
}

// TestVerifyFailsInEveryStore on one damaged byte, one removed segment, one
// doubled link, one orphan.
func TestVerifyFailsInEveryStore(t *testing.T) {
	for name, test := range map[string]struct {
		damage func(t *testing.T, s *Store)
		want   []string
	}{
		"a damaged byte":    {func(t *testing.T, s *Store) { overwrite(t, s, data7, replace("8", "9")) }, []string{data7 + ": a byte has changed"}},
		"a removed segment": {func(t *testing.T, s *Store) { removeFrom(t, s, data7) }, []string{data7 + ": data is missing"}},
		"a removed link":    {func(t *testing.T, s *Store) { removeFrom(t, s, link7) }, []string{link9 + ": leaves a gap: offsets 7 to 8", data7 + ": no link names it"}},
		"a doubled link": {func(t *testing.T, s *Store) {
			content, err := readFile(t.Context(), s.files, link7)
			if err == nil {
				content = bytes.ReplaceAll(bytes.Replace(content, []byte(`"baseOffset":7`), []byte(`"baseOffset":8`), 1), []byte("0007"), []byte("0008"))
				err = s.files.create(t.Context(), stagingDir+"/x", chainOf0+offsetName(8), summed(bytes.Replace(content, []byte(`"records":2`), []byte(`"records":1`), 1)))
			}
			if err != nil {
				t.Fatal(err)
			}
		}, []string{chainOf0 + offsetName(8) + ": overlaps the link before it"}},
		"an orphan": {func(t *testing.T, s *Store) {
			if err := s.files.create(t.Context(), stagingDir+"/x", hour+"orders-0-00000000000000000006.ndjson", []byte("{}\n")); err != nil {
				t.Fatal(err)
			}
		}, []string{hour + "orders-0-00000000000000000006.ndjson: no link names it"}},
	} {
		t.Run(name, func(t *testing.T) {
			inEachPlace(t, func(t *testing.T, p place) {
				s := p.open(t, "")
				c := openChain(t, s)
				for range 3 {
					appendRecords(t, c, 2)
					seal(t, c)
				}
				expectProblemsIn(t, s)
				test.damage(t, s)
				expectProblemsIn(t, s, test.want...)
			})
		})
	}
}

func removeFrom(t testing.TB, s *Store, name string) {
	t.Helper()
	if err := s.files.remove(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

func TestOpenGoesByTheConfiguration(t *testing.T) {
	server := s3(t)
	inDirectory := config.Default()
	inDirectory.DataDir = t.TempDir()
	inBucket := inDirectory
	inBucket.ObjectStore.URL = s3server.URL(server.Address, newPrefix())
	for location, cfg := range map[string]config.Config{inDirectory.DataDir: inDirectory, inBucket.ObjectStore.URL: inBucket} {
		s, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		c := openChain(t, s)
		appendRecords(t, c, 2)
		seal(t, c)
		if report, err := Verify(t.Context(), location); err != nil || !report.Complete || report.Records != 2 {
			t.Errorf("%s: report %+v, error %v", location, report, err)
		}
	}
	if left := files(t, inDirectory.StagingDir()); len(left) != 0 {
		t.Errorf("left in the local staging directory: %v", left)
	}
}

// TestObjectStoreThatCannotBeOpened: what passes is told from what somebody has to
// mend.
func TestObjectStoreThatCannotBeOpened(t *testing.T) {
	server := s3(t)
	answering := func(status int) string {
		return server.proxy(t, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
			if r.Header.Get("If-None-Match") == "*" || status == http.StatusForbidden {
				w.WriteHeader(status)
				return
			}
			pass.ServeHTTP(w, r)
		})
	}
	missing := strings.Replace(s3server.URL(server.Address, newPrefix()), s3server.Bucket, "not-there", 1)
	for name, test := range map[string]struct {
		url    string
		passes bool
		says   string
	}{
		"nobody listens":         {s3server.URL("127.0.0.1:1", newPrefix()), true, "connection refused"},
		"the store fails":        {s3server.URL(answering(http.StatusServiceUnavailable), newPrefix()), true, "the object store is not available"},
		"it has no such request": {s3server.URL(answering(http.StatusNotImplemented), newPrefix()), false, "ExclusiveCreateUnsupported"},
		"the bucket is missing":  {missing, false, "the bucket is not there"},
		"no permission":          {s3server.URL(answering(http.StatusForbidden), newPrefix()), false, "403"},
		"no URL":                 {"s3://%zz", false, "invalid URL escape"},
		"an unknown scheme":      {"ftp://segments", false, "no driver registered"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := OpenObjectStore(t.Context(), test.url, t.TempDir(), testConfig(""), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
			if errors.Is(err, ErrUnavailable) != test.passes || err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error is %v, want one with %q that passes: %v", err, test.says, test.passes)
			}
			if !strings.HasPrefix(test.says, "Exclusive") && strings.Contains(err.Error(), "ExclusiveCreateUnsupported") {
				t.Errorf("error is %v, which blames the store's creates", err)
			}
		})
	}
}
