// Package scenario is the main job of LogPipeline, step by step, on any
// cluster that a kubeconfig leads to: install the operator, apply a pipeline,
// feed it, and prove that every acknowledged record is stored. The demo prints
// these steps; the end-to-end test asserts them.
package scenario

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// Cluster is where a scenario runs, and the programs that it talks to it with.
type Cluster struct {
	Kubectl    string // path of kubectl
	Helm       string // path of helm
	Kubeconfig string // path of the kubeconfig
}

// Run executes kubectl with the arguments and returns what it printed. The
// error holds what it printed to its standard error.
func (c Cluster) Run(ctx context.Context, arguments ...string) (string, error) {
	return run(ctx, "", c.Kubectl, append([]string{"--kubeconfig", c.Kubeconfig}, arguments...)...)
}

// Apply hands a manifest to kubectl apply.
func (c Cluster) Apply(ctx context.Context, manifest string) error {
	_, err := run(ctx, manifest, c.Kubectl, "--kubeconfig", c.Kubeconfig, "apply", "-f", "-")
	return err
}

func run(ctx context.Context, stdin, program string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, program, arguments...)
	command.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return stdout.String(), fmt.Errorf("run %s: %w: %s", command, err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// Eventually calls the check every half second until it returns nil, and
// returns its last error when the context ends first.
func Eventually(ctx context.Context, check func() error) error {
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		case <-time.After(500 * time.Millisecond):
		}
	}
}
