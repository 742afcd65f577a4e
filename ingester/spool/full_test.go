package spool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/queue"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// childFills tells the process that is going to be killed which batch comes
// first.
const childFills = "SPOOL_TEST_CHILD_FILLS"

// fullOptions are of a spool whose journal's reserve is the smallest.
func fullOptions(dir string) Options {
	return Options{Dir: dir, MaxBytes: 64 << 20, segmentBytes: 256 << 10}
}

// runFiller appends test batches of many records until one is refused, says how
// many there are then, and waits for its end.
func runFiller(dir string) {
	reg := prometheus.NewRegistry()
	q := queue.New(testQueueBytes, reg)
	s, err := Open(fullOptions(dir), q, slog.New(slog.NewTextHandler(os.Stderr, nil)), reg)
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
	s.Reopened()
	ctx := context.Background()
	go func() { _ = s.Run(ctx) }()
	var n int
	_, _ = fmt.Sscan(os.Getenv(childFills), &n)
	for {
		b, err := makeBatch(n, many)
		if err != nil {
			panic(err)
		}
		b.Account, b.Reserved = q.NewAccount(), b.Memory()
		for b.Account.Reserve(b.Reserved) != nil {
			time.Sleep(time.Millisecond)
		}
		b.Leave()
		err = s.Append(ctx, b)
		if errors.Is(err, record.ErrSpoolFull) {
			say("full %d", n)
			select {}
		}
		if err != nil {
			say("failed %v", err)
			os.Exit(1)
		}
		n++
	}
}

// fillAndKill lets a process append until the disk is full, kills it, and fills
// what that may have given back. It returns how many batches there are.
func fillAndKill(t *testing.T, mounted, dir string, first int) (n int) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), childDir+"="+dir, fmt.Sprint(childFills, "=", first))
	child.Stderr = t.Output()
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	lines.Scan()
	if _, err := fmt.Sscanf(lines.Text(), "full %d", &n); err != nil {
		t.Errorf("the child says %q", lines.Text())
	}
	_ = child.Process.Kill()
	_ = child.Wait() // killed
	fillDisk(t, mounted)
	return n
}

// fillDisk takes all the room that there is.
func fillDisk(t *testing.T, mounted string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(mounted, "ballast"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{1 << 16, 1 << 12, 1} {
		for block := make([]byte, size); err == nil; {
			_, err = f.Write(block)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		err = nil
	}
}

// However often a process is killed while the disk is full, and whoever takes
// what room there is meanwhile: the next one delivers what is stored, and then
// there is room again.
func TestKilledOnAFullDisk(t *testing.T) {
	for name, disturb := range map[string]func(t *testing.T, dir string, round int){
		"killed": func(*testing.T, string, int) {},
		"killed while it wrote": func(t *testing.T, dir string, round int) {
			tear(t, dir, []uint32{10_000, 1000, 10_000}[round], []int{3000, 20, 40}[round])
		},
		"repaired": func(t *testing.T, dir string, _ int) {
			tear(t, dir, 10_000, 3000)
			if err := Repair(dir, t.Output()); err != nil {
				t.Error(err)
			}
		},
		"stopped in between": func(t *testing.T, dir string, _ int) { start(t, fullOptions(dir)).stop() },
	} {
		t.Run(name, func(t *testing.T) {
			mounted := mount(t, "3m")
			dir := filepath.Join(mounted, "spool")
			n := 0
			for round := range 3 {
				taken := fillAndKill(t, mounted, dir, n)
				if n > 0 && taken != n {
					t.Errorf("%d batches were taken without room", taken-n)
				}
				n = taken
				disturb(t, dir, round)
				fillDisk(t, mounted)
			}
			if n < 100 {
				t.Fatalf("only %d batches were taken", n)
			}
			s := start(t, fullOptions(dir))
			if err := s.refused(n); !errors.Is(err, record.ErrSpoolFull) {
				t.Errorf("error is %v", err)
			}
			s.deliverAll(0, n)
			s.flushed()
			s.append(many, n)
			s.deliverAll(n, n+1)
			s.stop()
			if report := sound(t, dir); report.Pending != 0 {
				t.Errorf("%d batches are left", report.Pending)
			}
		})
	}
}

// tear leaves the end of the last segment as a write does that was cut short by
// the end of the process: so much of an entry with so many bytes of data.
func tear(t *testing.T, dir string, bytes uint32, written int) {
	t.Helper()
	v, err := takeSurvey(dir)
	if err != nil {
		t.Fatal(err)
	}
	last := v.segments[len(v.segments)-1]
	f, err := os.OpenFile(last.path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	entry, _ := header{kind: kindData, meta: 10, data: bytes, records: 1, position: v.next}.append(nil, seedOf(last.number))
	_, err = f.WriteAt(append(entry, strings.Repeat("x", written)...), last.size)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}
