package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/logpipeline/logpipeline/bench/broker"
	"github.com/logpipeline/logpipeline/bench/load"
	"github.com/logpipeline/logpipeline/bench/process"
	"github.com/logpipeline/logpipeline/bench/records"
	"github.com/logpipeline/logpipeline/ingester/config"
)

const partitions = 4

// outage is one run.
type outage struct {
	options
	dir      string
	broker   *broker.Broker
	ingester *process.Process
	load     *load.Load
	memory   *watch
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "bench-outage-")
	if err != nil {
		return err
	}
	run := &outage{options: o, dir: dir}
	if err := run.start(ctx); err != nil {
		return err
	}
	err = errors.Join(run.phases(ctx), run.stop(ctx))
	if err == nil {
		err = os.RemoveAll(dir)
	}
	return err
}

// phases: healthy, away, healthy again, and everything delivered; the load
// goes on through the first three.
func (o *outage) phases(ctx context.Context) error {
	loading, stopLoad := context.WithCancel(ctx)
	defer stopLoad()
	var running sync.WaitGroup
	running.Go(func() { o.load.Run(loading) })
	running.Go(func() { o.memory.run(loading, o.ingester) })
	o.phase(ctx, "healthy", o.healthy)
	if err := o.takeBrokerAway(ctx); err != nil {
		return err
	}
	o.phase(ctx, "Kafka away", o.away)
	if err := o.bringBrokerBack(ctx); err != nil {
		return err
	}
	before := o.load.Counts().Acknowledged
	recovered := o.awaitAcknowledgement(ctx, before)
	o.phase(ctx, "healthy again", o.healthy)
	stopLoad()
	running.Wait()
	return errors.Join(ctx.Err(), recovered, o.checkDelivered(ctx), o.memory.check(o.queueMaxBytes+o.slackBytes))
}

// phase lets the load run and says what became of its requests.
func (o *outage) phase(ctx context.Context, name string, d time.Duration) {
	before := o.load.Counts()
	o.memory.restart()
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
	after := o.load.Counts()
	fmt.Printf("%-14s %6.1f s  %8d requests acknowledged  %7d refused  %6d unanswered or failed  resident at most %4d MiB, bound %d MiB\n",
		name, d.Seconds(), after.Acknowledged-before.Acknowledged, after.Refused-before.Refused, after.Failed-before.Failed,
		o.memory.highest()>>20, (o.queueMaxBytes+o.slackBytes)>>20)
}

// awaitAcknowledgement returns once a request is acknowledged again.
func (o *outage) awaitAcknowledgement(ctx context.Context, before int64) error {
	began := time.Now()
	for ; time.Since(began) < time.Minute && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		if o.load.Counts().Acknowledged > before {
			fmt.Printf("acknowledging again %.1f s after Kafka is back\n", time.Since(began).Seconds())
			return nil
		}
	}
	return errors.New("nothing was acknowledged in the minute after Kafka came back")
}

// checkDelivered: what was acknowledged as produced is in Kafka. What is
// queued, or was sent by clients who left, may be there or be given up.
func (o *outage) checkDelivered(ctx context.Context) error {
	if o.acknowledge != string(config.AcknowledgeProduced) || o.kill {
		return nil // queued: the delivery timeout may be over; killed: the other broker has counted anew
	}
	delivered, err := o.broker.Messages(ctx)
	if acknowledged := o.load.Counts().Acknowledged * int64(o.recordsPerRequest); err == nil && delivered < acknowledged {
		err = fmt.Errorf("%d records were acknowledged as produced, Kafka has %d", acknowledged, delivered)
	}
	return err
}

func (o *outage) start(ctx context.Context) error {
	var err error
	if o.broker, err = o.startBroker(ctx); err != nil {
		return err
	}
	listen, err := process.FreeAddress()
	if err != nil {
		return err
	}
	file, err := o.writeConfig(listen)
	if err != nil {
		return err
	}
	o.ingester, err = process.Start(filepath.Join(o.dir, "ingester.log"), filepath.Join(o.binaries, "ingester"), "serve", "--config", file)
	if err != nil {
		return err
	}
	o.load = load.New(listen, o.requests(listen), load.Shape{Connections: o.connections, Patience: o.patience})
	o.memory = &watch{}
	return o.ingester.AwaitListening(ctx, listen)
}

func (o *outage) startBroker(ctx context.Context) (*broker.Broker, error) {
	return broker.StartDiscarding(ctx, filepath.Join(o.binaries, "discard"), filepath.Join(o.dir, "discard.log"), partitions)
}

func (o *outage) writeConfig(listen string) (file string, err error) {
	admin, err := process.FreeAddress()
	if err != nil {
		return "", err
	}
	cfg := config.Default()
	cfg.Listen, cfg.AdminListen, cfg.DataDir = listen, admin, o.dir
	cfg.Topic, cfg.Kafka.BootstrapServers = o.broker.Topic, []string{o.broker.Address}
	cfg.Acknowledge = config.Acknowledge(o.acknowledge)
	cfg.Queue.MaxBytes = config.Bytes(o.queueMaxBytes)
	cfg.Drain = config.Drain{DelaySeconds: 0, TimeoutSeconds: 30}
	document, err := cfg.Marshal()
	if err != nil {
		return "", err
	}
	file = filepath.Join(o.dir, "config.yaml")
	return file, os.WriteFile(file, document, 0o600)
}

func (o *outage) requests(address string) [][]byte {
	requests := make([][]byte, 16)
	lines := records.Lines(1, len(requests)*o.recordsPerRequest)
	for i := range requests {
		body := records.NDJSON(lines[i*o.recordsPerRequest : (i+1)*o.recordsPerRequest])
		requests[i] = load.Render(address, "/logs", "application/x-ndjson", body)
	}
	return requests
}

// takeBrokerAway has the broker hang, as a machine without network does, or
// kills it.
func (o *outage) takeBrokerAway(ctx context.Context) error {
	if o.kill {
		return o.broker.Close(ctx)
	}
	return o.broker.Process.Signal(syscall.SIGSTOP)
}

func (o *outage) bringBrokerBack(ctx context.Context) error {
	if !o.kill {
		return o.broker.Process.Signal(syscall.SIGCONT)
	}
	return o.broker.Restart(ctx)
}

func (o *outage) stop(ctx context.Context) error {
	return errors.Join(o.ingester.Stop(time.Minute), o.broker.Close(ctx))
}
