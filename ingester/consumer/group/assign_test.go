package group

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipeline/logpipeline/ingester/kafka"
)

// member is "id", or "id=instance"; it reads topics as "topic:partitions".
func member(name string, topics ...string) kafka.JoinedMember {
	id, instance, _ := strings.Cut(name, "=")
	m := kafka.JoinedMember{ID: id, InstanceID: instance}
	for _, t := range topics {
		topic, partitions, _ := strings.Cut(t, ":")
		var n int
		if _, err := fmt.Sscan(partitions, &n); err == nil {
			m.Metadata = subscription(topic, n)
		} else { // of other software
			m.Metadata = kafka.Subscription{Topics: []string{topic}}.Encode()
		}
	}
	return m
}

func TestAssign(t *testing.T) {
	for name, test := range map[string]struct {
		members []kafka.JoinedMember
		want    map[string]string
	}{
		"alone":                       {[]kafka.JoinedMember{member("a", "t:3")}, map[string]string{"a": "map[t:[0 1 2]]"}},
		"ranges of sizes that differ": {[]kafka.JoinedMember{member("b", "t:5"), member("a", "t:5")}, map[string]string{"a": "map[t:[0 1 2]]", "b": "map[t:[3 4]]"}},
		"more members than partitions": {
			[]kafka.JoinedMember{member("a", "t:1"), member("b", "t:1")}, map[string]string{"a": "map[t:[0]]", "b": "map[]"},
		},
		"static members first, by their instance ids": {
			[]kafka.JoinedMember{member("a", "t:3"), member("c=1", "t:3"), member("b=2", "t:3")},
			map[string]string{"c": "map[t:[0]]", "b": "map[t:[1]]", "a": "map[t:[2]]"},
		},
		"one knows of more partitions": {
			[]kafka.JoinedMember{member("a", "t:2"), member("b", "t:4")}, map[string]string{"a": "map[t:[0 1]]", "b": "map[t:[2 3]]"},
		},
		"a member of other software beside ours": {
			[]kafka.JoinedMember{member("a", "t:2"), member("b", "t")}, map[string]string{"a": "map[t:[0]]", "b": "map[t:[1]]"},
		},
		"two topics in one group": {
			[]kafka.JoinedMember{member("a", "t:2"), member("b", "u:1")}, map[string]string{"a": "map[t:[0 1]]", "b": "map[u:[0]]"},
		},
		"a member that says nothing that can be read": {
			[]kafka.JoinedMember{member("a", "t:2"), {ID: "b", Metadata: []byte("x")}}, map[string]string{"a": "map[t:[0 1]]", "b": "map[]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := map[string]string{}
			for id, encoded := range assign(test.members) {
				a, err := kafka.ParseAssignment(encoded)
				if err != nil {
					t.Fatal(err)
				}
				got[id] = fmt.Sprint(map[string][]int32(a))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("assigned (-want +got):\n%s", diff)
			}
		})
	}
}

// Every partition has exactly one reader, ranges differ by at most 1, and the
// order in which members are listed does not matter.
func TestAssignIsCompleteAndFair(t *testing.T) {
	for range 200 {
		partitions, n := rand.N(40), 1+rand.N(12)
		var members []kafka.JoinedMember
		for i := range n {
			members = append(members, member(fmt.Sprint("m", i), fmt.Sprint("t:", partitions)))
		}
		first := assign(members)
		rand.Shuffle(n, func(i, j int) { members[i], members[j] = members[j], members[i] })
		if diff := cmp.Diff(first, assign(members)); diff != "" {
			t.Fatalf("another order, other assignments:\n%s", diff)
		}
		var all []int32
		for id, encoded := range first {
			a, err := kafka.ParseAssignment(encoded)
			if err != nil {
				t.Fatal(err)
			}
			if got := len(a["t"]); got < partitions/n || got > (partitions+n-1)/n {
				t.Fatalf("%s has %d of %d partitions among %d members", id, got, partitions, n)
			}
			all = append(all, a["t"]...)
		}
		slices.Sort(all)
		for i, p := range all {
			if int(p) != i {
				t.Fatalf("partitions %v of %d", all, partitions)
			}
		}
		if len(all) != partitions {
			t.Fatalf("partitions %v of %d", all, partitions)
		}
	}
}

// Whatever other members say of themselves, the leader's plan is one, and
// bounded.
func FuzzAssign(f *testing.F) {
	f.Add(subscription("t", 3), subscription("u", 1<<30))
	f.Add(kafka.Subscription{Topics: []string{"t", "t"}}.Encode(), []byte("\x00\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, one, other []byte) {
		plan := assign([]kafka.JoinedMember{{ID: "a", Metadata: one}, {ID: "b", InstanceID: "i", Metadata: other}, member("c", "t:8")})
		seen := map[string]bool{}
		for id, encoded := range plan {
			a, err := kafka.ParseAssignment(encoded)
			if err != nil {
				t.Fatalf("%s: %v", id, err)
			}
			for topic, partitions := range a {
				for _, p := range partitions {
					if key := fmt.Sprint(topic, "/", p); seen[key] || p < 0 || p >= maxPartitions {
						t.Fatalf("%s is assigned twice, or out of bounds", key)
					} else {
						seen[key] = true
					}
				}
			}
		}
		if !seen["t/7"] {
			t.Fatal("a partition that a member knows of was assigned to nobody")
		}
	})
}
