package topics

import (
	"slices"
	"strings"
	"sync"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
)

// clientID names the operator in the brokers' logs and quotas.
const clientID = "logpipeline-operator"

// Pool keeps one client per distinct set of bootstrap servers, however many
// users it has, and closes it when the last one has left. It is safe for
// concurrent use, but one user makes one call at a time, and uses no Cluster
// that it has given up.
type Pool struct {
	mu      sync.Mutex
	members map[string]*member // by set of servers
	sets    map[string]string  // by user: the set that it uses
}

type member struct {
	cluster *Cluster
	users   int
}

// NewPool returns an empty pool.
func NewPool() *Pool {
	return &Pool{members: map[string]*member{}, sets: map[string]string{}}
}

// Cluster returns the cluster behind the servers, for a user until its next
// call of Cluster with other servers, or of Release.
func (p *Pool) Cluster(user string, servers []string) *Cluster {
	servers = slices.Compact(slices.Sorted(slices.Values(servers)))
	set := strings.Join(servers, ",")
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sets[user] != set {
		p.leaveLocked(user)
		p.joinLocked(user, set, servers)
	}
	return p.members[set].cluster
}

// Release ends what a user has; for an unknown one it does nothing.
func (p *Pool) Release(user string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leaveLocked(user)
}

// Close releases every user.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for user := range p.sets {
		p.leaveLocked(user)
	}
}

func (p *Pool) joinLocked(user, set string, servers []string) {
	m := p.members[set]
	if m == nil {
		client := kafka.New(config.Kafka{BootstrapServers: servers, ClientID: clientID})
		m = &member{cluster: &Cluster{client: client, admin: client.Admin()}}
		p.members[set] = m
	}
	m.users++
	p.sets[user] = set
}

func (p *Pool) leaveLocked(user string) {
	set, found := p.sets[user]
	if !found {
		return
	}
	delete(p.sets, user)
	m := p.members[set]
	if m.users--; m.users == 0 {
		delete(p.members, set)
		m.cluster.client.Close()
	}
}
