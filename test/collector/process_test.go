package collector

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a child that the test owns.
type process struct{ *exec.Cmd }

// run starts a command, whose output goes to a file that is shown when the
// test fails. It is killed at the end of the test at the latest.
func run(t *testing.T, output string, command *exec.Cmd) *process {
	t.Helper()
	file, err := os.OpenFile(output, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout, command.Stderr = file, file
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	file.Close()
	p := &process{command}
	t.Cleanup(func() {
		if p.ProcessState == nil {
			p.end(t, syscall.SIGKILL)
		}
		if t.Failed() {
			said, _ := os.ReadFile(output)
			t.Logf("%s:\n%s", filepath.Base(output), said[max(0, len(said)-4000):])
		}
	})
	return p
}

// end sends a signal and waits for the process to end.
func (p *process) end(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(signal); err != nil {
		t.Error(err)
	}
	if err := p.Wait(); err != nil && signal == syscall.SIGTERM {
		t.Errorf("the intake did not end well: %v", err)
	}
}

// startIntake starts the intake of each variant in one process.
func startIntake(t *testing.T, dir string, addresses []string) *process {
	t.Helper()
	var intakes []string
	for i, variant := range variants {
		intakes = append(intakes, variant.name+"="+addresses[i])
	}
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), intakesVariable+"="+strings.Join(intakes, ","), intakeDirVariable+"="+dir)
	return run(t, filepath.Join(dir, "intake.log"), command)
}

// collectorBinary is the Collector that OTELCOL names; without that, one is
// built, which takes minutes the first time.
func collectorBinary(t *testing.T) string {
	t.Helper()
	if binary := os.Getenv("OTELCOL"); binary != "" {
		return binary
	}
	binary := filepath.Join(t.TempDir(), "otelcol")
	command := exec.Command("go", "build", "-C", "../../bench/peers/otelcol", "-o", binary, ".")
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatalf("build the Collector: %v\n%s", err, said)
	}
	return binary
}

// startCollector starts a Collector that takes OTLP at the receiver's address
// and sends it to each intake, as its variant has it, for as long as it takes.
func startCollector(t *testing.T, binary, dir, receiver string, intakes []string) {
	t.Helper()
	var exporters strings.Builder
	var names []string
	for i, variant := range variants {
		names = append(names, "otlp_http/"+variant.name)
		fmt.Fprintf(&exporters, `
  otlp_http/%s:
    endpoint: http://%s
    encoding: %s
    compression: %s
    timeout: 10s
    sending_queue: {num_consumers: 8, queue_size: 100000}
    retry_on_failure: {initial_interval: 50ms, max_interval: 500ms, max_elapsed_time: 0s}`, variant.name, intakes[i], variant.encoding, variant.compression)
	}
	configuration := fmt.Sprintf(`
receivers:
  otlp: {protocols: {http: {endpoint: %s}}}
processors:
  batch: {send_batch_size: 100, send_batch_max_size: 100, timeout: 50ms}
exporters:%s
service:
  telemetry: {metrics: {level: none}, logs: {level: warn}}
  pipelines: {logs: {receivers: [otlp], processors: [batch], exporters: [%s]}}
`, receiver, exporters.String(), strings.Join(names, ", "))
	file := filepath.Join(dir, "collector.yaml")
	if err := os.WriteFile(file, []byte(configuration), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, filepath.Join(dir, "collector.log"), exec.Command(binary, "--config", "file:"+file))
	waitFor(t, "the Collector to listen", func() bool {
		connection, err := net.DialTimeout("tcp", receiver, time.Second)
		if err == nil {
			connection.Close()
		}
		return err == nil
	})
}

// freeAddresses are on loopback, and free for as long as nobody else is
// given them.
func freeAddresses(t *testing.T, n int) []string {
	t.Helper()
	addresses := make([]string, n)
	for i := range addresses {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		addresses[i] = listener.Addr().String()
	}
	return addresses
}
