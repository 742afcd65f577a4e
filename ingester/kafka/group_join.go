package kafka

import (
	"context"
	"time"

	"github.com/segmentio/kafka-go/protocol"
)

const (
	joinGroupVersion = 5 // the first with instance ids, as is that of the other
	syncGroupVersion = 3

	// protocolType is that of consumers: what members say of themselves and
	// what is assigned to them have the formats of ConsumerProtocol, so that
	// Kafka's own tools show them.
	protocolType = "consumer"
)

// JoinRequest asks to be a member of the group.
type JoinRequest struct {
	// MemberID is empty at first; the coordinator gives one.
	MemberID   string
	InstanceID string // see Member
	// SessionTimeout is how long the coordinator waits for a heartbeat before
	// it gives the member up, and RebalanceTimeout how long for the member to
	// join again when the group rebalances.
	SessionTimeout, RebalanceTimeout time.Duration
	// Protocol names how partitions are assigned; Metadata is an encoded
	// Subscription.
	Protocol string
	Metadata []byte
}

// Joined is a generation of a group as it begins.
type Joined struct {
	Member   Member
	LeaderID string // the id of the member that assigns the partitions
	// Members are all of the generation, as the leader is told; others are
	// told nothing.
	Members []JoinedMember
}

// JoinedMember is a member as the leader is told of it.
type JoinedMember struct {
	ID, InstanceID string
	Metadata       []byte
}

// Join joins the group, or joins it again, and returns when its next generation
// begins: after up to the RebalanceTimeout, while all others join. A member
// without an id is refused with MemberIDRequired and the id that it shall use
// in Joined.
func (g *Group) Join(ctx context.Context, j JoinRequest) (Joined, error) {
	r := g.begin(protocol.JoinGroup, joinGroupVersion)
	h := appendInt32(r.head, int32(j.SessionTimeout.Milliseconds()))
	h = appendInt32(h, int32(j.RebalanceTimeout.Milliseconds()))
	h = appendString(h, j.MemberID)
	h = appendNullable(h, j.InstanceID)
	h = appendString(h, protocolType)
	h = appendInt32(h, 1) // protocols
	h = appendString(h, j.Protocol)
	r.head = appendBytes(h, j.Metadata)
	var joined Joined
	err := g.ask(ctx, r, j.RebalanceTimeout+requestTimeout, func(response []byte) error {
		return parseJoin(&joined, response)
	})
	joined.Member.InstanceID = j.InstanceID
	return joined, g.annotate("join", err)
}

// parseJoin reads a JoinGroup response v5.
func parseJoin(joined *Joined, response []byte) error {
	d := newDecoder(response, false)
	d.skip(4) // throttle time
	code := d.int16()
	joined.Member.Generation = d.int32()
	d.string() // protocol: there is but one
	joined.LeaderID, joined.Member.ID = d.string(), d.string()
	for range d.count(8) {
		joined.Members = append(joined.Members, JoinedMember{ID: d.string(), InstanceID: d.string(), Metadata: d.bytes()})
	}
	if d.err != nil {
		*joined = Joined{}
		return malformed(d.err)
	}
	return codeError(code, "")
}

// Sync returns what the generation's leader assigns to the member, an encoded
// Assignment, once the leader has. The leader itself passes what it assigns, by
// member id; all others pass nil.
func (g *Group) Sync(ctx context.Context, m Member, assignments map[string][]byte, timeout time.Duration) ([]byte, error) {
	r := g.begin(protocol.SyncGroup, syncGroupVersion)
	h := appendMember(r.head, m)
	h = appendInt32(h, int32(len(assignments)))
	for member, assignment := range assignments {
		h = appendString(h, member)
		h = appendBytes(h, assignment)
	}
	r.head = h
	var assigned []byte
	err := g.ask(ctx, r, timeout+requestTimeout, func(response []byte) (err error) {
		assigned, err = parseSync(response)
		return err
	})
	return assigned, g.annotate("sync", err)
}

// parseSync reads a SyncGroup response v3.
func parseSync(response []byte) ([]byte, error) {
	d := newDecoder(response, false)
	d.skip(4) // throttle time
	code := d.int16()
	assigned := d.bytes()
	if d.err != nil {
		return nil, malformed(d.err)
	}
	return assigned, codeError(code, "")
}

func appendBytes(h, b []byte) []byte { return append(appendInt32(h, int32(len(b))), b...) }
