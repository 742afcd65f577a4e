package kafka

import (
	"errors"
	"fmt"
)

// The formats of ConsumerProtocol, by which consumers of one group understand
// each other; see ConsumerProtocolSubscription.json and
// ConsumerProtocolAssignment.json of Kafka. Version 0 is written. Later
// versions only add fields at the end, which are not read.
const consumerProtocolVersion = 0

// Subscription is what a member of a group says of itself.
type Subscription struct {
	Topics   []string
	UserData []byte
}

// Encode returns it as the metadata of a JoinRequest.
func (s Subscription) Encode() []byte {
	b := appendInt16(nil, consumerProtocolVersion)
	b = appendInt32(b, int32(len(s.Topics)))
	for _, topic := range s.Topics {
		b = appendString(b, topic)
	}
	return appendBytes(b, s.UserData)
}

// ParseSubscription undoes Encode. The user data lies in b.
func ParseSubscription(b []byte) (Subscription, error) {
	var s Subscription
	d := decoder{rest: b}
	version := d.int16()
	for range d.count(2) {
		s.Topics = append(s.Topics, d.string())
	}
	s.UserData = d.bytes()
	if d.err != nil || version < 0 {
		return Subscription{}, fmt.Errorf("parse subscription of version %d: %w", version, d.reason())
	}
	return s, nil
}

// Assignment is which partitions of which topics a member shall read.
type Assignment map[string][]int32

// Encode returns it as Sync hands it to a member.
func (a Assignment) Encode() []byte {
	b := appendInt16(nil, consumerProtocolVersion)
	b = appendInt32(b, int32(len(a)))
	for topic, partitions := range a {
		b = appendString(b, topic)
		b = appendInt32(b, int32(len(partitions)))
		for _, p := range partitions {
			b = appendInt32(b, p)
		}
	}
	return appendInt32(b, -1) // user data: none
}

// ParseAssignment undoes Encode. No bytes, which the coordinator gives to whom
// the leader has forgotten, are no partitions.
func ParseAssignment(b []byte) (Assignment, error) {
	a := Assignment{}
	if len(b) == 0 {
		return a, nil
	}
	d := decoder{rest: b}
	version := d.int16()
	for range d.count(6) {
		topic := d.string()
		for range d.count(4) {
			a[topic] = append(a[topic], d.int32())
		}
	}
	if d.err != nil || version < 0 {
		return nil, fmt.Errorf("parse assignment of version %d: %w", version, d.reason())
	}
	return a, nil
}

func (d *decoder) reason() error {
	if d.err == nil {
		return errors.New("there is no such version")
	}
	return d.err
}
