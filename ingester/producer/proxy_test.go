package producer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// mischief is what the proxy does to a produce request.
type mischief int

const (
	honest      mischief = iota
	cutRequest           // half of the request reaches the broker
	loseRequest          // the broker doesn't get it; nobody says so
	loseAnswer           // the broker's answer is dropped and the connection cut
	cutAnswer            // half of the answer comes through
	blackhole            // the answer never comes
)

// proxy stands between a client and one broker. It writes itself into what the
// broker says of its address, so that nobody goes around it.
type proxy struct {
	listener net.Listener
	broker   string
	own      []byte // host and port as a Metadata response has them
	others   []byte
	mu       sync.Mutex
	next     func() mischief
	open     map[net.Conn]bool
	running  sync.WaitGroup
}

func newProxy(t testing.TB, broker string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{
		listener: listener, broker: broker, own: asMetadata(listener.Addr().String()), others: asMetadata(broker),
		next: func() mischief { return honest }, open: map[net.Conn]bool{},
	}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		listener.Close()
		p.mu.Lock()
		for c := range p.open {
			c.Close()
		}
		p.open = nil
		p.mu.Unlock()
		p.running.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) misbehave(next func() mischief) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = next
}

// asMetadata is how a response says an address: a string's bytes and an int32.
func asMetadata(address string) []byte {
	host, port, _ := net.SplitHostPort(address)
	n, _ := strconv.Atoi(port)
	return binary.BigEndian.AppendUint32([]byte(host), uint32(n))
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		broker, err := net.Dial("tcp", p.broker)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		if p.open == nil {
			client.Close()
			broker.Close()
		} else {
			p.open[client], p.open[broker] = true, true
		}
		p.mu.Unlock()
		p.running.Go(func() {
			p.serve(client, broker)
			client.Close()
			broker.Close()
		})
	}
}

// serve passes requests and answers on, one at a time.
func (p *proxy) serve(client, broker net.Conn) {
	for {
		request, err := frame(client)
		if err != nil {
			return
		}
		do := honest
		if binary.BigEndian.Uint16(request[4:]) == 0 { // Produce
			p.mu.Lock()
			do = p.next()
			p.mu.Unlock()
		}
		switch do {
		case cutRequest:
			broker.Write(request[:len(request)/2])
			return
		case loseRequest:
			io.Copy(io.Discard, client)
			return
		}
		if _, err := broker.Write(request); err != nil {
			return
		}
		answer, err := frame(broker)
		if err != nil {
			return
		}
		answer = bytes.ReplaceAll(answer, p.others, p.own)
		switch do {
		case loseAnswer:
			return
		case cutAnswer:
			client.Write(answer[:len(answer)/2])
			return
		case blackhole:
			io.Copy(io.Discard, client)
			return
		}
		if _, err := client.Write(answer); err != nil {
			return
		}
	}
}

// frame reads a request or a response with the size before it.
func frame(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	f := append(size[:], make([]byte, binary.BigEndian.Uint32(size[:]))...)
	_, err := io.ReadFull(r, f[4:])
	return f, err
}

// Through a network that loses, cuts and swallows whatever it can, on a fake
// broker and on a real one: every acknowledged record is in the log once and
// where its receipt says, and nothing else is told than what is true.
func TestBadNetwork(t *testing.T) {
	t.Run("fake", func(t *testing.T) {
		t.Parallel()
		cluster := newFake(t)
		badNetwork(t, cluster.ListenAddrs()[0], "logs", 1)
	})
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		address := realBroker(t)[0]
		badNetwork(t, address, newTopic(t, []string{address}, 2), 2)
	})
}

func badNetwork(t *testing.T, broker, topic string, partitions int32) {
	p := newProxy(t, broker)
	random := rand.New(rand.NewPCG(7, 7))
	p.misbehave(func() mischief {
		if random.IntN(100) < 60 {
			return honest
		}
		return mischief(random.IntN(int(blackhole) + 1))
	})
	cfg := config.Default().Producer
	cfg.DeliveryTimeoutSeconds, cfg.BatchRecords = 1, 40
	r := start(t, []string{p.address()}, topic, cfg)
	var batches []*record.Batch
	unheard := map[string]bool{}
	for i := range 250 {
		var texts []string
		for k := range 1 + i%20 {
			texts = append(texts, fmt.Sprintf("batch %d record %d", i, k))
		}
		b := newBatch(t, fmt.Sprint(i), texts...)
		b.Received = time.Now().Add(time.Hour) // so that what waits its turn isn't overdue
		if i%2 == 0 {
			unheard[b.ID] = b.Leave()
		}
		batches = append(batches, b)
	}
	r.source.put(batches...)
	r.finish(t)

	direct := kafka.New(config.Kafka{BootstrapServers: []string{broker}, ClientID: "test"}, topic)
	defer direct.Close()
	logs := map[int32][]string{}
	for partition := range partitions {
		logs[partition] = contents(t, direct, topic, partition)
	}
	counts := checkOutcomes(t, batches, logs)
	checkOrder(t, batches, logs)
	checkLetters(t, batches, unheard, logs, r.letters.all())
	resolved := map[string]float64{}
	for _, how := range []string{"found", "absent", "unknown"} {
		resolved[how] = testutil.ToFloat64(r.metrics.doubts.WithLabelValues(how))
	}
	t.Logf("%+v, doubts %v, %v retries", counts, resolved, sum(t, r.metrics.retries))
	if resolved["found"] == 0 || resolved["absent"] == 0 {
		t.Error("nothing was found in the log, or nothing was absent: the network isn't bad enough")
	}
	if r.source.reserved() != 0 {
		t.Errorf("%d bytes were not released", r.source.reserved())
	}
}

// A batch is appended and nobody hears of it. It is given up, and another of as
// many records follows: it is not taken for the first, and the first is found.
func TestNothingIsSwallowed(t *testing.T) {
	for name, do := range map[string]mischief{"appended": blackhole, "lost": loseRequest} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := newFake(t)
			p := newProxy(t, cluster.ListenAddrs()[0])
			cfg := config.Default().Producer
			cfg.DeliveryTimeoutSeconds = 3 // enough for the second batch on any machine
			r := start(t, []string{p.address()}, "logs", cfg)
			p.misbehave(func() mischief { return do })
			one := newBatch(t, "1", "a", "b")
			r.source.put(one)
			r.awaitDoubt(t, one)
			p.misbehave(func() mischief { return honest })
			if o := r.deliver(t, newBatch(t, "2", "c", "d")); o.Err != nil {
				t.Errorf("the second: %v", o.Err)
			}
			log := contents(t, r.client, "logs", 0)
			o := awaited(t, one)
			switch do {
			case blackhole:
				if o.Err != nil || fmt.Sprint(log) != fmt.Sprint([]string{value("a"), value("b"), value("c"), value("d")}) {
					t.Errorf("the log holds %v, and the first is told %v", log, o.Err)
				}
			default:
				if !errors.Is(o.Err, record.ErrNotDelivered) || fmt.Sprint(log) != fmt.Sprint([]string{value("c"), value("d")}) {
					t.Errorf("the log holds %v, and the first is told %v", log, o.Err)
				}
			}
		})
	}
}
