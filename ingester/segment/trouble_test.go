package segment

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
	"github.com/logpipeline/logpipeline/ingester/segment/s3server"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// volume is a file system of its own, which needs the rights to mount one.
type volume struct{ dir string }

func newVolume(t testing.TB, size string) volume {
	t.Helper()
	v := volume{t.TempDir()}
	if err := syscall.Mount("tmpfs", v.dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatalf("mount a tmpfs of %s, as root: %v", size, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(v.dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return v
}

func (v volume) remount(t testing.TB, flags uintptr, size string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", v.dir, "tmpfs", syscall.MS_REMOUNT|flags, "size="+size); err != nil {
		t.Fatalf("remount: %v", err)
	}
}

// storeUpTo stores as a consumer does: whatever fails, the chain is closed and
// opened anew, and goes on at its end. It returns after so many failures.
func storeUpTo(t testing.TB, s *Store, end int64, run int, failures int) (last error) {
	t.Helper()
	for failed := 0; failed < failures; failed++ {
		c, err := s.Open(t.Context(), testTopic, testID, 0, beginAt(5))
		for err == nil && c.NextOffset() < end {
			if err = c.Append(numbered(c.NextOffset(), min(run, int(end-c.NextOffset())), noon)); err == nil && c.Due(time.Now(), record.Span{}) != "" {
				_, err = c.Seal(t.Context())
			}
		}
		if err == nil {
			_, err = c.Seal(t.Context())
		}
		if c != nil {
			if closing := c.Close(); closing != nil && !isTrouble(closing) {
				t.Fatal(closing)
			}
		}
		if last = err; err == nil {
			return nil
		}
	}
	return last
}

func isTrouble(err error) bool { return kindOf(err) != "" }

// expectTrouble compares the kind, "" for none, with what is measured.
func expectTrouble(t testing.TB, s *Store, kind string) {
	t.Helper()
	want := map[string]float64{}
	if kind != "" {
		want[kind] = 1
	}
	if diff := cmp.Diff(want, troubledPartitions(t, s)); diff != "" {
		t.Errorf("troubled partitions by kind (-want +got):\n%s", diff)
	}
}

// TestDiskThatIsFull: the records that fit are stored, nothing is lost or stored
// twice, nothing is held meanwhile, and it goes on by itself when there is room.
func TestDiskThatIsFull(t *testing.T) {
	for _, compression := range segmentCodecs {
		t.Run(string(compression), func(t *testing.T) {
			v := newVolume(t, "3m")
			s := openCompressed(t, v.dir, compression)
			filler := filepath.Join(v.dir, "filler") // of somebody else
			if err := os.WriteFile(filler, make([]byte, 4<<20), 0o644); !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("error is %v, want that there is no space", err)
			}
			info, err := os.Stat(filler)
			if err == nil {
				err = os.Truncate(filler, info.Size()-64<<10)
			}
			if err != nil {
				t.Fatal(err)
			}
			const end = 100_005
			if err := storeUpTo(t, s, end, 5000, 3); !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("error is %v, want that there is no space", err)
			}
			expectTrouble(t, s, troubleFull)
			held := heapInUse()
			_ = storeUpTo(t, s, end, 5000, 30)
			if more := heapInUse() - held; more > 1<<20 {
				t.Errorf("%d KiB more are held after 30 more failures", more>>10)
			}
			runtime.KeepAlive(s)
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
			if err := storeUpTo(t, s, end, 5000, 1); err != nil {
				t.Fatal(err)
			}
			expectTrouble(t, s, "")
			expectExact(t, v.dir, end)
			openChain(t, s)
			if left := files(t, filepath.Join(v.dir, stagingDir)); len(left) > 0 {
				t.Errorf("left in staging: %v", left)
			}
			if failures := testutil.ToFloat64(s.metrics.failures.WithLabelValues(troubleFull)); failures < 30 {
				t.Errorf("%v failures counted", failures)
			}
		})
	}
}

// TestRetentionMakesRoomOnAFullDisk: it needs a little itself, which giving up
// the open segment leaves.
func TestRetentionMakesRoomOnAFullDisk(t *testing.T) {
	v := newVolume(t, "3m")
	s := openDirectory(t, v.dir)
	if err := storeUpTo(t, s, 1_000_000, 5000, 3); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("error is %v, want that there is no space", err)
	}
	c := openChain(t, s)
	before := c.NextOffset()
	retain(t, c, time.UnixMilli(noon), config.Retention{MaxBytes: 1 << 20})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := storeUpTo(t, s, before+10_000, 5000, 1); err != nil {
		t.Fatal(err)
	}
	expectTrouble(t, s, "")
	expectProblems(t, v.dir)
}

// TestStartOnAFullDisk: a process that is started again where the disk is full,
// as after a crash that left staged data, opens what is there; then retention
// makes room. What excludes nobody is found out as soon as there is any.
func TestStartOnAFullDisk(t *testing.T) {
	v := newVolume(t, "3m")
	if err := storeUpTo(t, openDirectory(t, v.dir), 1_000_000, 5000, 3); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("error is %v, want that there is no space", err)
	}
	left := filepath.Join(v.dir, stagingDir, "left")
	if err := os.WriteFile(left, make([]byte, 4<<20), 0o644); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("error is %v, want that there is no space", err)
	}
	d := &directory{root: v.dir, link: os.Rename}
	if err := d.prepare(); !errors.Is(err, errUndecided) {
		t.Errorf("error is %v, want that it cannot be decided", err)
	}
	s := openDirectory(t, v.dir)
	c := openChain(t, s)
	if err := c.Retain(t.Context(), time.UnixMilli(noon), config.Retention{MaxBytes: 1 << 20}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error is %v, want that there is no space", err)
	}
	if err := os.Remove(left); err != nil {
		t.Fatal(err)
	}
	if err := d.create(t.Context(), "staging/a", "chain/a", nil); !errors.Is(err, ErrExclusiveCreateUnsupported) {
		t.Errorf("error is %v, want that it is refused", err)
	}
	before := c.NextOffset()
	retain(t, c, time.UnixMilli(noon), config.Retention{MaxBytes: 1 << 20})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := storeUpTo(t, s, before+10_000, 5000, 1); err != nil {
		t.Fatal(err)
	}
	expectTrouble(t, s, "")
	expectProblems(t, v.dir)
}

// TestDiskThatIsRemountedReadOnly at every step of sealing, and before.
func TestDiskThatIsRemountedReadOnly(t *testing.T) {
	for survived := range 4 {
		t.Run(fmt.Sprintf("after %d steps", survived), func(t *testing.T) {
			v := newVolume(t, "8m")
			s := openDirectory(t, v.dir)
			c := openChain(t, s)
			appendRecords(t, c, 2)
			seal(t, c)
			if survived > 0 { // it cannot be remounted while a file is written
				appendRecords(t, c, 2)
			}
			for _, step := range c.sealing()[:survived] {
				if err := step.run(t.Context()); err != nil && survived > 0 {
					t.Fatalf("%s: %v", step.name, err)
				}
			}
			v.remount(t, syscall.MS_RDONLY, "8m")
			if survived > 0 {
				for _, step := range c.sealing()[survived:] {
					if err := step.run(t.Context()); err != nil && !errors.Is(err, syscall.EROFS) {
						t.Fatalf("%s: %v", step.name, err)
					}
				}
			}
			_ = c.Close() // cannot remove anything
			if err := storeUpTo(t, s, 20, 3, 3); !errors.Is(err, syscall.EROFS) {
				t.Fatalf("error is %v, want that it is read-only", err)
			}
			expectTrouble(t, s, troubleReadOnly)
			v.remount(t, 0, "8m")
			if err := storeUpTo(t, s, 20, 3, 1); err != nil {
				t.Fatal(err)
			}
			expectTrouble(t, s, "")
			expectExact(t, v.dir, 20)
		})
	}
}

// slowStore holds requests back until it is released.
type slowStore struct {
	store
	release chan struct{}
}

func (s slowStore) create(ctx context.Context, staged, name string, content []byte) error {
	select {
	case <-s.release:
		return s.store.create(ctx, staged, name, content)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestStoreThatIsSlow is trouble while it does not answer, also before anybody
// gives up; and no more when it has answered.
func TestStoreThatIsSlow(t *testing.T) {
	inEachPlace(t, func(t *testing.T, p place) {
		s := p.open(t, "")
		c := openChain(t, s)
		s.troubles.slowAfter = time.Millisecond
		files := s.files
		defer func() { s.files = files }()
		slow := slowStore{files, make(chan struct{})}
		s.files = slow

		appendRecords(t, c, 2)
		impatient, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if sealed, err := c.Seal(impatient); sealed || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("sealed %v, error %v", sealed, err)
		}
		expectTrouble(t, s, troubleSlow)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}

		c = openChain(t, s)
		expectTrouble(t, s, troubleSlow)
		appendRecords(t, c, 2)
		done := make(chan error)
		go func() {
			_, err := c.Seal(t.Context())
			done <- err
		}()
		expectTrouble(t, s, troubleSlow)
		close(slow.release)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		expectTrouble(t, s, "")
		expectExactIn(t, s, 7)
	})
}

// TestStoreThatDoesNotAnswer is trouble without an error.
func TestStoreThatDoesNotAnswer(t *testing.T) {
	s := openDirectory(t, t.TempDir())
	c := openChain(t, s)
	s.troubles.slowAfter = time.Millisecond
	slow := slowStore{s.files, make(chan struct{})}
	s.files = slow
	appendRecords(t, c, 2)
	expectTrouble(t, s, "")
	done := make(chan error)
	go func() {
		_, err := c.Seal(t.Context())
		done <- err
	}()
	for deadline := time.Now().Add(30 * time.Second); ; {
		if len(s.troubles.current(time.Now())) > 0 {
			expectTrouble(t, s, troubleSlow)
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no trouble")
		}
		runtime.Gosched()
	}
	close(slow.release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	expectTrouble(t, s, "")
}

func TestObjectStoreInTrouble(t *testing.T) {
	server := s3(t)
	answer := func(status int, code string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(status)
			fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", code)
		}
	}
	for kind, fails := range map[string]http.HandlerFunc{
		troubleRefused:     answer(http.StatusForbidden, "AccessDenied"),
		troubleSlow:        answer(http.StatusServiceUnavailable, "SlowDown"),
		troubleFull:        answer(http.StatusInsufficientStorage, "QuotaExceeded"),
		troubleFailing:     answer(http.StatusInternalServerError, "InternalError"),
		troubleUnreachable: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(kind, func(t *testing.T) {
			var broken atomic.Bool
			address := server.proxy(t, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
				if broken.Load() && r.Method != http.MethodGet {
					fails(w, r)
					return
				}
				pass.ServeHTTP(w, r)
			})
			s := openS3(t, s3server.URL(address, newPrefix()), "")
			if err := storeUpTo(t, s, 10, 5, 1); err != nil {
				t.Fatal(err)
			}
			broken.Store(true)
			if err := storeUpTo(t, s, 20, 5, 1); err == nil {
				t.Fatal("stored all the same")
			}
			expectTrouble(t, s, kind)
			broken.Store(false)
			if err := storeUpTo(t, s, 20, 5, 1); err != nil {
				t.Fatal(err)
			}
			expectTrouble(t, s, "")
			expectExactIn(t, s, 20)
		})
	}
}

func TestKindsOfTrouble(t *testing.T) {
	for kind, errs := range map[string][]error{
		"":                 {nil, context.Canceled, damaged("x"), fmt.Errorf("%w: %w", errNotStorage, syscall.ECONNREFUSED)},
		troubleFull:        {syscall.ENOSPC, fmt.Errorf("%w: %w", errRefused, &os.PathError{Op: "write", Err: syscall.EDQUOT})},
		troubleReadOnly:    {syscall.EROFS},
		troubleRefused:     {syscall.EACCES, syscall.EPERM},
		troubleSlow:        {context.DeadlineExceeded, os.ErrDeadlineExceeded, syscall.ETIMEDOUT},
		troubleUnreachable: {&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, &net.DNSError{}},
		troubleFailing:     {syscall.EIO, errMissing, os.ErrNotExist},
	} {
		for _, err := range errs {
			if got := kindOf(err); got != kind {
				t.Errorf("%v is %q, want %q", err, got, kind)
			}
		}
	}
}

// TestTroubleOfAPartitionThatIsGivenAway ends when nobody tries it any more.
func TestTroubleOfAPartitionThatIsGivenAway(t *testing.T) {
	s := openDirectory(t, t.TempDir())
	mine, given := partition{testTopic, testID, 0}, partition{testTopic, testID, 1}
	for _, p := range []partition{mine, given} {
		s.troubles.begin(p)
		s.troubles.end(p, syscall.ENOSPC, false)
	}
	now := time.Now()
	if n := len(s.troubles.current(now.Add(troubleStays / 2))); n != 2 {
		t.Errorf("%d troubles, want 2", n)
	}
	s.troubles.begin(mine)
	if n := len(s.troubles.current(now.Add(2 * troubleStays))); n != 1 {
		t.Errorf("%d troubles later, want 1", n)
	}
}

// The kind is the last one, the begin the first, and only a proof ends it.
func TestTroubleOfEachPartition(t *testing.T) {
	s := openDirectory(t, t.TempDir())
	first := partition{testTopic, testID, 0}
	fail := func(p partition, err error) {
		s.troubles.begin(p)
		s.troubles.end(p, err, false)
	}
	expect := func(when string, want map[string]float64) {
		t.Helper()
		if diff := cmp.Diff(want, troubledPartitions(t, s)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	fail(first, syscall.EROFS)
	began := s.troubles.of[first].since
	fail(partition{testTopic, testID, 1}, syscall.ENOSPC)
	expect("two that failed", map[string]float64{troubleReadOnly: 1, troubleFull: 1})
	fail(first, syscall.ENOSPC)
	expect("one of them in another way", map[string]float64{troubleFull: 2})
	if since := s.troubles.of[first].since; since != began || since.IsZero() {
		t.Errorf("it has lasted since %v, want %v", since, began)
	}
	s.troubles.begin(first)
	s.troubles.end(first, nil, false) // opened, say
	expect("without a proof", map[string]float64{troubleFull: 2})
	s.troubles.end(first, nil, true)
	expect("with one", map[string]float64{troubleFull: 1})
}

// troubledPartitions is what the metric says, but for zeros.
func troubledPartitions(t testing.TB, s *Store) map[string]float64 {
	t.Helper()
	found := map[string]float64{}
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.troubles)
	gathered, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range gathered {
		for _, m := range family.GetMetric() {
			if value := m.GetGauge().GetValue(); family.GetName() == "logpipeline_segment_storage_trouble_partitions" && value != 0 {
				found[m.GetLabel()[0].GetValue()] = value
			}
		}
	}
	return found
}
