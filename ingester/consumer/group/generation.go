package group

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/logpipeline/logpipeline/ingester/kafka"
)

// Generation is a time during which the members of a group, and who reads
// which partitions, stay the same.
type Generation struct {
	// Partitions are this member's, of its topic.
	Partitions []int32
	// Members is how many the generation has, 0 unless this one leads it.
	Members int

	member *Member
	as     kafka.Member
	lost   atomic.Bool
}

// ID is the generation's number.
func (g *Generation) ID() int32 { return g.as.Generation }

// MemberID is the member's id in it.
func (g *Generation) MemberID() string { return g.as.ID }

// Lost reports that the group has gone on without this member: its partitions
// may be others' by now, and nothing can be committed any more.
func (g *Generation) Lost() bool { return g.lost.Load() }

// Commit notes how far a partition has been dealt with. It is refused once the
// generation is over for the group, or lost.
func (g *Generation) Commit(ctx context.Context, partition int32, offset int64) error {
	if g.Lost() {
		return errLost
	}
	return g.member.group.Commit(ctx, g.as, g.member.config.Topic, partition, offset)
}

var errLost = errors.New("the group has gone on without this member")

// Run runs work, and keeps the member in the group until work returns. The
// context of work ends with ctx, when the group rebalances, and when the member
// is lost, as Lost then tells. Work is given the time that it takes to end,
// though the others wait for the RebalanceTimeout only.
//
// The error is ErrFenced; after nil, join again, or leave.
func (g *Generation) Run(ctx context.Context, work func(context.Context)) error {
	working, end := context.WithCancel(ctx)
	defer end()
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(working)
	}()
	err := g.beat(context.WithoutCancel(ctx), done, end)
	end()
	<-done
	return err
}

// beat sends heartbeats until work is done or the member is lost.
func (g *Generation) beat(ctx context.Context, done <-chan struct{}, end func()) error {
	cfg := g.member.config
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stopped := make(chan struct{})
	defer func() { cancel(); <-stopped }()
	go func() { // a heartbeat under way must not keep whoever is done
		defer close(stopped)
		select {
		case <-done:
			cancel()
		case <-ctx.Done():
		}
	}()
	ticker := time.NewTicker(cfg.HeartbeatInterval)
	defer ticker.Stop()
	answered := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		sent := time.Now()
		err := g.heartbeat(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			answered = sent
		case errors.Is(err, kafka.RebalanceInProgress):
			answered = sent
			end()
		case goneWithout(err) || time.Since(answered) >= cfg.SessionTimeout:
			g.lost.Store(true)
			return g.member.lose(err)
		}
	}
}

func (g *Generation) heartbeat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, max(g.member.config.SessionTimeout/3, g.member.config.HeartbeatInterval))
	defer cancel()
	return g.member.group.Heartbeat(ctx, g.as)
}

// goneWithout reports whether the coordinator says that the member has no part
// in the group's generation any more.
func goneWithout(err error) bool {
	return errors.Is(err, kafka.UnknownMember) || errors.Is(err, kafka.IllegalGeneration) || errors.Is(err, kafka.FencedInstanceID)
}

// lose takes note of how the member was lost.
func (m *Member) lose(err error) error {
	if errors.Is(err, kafka.UnknownMember) {
		m.id = ""
	}
	if err := m.judge(err); errors.Is(err, ErrFenced) {
		return err
	}
	return nil
}
