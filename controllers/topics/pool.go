package topics

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
)

// clientID names the operator in the brokers' logs and quotas.
const clientID = "logpipeline-operator"

// Connection says how a cluster is reached, and as whom.
type Connection struct {
	BootstrapServers []string
	// TLS and SASL say what is asked for; their files are not read.
	TLS  config.KafkaTLS
	SASL config.KafkaSASL
	// Credentials are those that TLS and SASL ask for.
	Credentials kafka.Credentials
}

// key tells connections apart, in whatever order their servers are. It holds
// no credentials, only a hash of all that a connection is.
func (c Connection) key() (string, error) {
	c.BootstrapServers = slices.Compact(slices.Sorted(slices.Values(c.BootstrapServers)))
	document, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("tell connections apart: %w", err)
	}
	sum := sha256.Sum256(document)
	return string(sum[:]), nil
}

// Pool keeps one client per distinct connection, however many users it has,
// and closes it when the last one has left, such as for rotated credentials.
// It is safe for concurrent use, but one user makes one call at a time, and
// uses no Cluster that it has given up.
type Pool struct {
	now func() time.Time

	mu      sync.Mutex
	members map[string]*member // by the connection's key
	keys    map[string]string  // by user: the connection that it uses
}

type member struct {
	cluster *Cluster
	users   int
}

// NewPool returns an empty pool.
func NewPool() *Pool {
	return &Pool{now: time.Now, members: map[string]*member{}, keys: map[string]string{}}
}

// Cluster returns the cluster behind a connection, for a user until its next
// call of Cluster with another connection, or of Release.
func (p *Pool) Cluster(user string, connection Connection) (*Cluster, error) {
	key, err := connection.key()
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keys[user] != key {
		p.leaveLocked(user)
		p.joinLocked(user, key, connection)
	}
	return p.members[key].cluster, nil
}

// Release ends what a user has; for an unknown one it does nothing.
func (p *Pool) Release(user string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leaveLocked(user)
}

// Clients returns how many clients there are.
func (p *Pool) Clients() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.members)
}

// Close releases every user.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for user := range p.keys {
		p.leaveLocked(user)
	}
}

func (p *Pool) joinLocked(user, key string, connection Connection) {
	m := p.members[key]
	if m == nil {
		m = &member{cluster: connect(connection, p.now)}
		p.members[key] = m
	}
	m.users++
	p.keys[user] = key
}

func (p *Pool) leaveLocked(user string) {
	key, found := p.keys[user]
	if !found {
		return
	}
	delete(p.keys, user)
	m := p.members[key]
	if m.users--; m.users == 0 {
		delete(p.members, key)
		m.cluster.client.Close()
	}
}
