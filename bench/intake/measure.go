package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/logpipeline/logpipeline/bench/broker"
	"github.com/logpipeline/logpipeline/bench/load"
	"github.com/logpipeline/logpipeline/bench/records"
)

// snapshot is a contender at one moment.
type snapshot struct {
	at        time.Time
	cpu       time.Duration // of the contender
	brokerCPU time.Duration // of the discarding broker
	sent      load.Counts
	delivered int64 // records in Kafka, where a success may come before
	runtime   goRuntime
}

// measurement is one contender under one scenario, while it runs.
type measurement struct {
	*bench
	scenario scenario
	broker   *broker.Broker
	subject  *running
	load     *load.Load
}

// measure starts broker and contender, loads it and stops both. A contender is
// new for each scenario, so that none inherits the other's memory.
func (b *bench) measure(ctx context.Context, c contender, s scenario) (result Result, err error) {
	to, err := b.openBroker(ctx, s)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, to.Close(ctx)) }()
	subject, err := b.start(ctx, c, to)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, subject.stop()) }()
	shape := load.Shape{Connections: s.connections, Rate: s.rate, Patience: time.Minute}
	m := &measurement{b, s, to, subject, load.New(subject.Listen, b.requests(c, subject.Listen), shape)}
	return m.run(ctx)
}

// run loads for warm-up and duration. What is measured lasts until everything
// that was acknowledged is in Kafka, so that work put off counts.
func (m *measurement) run(ctx context.Context) (Result, error) {
	loading, stop := context.WithCancel(ctx)
	defer stop()
	loaded := make(chan struct{})
	go func() { defer close(loaded); m.load.Run(loading) }()

	early := m.loadFor(ctx, m.warmUp)
	before, err := m.snapshot(ctx)
	if err != nil {
		return Result{}, err
	}
	early = early || m.loadFor(ctx, m.duration)
	stop()
	<-loaded
	loadEnded := time.Now()
	delivered, err := m.awaitDelivery(ctx)
	if err != nil {
		return Result{}, err
	}
	after, err := m.snapshot(ctx)
	if err != nil {
		return Result{}, err
	}
	memory, err := m.subject.Memory()
	if err != nil {
		return Result{}, err
	}
	r := m.result(before, after, loadEnded)
	r.DeliveredRecords = delivered
	r.ResidentPeakMiB, r.ResidentMiB = memory.Peak>>20, memory.Resident>>20
	r.StoppedForMemory = early
	return r, ctx.Err()
}

// loadFor waits while the load runs. It returns true before the time is over
// when the contender has grown beyond what this machine can bear.
func (m *measurement) loadFor(ctx context.Context, d time.Duration) bool {
	for end := time.Now().Add(d); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(min(50*time.Millisecond, time.Until(end))) {
		if memory, err := m.subject.Memory(); err != nil || memory.Resident > m.maxResident {
			return true
		}
	}
	return false
}

// awaitDelivery returns the records that were delivered once they are all that
// were acknowledged, or after the drain time when they still are not.
func (m *measurement) awaitDelivery(ctx context.Context) (int64, error) {
	for end := time.Now().Add(m.drain); ; time.Sleep(5 * time.Millisecond) {
		delivered, err := m.delivered(ctx)
		if err != nil || delivered >= m.load.Counts().Acknowledged*recordsPerRequest || time.Now().After(end) {
			return delivered, err
		}
	}
}

func (m *measurement) snapshot(ctx context.Context) (snapshot, error) {
	s := snapshot{at: time.Now(), sent: m.load.Counts()}
	var err error
	if s.cpu, err = m.subject.CPU(); err != nil {
		return snapshot{}, err
	}
	if m.broker.Process != nil {
		if s.brokerCPU, err = m.broker.Process.CPU(); err != nil {
			return snapshot{}, err
		}
	}
	if m.scenario.rate == 0 && m.subject.isOurs() {
		if s.runtime, err = readRuntime(ctx, m.subject.Admin); err != nil {
			return snapshot{}, err
		}
	}
	if m.subject.early() {
		s.delivered, err = m.delivered(ctx)
	}
	return s, err
}

// delivered is how many records have reached the end of their way.
func (m *measurement) delivered(ctx context.Context) (int64, error) {
	if m.subject.acknowledgement == inFile {
		return countLines(m.subject.file())
	}
	messages, err := m.broker.Messages(ctx)
	return messages * int64(m.subject.perMessage), err
}

// requests are rendered ahead: enough different ones that neither codecs nor
// caches see the same bytes soon again.
func (b *bench) requests(c contender, address string) [][]byte {
	requests := make([][]byte, 256)
	lines := records.Lines(seed, len(requests)*recordsPerRequest)
	for i := range requests {
		body := c.body(lines[i*recordsPerRequest : (i+1)*recordsPerRequest])
		requests[i] = load.Render(address, c.path, c.media, body)
	}
	return requests
}

func (b *bench) openBroker(ctx context.Context, s scenario) (*broker.Broker, error) {
	if s.realKafka {
		return broker.UseRunning(ctx, b.kafka, fmt.Sprintf("bench-intake-%d", time.Now().UnixNano()), partitions)
	}
	return b.startDiscarding(ctx)
}
