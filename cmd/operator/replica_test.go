package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/uuid"
	appsv1 "k8s.io/api/apps/v1"

	"github.com/logpipeline/logpipeline/test/await"
)

// Ports of the operator's pods.
const (
	metricsPort    = "8443"
	probesPort     = "8081"
	metricsAPIPort = "6443"
	pprofPort      = "6060"
)

// replica is a process of the operator with what the chart's Deployment gives
// to the container. Its address plays the pod's.
type replica struct {
	installation *installation
	pod, address string
	log          journal
	process      *exec.Cmd
}

// newReplica is one that has not started. Its address is of the loopback's own
// 16 million.
func (i *installation) newReplica() *replica {
	address := fmt.Sprintf("127.%d.%d.%d", 1+rand.N(250), rand.N(250), 1+rand.N(250))
	return &replica{installation: i, pod: i.operator() + "-" + uuid.NewString()[:5], address: address}
}

func (r *replica) at(port string) string { return net.JoinHostPort(r.address, port) }

// start runs it until the test ends, or it is stopped or killed, and waits
// until it is ready.
func (r *replica) start(t *testing.T) {
	t.Helper()
	container := decode[appsv1.Deployment](t, r.installation.objects, "Deployment", r.installation.operator()).Spec.Template.Spec.Containers[0]
	r.process = exec.CommandContext(context.Background(), os.Args[0], append(container.Args,
		"--kubeconfig="+r.installation.kubeconfig, "--metrics-bind-address="+r.at(metricsPort),
		"--health-probe-bind-address="+r.at(probesPort), "--metrics-api-bind-address="+r.at(metricsAPIPort))...)
	for k, argument := range r.process.Args {
		r.process.Args[k] = strings.Replace(argument, "--pprof-bind-address=127.0.0.1:", "--pprof-bind-address="+r.address+":", 1)
	}
	r.process.Env = []string{operatorVariable + "=yes"}
	fields := map[string]string{"metadata.name": r.pod, "metadata.namespace": r.installation.name}
	for _, v := range container.Env {
		if v.ValueFrom != nil {
			v.Value = fields[v.ValueFrom.FieldRef.FieldPath]
		}
		r.process.Env = append(r.process.Env, v.Name+"="+v.Value)
	}
	r.process.Stderr = &r.log
	r.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.stop(t)
		if t.Failed() {
			t.Logf("log of %s:\n%s", r.pod, r.log.String())
		}
	})
	await.NoError(t, r.ready)
}

// stop ends it as the kubelet does.
func (r *replica) stop(t *testing.T) {
	t.Helper()
	if r.process == nil {
		return
	}
	err := errors.Join(r.process.Process.Signal(syscall.SIGTERM), r.process.Wait())
	if r.process = nil; err != nil {
		t.Errorf("%s ends with %v", r.pod, err)
	}
}

// restart has it read the load of pipelines at once: what comes later waits for
// the collector's next round.
func (r *replica) restart(t *testing.T) {
	t.Helper()
	r.stop(t)
	r.start(t)
}

// kill ends it as the failure of a node does.
func (r *replica) kill() {
	_ = r.process.Process.Kill()
	_ = r.process.Wait()
	r.process = nil
}

func (r *replica) ready() error {
	status, said, err := get("http://"+r.at(probesPort)+"/readyz?verbose", "")
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("%s is not ready: %w, status %d\n%s", r.pod, err, status, said)
	}
	return nil
}

// lacksNoRight reads the log for what the API server has refused.
func (r *replica) lacksNoRight(t *testing.T) {
	t.Helper()
	if log := r.log.String(); log == "" || strings.Contains(strings.ToLower(log), "forbidden") {
		t.Errorf("%s lacks a right:\n%s", r.pod, log)
	}
}

// metrics is what a token is answered.
func (r *replica) metrics(token string) (status int, page string, err error) {
	return get("https://"+r.at(metricsPort)+"/metrics", token)
}

// shows fails unless the page of metrics, which the token lets one read, has the
// text.
func (r *replica) shows(token, text string) error {
	status, page, err := r.metrics(token)
	if err != nil || status != http.StatusOK || !strings.Contains(page, text) {
		return fmt.Errorf("%s does not show %s: %w, status %d\n%s", r.pod, text, err, status, page)
	}
	return nil
}

// get sends a token unless it is empty.
func get(url, token string) (status int, body string, err error) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	asking := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	response, err := asking.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	return response.StatusCode, string(read), err
}

// journal is a log that is read while it is written.
type journal struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (j *journal) Write(line []byte) (int, error) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.text.Write(line)
}

func (j *journal) String() string {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.text.String()
}
