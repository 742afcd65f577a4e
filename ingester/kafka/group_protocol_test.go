package kafka

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The bytes are those that Kafka's own consumer writes, in later versions with
// more behind.
func TestConsumerProtocol(t *testing.T) {
	subscription := Subscription{Topics: []string{"logs", "b"}, UserData: []byte{1, 2}}
	wire := "\x00\x00\x00\x00\x00\x02\x00\x04logs\x00\x01b\x00\x00\x00\x02\x01\x02"
	if diff := cmp.Diff(wire, string(subscription.Encode())); diff != "" {
		t.Errorf("subscription encoded (-want +got):\n%s", diff)
	}
	got, err := ParseSubscription([]byte("\x00\x01" + wire[2:] + "\x00\x00\x00\x00"))
	if diff := cmp.Diff(subscription, got); diff != "" || err != nil {
		t.Errorf("subscription parsed: %v (-want +got):\n%s", err, diff)
	}
	assignment := Assignment{"logs": {0, 5}}
	wire = "\x00\x00\x00\x00\x00\x01\x00\x04logs\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x05\xff\xff\xff\xff"
	if diff := cmp.Diff(wire, string(assignment.Encode())); diff != "" {
		t.Errorf("assignment encoded (-want +got):\n%s", diff)
	}
	for name, test := range map[string]struct {
		encoded string
		want    Assignment
		fails   bool
	}{
		"of a later version":    {"\x00\x03" + wire[2:] + "more", assignment, false},
		"of a forgotten member": {"", Assignment{}, false},
		"cut off":               {wire[:20], nil, true},
		"of a negative version": {"\xff\xff" + wire[2:], nil, true},
	} {
		got, err := ParseAssignment([]byte(test.encoded))
		if diff := cmp.Diff(test.want, got); diff != "" || (err != nil) != test.fails {
			t.Errorf("assignment %s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}
