package ingester

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/logpipeline/logpipeline/ingester/config"
)

func (p *subprocess) url() string { return "http://" + p.cfg.Listen + "/logs" }

// Every receipt says where the records are, also of those that were on their
// way when the process was told to stop.
func TestPlacementsAreTrue(t *testing.T) {
	for name, change := range map[string]func(*config.Config){
		"sticky": func(c *config.Config) { c.Producer.Compression = config.CompressionSnappy },
		"keyed":  func(c *config.Config) { c.Producer.KeyField = "key" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := onKafka(t, 4)
			change(&cfg)
			p := launch(t, cfg)
			l := startLoad(t, "p", p.url(), 8)
			l.awaitMore(t, 5000)
			if err := p.stop(t, 30*time.Second); err != nil {
				t.Errorf("stopped with %v", err)
			}
			l.stop()
			readLog(t, cfg).check(t, deadLetters{}, l)
		})
	}
}

// The process is killed again and again while clients send: what was
// acknowledged as spooled is in Kafka in the end, once.
func TestSpoolSurvivesKills(t *testing.T) {
	for name, change := range map[string]func(*config.Config){
		"sticky": func(c *config.Config) { c.Producer.Compression = config.CompressionZstd },
		"keyed":  func(c *config.Config) { c.Producer.KeyField = "key" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := onKafka(t, 3)
			cfg.Acknowledge, cfg.Spool.MaxBytes = config.AcknowledgeQueued, 256<<20
			change(&cfg)
			var loads []*load
			for round := range 3 {
				p := launch(t, cfg)
				l := startLoad(t, fmt.Sprint("round", round), p.url(), 8)
				loads = append(loads, l)
				l.awaitMore(t, 6000)
				if round < 2 {
					p.kill()
					l.stop()
					continue
				}
				l.stop()
				if err := p.stop(t, 30*time.Second); err != nil {
					t.Errorf("stopped with %v", err)
				}
			}
			readLog(t, cfg).check(t, deadLetters{}, loads...)
		})
	}
}

// Two instances behind a balancer are restarted one after the other: no request
// of clients that keep their connections fails.
func TestRollingRestart(t *testing.T) {
	cfg := onKafka(t, 3)
	cfg.Drain.DelaySeconds = 1
	var instances [2]*subprocess
	for i := range instances {
		one := cfg
		one.Instance = fmt.Sprint("pod-", i)
		one.Listen, one.AdminListen = freeAddress(t), freeAddress(t)
		instances[i] = launch(t, one)
	}
	b := newBalancer(t, instances[:])
	l := startLoad(t, "r", "http://"+b.listener.Addr().String()+"/logs", 8)
	for i := range instances {
		l.awaitMore(t, 2000)
		if err := instances[i].stop(t, 30*time.Second); err != nil {
			t.Errorf("instance %d stopped with %v", i, err)
		}
		l.awaitMore(t, 2000)
		again := launch(t, instances[i].cfg)
		b.replace(i, again)
	}
	l.awaitMore(t, 2000)
	l.stop()
	if got := l.statuses(); len(got) != 1 || got[200] == 0 {
		t.Errorf("answers are %v, want nothing but 200", got)
	}
	readLog(t, cfg).check(t, deadLetters{}, l)
}

// balancer leads each connection to an instance that is ready, by turns.
type balancer struct {
	listener net.Listener
	running  sync.WaitGroup

	mu        sync.Mutex
	instances []*subprocess
	ready     []bool
	next      int
	open      map[net.Conn]bool
}

func newBalancer(t *testing.T, instances []*subprocess) *balancer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{listener: listener, instances: instances, ready: []bool{true, true}, open: map[net.Conn]bool{}}
	ended := make(chan struct{})
	b.running.Go(b.accept)
	b.running.Go(func() {
		for tick := time.NewTicker(50 * time.Millisecond); ; {
			select {
			case <-ended:
				tick.Stop()
				return
			case <-tick.C:
				b.probe()
			}
		}
	})
	t.Cleanup(func() {
		close(ended)
		listener.Close()
		b.mu.Lock()
		for c := range b.open {
			c.Close()
		}
		b.mu.Unlock()
		b.running.Wait()
	})
	return b
}

func (b *balancer) replace(i int, p *subprocess) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.instances[i] = p
}

// probe is what the kubelet and the endpoints' controller do.
func (b *balancer) probe() {
	for i := range b.ready {
		b.mu.Lock()
		p := b.instances[i]
		b.mu.Unlock()
		ready := p.isReady()
		b.mu.Lock()
		b.ready[i] = ready
		b.mu.Unlock()
	}
}

func (b *balancer) choose() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range b.instances {
		b.next = (b.next + 1) % len(b.instances)
		if b.ready[b.next] {
			break
		}
	}
	return b.instances[b.next].cfg.Listen
}

func (b *balancer) accept() {
	for {
		client, err := b.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", b.choose())
		if err != nil {
			client.Close()
			continue
		}
		b.mu.Lock()
		b.open[client], b.open[server] = true, true
		b.mu.Unlock()
		b.running.Go(func() { pipe(client, server) })
		b.running.Go(func() { pipe(server, client) })
	}
}

// pipe copies until from ends, and says so.
func pipe(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.(*net.TCPConn).CloseWrite()
}
