package scaling

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logpipeline/logpipeline/controllers/scaling/lag"
)

// cluster reads all pipelines of one Kafka cluster, one reading at a time.
type cluster struct {
	lag       *lag.Cluster
	scraper   *scraper
	store     *Store
	busy      atomic.Bool
	pipelines map[Pipeline]*pipeline
}

// pipeline is what is remembered of one between two readings.
type pipeline struct {
	meter   RateMeter
	produce ProduceMeter
	intake  IntakeMeter
	wanted  Holder
	records Holder
	trouble Trouble
}

// said is what a pipeline's pods have said.
type said struct {
	ingesters, consumers           []answered
	unready                        []answered // consumers
	askedIngesters, askedConsumers int
	ingesterErr, consumerErr       error
	owners                         owners
}

// read asks the pods of all pipelines, then the brokers: the ends of the logs
// are to be read after what has been done.
func (k *cluster) read(ctx context.Context, targets []Target) {
	said := k.askPods(ctx, targets)
	queries := make([]lag.Query, len(targets))
	for i, t := range targets {
		said[i].owners = ownersOf(said[i].consumers, t.TopicID)
		queries[i] = lag.Query{Topic: t.Topic, TopicID: t.TopicID, Group: t.Group, Progress: said[i].owners.progress}
	}
	results := k.lag.Read(ctx, queries)
	if ctx.Err() != nil {
		return
	}
	kept := map[Pipeline]*pipeline{}
	for i, t := range targets {
		p := k.pipelines[t.Pipeline]
		if p == nil {
			p = &pipeline{}
		}
		kept[t.Pipeline] = p
		k.store.Put(t.Pipeline, p.sample(t, said[i], results[i]))
	}
	k.pipelines = kept
}

func (k *cluster) askPods(ctx context.Context, targets []Target) []said {
	all := make([]said, len(targets))
	var group sync.WaitGroup
	for i, t := range targets {
		s := &all[i]
		group.Go(func() { s.ingesters, s.askedIngesters, s.ingesterErr = k.scraper.ask(ctx, t.Ingesters) })
		group.Go(func() { s.consumers, s.askedConsumers, s.consumerErr = k.scraper.ask(ctx, t.Consumers) })
		group.Go(func() { s.unready = k.scraper.askUnready(ctx, t.Consumers) })
	}
	group.Wait()
	return all
}

// sample decides what is to be known of a pipeline.
func (p *pipeline) sample(t Target, s said, r lag.Result) Sample {
	p.trouble = p.trouble.next(slices.Concat(s.unready, s.consumers), len(t.Consumers))
	sample := Sample{QueueBytes: p.queueBytes(t, s), Trouble: p.trouble}
	if r.Err != nil {
		unknown := Value{err: r.Err}
		sample.LagRecords, sample.WantedReplicas, sample.DelaySeconds = unknown, unknown, unknown
		sample.Rates = p.meter.rates
		return sample
	}
	p.meter.ObserveWorkers(workersOf(s.consumers))
	sample.Rates = p.meter.Observe(r.Reading)
	settled := s.consumerErr == nil && !t.RollingOut && s.owners.settled(s.askedConsumers, len(r.Reading.Partitions))
	records, now := r.Reading.Records(), r.Reading.At
	sample.LagRecords = held(&p.records, float64(records), settled, now)
	wanted := WantedConsumers(Backlog{
		Records: records, Rates: sample.Rates, Target: delayTarget(t),
		Partitions: len(r.Reading.Partitions), Pods: s.askedConsumers,
	})
	sample.WantedReplicas = held(&p.wanted, wanted, settled, now)
	if delay, known := r.Reading.Delay(now); known {
		sample.DelaySeconds = Value{Value: delay.Seconds(), At: now}
	} else {
		sample.DelaySeconds = Value{err: errDelayUnknown}
	}
	return sample
}

func workersOf(answers []answered) []Worker {
	var workers []Worker
	for _, a := range answers {
		if c := a.Consumer; c != nil {
			workers = append(workers, Worker{a.pod, a.Started, a.at, c.AppendedRecords, c.BusySeconds})
		}
	}
	return workers
}

func held(h *Holder, fresh float64, settled bool, now time.Time) Value {
	value, at := h.Next(fresh, settled, now)
	v := Value{Value: value, At: at}
	if at.Before(now) {
		v.Held = Rebalancing
	}
	return v
}

func delayTarget(t Target) time.Duration {
	if t.DelayTarget <= 0 {
		return DefaultDelayTarget
	}
	return t.DelayTarget
}

func (p *pipeline) queueBytes(t Target, s said) Value {
	if s.ingesterErr != nil {
		return Value{err: s.ingesterErr}
	}
	if s.askedIngesters == 0 {
		return Value{err: errNoIngester}
	}
	q := Queues{
		Missing: s.askedIngesters - len(s.ingesters), Replicas: t.IngesterReplicas,
		TargetBytes: t.QueueTargetBytes, Needed: p.intake.Observe(intakesOf(s.ingesters)),
		KafkaBottleneck: p.produce.observe(s.ingesters),
	}
	for _, a := range s.ingesters {
		if a.Ingester != nil {
			q.Pods = append(q.Pods, *a.Ingester)
		}
	}
	if len(q.Pods) == 0 {
		return Value{err: errNoIngester}
	}
	bytes, why := QueueBytes(q)
	return Value{Value: float64(bytes), At: newest(s.ingesters), Held: why}
}

func newest(answers []answered) (at time.Time) {
	for _, a := range answers {
		if a.at.After(at) {
			at = a.at
		}
	}
	return at
}
