// Package group is membership of a Kafka consumer group whose members are all
// of this package, one topic each. It has what kafka-go's ConsumerGroup lacks:
// static members (KIP-345), a leave that also takes a static member out, and
// workers that are told whether their partitions are taken away in order or
// have been lost.
//
// Rebalancing is eager: when the group rebalances, every member ends its work,
// commits, and joins again, and none begins before all have. That keeps the
// pauses short here, because a partition's worker only seals what it has; and
// it is simple, because within a generation nothing is given or taken.
//
// Nothing rests on the group but who works where: a member that goes on though
// it has been lost can neither lose nor double a record, since the storage's
// chain decides, and its commits are refused.
package group

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/logpipeline/logpipeline/ingester/kafka"
)

// ErrFenced says that another process is a member under the same instance id.
// It is the newer one; this one must not join again.
var ErrFenced = errors.New("another process has joined under the same instance id")

// Config says who joins what.
type Config struct {
	Group string
	// InstanceID makes a static member; empty, a dynamic one.
	InstanceID string
	Topic      string
	// SessionTimeout without a heartbeat loses a member. HeartbeatInterval is
	// how soon it learns of a rebalance; RebalanceTimeout is how long all wait
	// for those that have not ended their work.
	SessionTimeout, HeartbeatInterval, RebalanceTimeout time.Duration
}

// Member is one member, in one generation after the other. It is for one
// goroutine.
type Member struct {
	config Config
	group  *kafka.Group
	id     string // empty while the coordinator has given none
	// halfway: a join was given up without an answer, so that the coordinator
	// may know an instance id whose member id we don't.
	halfway bool
	fenced  bool
}

// New returns a member that has not joined yet. The client stays the caller's.
func New(client *kafka.Client, cfg Config) *Member {
	return &Member{config: cfg, group: client.Group(cfg.Group)}
}

// joinAttempts bounds how often Join does at once what the coordinator asks of
// it: to come back with an id, or, because others join, once more.
const joinAttempts = 5

// Join returns the member's next generation, which begins when all members
// have joined. Partitions is how many the topic has as far as this member
// knows; a member that says another number than before makes the group
// rebalance, and the largest that any member knows is shared out.
//
// The generation is run, or the member leaves. The error is ErrFenced, after
// which there is nothing more to do, or one after which it may be tried again.
func (m *Member) Join(ctx context.Context, partitions int) (*Generation, error) {
	var g *Generation
	var err error
	for range joinAttempts {
		if g, err = m.join(ctx, partitions); err == nil {
			return g, nil
		}
		switch {
		case errors.Is(err, kafka.MemberIDRequired), errors.Is(err, kafka.RebalanceInProgress), errors.Is(err, kafka.IllegalGeneration):
		case errors.Is(err, kafka.UnknownMember):
			m.id = ""
		default:
			return nil, m.judge(err)
		}
	}
	return nil, err
}

func (m *Member) join(ctx context.Context, partitions int) (*Generation, error) {
	joined, err := m.group.Join(ctx, kafka.JoinRequest{
		MemberID: m.id, InstanceID: m.config.InstanceID,
		SessionTimeout: m.config.SessionTimeout, RebalanceTimeout: m.config.RebalanceTimeout,
		Protocol: protocol, Metadata: subscription(m.config.Topic, partitions),
	})
	m.halfway = errors.Is(err, kafka.ErrUnreachable)
	if joined.Member.ID != "" {
		m.id = joined.Member.ID
	}
	if err != nil {
		return nil, err
	}
	var plan map[string][]byte
	if joined.LeaderID == joined.Member.ID {
		plan = assign(joined.Members)
	}
	assigned, err := m.group.Sync(ctx, joined.Member, plan, m.config.RebalanceTimeout)
	if err != nil {
		return nil, err
	}
	assignment, err := kafka.ParseAssignment(assigned)
	if err != nil {
		return nil, fmt.Errorf("join group %q: %w", m.config.Group, err)
	}
	return &Generation{member: m, as: joined.Member, Members: len(joined.Members), Partitions: assignment[m.config.Topic]}, nil
}

// judge makes being fenced our own error.
func (m *Member) judge(err error) error {
	if errors.Is(err, kafka.FencedInstanceID) {
		m.fenced = true
		return fmt.Errorf("%w %q: %w", ErrFenced, m.config.InstanceID, err)
	}
	return err
}

// Leave takes the member out of the group, so that the others share its
// partitions out at once. Of a member that is not in the group, or fenced, it
// does nothing.
func (m *Member) Leave(ctx context.Context) error {
	known := m.id != "" || m.halfway && m.config.InstanceID != ""
	if m.fenced || !known {
		return nil
	}
	err := m.group.Leave(ctx, kafka.Member{ID: m.id, InstanceID: m.config.InstanceID})
	if errors.Is(err, kafka.UnknownMember) || errors.Is(err, kafka.FencedInstanceID) {
		err = nil // it is out already
	}
	if err == nil {
		m.id, m.halfway = "", false
	}
	return err
}
