package ingester

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/http1"
	"github.com/logpipeline/logpipeline/ingester/httpapi"
	"github.com/logpipeline/logpipeline/ingester/journal"
	"github.com/logpipeline/logpipeline/ingester/queue"
)

// direct is HTTP -> queue -> journal -> chain. Of the intake it has everything
// before the queue.
type direct struct {
	intake
	lock    *os.File
	journal *journal.Journal
	storer  *journal.Storer
}

// direct: store, journal, intake; stopped in reverse.
func (p *process) direct(ctx context.Context) error {
	boundMemory(p.cfg.Queue.MaxBytes, memoryBeside)
	d, err := p.openDirect(ctx)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	p.admin.health = d.storer.Stopped
	return errors.Join(d.run(ctx), d.lock.Close())
}

// openDirect puts the parts together and listens; nothing is served yet.
func (p *process) openDirect(ctx context.Context) (*direct, error) {
	d := &direct{intake: intake{
		drainConfig: p.cfg.Drain, logger: p.logger, admin: p.admin,
		files: p.files,
		queue: queue.New(int64(p.cfg.Queue.MaxBytes), p.registry),
	}}
	var err error
	if d.lock, err = lockDir(p.cfg.JournalDir()); err != nil {
		return nil, fmt.Errorf("open journal %s: %w", p.cfg.JournalDir(), err)
	}
	if err = p.openJournal(ctx, d); err == nil {
		if err = p.openDirectHandler(d); err == nil {
			d.listener, err = p.openListener(ctx, d.files)
		}
	}
	if err != nil {
		return nil, errors.Join(err, d.lock.Close())
	}
	d.server = http1.New(httpapi.NewServer(d.handler, p.logger))
	return d, nil
}

// openJournal opens the journal and the chain behind it, which may follow later
// where the journal knows its own end.
func (p *process) openJournal(ctx context.Context, d *direct) (err error) {
	options := journal.Options{Dir: p.cfg.JournalDir(), MaxBytes: int64(p.cfg.Direct.JournalMaxBytes), Topic: p.cfg.Topic}
	if d.journal, err = journal.Open(options, d.queue, p.logger, p.registry); err != nil {
		return err
	}
	store, err := p.openDirectStore(ctx, d.journal.KnowsItsEnd())
	if err != nil {
		return err
	}
	sealTimeout := time.Duration(p.cfg.Drain.TimeoutSeconds) * time.Second
	d.storer = journal.NewStorer(d.journal, store.openChain, p.cfg.Retention.PerPartition(1), sealTimeout, p.logger)
	return d.storer.Open(ctx)
}

// openDirectHandler makes the handler, whose receipts stand for the journal.
func (p *process) openDirectHandler(d *direct) error {
	authenticator, err := httpapi.NewAuthenticator(p.cfg.Authentication, d.files)
	if err != nil {
		return err
	}
	d.handler = httpapi.New(httpapi.Options{
		Limits:        p.cfg.RequestLimits,
		Instance:      p.cfg.Instance,
		AdminAddress:  p.admin.address(),
		Journal:       true,
		Acknowledge:   config.AcknowledgeProduced,
		RequiredAcks:  config.RequiredAcksAll,
		Authenticator: authenticator,
	}, d.queue, p.logger, p.registry)
	return nil
}

// run serves until ctx ends, or the listener fails, and drains: listener,
// requests, queue, journal; what the journal holds is sealed last.
func (d *direct) run(ctx context.Context) error {
	working, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	watching, stopWatching := context.WithCancel(working)
	var beside sync.WaitGroup
	beside.Go(func() { d.files.Run(watching) })
	beside.Go(func() { d.journal.Run(working) })
	stored := make(chan error, 1)
	go func() { stored <- d.storer.Run(working) }()
	served := make(chan error, 1)
	go func() { served <- d.server.Serve(d.listener) }() //nolint:contextcheck // connections outlive ctx: they end with the drain
	d.admin.ready()
	d.logger.Info("taking records", "address", d.listener.Addr().String())

	var failure error
	select {
	case <-ctx.Done():
		d.leave()
	case failure = <-served:
		failure = fmt.Errorf("serve %s: %w", d.listener.Addr(), failure)
	}
	deadline, cancel := context.WithTimeout(working, time.Duration(d.drainConfig.TimeoutSeconds)*time.Second)
	defer cancel()
	failure = errors.Join(failure, d.stopListening(deadline, abandon))
	d.queue.Close()
	context.AfterFunc(deadline, abandon)
	failure = errors.Join(failure, <-stored)
	stopWatching()
	beside.Wait()
	return failure
}
