package topics

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNewTopicConfig(t *testing.T) {
	const unclean = "unclean.leader.election.enable"
	tests := map[string]struct {
		desired Desired
		want    map[string]string
	}{
		"nothing asked for": {Desired{}, map[string]string{unclean: "false"}},
		"one replica": {
			Desired{ReplicationFactor: 1, MessageBytes: 5}, map[string]string{unclean: "false", "max.message.bytes": "5"},
		},
		"three replicas": {
			Desired{ReplicationFactor: 3}, map[string]string{unclean: "false", "min.insync.replicas": "2"},
		},
		"configured by the user": {
			Desired{ReplicationFactor: 3, MessageBytes: 5, Config: map[string]string{"max.message.bytes": "1", "min.insync.replicas": "3", unclean: "true"}},
			map[string]string{"max.message.bytes": "1", "min.insync.replicas": "3", unclean: "true"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := map[string]string{}
			for _, entry := range newTopicConfig(test.desired) {
				got[entry.Name] = entry.Value
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestWeakness(t *testing.T) {
	const oneHolds = "its min.insync.replicas is 1 with 3 replicas, so that records are acknowledged which one broker alone holds: set it to 2"
	const unclean = "unclean.leader.election.enable is true, so that a broker which lacks acknowledged records may lead: set it to false"
	tests := map[string]struct {
		replicas int32
		live     map[string]string
		want     string
	}{
		"nothing is known":                     {3, nil, ""},
		"safe":                                 {3, map[string]string{"min.insync.replicas": "2", "unclean.leader.election.enable": "false"}, ""},
		"two replicas, which allow no better":  {2, map[string]string{"min.insync.replicas": "1"}, ""},
		"one of three acknowledges":            {3, map[string]string{"min.insync.replicas": "1"}, oneHolds},
		"unclean elections":                    {1, map[string]string{"unclean.leader.election.enable": "true"}, unclean},
		"one of three, and unclean elections":  {3, map[string]string{"min.insync.replicas": "1", "unclean.leader.election.enable": "true"}, oneHolds + "; " + unclean},
		"a value that is no number is no harm": {3, map[string]string{"min.insync.replicas": "two"}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := weakness(Topic{ReplicationFactor: test.replicas}, test.live); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestSameValue(t *testing.T) {
	tests := []struct {
		desired, live string
		want          bool
	}{
		{"604800000", "604800000", true},
		{" 604800000", "604800000", true},
		{"0.50", "0.5", true},
		{"TRUE", "true", true},
		{"Producer", "producer", false},
		{"1", "2", false},
		{"delete", "compact", false},
		{"x", "", false},
	}
	for _, test := range tests {
		if got := sameValue(test.desired, test.live); got != test.want {
			t.Errorf("sameValue(%q, %q) is %t", test.desired, test.live, got)
		}
	}
}
