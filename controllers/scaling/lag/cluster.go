package lag

import (
	"context"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
)

// Cluster reads the lag of all pipelines of one Kafka cluster. However many
// they are, one reading takes one request for the topics, one for the
// coordinators of groups that are new or have moved, and of every broker at
// most four: one for the commits, two for the bounds of the logs, and one for
// the ingest times that nobody knows yet.
type Cluster struct {
	client    *kafka.Client
	address   net.Addr
	transport kafkago.RoundTripper
	clientID  string

	coordinators map[string]int32 // by group
	looked       map[looking]look
}

// Connect returns a reader of the cluster that cfg names, with the credentials
// that it asks for; nothing is connected yet.
func Connect(cfg config.Kafka, credentials kafka.Credentials) *Cluster {
	// An empty list of topics, unlike none, keeps the client from holding the
	// metadata of all that the cluster has.
	client := kafka.NewWithCredentials(cfg, func() (kafka.Credentials, error) { return credentials, nil }, []string{}...)
	admin := client.Admin()
	return &Cluster{
		client: client, address: admin.Addr, transport: admin.Transport, clientID: cfg.ClientID,
		coordinators: map[string]int32{}, looked: map[looking]look{},
	}
}

// Close closes the connections. Nothing may be running.
func (c *Cluster) Close() { c.client.Close() }

// Read answers the queries, in their order. What their owners say must have
// been said before. One call runs at a time.
func (c *Cluster) Read(ctx context.Context, queries []Query) []Result {
	r := &round{Cluster: c, items: make([]*item, len(queries))}
	for i, q := range queries {
		r.items[i] = &item{Query: q}
	}
	// The ends are asked for last, so that nothing that was done before can be
	// beyond them.
	r.describe(ctx)
	r.readCommits(ctx)
	at := time.Now() // what comes later may not be in the ends any more
	r.readBounds(ctx)
	r.look(ctx)
	results := make([]Result, len(r.items))
	for i, it := range r.items {
		results[i] = it.result(at)
	}
	return results
}

// perBroker asks all brokers at once, and each about all that it is wanted for.
func perBroker[W, A any](wanted map[int32][]W, ask func(broker int32, wanted []W) (A, error)) (map[int32]A, map[int32]error) {
	var (
		mutex   sync.Mutex
		group   sync.WaitGroup
		answers = map[int32]A{}
		failed  = map[int32]error{}
	)
	for _, broker := range slices.Sorted(maps.Keys(wanted)) {
		group.Go(func() {
			answer, err := ask(broker, wanted[broker])
			mutex.Lock()
			defer mutex.Unlock()
			if err != nil {
				failed[broker] = err
				return
			}
			answers[broker] = answer
		})
	}
	group.Wait()
	return answers, failed
}
