package topics

import (
	"testing"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
)

func mustConnect(t *testing.T, pool *Pool, user string, connection Connection) *Cluster {
	t.Helper()
	cluster, err := pool.Cluster(user, connection)
	if err != nil {
		t.Fatal(err)
	}
	return cluster
}

func TestPoolSharesAndClosesClients(t *testing.T) {
	pool := NewPool()
	defer pool.Close()
	first := mustConnect(t, pool, "a", Connection{BootstrapServers: []string{"x:1", "y:1"}})
	if mustConnect(t, pool, "b", Connection{BootstrapServers: []string{"y:1", "x:1"}}) != first {
		t.Error("the same servers in another order have a second client")
	}
	if mustConnect(t, pool, "a", Connection{BootstrapServers: []string{"z:1"}}) == first {
		t.Error("other servers have the same client")
	}
	pool.Release("b")
	pool.Release("b")
	if n := pool.Clients(); n != 1 {
		t.Errorf("%d clients are kept after their users left, want 1", n)
	}
	if mustConnect(t, pool, "b", Connection{BootstrapServers: []string{"x:1", "y:1"}}) == first {
		t.Error("a closed client is given out again")
	}
	pool.Close()
	if pool.Clients() != 0 || len(pool.keys) != 0 {
		t.Errorf("after Close: %d clients, %d users", pool.Clients(), len(pool.keys))
	}
}

// Whoever has rotated credentials has a new client, and the old one ends with
// the last user who has not.
func TestPoolTellsCredentialsApart(t *testing.T) {
	pool := NewPool()
	defer pool.Close()
	connection := func(change func(*Connection)) Connection {
		c := Connection{
			BootstrapServers: []string{"x:1"},
			TLS:              config.KafkaTLS{Enabled: true},
			SASL:             config.KafkaSASL{Mechanism: config.SASLScramSHA512},
			Credentials:      kafka.Credentials{CA: []byte("ca"), Username: "user", Password: "old"},
		}
		change(&c)
		return c
	}
	before := connection(func(*Connection) {})
	old := mustConnect(t, pool, "a", before)
	if mustConnect(t, pool, "b", before) != old {
		t.Error("the same credentials have two clients")
	}
	others := map[string]func(*Connection){
		"password":      func(c *Connection) { c.Credentials.Password = "new" },
		"user":          func(c *Connection) { c.Credentials.Username = "other" },
		"authority":     func(c *Connection) { c.Credentials.CA = []byte("other") },
		"certificate":   func(c *Connection) { c.Credentials.Cert = []byte("certificate") },
		"mechanism":     func(c *Connection) { c.SASL.Mechanism = config.SASLPlain },
		"plain text":    func(c *Connection) { c.TLS.Enabled = false },
		"server's name": func(c *Connection) { c.TLS.ServerName = "kafka" },
		"moved bytes":   func(c *Connection) { c.Credentials.Username, c.Credentials.Password = "use", "rold" },
	}
	for name, change := range others {
		if mustConnect(t, pool, "a", connection(change)) == old {
			t.Errorf("another %s has the same client", name)
		}
		if n := pool.Clients(); n != 2 {
			t.Errorf("another %s: %d clients, want the old one's and this", name, n)
		}
	}
	mustConnect(t, pool, "b", connection(others["password"]))
	mustConnect(t, pool, "a", connection(others["password"]))
	if n := pool.Clients(); n != 1 {
		t.Errorf("%d clients after all have rotated, want 1", n)
	}
}
