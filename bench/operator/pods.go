package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/controllers/resources"
	"github.com/logpipeline/logpipeline/ingester/signal"
)

// pods plays the kubelets: a pod that comes is at once ready, at a loopback
// address of its own, where its signals are served.
type pods struct {
	client  client.Client
	watched *watched
	server  *http.Server
	started time.Time
	arrived chan *corev1.Pod
	running sync.WaitGroup

	mutex     sync.Mutex
	addressed int
	at        map[string]podAt // by IP address
	failure   error
}

// podAt is what a pod is of which pipeline.
type podAt struct {
	pipeline  client.ObjectKey
	component string
}

// startedAtOnce is how many pods are made ready at a time.
const startedAtOnce = 16

func playPods(ctx context.Context, c client.Client, w *watched) (*pods, error) {
	p := &pods{client: c, watched: w, started: time.Now(), arrived: make(chan *corev1.Pod, 1<<16), at: map[string]podAt{}}
	listener, err := net.Listen("tcp", resources.AdminAddress("0.0.0.0")) //nolint:noctx // loopback
	if err != nil {
		return nil, fmt.Errorf("play pods: %w", err)
	}
	p.server = &http.Server{Handler: http.HandlerFunc(p.tell), ReadHeaderTimeout: time.Minute}
	p.running.Go(func() { _ = p.server.Serve(listener) })
	for range startedAtOnce {
		p.running.Go(func() {
			for pod := range p.arrived {
				p.noted(p.makeReady(ctx, pod))
			}
		})
	}
	return p, w.onPods(ctx, p.arrived)
}

func (p *pods) noted(err error) {
	if err == nil || apierrors.IsNotFound(err) {
		return
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.failure = err
}

func (p *pods) err() error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.failure
}

// stop comes after the watching has ended.
func (p *pods) stop() error {
	close(p.arrived)
	err := p.server.Close()
	p.running.Wait()
	return err
}

func (p *pods) makeReady(ctx context.Context, pod *corev1.Pod) error {
	ip := p.address(pod)
	ready := pod.DeepCopy()
	ready.Status.Phase, ready.Status.PodIP, ready.Status.PodIPs = corev1.PodRunning, ip, []corev1.PodIP{{IP: ip}}
	ready.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	return retry.OnError(retry.DefaultBackoff, apierrors.IsTooManyRequests, func() error {
		return p.client.Status().Patch(ctx, ready, client.MergeFrom(pod))
	})
}

func (p *pods) address(pod *corev1.Pod) string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.addressed++
	n := p.addressed
	ip := net.IPv4(127, byte(64+n>>16), byte(n>>8), byte(n)).String()
	pipeline, component := resources.PodOf(pod.Labels)
	p.at[ip] = podAt{client.ObjectKey{Namespace: pod.Namespace, Name: pipeline}, component}
	return ip
}

// tell serves the signals of the pod that is asked: an ingester with an empty
// queue, or a consumer that owns all partitions and has done nothing yet.
func (p *pods) tell(w http.ResponseWriter, r *http.Request) {
	asked, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	p.mutex.Lock()
	at, found := p.at[asked.IP.String()]
	p.mutex.Unlock()
	if !found || r.URL.Path != signal.Path {
		http.NotFound(w, r)
		return
	}
	signals := signal.Signals{Version: signal.FormatVersion, Started: p.started}
	if at.component == resources.IngesterComponent {
		signals.Ingester = &signal.Ingester{QueueCapacityBytes: 64 << 20}
	} else {
		signals.Consumer = p.consumer(at.pipeline)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(signals)
}

func (p *pods) consumer(pipeline client.ObjectKey) *signal.Consumer {
	c := &signal.Consumer{Group: pipeline.String(), MemberID: "member", Generation: -1}
	if topic := p.watched.topic(pipeline); topic != nil {
		c.Generation, c.TopicID = 1, topic.ID
		for n := range topic.Partitions {
			c.Partitions = append(c.Partitions, signal.Partition{Partition: n})
		}
	}
	return c
}
