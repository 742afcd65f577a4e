// Package process runs a program as a child whose CPU time and memory are
// read from Linux' /proc.
package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Process is a running child. It ends with its parent at the latest.
type Process struct {
	name   string
	log    string
	cmd    *exec.Cmd
	exited chan struct{}
}

// Start runs the program with its output going to the file log.
func Start(log, program string, arguments ...string) (*Process, error) {
	output, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = output.Close() }()      // the child has its own
	cmd := exec.Command(program, arguments...) //nolint:noctx // Stop ends it
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{name: program, log: log, cmd: cmd, exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // cmd.ProcessState says how it ended
		close(p.exited)
	}()
	return p, nil
}

// PID is the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// AwaitListening returns once the child accepts connections at address.
func (p *Process) AwaitListening(ctx context.Context, address string) error {
	for dialer := (net.Dialer{}); ; {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended before it listened at %s: %v; see %s", p.name, address, p.cmd.ProcessState, p.log)
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen at %s: %w; see %s", p.name, address, err, p.log)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Exited says whether the child has ended.
func (p *Process) Exited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// Signal sends a signal to the child.
func (p *Process) Signal(signal os.Signal) error { return p.cmd.Process.Signal(signal) }

// Stop ends the child with SIGTERM, and with SIGKILL after the grace time, and
// waits for it. A child that ended by itself before, or had to be killed, is
// an error.
func (p *Process) Stop(grace time.Duration) error {
	if p.Exited() {
		return fmt.Errorf("%s had ended: %v; see %s", p.name, p.cmd.ProcessState, p.log)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(grace):
		err := p.cmd.Process.Kill()
		<-p.exited
		return errors.Join(fmt.Errorf("%s did not end within %v of SIGTERM and was killed; see %s", p.name, grace, p.log), err)
	}
}

// Kill ends the child with SIGKILL, even one that was stopped by a signal, and
// waits for it. A child that ended by itself before is an error.
func (p *Process) Kill() error {
	if p.Exited() {
		return fmt.Errorf("%s had ended: %v; see %s", p.name, p.cmd.ProcessState, p.log)
	}
	err := p.cmd.Process.Kill()
	<-p.exited
	return err
}

// FreeAddress returns a loopback address at which nothing listens now.
func FreeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // loopback
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
