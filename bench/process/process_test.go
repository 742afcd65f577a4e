package process

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The test's own binary is the child: it burns CPU for a while and holds
// memory, or listens, as the environment says.
func TestMain(m *testing.M) {
	switch os.Getenv("CHILD") {
	case "burn":
		burn()
	case "listen":
		listener, err := net.Listen("tcp", os.Getenv("ADDRESS"))
		if err != nil {
			panic(err)
		}
		for {
			if conn, err := listener.Accept(); err == nil {
				conn.Close()
			}
		}
	default:
		goleak.VerifyTestMain(m)
	}
}

const (
	burnt = 500 * time.Millisecond
	held  = 64 << 20
)

func burn() {
	memory := make([]byte, held)
	var usage syscall.Rusage
	for time.Duration(usage.Utime.Nano()+usage.Stime.Nano()) < burnt {
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			panic(err)
		}
		for i := 0; i < len(memory); i += 4096 {
			memory[i]++
		}
	}
	runtime.KeepAlive(memory)
	select {}
}

func child(t *testing.T, what string) *Process {
	t.Helper()
	t.Setenv("CHILD", what)
	p, err := Start(filepath.Join(t.TempDir(), "log"), os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestUsageOfAChild(t *testing.T) {
	p := child(t, "burn")
	var cpu time.Duration
	for deadline := time.Now().Add(30 * time.Second); cpu < burnt*9/10 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		var err error
		if cpu, err = p.CPU(); err != nil {
			t.Fatal(err)
		}
	}
	memory, err := p.Memory()
	if err != nil || memory.Resident < held || memory.Peak < memory.Resident {
		t.Errorf("memory is %+v, %v; want at least %d", memory, err, held)
	}
	if cpu < burnt*9/10 || cpu > 2*burnt {
		t.Errorf("CPU time is %v, want about %v", cpu, burnt)
	}
	if err := p.Stop(time.Second); err != nil {
		t.Error(err)
	}
}

func TestAwaitListening(t *testing.T) {
	address, err := FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("ADDRESS", address)
	p := child(t, "listen")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := p.AwaitListening(ctx, address); err != nil {
		t.Error(err)
	}
	if err := p.Stop(time.Second); err != nil {
		t.Error(err)
	}
}

func TestAChildThatEndsIsSaid(t *testing.T) {
	t.Setenv("ADDRESS", "nowhere:-1")
	p := child(t, "listen")
	if err := p.AwaitListening(t.Context(), "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "ended before it listened") {
		t.Errorf("AwaitListening: %v", err)
	}
	if err := p.Stop(time.Second); err == nil || !strings.Contains(err.Error(), "had ended") {
		t.Errorf("Stop: %v", err)
	}
}

func TestAStoppedChildIsKilled(t *testing.T) {
	p := child(t, "burn")
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil || !p.Exited() {
		t.Errorf("Kill: %v, exited: %t", err, p.Exited())
	}
	if err := p.Kill(); err == nil || !strings.Contains(err.Error(), "had ended") {
		t.Errorf("Kill of what has ended: %v", err)
	}
}

func TestParseStatOfANameWithSpaces(t *testing.T) {
	got, err := parseStat([]byte("7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 150 25 0 0 20 0 1 0 100 1 1"))
	if want := 1750 * time.Millisecond; got != want || err != nil {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if got, err := parseStat([]byte("7 (a) S")); err == nil {
		t.Errorf("cut off: %v", got)
	}
}
