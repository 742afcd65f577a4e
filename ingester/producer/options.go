package producer

import (
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// Options are what a producer can do without.
type Options struct {
	// DeadLetters take what isn't delivered and whose client can't be told;
	// without them it is lost, counted and logged.
	DeadLetters DeadLetters
	// Journal is the spool's, where every batch of the source comes from it.
	Journal Journal
	// Reopened is what an earlier run left open, by the journal.
	Reopened []record.Reopened
}

// limits are the configuration in the units of the code.
type limits struct {
	records         int
	bytes           int
	delay           time.Duration
	deliveryTimeout time.Duration
}

// unlimited is for records that have been within the limits before.
var unlimited = limits{records: math.MaxInt, bytes: math.MaxInt}

// New returns a producer that will write to topic, or an error when a limit, a
// codec or the key field of cfg can't be kept. The metrics are registered with
// reg.
func New(cfg config.Producer, topic string, client Client, source Source, options Options, logger *slog.Logger, reg prometheus.Registerer) (*Producer, error) {
	l := limits{
		records:         cfg.BatchRecords,
		bytes:           int(cfg.BatchBytes),
		delay:           time.Duration(cfg.BatchMaxDelayMilliseconds) * time.Millisecond,
		deliveryTimeout: time.Duration(cfg.DeliveryTimeoutSeconds) * time.Second,
	}
	switch {
	case topic == "":
		return nil, fmt.Errorf("topic is empty: name the topic to write to")
	case l.records < 1:
		return nil, fmt.Errorf("producer.batchRecords is %d: set it to at least 1", cfg.BatchRecords)
	case l.bytes < 1:
		return nil, fmt.Errorf("producer.batchBytes is %d: set it to at least 1", cfg.BatchBytes)
	case l.delay < 0:
		return nil, fmt.Errorf("producer.batchMaxDelayMilliseconds is %d: set it to at least 0", cfg.BatchMaxDelayMilliseconds)
	case l.deliveryTimeout <= 0:
		return nil, fmt.Errorf("producer.deliveryTimeoutSeconds is %d: set it to at least 1", cfg.DeliveryTimeoutSeconds)
	}
	builders, err := newBuilders(cfg)
	if err != nil {
		return nil, err
	}
	keys, err := record.KeyOf(cfg.KeyField)
	if err != nil {
		return nil, err
	}
	p := &Producer{
		topic: topic, cfg: cfg, limits: l, keys: keys, client: client, source: source,
		deadLetters: options.DeadLetters, journal: options.Journal,
		reopened: map[int32][]record.Reopened{},
		builders: builders,
		logger:   logger, metrics: newMetrics(reg),
		trouble: rate.Sometimes{First: 1, Interval: logInterval},
		burials: rate.Sometimes{First: 1, Interval: logInterval},
		turn:    make(chan struct{}, 1),
		lull:    make(chan struct{}, 1),
		drained: make(chan struct{}),

		searching: extension{most: searchesOutlast},
		burying:   extension{most: lettersOutlast},
	}
	p.answered() // nothing is on its way yet
	p.routes = &routes{Producer: p}
	for _, r := range options.Reopened {
		p.reopened[r.Assignment.Partition] = append(p.reopened[r.Assignment.Partition], r)
	}
	return p, nil
}

// maxBuilders bounds how many record batches are made or on their way at once,
// whatever the number of partitions, because each takes about twice
// producer.batchBytes of memory, outside of the queue's bound.
const maxBuilders = 16

func newBuilders(cfg config.Producer) (chan *kafka.BatchBuilder, error) {
	builders := make(chan *kafka.BatchBuilder, maxBuilders)
	for range maxBuilders {
		builder, err := kafka.NewBatchBuilder(cfg.Compression, cfg.CompressionLevel)
		if err != nil {
			return nil, fmt.Errorf("producer.compression: %w", err)
		}
		builders <- builder
	}
	return builders, nil
}
