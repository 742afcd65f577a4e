package ingester

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/consumer"
	"github.com/logpipeline/logpipeline/ingester/httpapi"
	"github.com/logpipeline/logpipeline/ingester/signal"
)

// tell serves what the parts of a role, nil for those that it lacks, know of
// themselves. The consumer is nil until its store is open.
func (p *process) tell(i *intake, c func() *consumer.Consumer) {
	started := time.Now()
	p.admin.mux.HandleFunc("GET "+signal.Path, func(w http.ResponseWriter, _ *http.Request) {
		signals := signal.Signals{Version: signal.FormatVersion, Started: started}
		if i != nil {
			signals.Ingester = i.signals()
		}
		if c != nil {
			signals.Consumer = p.consumerSignals(c())
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(signals) // whoever asked may have left
	})
}

func (p *process) consumerSignals(c *consumer.Consumer) *signal.Consumer {
	if c != nil {
		signals := c.Signals()
		return &signals
	}
	opening := &signal.Consumer{Generation: -1, Partitions: []signal.Partition{}}
	if failure := p.storeFailure.Load(); failure != nil {
		opening.StoreFailure = *failure
	}
	return opening
}

func (i *intake) signals() *signal.Ingester {
	usage := i.queue.Usage()
	s := &signal.Ingester{
		Draining:           i.handler.Draining(),
		QueueBytes:         usage.Bytes,
		QueueCapacityBytes: usage.Capacity,
		AcceptedRecords:    i.handler.AcceptedRecords(),
	}
	if i.spool != nil {
		s.SpoolRecords = i.spool.PendingRecords()
	}
	i.producer.Signals(s)
	return s
}

// directions say, at the admin address, what is there beside the usual, and
// where records go.
func directions(role config.Role, cfg config.Config) (lines []string) {
	if role != config.RoleServe && cfg.Aggregation.Enabled() {
		lines = append(lines, "  /aggregates  what is counted of the stored records, as JSON")
	}
	if role != config.RoleConsume {
		lines = append(lines, httpapi.Directions(cfg.Listen))
	}
	return lines
}
