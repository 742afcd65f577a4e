package ingester

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/httpapi"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/producer"
	"github.com/logpipeline/logpipeline/ingester/queue"
)

// acknowledgeSlack is how much longer than the delivery of its records a
// request waits, so that it is the delivery that decides its outcome.
const acknowledgeSlack = 10 * time.Second

// intake is HTTP -> queue -> producer.
type intake struct {
	drainConfig config.Drain
	logger      *slog.Logger
	admin       *admin

	listener net.Listener
	handler  *httpapi.Handler
	server   *http.Server
	queue    *queue.Queue
	producer *producer.Producer
}

// openIntake puts the parts together and listens; nothing is served yet.
func (p *process) openIntake(ctx context.Context, client *kafka.Client) (*intake, error) {
	waiting := queue.New(int64(p.cfg.Queue.MaxBytes), p.registry)
	delivery, err := producer.New(p.cfg.Producer, p.cfg.Topic, client, waiting, p.logger, p.registry)
	if err != nil {
		return nil, err
	}
	options := httpapi.Options{
		Limits:             p.cfg.RequestLimits,
		AcknowledgeTimeout: time.Duration(p.cfg.Producer.DeliveryTimeoutSeconds)*time.Second + acknowledgeSlack,
	}
	handler := httpapi.New(options, waiting, p.logger, p.registry)
	listener, err := listen(ctx, p.cfg.Listen)
	if err != nil {
		return nil, err
	}
	return &intake{
		drainConfig: p.cfg.Drain,
		logger:      p.logger,
		admin:       p.admin,
		listener:    listener,
		handler:     handler,
		server:      httpapi.NewServer(handler, options, p.logger),
		queue:       waiting,
		producer:    delivery,
	}, nil
}

// run serves until ctx ends, or the listener fails, and drains.
func (i *intake) run(ctx context.Context) error {
	delivering, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	delivered := make(chan error, 1)
	go func() { delivered <- i.producer.Run(delivering) }()
	served := make(chan error, 1)
	go func() { served <- i.server.Serve(i.listener) }()
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
	return errors.Join(failure, i.stopListening(deadline), i.deliverRest(deadline, abandon, delivered))
}

// leave goes on serving while load balancers learn that this process goes.
func (i *intake) leave() {
	i.logger.Info("draining; another signal ends the process at once", "delaySeconds", i.drainConfig.DelaySeconds, "timeoutSeconds", i.drainConfig.TimeoutSeconds)
	i.admin.draining()
	i.handler.Drain()
	time.Sleep(time.Duration(i.drainConfig.DelaySeconds) * time.Second)
}

// stopListening closes the listener and waits for the requests that run.
func (i *intake) stopListening(deadline context.Context) error {
	if err := i.server.Shutdown(deadline); err != nil {
		return errors.Join(fmt.Errorf("answer the last requests: %w", err), i.server.Close())
	}
	return nil
}

// deliverRest lets the producer finish what the queue holds, until the
// deadline: what is then left is given up, and its clients are told so.
func (i *intake) deliverRest(deadline context.Context, abandon func(), delivered <-chan error) error {
	i.queue.Close()
	select {
	case err := <-delivered:
		return err
	case <-deadline.Done():
		abandon()
		return fmt.Errorf("drain: the time is over: %w", <-delivered)
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
