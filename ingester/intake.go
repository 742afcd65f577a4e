package ingester

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/deadletter"
	"github.com/logpipeline/logpipeline/ingester/http1"
	"github.com/logpipeline/logpipeline/ingester/httpapi"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/mounted"
	"github.com/logpipeline/logpipeline/ingester/producer"
	"github.com/logpipeline/logpipeline/ingester/queue"
	"github.com/logpipeline/logpipeline/ingester/record"
	"github.com/logpipeline/logpipeline/ingester/spool"
)

// acknowledgeSlack is how much longer than the delivery of its records a
// request waits, so that it is the delivery that decides its outcome.
const acknowledgeSlack = 10 * time.Second

// tellTimeout bounds how long, after the deadline of the drain, the requests
// that still wait are told what became of their records. The producer takes at
// most 3 s to find that out.
const tellTimeout = 4 * time.Second

// intake is HTTP -> spool, if there is one -> queue -> producer.
type intake struct {
	drainConfig config.Drain
	logger      *slog.Logger
	admin       *admin

	files    *mounted.Watcher
	listener net.Listener
	handler  *httpapi.Handler
	server   *http1.Server
	queue    *queue.Queue
	spool    *spool.Spool // nil without one
	letters  *deadletter.Store
	producer *producer.Producer
}

// openIntake puts the parts together and listens; nothing is served yet.
func (p *process) openIntake(ctx context.Context, client *kafka.Client) (*intake, error) {
	i := &intake{
		drainConfig: p.cfg.Drain, logger: p.logger, admin: p.admin,
		files: p.files,
		queue: queue.New(int64(p.cfg.Queue.MaxBytes), p.registry),
	}
	err := p.openDelivery(i, client)
	if err == nil {
		i.listener, err = p.openListener(ctx, i.files)
	}
	if err != nil {
		return nil, errors.Join(err, i.closeSpool())
	}
	i.server = http1.New(httpapi.NewServer(i.handler, p.logger))
	return i, nil
}

// openDelivery makes what takes a request's records to Kafka, from its end to
// its beginning, and the handler in front of it.
func (p *process) openDelivery(i *intake, client *kafka.Client) (err error) {
	i.letters, err = deadletter.Open(p.cfg.DeadLetter, p.cfg.DeadLetterDir(), client, p.logger, p.registry)
	if err != nil {
		return err
	}
	options := producer.Options{DeadLetters: i.letters}
	if i.handler, err = p.openHandler(i); err != nil {
		return err
	}
	if i.spool != nil {
		options.Journal, options.Reopened = i.spool, i.spool.Reopened()
	}
	i.producer, err = producer.New(p.cfg.Producer, p.cfg.Topic, client, i.queue, options, p.logger, p.registry)
	return err
}

// openHandler makes the handler and the spool, which know each other: the one
// appends to the other, which tells it of the batches of earlier runs.
func (p *process) openHandler(i *intake) (*httpapi.Handler, error) {
	authenticator, err := httpapi.NewAuthenticator(p.cfg.Authentication, i.files)
	if err != nil {
		return nil, err
	}
	options := httpapi.Options{
		Limits:             p.cfg.RequestLimits,
		Instance:           p.cfg.Instance,
		AdminAddress:       p.admin.address(),
		Acknowledge:        p.cfg.Acknowledge,
		RequiredAcks:       p.cfg.Producer.RequiredAcks,
		Authenticator:      authenticator,
		Headers:            p.cfg.Producer.Headers,
		Unreachable:        func() bool { return i.producer.Unreachable() },
		AcknowledgeTimeout: time.Duration(p.cfg.Producer.DeliveryTimeoutSeconds)*time.Second + acknowledgeSlack,
	}
	if p.cfg.Spool.MaxBytes > 0 {
		i.spool, err = spool.Open(spool.Options{
			Dir: p.cfg.SpoolDir(), MaxBytes: int64(p.cfg.Spool.MaxBytes),
			Recover: func(b *record.Batch) { i.handler.Recover(b) },
		}, i.queue, p.logger, p.registry)
		if err != nil {
			return nil, err
		}
		options.Spool = i.spool
	}
	handler := httpapi.New(options, i.queue, p.logger, p.registry)
	if i.spool != nil {
		if err := i.spool.Keyed(handler.Remember); err != nil {
			return nil, errors.Join(err, i.closeSpool())
		}
	}
	return handler, nil
}

// openListener listens, with TLS where that is configured.
func (p *process) openListener(ctx context.Context, files *mounted.Watcher) (net.Listener, error) {
	secure, err := httpapi.ServerTLS(p.cfg.TLS, p.cfg.Authentication, files, p.registry)
	if err != nil {
		return nil, err
	}
	access := p.cfg.Authentication
	if secure == nil && (access.BearerTokensDir != "" || access.BasicDir != "") {
		p.logger.Warn("tokens and passwords are asked for without tls: whoever listens to the network can read them")
	}
	listener, err := listen(ctx, p.cfg.Listen)
	if err != nil {
		return nil, err
	}
	listener = httpapi.Limit(listener, p.cfg.RequestLimits.MaxConnections, p.logger, p.registry)
	if secure != nil {
		return tls.NewListener(listener, secure), nil
	}
	return listener, nil
}

// run serves until ctx ends, or the listener fails, and drains: listener,
// requests, spool, queue, Kafka, and then what stood beside them.
func (i *intake) run(ctx context.Context) error {
	delivering, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	stopBeside := i.startBeside(delivering)
	delivered := make(chan error, 1)
	go func() { delivered <- i.producer.Run(delivering) }()
	served := make(chan error, 1)
	go func() { served <- i.server.Serve(i.listener) }() //nolint:contextcheck // connections outlive ctx: they end with the drain
	i.admin.ready()
	i.logger.Info("taking records", "address", i.listener.Addr().String())

	var failure error
	select {
	case <-ctx.Done():
		i.leave()
	case failure = <-served:
		failure = fmt.Errorf("serve %s: %w", i.listener.Addr(), failure)
	}
	deadline, cancel := context.WithTimeout(delivering, time.Duration(i.drainConfig.TimeoutSeconds)*time.Second)
	defer cancel()
	return errors.Join(failure, i.stopListening(deadline, abandon), i.deliverRest(deadline, abandon, delivered), stopBeside())
}

// startBeside starts what works beside the way of the records. What it returns
// stops that, waits for it, and lets go of the spool.
func (i *intake) startBeside(ctx context.Context) (stop func() error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { i.files.Run(ctx) })
	running.Go(func() { _ = i.letters.Run(ctx) }) // it has no error but the end of ctx
	if i.spool != nil {
		running.Go(func() { _ = i.spool.Run(ctx) })
	}
	return func() error {
		cancel()
		running.Wait()
		return i.closeSpool()
	}
}

func (i *intake) closeSpool() error {
	if i.spool == nil {
		return nil
	}
	return i.spool.Close()
}

// leave goes on serving while load balancers learn that this process goes.
func (i *intake) leave() {
	i.logger.Info("draining; another signal ends the process at once", "delaySeconds", i.drainConfig.DelaySeconds, "timeoutSeconds", i.drainConfig.TimeoutSeconds)
	i.admin.draining()
	i.handler.Drain()
	time.Sleep(time.Duration(i.drainConfig.DelaySeconds) * time.Second)
}

// stopListening closes the listener and waits for the requests that run. Those
// that still wait at the deadline are told what becomes of their records,
// which are given up then, before their connections are closed.
func (i *intake) stopListening(deadline context.Context, abandon func()) error {
	err := i.server.Shutdown(deadline)
	if err == nil {
		return nil
	}
	i.queue.CloseNow()
	abandon()
	telling, cancel := context.WithTimeout(context.WithoutCancel(deadline), tellTimeout)
	defer cancel()
	if i.server.Shutdown(telling) != nil {
		err = errors.Join(err, i.server.Close())
	}
	return fmt.Errorf("answer the last requests in time: %w", err)
}

// deliverRest lets the producer finish what spool and queue hold, until the
// deadline. What is then left in the queue is given up: without a spool it is
// dead-lettered; the spool keeps the rest for the next start.
func (i *intake) deliverRest(deadline context.Context, abandon func(), delivered <-chan error) error {
	var left error
	if i.spool != nil {
		left = i.spool.Drain(deadline)
	}
	i.queue.Close()
	select {
	case err := <-delivered:
		return errors.Join(left, err)
	case <-deadline.Done():
		i.queue.CloseNow()
		abandon()
		return errors.Join(left, fmt.Errorf("drain: the time is over: %w", <-delivered))
	}
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen at %q: %w", address, err)
	}
	return listener, nil
}
