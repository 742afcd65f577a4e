package scaling

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipeline/logpipeline/ingester/signal"
)

func TestTroubleQuotesOneConsumer(t *testing.T) {
	member := func(pod string, partitions ...signal.Partition) answered {
		return answered{pod: pod, Signals: signal.Signals{Consumer: &signal.Consumer{Generation: 3, Partitions: partitions}}}
	}
	opening := func(pod, failure string) answered {
		return answered{pod: pod, Signals: signal.Signals{Consumer: &signal.Consumer{Generation: -1, StoreFailure: failure}}}
	}
	before := Trouble{Stopped: Quote{"a", "before"}}
	for name, test := range map[string]struct {
		answers []answered
		pods    int
		want    Trouble
	}{
		"nobody answers":          {nil, 1, before},
		"between two generations": {[]answered{opening("a", "")}, 1, before},
		"no pod is left":          {nil, 0, Trouble{}},
		"mended":                  {[]answered{member("a", signal.Partition{})}, 1, Trouble{}},
		"first partition that stopped": {
			[]answered{
				member("c", signal.Partition{Partition: 0}, signal.Partition{Partition: 2, Stopped: "LogTruncated", StoppedMessage: "two"}),
				member("b", signal.Partition{Partition: 1, Stopped: "LogTruncated", StoppedMessage: "one"}),
			}, 2, Trouble{Stopped: Quote{"b", "one"}},
		},
		"consumer of an earlier release": {[]answered{member("a", signal.Partition{Stopped: "LogTruncated"})}, 1, Trouble{Stopped: Quote{"a", "LogTruncated"}}},
		"store is not open":              {[]answered{opening("b", "no"), opening("a", "no"), opening("c", "")}, 3, Trouble{StoreFailure: Quote{"a", "no"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, before.next(test.answers, test.pods)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// A consumer with a partition that stopped is not ready.
func TestUnreadyPodsAreAskedForTheirTrouble(t *testing.T) {
	ready, unready, leaving := telling(t, "ready", http.StatusOK), telling(t, "unready", http.StatusOK), telling(t, "leaving", http.StatusOK)
	unready.Starting, leaving.Starting, leaving.Terminating = true, true, true
	s := newScraper()
	defer s.close()
	answers := s.askUnready(t.Context(), []Pod{ready, unready, leaving, {Name: "no address", Address: ":9090", Starting: true}, {Name: "gone", Address: "127.0.0.1:1", Starting: true}})
	if len(answers) != 1 || answers[0].pod != "unready" {
		t.Errorf("asked %+v", answers)
	}
}
