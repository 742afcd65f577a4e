package journal

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/logpipeline/logpipeline/ingester/durable"
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

// A full disk refuses batches, definitely, until it has room again; segments
// that could not be written are written then.
func TestFullDisk(t *testing.T) {
	for name, onDisk := range map[string]func(s *setting, dir string){
		"under the journal":  func(s *setting, dir string) { s.journalDir = filepath.Join(dir, "journal") },
		"under the segments": func(s *setting, dir string) { s.dataDir = filepath.Join(dir, "data") },
		"under both": func(s *setting, dir string) {
			s.journalDir, s.dataDir = filepath.Join(dir, "journal"), filepath.Join(dir, "data")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := settings(t)
			s.maxBytes = 256 << 10
			disk := mount(t, "2m")
			onDisk(&s, disk)
			r := s.start(t, true)
			t.Cleanup(r.crash) // before the disk goes
			r.take(0, 5, 3)
			fillUp(t, disk)
			n := 5
			for ; ; n++ {
				if o := r.post(n, 3); o.Err != nil {
					if !errors.Is(o.Err, record.ErrSpoolFull) {
						t.Errorf("refused with %v", o.Err)
					}
					break
				}
			}
			if err := os.Remove(filepath.Join(disk, "filler")); err != nil {
				t.Fatal(err)
			}
			eventually(t, "taking batches again", func() bool { return r.post(n, 3).Err == nil })
			r.stop()
			s.checkStored(t, linesFrom(0, n+1, 3))
		})
	}
}

// fillUp takes all the room of a disk.
func fillUp(t *testing.T, disk string) {
	t.Helper()
	f, err := os.Create(filepath.Join(disk, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}

// While one fdatasync lasts, however long, requests gather for the next: all of
// them share that.
func TestRequestsShareAnFsync(t *testing.T) {
	s := settings(t)
	r := s.start(t, true)
	var syncs atomic.Int64
	begun, finish := make(chan struct{}), make(chan struct{})
	r.log.dataSync = func(f *os.File) error {
		if syncs.Add(1) == 1 {
			close(begun)
			<-finish
		}
		return durable.SyncData(f)
	}
	var posting sync.WaitGroup
	posting.Go(func() { r.take(0, 1, 2) })
	<-begun
	const waiting = 64
	for n := range waiting {
		posting.Go(func() {
			if o := r.post(1+n, 2); o.Err != nil {
				t.Error(o.Err)
			}
		})
	}
	eventually(t, "all waiting", func() bool {
		return r.metric("logpipeline_ingester_queue_batches") == waiting
	})
	if n := r.metric("logpipeline_journal_appended_batches_total"); n != 0 {
		t.Errorf("%v batches count as durable before the disk said so", n)
	}
	close(finish)
	posting.Wait()
	if n := syncs.Load(); n != 2 {
		t.Errorf("%d batches took %d fsyncs, want 2", 1+waiting, n)
	}
	r.stop()
	if got, gaps := s.stored(t); len(got) != 2*(1+waiting) || gaps != nil {
		t.Errorf("%d records are stored, gaps %v", len(got), gaps)
	}
}
