package topics

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
)

const (
	// describeEvery is the longest that a description counts; see lifetime.
	describeEvery = time.Minute
	// recently described is young enough to be changed by: what was changed by
	// others since, the brokers refuse.
	recently = 2 * time.Second
	// forgetAfter is how long a topic that nobody has asked for is described
	// with the others.
	forgetAfter = 5 * time.Minute
	// failurePause is how long the failure of a round is everybody's answer,
	// so that brokers which don't answer hold up one caller and not each.
	failurePause = 5 * time.Second
)

// Cluster administers the topics of one Kafka cluster. It is safe for
// concurrent use. Every error is an *Error.
//
// It remembers the topics that it was asked for, and describes them in rounds:
// one request, or few, for all topics whose description is old. Whoever needs
// a description while a round is under way shares the next one with all who do.
// So what is asked of the brokers depends on the time, and not on how many
// topics there are or how often somebody looks at them.
type Cluster struct {
	client  *kafka.Client
	admin   *kafkago.Client
	address net.Addr
	several bool // bootstrap servers
	now     func() time.Time

	turn chan struct{} // holds one token, which a round takes

	mu       sync.Mutex
	topics   map[string]*entry // by name
	next     *round            // which callers may still join; nil without one
	jitter   time.Duration
	answered bool // a broker has, at some time
	// failure of the last round; nothing that was seen before counts then.
	failure  error
	failedAt time.Time
}

// entry is a topic that somebody has asked for.
type entry struct {
	used time.Time
	// keys of its configuration that were ever asked for, sorted.
	keys []string
	// partitions that are desired, to know how much a description may be.
	partitions int32
	seen       description
}

// round is one description of several topics, for all who have joined it.
type round struct {
	joined map[string]bool
	done   chan struct{}
	// After done: err is why it failed; abandoned says that this was because
	// the caller who led it had to go.
	err       error
	abandoned bool
}

// connect returns the cluster behind a connection; nothing is connected yet.
func connect(c Connection, now func() time.Time) *Cluster {
	cfg := config.Kafka{BootstrapServers: c.BootstrapServers, ClientID: clientID, TLS: c.TLS, SASL: c.SASL}
	credentials := func() (kafka.Credentials, error) { return c.Credentials, nil }
	// An empty list of topics, unlike none, keeps the client from holding the
	// metadata of all that the cluster has.
	client := kafka.NewWithCredentials(cfg, credentials, []string{}...)
	admin := client.Admin()
	cluster := &Cluster{
		client: client, admin: admin, address: admin.Addr, several: len(c.BootstrapServers) > 1, now: now,
		turn: make(chan struct{}, 1), topics: map[string]*entry{},
	}
	cluster.turn <- struct{}{}
	return cluster
}

// lifetime of a description: a minute less up to a sixth, so that clusters
// don't fall into step.
func (c *Cluster) lifetime() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return describeEvery - c.jitter
}

// look returns a topic as it was at some time not before the given one.
func (c *Cluster) look(ctx context.Context, desired Desired, notBefore time.Time) (description, error) {
	for {
		seen, r, leads, err := c.join(desired, notBefore)
		if r == nil {
			return seen, err
		}
		if leads {
			c.lead(ctx, r) // whose error says more than that ctx has ended
		} else {
			select {
			case <-r.done:
			case <-ctx.Done():
				return description{}, c.failed("describe topics", ctx.Err())
			}
		}
		if r.err != nil && (!r.abandoned || ctx.Err() != nil) {
			return description{}, r.err
		}
		if seen := c.remembered(desired.Name); r.err == nil && !seen.at.IsZero() {
			return seen, nil
		}
	}
}

// join returns what is known of a topic if that is young enough, or the failure
// that counts, or the next round; leads says that the caller has to lead it.
func (c *Cluster) join(desired Desired, notBefore time.Time) (seen description, r *round, leads bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.topics[desired.Name]
	if e == nil {
		e = &entry{}
		c.topics[desired.Name] = e
	}
	e.used, e.partitions = c.now(), desired.Partitions
	if keys := union(e.keys, watchedKeys, desired.keys()); len(keys) > len(e.keys) {
		e.keys, e.seen = keys, description{} // it lacks some of these keys
	}
	switch {
	case c.failure != nil && c.now().Sub(c.failedAt) < failurePause:
		return description{}, nil, false, c.failure
	case c.failure == nil && !e.seen.at.IsZero() && !e.seen.at.Before(notBefore):
		return e.seen, nil, false, nil
	}
	if c.next == nil {
		c.next, leads = &round{joined: map[string]bool{}, done: make(chan struct{})}, true
	}
	c.next.joined[desired.Name] = true
	return description{}, c.next, leads, nil
}

// lead waits for its turn and runs the round.
func (c *Cluster) lead(ctx context.Context, r *round) {
	defer close(r.done)
	select {
	case <-c.turn:
		defer func() { c.turn <- struct{}{} }()
	case <-ctx.Done():
	}
	batches := c.begin(r)
	began := c.now()
	seen, err := c.describe(ctx, batches)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.jitter = rand.N(describeEvery / 6)
	if err == nil {
		c.failure = nil
		for name, s := range seen {
			if e := c.topics[name]; e != nil && covers(e, s) {
				s.at = began
				e.seen = s
			}
		}
		return
	}
	r.err, r.abandoned = c.inWordsBefore(err), errors.Is(ctx.Err(), context.Canceled)
	if !r.abandoned {
		c.failure, c.failedAt = r.err, c.now()
	}
}

// inWordsBefore is a failure in those of the one before it, if that was of the same
// kind: of several servers, another one is heard of each time, and a status that
// quotes it would be written anew for that. It is called with the lock held.
func (c *Cluster) inWordsBefore(err error) error {
	reason := ReasonOf(err)
	lasts := c.failure != nil && ReasonOf(c.failure) == reason
	if !c.several || !lasts || reason != Unreachable && reason != AuthenticationFailed && reason != CertificateRejected {
		return err
	}
	return &Error{reason, &sameError{c.failure.Error(), err}}
}

// sameError is an error in the words of another.
type sameError struct {
	words string
	err   error
}

func (e *sameError) Error() string { return e.words }
func (e *sameError) Unwrap() error { return e.err }

// covers says that the description has all keys that the entry has by now.
func covers(e *entry, s description) bool { return len(s.keys) == len(e.keys) }

// begin ends the joining of a round and returns what is to be described: what
// was asked for, and all that would be soon.
func (c *Cluster) begin(r *round) [][]query {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = nil
	now := c.now()
	var queries []query
	for name, e := range c.topics {
		if now.Sub(e.used) > forgetAfter && !r.joined[name] {
			delete(c.topics, name)
			continue
		}
		if r.joined[name] || now.Sub(e.seen.at) > describeEvery/2 {
			queries = append(queries, query{name, e.keys, max(e.partitions, e.seen.Partitions, 1)})
		}
	}
	return batchesOf(queries)
}

// remembered is what the last round said, without a time where that was
// forgotten, or more was asked for meanwhile.
func (c *Cluster) remembered(name string) description {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.topics[name]; e != nil {
		return e.seen
	}
	return description{}
}

// forget has a topic described anew when it is next asked for.
func (c *Cluster) forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.topics[name]; e != nil {
		e.seen = description{}
	}
}

func (c *Cluster) hasAnswered() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answered
}

// failed is an error without an answer: see unanswered.
func (c *Cluster) failed(doing string, err error) error {
	return unanswered(doing, err, c.hasAnswered())
}

func union(lists ...[]string) []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(lists...))))
}

// ended says that the connection ended where an answer was expected.
func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
