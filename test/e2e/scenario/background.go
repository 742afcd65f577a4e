package scenario

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"syscall"
	"time"
)

// background starts kubectl, which serves until stop or the context's end, and
// returns the part in parentheses of the line by which it says that it does.
func (c Cluster) background(ctx context.Context, says *regexp.Regexp, arguments ...string) (said string, stop func(), err error) {
	command := exec.CommandContext(ctx, c.Kubectl, append([]string{"--kubeconfig", c.Kubeconfig}, arguments...)...)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 5 * time.Second
	output, err := command.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	command.Stderr = command.Stdout
	if err := command.Start(); err != nil {
		return "", nil, fmt.Errorf("start %s: %w", command, err)
	}
	stop = func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait() // it reports the signal that we sent
	}
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		said += lines.Text() + "\n"
		if match := says.FindStringSubmatch(lines.Text()); match != nil {
			go func() { // ends with the process: the pipe closes
				for lines.Scan() {
				}
			}()
			return match[1], stop, nil
		}
	}
	stop()
	return "", nil, fmt.Errorf("%s ended: %s", command, said)
}
