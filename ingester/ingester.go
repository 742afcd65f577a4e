// Package ingester composes a role of the data path from its parts, and alone
// knows in which order they start and drain.
package ingester

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/consumer"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/mounted"
	"github.com/prometheus/client_golang/prometheus"
)

// process is what the parts of a role share.
type process struct {
	cfg      config.Config
	logger   *slog.Logger
	registry *prometheus.Registry
	admin    *admin
	files    *mounted.Watcher
	// storeFailure is why the store could not be opened yet.
	storeFailure atomic.Pointer[string]
}

// Run runs a role until ctx ends, drains it, and returns. It returns nil only
// when everything that was acknowledged has gone where the role takes it; an
// error that isn't about the drain means that the role could not start, or
// could not go on. The configuration must be valid for the role.
func Run(ctx context.Context, role config.Role, cfg config.Config, version string, logger *slog.Logger) error {
	p := &process{cfg: cfg, logger: logger, registry: newRegistry(version)}
	p.files = mounted.New(logger, p.registry)
	admin, err := openAdmin(ctx, cfg.AdminListen, p.registry, logger, directions(role, cfg)...)
	if err != nil {
		return err
	}
	p.admin = admin
	admin.start()
	logger.Info("starting", "role", role, "version", version, "admin", admin.address())
	switch role {
	case config.RoleServe:
		err = p.serve(ctx)
	case config.RoleConsume:
		err = p.consume(ctx)
	case config.RoleStandalone:
		err = p.standalone(ctx)
	case config.RoleDirect:
		err = p.direct(ctx)
	default:
		err = fmt.Errorf("run role %q: there is no such role", role)
	}
	err = errors.Join(err, admin.stop(context.WithoutCancel(ctx)))
	if err == nil {
		logger.Info("stopped", "role", role)
	}
	return err
}

// serve: Kafka client, then the intake; stopped in reverse.
func (p *process) serve(ctx context.Context) error {
	boundMemory(p.cfg.Queue.MaxBytes, memoryBeside)
	client, err := kafka.Open(p.cfg.Kafka, p.files, p.writtenTopics()...)
	if err != nil {
		return err
	}
	defer client.Close()
	intake, err := p.openIntake(ctx, client)
	if err != nil {
		return err
	}
	p.tell(intake, nil)
	return intake.run(ctx)
}

// writtenTopics are the topic and, where there is one, that of its dead letters.
func (p *process) writtenTopics() []string {
	if letters := p.cfg.DeadLetter.Topic; letters != "" {
		return []string{p.cfg.Topic, letters}
	}
	return []string{p.cfg.Topic}
}

// memoryBeside is what a role needs beside its bounded buffers, in bytes: code,
// stacks, connections, record batches, and room for the garbage collector.
const memoryBeside = 40 << 20

// memoryBesideFetches is that of a consumer, whose fetches include what is
// decompressed of them; make bench-backlog measures it.
const memoryBesideFetches = 24 << 20

// boundMemory has the garbage collector work as hard as it takes to keep the
// process within the bound of its buffers and a constant. Without it, a queue
// that has filled up could take twice its bound. Whoever sets GOMEMLIMIT knows
// better.
func boundMemory(buffers, beside config.Bytes) {
	if _, set := os.LookupEnv("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(int64(buffers + beside))
	}
}

// consume: Kafka client, store, consumer; the consumer seals what it has
// before it returns.
func (p *process) consume(ctx context.Context) error {
	boundMemory(p.cfg.Consumer.FetchMaxTotalBytes, memoryBesideFetches)
	client, err := kafka.Open(p.cfg.Kafka, p.files, p.writtenTopics()...)
	if err != nil {
		return err
	}
	defer client.Close()
	defer p.watchFiles(ctx)()
	var opened atomic.Pointer[consumer.Consumer]
	p.tell(nil, opened.Load)
	consumer, err := p.openConsumer(ctx, client, nil)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	opened.Store(consumer)
	p.admin.health = consumer.Stopped
	p.admin.ready()
	return consumer.Run(ctx)
}

// watchFiles keeps what was read of mounted files up to date until stop, which
// waits for the end of it. The drain needs them, too.
func (p *process) watchFiles(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { p.files.Run(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

// unlessStopped is nil for who was told to stop before it had begun: nothing is
// left undone.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// standalone: embedded broker, consumer, intake. When ctx ends the intake
// drains, the consumer reads to the end of the log and seals, and the broker
// stops last.
func (p *process) standalone(ctx context.Context) error {
	broker, err := startBroker(filepath.Join(p.cfg.DataDir, "kafka"), p.cfg.EmbeddedKafkaFile())
	if err != nil {
		return err
	}
	defer broker.Close()
	p.cfg.Kafka.BootstrapServers = broker.ListenAddrs()
	if err := p.createTopic(ctx); err != nil {
		return err
	}
	client := kafka.New(p.cfg.Kafka, p.writtenTopics()...)
	defer client.Close()
	progress := newProgress()
	storing, err := p.openConsumer(ctx, client, progress)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	intake, err := p.openIntake(ctx, client)
	if err != nil {
		return err
	}
	p.admin.health = storing.Stopped
	p.tell(intake, func() *consumer.Consumer { return storing })

	consuming, stopConsuming := context.WithCancel(context.WithoutCancel(ctx))
	defer stopConsuming()
	serving, stopServing := context.WithCancel(ctx)
	defer stopServing()
	consumed := make(chan error, 1)
	go func() {
		defer stopServing() // without a consumer there is no reason to serve
		consumed <- storing.Run(consuming)
	}()
	err = intake.run(serving)

	finish := func() error { stopConsuming(); return <-consumed }
	return errors.Join(err, p.storeRest(consuming, client, progress, finish))
}

// storeRest lets the consumer read what is left in the topic, to which nothing
// is added any more, finishes it, and makes sure that all of it is sealed.
func (p *process) storeRest(ctx context.Context, client *kafka.Client, progress *progress, finish func() error) error {
	reading, cancel := context.WithTimeout(ctx, time.Duration(p.cfg.Drain.TimeoutSeconds)*time.Second)
	defer cancel()
	ends, err := logEnds(reading, client, p.cfg.Topic)
	if err == nil {
		err = progress.awaitAppended(reading, ends)
	}
	if finished := finish(); err != nil || finished != nil {
		return errors.Join(err, finished)
	}
	return progress.behind(progress.sealed, ends)
}
