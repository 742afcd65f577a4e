package consumer_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logpipeline/logpipeline/ingester/config"
)

func troubled(p *process, what string, want float64) func() error {
	return func() error {
		if got := p.metric("logpipeline_consumer_troubled_partitions", what); got != want {
			return fmt.Errorf("%v partitions are in trouble with %s, want %v", got, what, want)
		}
		return nil
	}
}

// TestStorageTakesNothingForAWhile: the disk is full; everything goes on by
// itself when it is not any more.
func TestStorageTakesNothingForAWhile(t *testing.T) {
	onEveryBroker(t, 2, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		p := start(b, dir)
		b.produce(0, 50)
		waitStored(b, dir)
		p.faults.full.Store(true)
		b.produce(0, 500)
		b.produce(1, 500)
		tries := p.faults.tries.Load()
		eventually(t, "try again", func() error {
			if p.faults.tries.Load() < tries+6 {
				return errors.New("too few attempts")
			}
			return nil
		})
		eventually(t, "show it", troubled(p, "storage", 2))
		eventually(t, "say why", func() error {
			if got := p.signals().StoreFailure; !strings.Contains(got, syscall.ENOSPC.Error()) {
				return fmt.Errorf("it says %q", got)
			}
			return nil
		})
		if got := p.metric("logpipeline_consumer_stopped_partitions"); got != 0 {
			t.Errorf("%v partitions stand still, want 0", got)
		}
		p.faults.full.Store(false)
		waitStored(b, dir)
		eventually(t, "be over it", troubled(p, "storage", 0))
		if got := p.signals().StoreFailure; got != "" {
			t.Errorf("it still says %q", got)
		}
	})
}

// TestStorageIsSlow: while a segment of one partition is being sealed nothing
// more of that partition is fetched, however long it takes and however much
// waits; the others go on.
func TestStorageIsSlow(t *testing.T) {
	t.Parallel()
	cluster := newFake(t)
	b := newTopic(t, cluster.ListenAddrs(), 2)
	var fetches [2]atomic.Int64
	cluster.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		fetches[request.(*kmsg.FetchRequest).Topics[0].Partitions[0].Partition].Add(1)
		return nil, nil, false
	})
	dir := t.TempDir()
	f := &faults{}
	slow := make(chan struct{})
	f.slow.Store(&slow)
	p := startWith(b, dir, f, func(cfg *config.Config) { cfg.Drain.TimeoutSeconds = 300 })
	b.produce(0, 200) // more than a segment
	eventually(t, "seal", func() error {
		if f.sealing.Load() == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	sealing := fetches[0].Load()
	b.produce(0, 2000)
	for range 4 {
		b.produce(1, 300)
		eventually(t, "store the other partition", func() error {
			if stored := p.signals().Partitions[1].SealedOffset; stored < int64(b.sent[1]) {
				return fmt.Errorf("stored up to %d of %d", stored, b.sent[1])
			}
			return nil
		})
	}
	if now := fetches[0].Load(); now != sealing {
		t.Errorf("%d more fetches of a partition that cannot be sealed", now-sealing)
	}
	close(slow)
	waitStored(b, dir)
}

// TestSealNeverEnds: it is given up after the drain's time, and tried again.
func TestSealNeverEnds(t *testing.T) {
	onEveryBroker(t, 1, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		f := &faults{}
		slow := make(chan struct{})
		f.slow.Store(&slow)
		p := startWith(b, dir, f, func(cfg *config.Config) { cfg.Drain.TimeoutSeconds = 1 })
		b.produce(0, 200)
		eventually(t, "try again", func() error {
			if f.sealing.Load() < 2 {
				return errors.New("not yet")
			}
			return nil
		})
		if err := troubled(p, "storage", 1)(); err != nil {
			t.Error(err)
		}
		f.slow.Store(nil)
		close(slow)
		waitStored(b, dir)
	})
}
