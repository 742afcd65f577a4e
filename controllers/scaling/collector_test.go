package scaling

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/signal"
	"github.com/logpipeline/logpipeline/test/await"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newPod serves signals until the test ends.
func newPod(t *testing.T, name string, tell func() (signal.Signals, int)) Pod {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		signals, status := tell()
		if r.URL.Path != signal.Path || status != http.StatusOK {
			w.WriteHeader(max(status, http.StatusNotFound))
			return
		}
		_ = json.NewEncoder(w).Encode(signals)
	}))
	t.Cleanup(server.Close)
	return Pod{Name: name, Address: strings.TrimPrefix(server.URL, "http://")}
}

func telling(t *testing.T, name string, status int) Pod {
	return newPod(t, name, func() (signal.Signals, int) {
		return signal.Signals{Version: signal.FormatVersion, Ingester: &signal.Ingester{QueueBytes: 5}}, status
	})
}

func TestPodsAreAsked(t *testing.T) {
	good := func(name string) Pod { return telling(t, name, http.StatusOK) }
	bad := telling(t, "bad", http.StatusInternalServerError)
	newer := newPod(t, "newer", func() (signal.Signals, int) {
		return signal.Signals{Version: signal.FormatVersion + 1}, http.StatusOK
	})
	starting, leaving := bad, bad
	starting.Starting, leaving.Terminating = true, true
	cases := []struct {
		name           string
		pods           []Pod
		answers, asked int
		fails          string
	}{
		{"none there", nil, 0, 0, ""},
		{"all", []Pod{good("a"), good("b")}, 2, 2, ""},
		{"who starts or leaves is not asked", []Pod{good("a"), starting, leaving}, 1, 1, ""},
		{"half is enough", []Pod{good("a"), bad}, 1, 2, ""},
		{"less is not", []Pod{good("a"), bad, bad}, 0, 3, "1 of 3 pods"},
		{"none", []Pod{bad}, 0, 1, `ask pod "bad"`},
		{"a newer format", []Pod{newer}, 0, 1, "upgrade the operator"},
		{"nobody listens", []Pod{{Name: "gone", Address: "127.0.0.1:1"}}, 0, 1, `ask pod "gone"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newScraper()
			defer s.close()
			answers, asked, err := s.ask(t.Context(), c.pods)
			if len(answers) != c.answers || asked != c.asked {
				t.Errorf("%d of %d answered, want %d of %d", len(answers), asked, c.answers, c.asked)
			}
			if (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
				t.Errorf("got %v, want %q", err, c.fails)
			}
		})
	}
}

// produce appends n records to a new topic of a fake Kafka.
func produce(t *testing.T, servers []string, n int) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(servers...), kgo.DefaultProduceTopic("logs"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for range n {
		if err := client.ProduceSync(t.Context(), kgo.StringRecord("{}")).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCollector(t *testing.T) {
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "logs"))
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	produce(t, fake.ListenAddrs(), 10)
	var sealed atomic.Int64
	consumer := newPod(t, "consumer", func() (signal.Signals, int) {
		return signal.Signals{Version: signal.FormatVersion, Started: start, Consumer: &signal.Consumer{
			TopicID: uuid.NewString(), Generation: 1, Partitions: []signal.Partition{{SealedOffset: sealed.Load(), NextOffset: sealed.Load()}},
		}}, http.StatusOK
	})
	sealed.Store(4)
	orders, away := Pipeline{"default", "orders"}, Pipeline{"default", "away"}
	targets := []Target{
		{
			Pipeline: orders, Kafka: config.Kafka{BootstrapServers: fake.ListenAddrs(), ClientID: "test"},
			Topic: "logs", Group: "g", Consumers: []Pod{consumer}, Ingesters: []Pod{telling(t, "ingester", http.StatusOK)},
			IngesterReplicas: 1, QueueTargetBytes: 100,
		},
		{ // holds up nobody
			Pipeline: away, Kafka: config.Kafka{BootstrapServers: []string{"127.0.0.1:1"}, ClientID: "test"},
			Topic: "logs", Group: "g", Ingesters: []Pod{telling(t, "ingester", http.StatusOK)}, IngesterReplicas: 1, QueueTargetBytes: 100,
		},
	}
	store := NewStore()
	collector := NewCollector(func(context.Context) ([]Target, error) { return targets, nil }, store, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- collector.Start(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	await.NoError(t, func() error {
		s, _ := store.Sample(orders)
		now := time.Now()
		for _, v := range []Value{s.LagRecords, s.QueueBytes, s.WantedReplicas, s.DelaySeconds} {
			if err := v.Known(now); err != nil {
				return err
			}
		}
		if s.LagRecords.Value != 6 || s.QueueBytes.Value != 5 || s.WantedReplicas.Value != 1 || s.DelaySeconds.Value > 60 {
			return fmt.Errorf("got %+v", s)
		}
		return nil
	})
	await.NoError(t, func() error {
		s, found := store.Sample(away)
		if !found || s.LagRecords.Known(time.Now()) == nil {
			return fmt.Errorf("got %+v, %v of a Kafka that is away", s, found)
		}
		return s.QueueBytes.Known(time.Now()) // it is known of the pods nevertheless
	})
}
