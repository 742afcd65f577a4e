package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// The codes that members of a group decide by.
const (
	UnknownMember       = kafkago.UnknownMemberId
	MemberIDRequired    = kafkago.MemberIDRequired
	IllegalGeneration   = kafkago.IllegalGeneration
	RebalanceInProgress = kafkago.RebalanceInProgress
	FencedInstanceID    = kafkago.FencedInstanceID
)

// Group asks the broker that coordinates a consumer group, which it finds by
// itself, and anew when that has changed. It is safe for concurrent use.
//
// The errors of its methods wrap the code that the coordinator answered, or are
// ErrUnreachable.
type Group struct {
	client *Client
	name   string

	mu          sync.Mutex
	coordinator int32 // -1 while it is unknown
}

// Member is a member of a group in one of its generations.
type Member struct {
	ID string
	// InstanceID makes it a static member (KIP-345); empty, a dynamic one.
	InstanceID string
	Generation int32
}

// Group returns the group of that name, existing or not.
func (c *Client) Group(name string) *Group { return &Group{client: c, name: name, coordinator: -1} }

const (
	findCoordinatorVersion = 2 // the last that isn't flexible
	heartbeatVersion       = 3 // the first with instance ids, as are those of the other requests
	leaveGroupVersion      = 3
)

// Heartbeat says that the member is alive. The coordinator's answer to it is
// how a member learns that the group is about to rebalance
// (RebalanceInProgress), has gone on without it (UnknownMember,
// IllegalGeneration), or that another process has taken its instance id
// (FencedInstanceID).
func (g *Group) Heartbeat(ctx context.Context, m Member) error {
	r := g.begin(protocol.Heartbeat, heartbeatVersion)
	r.head = appendMember(r.head, m)
	err := g.ask(ctx, r, requestTimeout, parseHeartbeat)
	return g.annotate("heartbeat in", err)
}

// parseHeartbeat reads a Heartbeat response v3.
func parseHeartbeat(response []byte) error {
	d := newDecoder(response, false)
	d.skip(4) // throttle time
	return d.finalCode()
}

// Leave takes the member out of the group, for good also when it is static.
func (g *Group) Leave(ctx context.Context, m Member) error {
	r := g.begin(protocol.LeaveGroup, leaveGroupVersion)
	h := appendInt32(r.head, 1) // members
	h = appendString(h, m.ID)
	r.head = appendNullable(h, m.InstanceID)
	err := g.ask(ctx, r, requestTimeout, parseLeave)
	return g.annotate("leave", err)
}

// parseLeave reads a LeaveGroup response v3 about one member.
func parseLeave(response []byte) error {
	d := newDecoder(response, false)
	d.skip(4) // throttle time
	code := d.int16()
	if n := d.count(6); n > 0 && code == 0 {
		d.string() // member id
		d.string() // instance id
		code = d.int16()
	}
	if d.err != nil {
		return malformed(d.err)
	}
	return codeError(code, "")
}

// begin starts a request of which the group's name is the first field.
func (g *Group) begin(key protocol.ApiKey, version int16) *request {
	r := &request{partition: oneBroker, limit: groupLimit}
	g.client.begin(r, key, version, false)
	r.head = appendString(r.head, g.name)
	return r
}

// groupLimit is more than what the members of a large group say of themselves.
const groupLimit = 64 << 20

// ask exchanges a request with the coordinator.
func (g *Group) ask(ctx context.Context, r *request, timeout time.Duration, parse func(response []byte) error) error {
	var err error
	if r.broker, err = g.find(ctx); err != nil {
		return err
	}
	err = g.client.do(ctx, r, timeout)
	if err == nil {
		err = parse(r.response)
	}
	if errors.Is(err, ErrUnreachable) || errors.Is(err, kafkago.NotCoordinatorForGroup) || errors.Is(err, kafkago.GroupCoordinatorNotAvailable) {
		g.forget(r.broker)
		g.client.layout.suspect(err)
	}
	return err
}

func (g *Group) annotate(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s group %q: %w", what, g.name, err)
}

func (g *Group) forget(coordinator int32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.coordinator == coordinator {
		g.coordinator = -1
	}
}

// find returns the coordinator's broker id.
func (g *Group) find(ctx context.Context) (int32, error) {
	g.mu.Lock()
	known := g.coordinator
	g.mu.Unlock()
	if known >= 0 {
		return known, nil
	}
	r := &request{partition: anyBroker, limit: smallResponse}
	g.client.begin(r, protocol.FindCoordinator, findCoordinatorVersion, false)
	r.head = append(appendString(r.head, g.name), 0) // of a group
	err := g.client.do(ctx, r, requestTimeout)
	var found int32
	if err == nil {
		found, err = parseFindCoordinator(r.response)
	}
	if err != nil {
		return 0, fmt.Errorf("find coordinator: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.coordinator = found
	return found, nil
}

// parseFindCoordinator reads a FindCoordinator response v2.
func parseFindCoordinator(response []byte) (int32, error) {
	d := newDecoder(response, false)
	d.skip(4) // throttle time
	code, message := d.int16(), d.string()
	node := d.int32()
	d.string() // host
	d.skip(4)  // port
	switch {
	case d.err != nil:
		return 0, malformed(d.err)
	case code != 0:
		return 0, codeError(code, message)
	case node < 0:
		return 0, malformed(fmt.Errorf("coordinator is broker %d", node))
	}
	return node, nil
}

// appendMember writes the fields by which most requests name a member.
func appendMember(h []byte, m Member) []byte {
	h = appendInt32(h, m.Generation)
	h = appendString(h, m.ID)
	return appendNullable(h, m.InstanceID)
}

// appendNullable writes a string of which the empty one is null.
func appendNullable(h []byte, s string) []byte {
	if s == "" {
		return appendInt16(h, -1)
	}
	return appendString(h, s)
}

// finalCode reads an error code that ends what is of interest in a response.
func (d *decoder) finalCode() error {
	code := d.int16()
	if d.err != nil {
		return malformed(d.err)
	}
	return codeError(code, "")
}
