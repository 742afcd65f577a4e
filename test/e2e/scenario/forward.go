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

var forwarding = regexp.MustCompile(`^Forwarding from (127\.0\.0\.1:\d+) `)

// Forward forwards a local port to the pipeline's ingester and returns the URL
// of its POST /logs. The forwarding ends with stop, or with the context.
func (c Cluster) Forward(ctx context.Context, p Pipeline) (url string, stop func(), err error) {
	command := exec.CommandContext(ctx, c.Kubectl, "--kubeconfig", c.Kubeconfig,
		"port-forward", "-n", p.Namespace, "service/"+p.Name+"-ingester", ":8080", "--address", "127.0.0.1")
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 5 * time.Second
	output, err := command.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	command.Stderr = command.Stdout
	if err := command.Start(); err != nil {
		return "", nil, fmt.Errorf("start port-forward: %w", err)
	}
	stop = func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait() // it reports the signal that we sent
	}
	lines := bufio.NewScanner(output)
	var said string
	for lines.Scan() {
		said += lines.Text() + "\n"
		if match := forwarding.FindStringSubmatch(lines.Text()); match != nil {
			go func() { // ends with the process: the pipe closes
				for lines.Scan() {
				}
			}()
			return "http://" + match[1] + "/logs", stop, nil
		}
	}
	stop()
	return "", nil, fmt.Errorf("port-forward to %s ended: %s", p.Name, said)
}
