package spool

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logpipeline/logpipeline/ingester/queue"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// mount mounts a tmpfs of that size, which needs root as much of the tests does.
func mount(t *testing.T, size string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatalf("mount a tmpfs, as root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

const many = 100

// appendUntil appends test batches of many records until one is refused, and
// returns how many were taken.
func (s *running) appendUntil(from int) (n int, err error) {
	s.t.Helper()
	for n = from; ; n++ {
		b := s.reserve(batchOf(s.t, n, many))
		b.Leave()
		if err := s.Append(s.t.Context(), b); err != nil {
			b.Account.Cancel(b.Reserved)
			return n, err
		}
		if n > 100_000 {
			s.t.Fatal("it is never full")
		}
	}
}

// emptyAndRefill checks that what a full spool took is delivered, in order, and
// makes room for as much again.
func (s *running) emptyAndRefill(taken int) {
	s.t.Helper()
	s.deliverAll(0, taken)
	s.flushed()
	s.append(many, numbersFrom(taken, taken+taken/2)...)
	s.deliverAll(taken, taken+taken/2)
}

func (s *running) deliverAll(from, to int) {
	s.t.Helper()
	for n := from; n < to; n += 20 {
		s.deliver(s.expect(seenAll(s.t, many, numbersFrom(n, min(n+20, to))...)...)...)
	}
	s.expectNothing()
}

func TestFullDiskRefusesBatchesButIsEmptied(t *testing.T) {
	dir := filepath.Join(mount(t, "2m"), "spool")
	options := small(dir)
	options.segmentBytes = 128 << 10
	s := start(t, options)
	n, err := s.appendUntil(0)
	if !errors.Is(err, record.ErrSpoolFull) || !errors.Is(err, syscall.ENOSPC) || n < 100 {
		t.Fatalf("after %d batches: %v", n, err)
	}
	if got := testutil.ToFloat64(s.metrics.refused.WithLabelValues("disk-full")); got != 1 {
		t.Errorf("%v refused", got)
	}
	s.emptyAndRefill(n)
	s.stop()
	sound(t, dir)
}

func TestDiskFilledByOthersIsToldAndRecoversByItself(t *testing.T) {
	mounted := mount(t, "2m")
	s := start(t, small(filepath.Join(mounted, "spool")))
	s.append(many, 0)
	ballast := filepath.Join(mounted, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 4<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	n, err := s.appendUntil(1)
	if !errors.Is(err, record.ErrSpoolFull) {
		t.Fatal(err)
	}
	first := s.take(1)[0]
	for i := range 500 { // the journal has room, for far more than what a page has left
		a := s.assignmentOf(first)
		a.Sections[0].From = i % many
		s.assign(a)
	}
	s.deliver(first)
	s.stop()

	s = start(t, small(s.options.Dir)) // a start without any room
	if !errors.Is(s.refused(n), record.ErrSpoolFull) {
		t.Error("it is full still")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	s.append(many, n)
	s.deliverAll(1, n+1)
}

// refused appends a test batch that is expected to be refused.
func (s *running) refused(n int) error {
	b := s.reserve(batchOf(s.t, n, 10))
	err := s.Append(s.t.Context(), b)
	if err == nil {
		s.t.Fatal("the batch was taken")
	}
	b.Account.Cancel(b.Reserved)
	if b.Position != 0 {
		s.t.Errorf("the batch that was refused stands at position %d", b.Position)
	}
	return err
}

func TestFullSpoolRefusesBatchesButIsEmptied(t *testing.T) {
	options := small(t.TempDir())
	options.MaxBytes, options.segmentBytes = 1<<20, 64<<10
	s := start(t, options)
	n, err := s.appendUntil(0)
	if !errors.Is(err, record.ErrSpoolFull) || !strings.Contains(err.Error(), "bytes for batches are taken") || n < 100 {
		t.Fatalf("after %d batches: %v", n, err)
	}
	if got := testutil.ToFloat64(s.metrics.refused.WithLabelValues("spool-full")); got != 1 {
		t.Errorf("%v refused", got)
	}
	if used := diskUsage(t, options.Dir); used > options.MaxBytes {
		t.Errorf("%d bytes of disk are taken, at most %d may be", used, options.MaxBytes)
	}
	s.emptyAndRefill(n)
}

// diskUsage is what du says.
func diskUsage(t *testing.T, dir string) (total int64) {
	t.Helper()
	for _, path := range segmentFiles(t, dir) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Sys().(*syscall.Stat_t).Blocks * 512
	}
	return total
}

// breakFile puts a device in the place of the file that is written.
func (s *running) breakFile(device string) {
	s.t.Helper()
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	s.log.file.Close()
	s.log.file = f
}

func TestWritingFails(t *testing.T) {
	for name, test := range map[string]struct {
		device string // /dev/full takes no writes, /dev/null takes them and can't sync
		full   bool
	}{
		"no room to write": {"/dev/full", true},
		"the sync fails":   {"/dev/null", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, small(t.TempDir()))
			s.append(10, 0)
			s.breakFile(test.device)
			err := s.refused(1)
			if errors.Is(err, record.ErrSpoolFull) != test.full || errors.Is(err, record.ErrOutcomeUnknown) {
				t.Errorf("error is %v", err)
			}
			if number := s.log.number; number != 2 {
				t.Errorf("segment %d is written", number)
			}
			s.append(10, 2)
			s.breakFile(test.device)
			s.deliver(s.expect(seenOf(t, 0, 10, 0, 10))...) // the journal goes on in a new segment
			s.stop()
			s = start(t, small(s.options.Dir))
			s.expect(seenOf(t, 2, 10, 0, 10))
			s.expectNothing()
			sound(t, s.options.Dir)
		})
	}
}

// What was written and can't be synced may come back after a crash, as long as
// no later segment says that it is void.
func TestWhatCanNeitherBeSyncedNorCutOffIsUnknown(t *testing.T) {
	s := start(t, small(t.TempDir()))
	s.append(10, 0)
	away := s.options.Dir + ".away"
	s.breakFile("/dev/null")
	if err := os.Rename(s.options.Dir, away); err != nil {
		t.Fatal(err)
	}
	if err := s.refused(1); !errors.Is(err, record.ErrOutcomeUnknown) {
		t.Errorf("error is %v", err)
	}
	if err := s.refused(2); errors.Is(err, record.ErrOutcomeUnknown) {
		t.Errorf("nothing was written, but the error is %v", err)
	}
	a := s.assignmentOf(s.take(1)...)
	if err := s.Assign(t.Context(), a); err == nil {
		t.Error("assigned on no disk")
	}
	s.Settle(a)
	within(t, "the journal was tried", func() bool { return strings.Contains(s.said.String(), "can't be written") })
	if err := os.Rename(away, s.options.Dir); err != nil {
		t.Fatal(err)
	}
	s.append(10, 3)
	s.stop()
	s = start(t, small(s.options.Dir))
	s.expect(seenOf(t, 3, 10, 0, 10))
	s.expectNothing()
}

func TestReadOnlyDirectory(t *testing.T) {
	mounted := mount(t, "1m")
	if err := syscall.Mount("", mounted, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"itself": mounted, "above it": filepath.Join(mounted, "spool")} {
		reg := prometheus.NewRegistry()
		_, err := Open(small(dir), queue.New(testQueueBytes, reg), slog.New(slog.DiscardHandler), reg)
		if !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "open spool "+dir) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The disk forgets what it had, while the spool is in use.
func TestDamageWhileRunning(t *testing.T) {
	options := small(t.TempDir())
	s := startWith(t, options, 40<<10)
	const n = 60
	s.append(10, numbersFrom(0, n)...)
	waiting := s.reserve(batchOf(t, n, 10))
	if err := s.Append(t.Context(), waiting); err != nil {
		t.Fatal(err)
	}
	s.append(10, n+1)
	for _, lost := range []uint64{41, n + 1} {
		s.flipDataOf(lost)
	}
	for i := range n + 2 {
		if i != 40 && i != n {
			s.deliver(s.expect(seenOf(t, i, 10, 0, 10))...)
		}
	}
	if o := <-waiting.Outcome(); !errors.Is(o.Err, record.ErrNotDelivered) {
		t.Errorf("whoever waited was told %v", o)
	}
	s.expectNothing()
	s.flushed()
	if left := s.undone(); left != 0 {
		t.Errorf("%d batches are left", left)
	}
	if got := testutil.ToFloat64(s.metrics.corrupt); got != 2 {
		t.Errorf("%v corrupt entries", got)
	}
	if kept := setAsideFiles(t, options.Dir); len(kept) != 4 {
		t.Errorf("set aside: %v", kept)
	}
	s.append(10, n+2)
	s.expect(seenOf(t, n+2, 10, 0, 10))
}

func (s *running) flipDataOf(position uint64) {
	s.t.Helper()
	for _, path := range segmentFiles(s.t, s.options.Dir) {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			s.t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			s.t.Fatal(err)
		}
		r := newReader(f, numberOf(s.t, path), info.Size())
		for at := int64(fileHeaderSize); at < r.end; {
			e, next, err := r.next(at)
			var found *damageError
			if err != nil && !errors.As(err, &found) {
				s.t.Fatal(err)
			}
			if err == nil && e.kind == kindData && e.position == position {
				if _, err := f.WriteAt([]byte("?"), next-10); err != nil {
					s.t.Fatal(err)
				}
				return
			}
			at = next
		}
	}
	s.t.Fatalf("position %d isn't there", position)
}

func numberOf(t testing.TB, path string) uint64 {
	t.Helper()
	numbers, _, err := listSegments(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range numbers {
		if segmentPath(filepath.Dir(path), n) == path {
			return n
		}
	}
	t.Fatalf("%s is no segment", path)
	return 0
}

func TestMetrics(t *testing.T) {
	s := start(t, small(t.TempDir()))
	s.append(10, 0, 1)
	s.deliver(s.take(1)...)
	s.flushed()
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "logpipeline_spool_") && len(f.GetMetric()) > 0 {
			m := f.GetMetric()[0]
			got[strings.TrimPrefix(f.GetName(), "logpipeline_spool_")] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(min(1, m.GetHistogram().GetSampleCount()))
		}
	}
	if got["oldest_age_seconds"] == 0 || got["bytes"] < 900 {
		t.Errorf("metrics: %v", got)
	}
	delete(got, "oldest_age_seconds")
	delete(got, "bytes")
	want := map[string]float64{
		"appended_records_total": 20, "appended_bytes_total": 650, "capacity_bytes": 64 << 20, "corrupt_entries_total": 0,
		"fsync_duration_seconds": 1, "pending_batches": 1, "read_back_batches_total": 0, "replayed_batches_total": 0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}
