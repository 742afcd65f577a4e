package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/consumer"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
	"github.com/logpipeline/logpipeline/ingester/segment"
	"github.com/logpipeline/logpipeline/ingester/signal"
)

// process is one running consumer with everything of its own, as in a pod.
type process struct {
	t      testing.TB
	cancel context.CancelFunc
	done   chan error
	client *kafka.Client
	reg    *prometheus.Registry
	faults *faults
	health func() error
	log    *logged
	// signals are what the consumer tells of itself.
	signals func() signal.Consumer
}

// logged is what a process has logged.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if testing.Verbose() {
		_, _ = os.Stderr.Write(p) // for whoever watches
	}
	return l.text.Write(p)
}

// says: there is a line with all of these.
func (l *logged) says(parts ...string) func() error {
	return func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		for line := range strings.Lines(l.text.String()) {
			if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
				return nil
			}
		}
		return fmt.Errorf("no line of the log has %q:\n%s", parts, l.text.String())
	}
}

// faults are what can be done to a process's storage.
type faults struct {
	dead  atomic.Bool // it was killed: nothing it does has an effect any more
	full  atomic.Bool // the disk is full
	tries atomic.Int64
	// appended is the next offset of the last append.
	appended atomic.Int64
	// epoch, unless it is 0, is what chains say of their last leader.
	epoch atomic.Int32
	// slow: partition 0 is sealed by nobody before this is closed.
	slow    atomic.Pointer[chan struct{}]
	sealing atomic.Int64 // how often that was tried
	// gaps that cannot be recorded yet.
	gaps atomic.Int64
}

func configFor(b *topic) config.Config {
	cfg := config.Default()
	cfg.Topic = b.name
	cfg.Kafka.BootstrapServers = b.servers
	cfg.Segment = config.Segment{MaxBytes: 20_000, MaxAgeSeconds: 1}
	return cfg
}

func start(b *topic, dir string, change ...func(*config.Config)) *process {
	b.t.Helper()
	return startWith(b, dir, &faults{}, change...)
}

func startWith(b *topic, dir string, f *faults, change ...func(*config.Config)) *process {
	b.t.Helper()
	cfg := configFor(b)
	for _, c := range change {
		c(&cfg)
	}
	log := &logged{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	topics := []string{cfg.Topic}
	if cfg.DeadLetter.Topic != "" {
		topics = append(topics, cfg.DeadLetter.Topic)
	}
	p := &process{t: b.t, done: make(chan error, 1), client: kafka.New(cfg.Kafka, topics...), reg: prometheus.NewRegistry(), faults: f, log: log}
	directory, err := segment.OpenDirectory(dir, cfg.Segment, logger, p.reg)
	if err != nil {
		b.t.Fatal(err)
	}
	open := func(ctx context.Context, topic, topicID string, partition int32, first func(context.Context) (int64, error)) (consumer.Chain, error) {
		chain, err := directory.Open(ctx, topic, topicID, partition, first)
		if err != nil {
			return nil, err
		}
		return &faultyChain{chain, partition, p.faults}, nil
	}
	c, err := consumer.New(cfg, p.client, open, logger, p.reg)
	if err != nil {
		b.t.Fatal(err)
	}
	p.health, p.signals = c.Stopped, c.Signals
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.t.Context()))
	p.cancel = cancel
	go func() { p.done <- c.Run(ctx) }()
	b.t.Cleanup(p.stop)
	return p
}

// stop is SIGTERM; it may be repeated.
func (p *process) stop() {
	if p.client == nil {
		return
	}
	p.cancel()
	if err := p.wait(); err != nil {
		p.t.Errorf("Run: %v", err)
	}
}

// wait waits for the end.
func (p *process) wait() error {
	p.t.Helper()
	select {
	case err := <-p.done:
		p.client.Close()
		p.client = nil
		return err
	case <-time.After(time.Minute):
		p.t.Fatal("Run did not return within a minute")
		return nil
	}
}

// kill leaves everything as it is on the disk, and nothing more is written.
func (p *process) kill() {
	p.faults.dead.Store(true)
	p.stop()
}

func (p *process) metric(name string, labels ...string) float64 {
	p.t.Helper()
	families, err := p.reg.Gather()
	if err != nil {
		p.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			values := []string{}
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			if f.GetName() == name && (len(labels) == 0 || slices.Equal(values, labels)) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

type faultyChain struct {
	*segment.Chain
	partition int32
	faults    *faults
}

var errKilled = errors.New("killed")

func (c *faultyChain) Append(lines []byte, span record.Span) error {
	c.faults.tries.Add(1)
	switch {
	case c.faults.dead.Load():
		return errKilled
	case c.faults.full.Load():
		return errors.New("no space left on device")
	}
	err := c.Chain.Append(lines, span)
	if err == nil {
		c.faults.appended.Store(span.NextOffset)
	}
	return err
}

func (c *faultyChain) LeaderEpoch() int32 {
	if epoch := c.faults.epoch.Load(); epoch != 0 {
		return epoch
	}
	return c.Chain.LeaderEpoch()
}

func (c *faultyChain) Seal(ctx context.Context) (bool, error) {
	if c.faults.dead.Load() {
		return false, errKilled
	}
	if slow := c.faults.slow.Load(); slow != nil && c.partition == 0 {
		c.faults.sealing.Add(1)
		select {
		case <-*slow:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return c.Chain.Seal(ctx)
}

func (c *faultyChain) RecordGap(ctx context.Context, next int64, reason string) (bool, error) {
	if c.faults.gaps.Add(-1) >= 0 {
		return false, errKilled
	}
	return c.Chain.RecordGap(ctx, next, reason)
}

func (c *faultyChain) Close() error {
	if c.faults.dead.Load() {
		return errKilled
	}
	return c.Chain.Close()
}

// waitStored waits until everything that was produced is stored, and checks
// that it is exact.
func waitStored(b *topic, dir string) segment.Report {
	b.t.Helper()
	total := int64(0)
	for _, n := range b.sent {
		total += int64(n)
	}
	var report segment.Report
	eventually(b.t, "store", func() (err error) {
		report, err = segment.Verify(b.t.Context(), dir)
		if err == nil && report.Records < total {
			err = fmt.Errorf("%d of %d records are stored", report.Records, total)
		}
		return err
	})
	expectExact(b, dir)
	return report
}

// expectExact checks that the store is proven complete and that it holds each
// numbered record once, in order.
func expectExact(b *topic, dir string) {
	b.t.Helper()
	report, err := segment.Verify(b.t.Context(), dir)
	if err != nil || !report.Complete {
		b.t.Fatalf("verify: %v, error %v", report.Problems, err)
	}
	for partition, sent := range b.sent {
		if sent == 0 {
			continue
		}
		i := 0
		for l, err := range segment.Records(b.t.Context(), dir, b.name, partition) {
			if err != nil {
				b.t.Fatal(err)
			}
			if got, want := strings.TrimSuffix(string(l.Bytes), "\n"), line(partition, i); got != want {
				b.t.Fatalf("partition %d: record %d is %s, want %s (%s)", partition, i, got, want, l.File)
			}
			i++
		}
		if i != sent {
			b.t.Errorf("partition %d: %d records are stored, %d were sent", partition, i, sent)
		}
	}
}

// keepProducing produces to all partitions until the returned function is
// called, which waits for the end.
func (b *topic) keepProducing(partitions int) (stop func()) {
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			case <-ticker.C:
				b.produce(int32(i%partitions), 25)
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

func storedRecords(p *process, want float64) func() error {
	return func() error {
		if got := p.metric("logpipeline_segment_stored_records_total"); got != want {
			return fmt.Errorf("%v records are stored, want %v", got, want)
		}
		return nil
	}
}
