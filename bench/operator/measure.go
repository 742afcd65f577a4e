package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/logpipeline/logpipeline/bench/process"
)

// result is what one number of pipelines has cost.
type result struct {
	Pipelines int           `json:"pipelines"`
	Converged time.Duration `json:"converged"`
	SetUp     requests      `json:"setUp"`
	Idle      usage         `json:"idle"`    // no autoscaler asks
	Polling   usage         `json:"polling"` // the autoscalers ask
	Lagging   usage         `json:"lagging"` // they do, and every pipeline lags
}

// usage is what the operator took in a span of time.
type usage struct {
	Took          time.Duration `json:"took"`
	CPU           time.Duration `json:"cpu"`
	RSS           int64         `json:"rss"` // bytes, at the end
	Requests      requests      `json:"requests"`
	KafkaRequests int64         `json:"kafkaRequests"`
	Connections   int64         `json:"connections"` // to Kafka, at the end
}

func (u usage) perMinute(n int) float64 { return float64(n) / u.Took.Minutes() }

// cores is the share of one core, in percent.
func (u usage) cores() float64 { return 100 * u.CPU.Seconds() / u.Took.Seconds() }

// bench is one run.
type bench struct {
	options
	plane     *controlPlane
	kafka     *counter
	watched   *watched
	pods      *pods
	operator  *process.Process
	pipelines *pipelines
}

func (o options) measure(ctx context.Context, n int) (r result, err error) {
	folder := filepath.Join(o.logs, fmt.Sprint(n))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return result{}, err
	}
	b := &bench{options: o}
	defer func() { err = errors.Join(err, b.stop(context.WithoutCancel(ctx))) }()
	if err := b.start(ctx, folder, n); err != nil {
		return result{}, err
	}
	r.Pipelines = n
	for _, step := range []func(context.Context, *result) error{b.converge, b.idle, b.lag} {
		if err := step(ctx, &r); err != nil {
			return result{}, err
		}
	}
	return r, nil
}

func (b *bench) start(ctx context.Context, folder string, n int) (err error) {
	if b.kafka, err = startCounter(b.options.kafka); err != nil {
		return err
	}
	b.pipelines = newPipelines(b.options, n, b.kafka.address())
	if b.plane, err = startControlPlane(b.options, folder); err != nil {
		return err
	}
	if b.watched, err = watch(ctx, b.plane.config, b.plane.client.Scheme()); err != nil {
		return err
	}
	if b.pods, err = playPods(ctx, b.plane.client, b.watched); err != nil {
		return err
	}
	if err := b.plane.startControllerManager(); err != nil {
		return err
	}
	b.operator, err = startOperator(ctx, b.plane, b.options)
	return err
}

func (b *bench) stop(ctx context.Context) error {
	var errs []error
	if b.operator != nil {
		errs = append(errs, b.operator.Stop(10*time.Second))
	}
	if b.watched != nil {
		b.watched.stop()
	}
	if b.pods != nil {
		errs = append(errs, b.pods.stop())
	}
	if b.plane != nil {
		errs = append(errs, b.plane.stop())
	}
	if b.kafka != nil {
		errs = append(errs, b.kafka.stop())
	}
	if b.pipelines != nil {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		errs = append(errs, b.pipelines.remove(ctx))
	}
	return errors.Join(errs...)
}

// converge applies the pipelines and waits until all are Ready, which takes
// autoscalers that get their metrics. The first is there before the clock
// starts: then all parts of the cluster have found each other.
func (b *bench) converge(ctx context.Context, r *result) error {
	err := b.pipelines.createNamespaces(ctx, b.plane.client)
	if err == nil {
		err = b.plane.client.Create(ctx, b.pipelines.pipeline(0))
	}
	if err != nil {
		return fmt.Errorf("create the first LogPipeline: %w", err)
	}
	if err := b.awaitReady(ctx, 1); err != nil {
		return err
	}
	began := time.Now()
	if err := b.pipelines.createRest(ctx, b.plane.client); err != nil {
		return fmt.Errorf("create LogPipelines: %w", err)
	}
	if err := b.awaitReady(ctx, r.Pipelines); err != nil {
		return err
	}
	r.Converged = time.Since(began)
	var autoscalers autoscalingv2.HorizontalPodAutoscalerList
	if err := b.plane.client.List(ctx, &autoscalers); err != nil {
		return err
	}
	if want := 2 * r.Pipelines; len(autoscalers.Items) != want {
		return fmt.Errorf("there are %d HorizontalPodAutoscalers, want %d", len(autoscalers.Items), want)
	}
	fmt.Fprintf(os.Stderr, "%d are Ready after %v\n", r.Pipelines, r.Converged.Round(100*time.Millisecond))
	if err := b.pause(ctx, b.settle); err != nil {
		return err
	}
	r.SetUp, err = b.plane.audit.between(began, time.Now())
	return err
}

func (b *bench) awaitReady(ctx context.Context, want int) error {
	began := time.Now()
	for shown := began; ; {
		ready := b.watched.countReady()
		if ready == want {
			return nil
		}
		if time.Since(began) > b.patience {
			return fmt.Errorf("%d of %d are Ready after %v", ready, want, b.patience)
		}
		if time.Since(shown) > 10*time.Second {
			shown = time.Now()
			fmt.Fprintf(os.Stderr, "%d of %d are Ready after %v\n", ready, want, time.Since(began).Round(time.Second))
		}
		if err := b.pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// pause waits, unless a part of the bench has failed.
func (b *bench) pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
	}
	if b.operator.Exited() {
		return errors.New("the operator has ended")
	}
	return errors.Join(b.plane.running(), b.pods.err())
}

// idle measures with and without autoscalers that ask.
func (b *bench) idle(ctx context.Context, r *result) (err error) {
	if r.Polling, err = b.use(ctx, "idle, autoscalers ask"); err != nil {
		return err
	}
	if err := b.plane.silence(); err != nil {
		return err
	}
	r.Idle, err = b.use(ctx, "idle")
	return errors.Join(err, b.plane.hear())
}

// warm is how long the lag is there before it is measured.
const warm = 30 * time.Second

func (b *bench) lag(ctx context.Context, r *result) (err error) {
	filling, cancel := context.WithCancel(ctx)
	filled := make(chan error, 1)
	go func() { filled <- b.pipelines.fillBehind(filling) }()
	defer func() { cancel(); err = errors.Join(err, <-filled) }()
	if err := b.pause(ctx, warm); err != nil {
		return err
	}
	r.Lagging, err = b.use(ctx, "lag")
	return err
}

// use measures for one window.
func (b *bench) use(ctx context.Context, what string) (u usage, err error) {
	began, kafka := time.Now(), b.kafka.requests.Load()
	before, err := b.operator.CPU()
	if err != nil {
		return usage{}, err
	}
	if err := b.pause(ctx, b.window); err != nil {
		return usage{}, err
	}
	after, err := b.operator.CPU()
	if err != nil {
		return usage{}, err
	}
	memory, err := b.operator.Memory()
	if err != nil {
		return usage{}, err
	}
	now := time.Now()
	u = usage{
		Took: now.Sub(began), CPU: after - before, RSS: memory.Resident,
		KafkaRequests: b.kafka.requests.Load() - kafka, Connections: b.kafka.open.Load(),
	}
	u.Requests, err = b.plane.audit.between(began, now)
	fmt.Fprintf(os.Stderr, "%s: %.2f %% of a core, %d MiB, Kafka %d requests %d connections, %v\n",
		what, u.cores(), u.RSS>>20, u.KafkaRequests, u.Connections, u.Requests)
	return u, err
}
