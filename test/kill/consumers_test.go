package kill

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/logpipeline/logpipeline/bench/process"
	"github.com/logpipeline/logpipeline/ingester/config"
)

// consumers are those that store one topic into one store at once, each in its
// seat, from which it is killed and started again.
//
// A consumer is either a group by itself, new with each start, so that it has
// every partition at once and competes with all others for every segment; or it
// is a member of the one group that is shared, as consumers are meant to be,
// static or dynamic. The first seat is always the former, for a group waits for
// dynamic members that were killed as long as a session lasts.
type consumers struct {
	t       *testing.T
	program string
	topic   topic
	store   store
	random  *rand.Rand
	dir     string // of their configurations and logs
	seats   [seats]seat

	starts, kills, freezes, longFreezes int
}

type seat struct {
	*process.Process
	thawAt time.Time // zero while it isn't frozen
}

func newConsumers(t *testing.T, program string, topic topic, store store, random *rand.Rand) *consumers {
	t.Helper()
	dir, err := os.MkdirTemp("", "kill-")
	if err != nil {
		t.Fatal(err)
	}
	c := &consumers{t: t, program: program, topic: topic, store: store, random: random, dir: dir}
	t.Cleanup(func() {
		for i := range c.seats {
			if p := c.seats[i].Process; p != nil && !p.Exited() {
				_ = p.Kill() // left by a test that has failed
			}
		}
		if t.Failed() {
			t.Logf("the consumers' logs are in %s", dir)
		} else {
			_ = os.RemoveAll(dir)
		}
	})
	return c
}

func (c *consumers) startAll() {
	for i := range c.seats {
		c.start(i)
	}
}

// start starts a consumer whose codec and group are a matter of chance.
func (c *consumers) start(i int) {
	c.t.Helper()
	c.starts++
	cfg := config.Default()
	cfg.AdminListen = "127.0.0.1:0"
	cfg.Topic, cfg.Kafka.BootstrapServers = c.topic.name, []string{c.topic.bootstrap}
	cfg.Drain.TimeoutSeconds = 30
	cfg.Segment.MaxBytes, cfg.Segment.MaxAgeSeconds = 50_000, 1
	codecs := []config.Compression{config.CompressionNone, config.CompressionGzip, config.CompressionZstd}
	cfg.Segment.Compression = codecs[c.random.IntN(len(codecs))]
	cfg.Consumer.Group = c.topic.name
	cfg.Consumer.SessionTimeoutSeconds = int(session.Seconds())
	switch chance := c.random.IntN(4); {
	case i == 0 || chance == 0:
		cfg.Consumer.Group = fmt.Sprintf("%s-%d", c.topic.name, c.starts)
	case chance < 3:
		cfg.Consumer.InstanceID = fmt.Sprintf("seat-%d", i)
	}
	c.store.configure(&cfg, i)
	document, err := cfg.Marshal()
	if err != nil {
		c.t.Fatal(err)
	}
	name := filepath.Join(c.dir, fmt.Sprintf("%03d-%d", c.starts, i))
	if err := os.WriteFile(name+".yaml", document, 0o600); err != nil {
		c.t.Fatal(err)
	}
	p, err := process.Start(name+".log", c.program, "consume", "--config", name+".yaml")
	if err != nil {
		c.t.Fatal(err)
	}
	c.seats[i] = seat{Process: p}
}

// disturb kills so many consumers, one after the other at moments of chance,
// starts another in the seat of each, and freezes some for a while, so that
// they go on with what they held when the others have stored it.
func (c *consumers) disturb(kills int) {
	c.t.Helper()
	for c.kills < kills {
		time.Sleep(c.chance(maxPause)) // it waits for nothing
		c.thawDue()
		switch i := c.random.IntN(seats); {
		case c.isFrozen(i): // and is to come back
		case c.freezes == 0 || c.random.IntN(4) == 0:
			c.freeze(i)
		default:
			c.kill(i)
			c.start(i)
		}
	}
}

func (c *consumers) chance(below time.Duration) time.Duration {
	return time.Duration(c.random.Int64N(int64(below)))
}

func (c *consumers) kill(i int) {
	c.t.Helper()
	c.kills++
	if err := c.seats[i].Kill(); err != nil {
		c.t.Fatal(err)
	}
}

// freezeTime is a few seconds; the first and every fifth time it is longer than
// a session lasts, so that the group gives the partitions to others.
func (c *consumers) freezeTime() time.Duration {
	if c.freezes%5 > 0 {
		return time.Second + c.chance(3*time.Second)
	}
	c.longFreezes++
	return session + 2*time.Second
}

func (c *consumers) freeze(i int) {
	c.seats[i].thawAt = time.Now().Add(c.freezeTime())
	c.freezes++
	c.signal(i, syscall.SIGSTOP)
}

func (c *consumers) isFrozen(i int) bool { return !c.seats[i].thawAt.IsZero() }

func (c *consumers) thawDue() {
	for i := range c.seats {
		if c.isFrozen(i) && time.Now().After(c.seats[i].thawAt) {
			c.thaw(i)
		}
	}
}

// thawAll waits out the long freezes, or they would not have been long.
func (c *consumers) thawAll() {
	for i := range c.seats {
		if c.isFrozen(i) {
			time.Sleep(time.Until(c.seats[i].thawAt))
			c.thaw(i)
		}
	}
}

func (c *consumers) thaw(i int) {
	c.seats[i].thawAt = time.Time{}
	c.signal(i, syscall.SIGCONT)
}

func (c *consumers) signal(i int, signal os.Signal) {
	c.t.Helper()
	if err := c.seats[i].Signal(signal); err != nil {
		c.t.Fatal(err)
	}
}

// stopAll has them end in order, all at once.
func (c *consumers) stopAll() {
	c.t.Helper()
	var stopping sync.WaitGroup
	for i := range c.seats {
		stopping.Go(func() {
			if err := c.seats[i].Stop(2 * time.Minute); err != nil {
				c.t.Error(err)
			}
		})
	}
	stopping.Wait()
}

func (c *consumers) account() string {
	return fmt.Sprintf("%d consumers killed and %d frozen, %d of them for longer than a session", c.kills, c.freezes, c.longFreezes)
}

// buildIngester builds the program, unless INGESTER names it.
func buildIngester(t *testing.T) string {
	t.Helper()
	if program := os.Getenv("INGESTER"); program != "" {
		return program
	}
	program := filepath.Join(t.TempDir(), "ingester")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../cmd/ingester")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build ingester: %v\n%s", err, output)
	}
	return program
}
