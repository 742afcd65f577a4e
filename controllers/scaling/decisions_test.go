package scaling

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/logpipeline/logpipeline/controllers/scaling/lag"
	"github.com/logpipeline/logpipeline/ingester/signal"
)

var start = time.Unix(1e9, 0)

func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

func TestWantedConsumers(t *testing.T) {
	rates := func(arrival, perPod float64) Rates {
		return Rates{Arrival: arrival, DrainPerPod: perPod, Busy: arrival > 0}
	}
	cases := []struct {
		name string
		b    Backlog
		want float64
	}{
		{"idle", Backlog{Rates: Rates{DrainPerPod: 100}, Partitions: 12, Pods: 3}, 0},
		{"idle, though the smoothed rate remembers more", Backlog{Rates: Rates{Arrival: 40, DrainPerPod: 100}, Partitions: 12, Pods: 3}, 0},
		{"all is stored of what still comes", Backlog{Rates: Rates{DrainPerPod: 100, Busy: true}, Partitions: 12, Pods: 3}, 1},
		{"a trickle", Backlog{Rates: rates(1, 100), Partitions: 12}, 1},
		{"something is left", Backlog{Records: 1, Rates: rates(0, 100), Partitions: 12}, 1},
		{"asleep, and nobody knows what one drains", Backlog{Records: 1e6, Rates: rates(500, 0), Partitions: 12}, 1},
		{"all keep up, and nobody knows what one drains", Backlog{Records: 100, Rates: rates(500, 0), Partitions: 12, Pods: 3}, 3},
		{"nine tenths of three", Backlog{Rates: rates(270, 100), Partitions: 12, Pods: 1}, 3},
		{"what is not older than the target needs nobody", Backlog{Records: 270 * 60, Rates: rates(270, 100), Partitions: 12}, 3},
		{"what is older is to go within the target", Backlog{Records: 270*60 + 60*300, Rates: rates(270, 100), Partitions: 12}, 6},
		{"five are no faster than four", Backlog{Rates: rates(410, 100), Partitions: 12}, 6},
		{"more than partitions is not clamped", Backlog{Records: 1e6, Rates: rates(0, 100), Partitions: 12}, 167},
		{"all partitions, exactly", Backlog{Rates: rates(1080, 100), Partitions: 12}, 12},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.b.Target = time.Minute
			if got := WantedConsumers(c.b); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if c.b.DrainPerPod > 0 { // then it doesn't matter how many there are
				c.b.Pods += 7
				if got := WantedConsumers(c.b); got != c.want {
					t.Errorf("with more pods, got %v, want %v", got, c.want)
				}
			}
		})
	}
}

func TestQueueBytes(t *testing.T) {
	pods := func(bytes ...int64) (all []signal.Ingester) {
		for _, b := range bytes {
			all = append(all, signal.Ingester{QueueBytes: b})
		}
		return all
	}
	spooling := []signal.Ingester{{QueueBytes: 10, SpoolRecords: 1}, {QueueBytes: 10}}
	cases := []struct {
		name string
		q    Queues
		want int64
		held Hold
	}{
		{"the sum", Queues{Pods: pods(10, 250), Replicas: 2}, 260, NotHeld},
		{"held by Kafka: what there are", Queues{Pods: pods(200, 200), Replicas: 2, KafkaBottleneck: true}, 200, KafkaBottleneck},
		{"held by Kafka: none fewer", Queues{Pods: pods(0, 0), Replicas: 2, KafkaBottleneck: true}, 200, KafkaBottleneck},
		{"a spool keeps its pod", Queues{Pods: spooling, Replicas: 2}, 200, SpoolNotEmpty},
		{"short queues, but few could not take what comes", Queues{Pods: pods(1, 1, 1, 1), Replicas: 4, Needed: 2.1}, 300, StillNeeded},
		{"what comes adds nobody", Queues{Pods: pods(1, 1), Replicas: 2, Needed: 2.3}, 200, StillNeeded},
		{"long queues say more than what comes", Queues{Pods: pods(300, 300), Replicas: 2, Needed: 1}, 600, NotHeld},
		{"as much comes to silent pods", Queues{Pods: pods(1, 1), Missing: 2, Replicas: 4, Needed: 1.4}, 300, StillNeeded},
		{"a spool keeps nobody from growing", Queues{Pods: []signal.Ingester{{QueueBytes: 500, SpoolRecords: 1}}, Replicas: 2}, 500, NotHeld},
		{"silent pods count as empty when more are wanted", Queues{Pods: pods(150, 150), Missing: 1, Replicas: 3}, 300, NotHeld},
		{"silent pods count as full when fewer are wanted", Queues{Pods: pods(10, 10), Missing: 1, Replicas: 3}, 120, NotHeld},
		{"silent pods never turn less into more", Queues{Pods: pods(90, 90), Missing: 2, Replicas: 4}, 380, NotHeld},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.q.TargetBytes = 100
			if got, held := QueueBytes(c.q); got != c.want || held != c.held {
				t.Errorf("got %d %q, want %d %q", got, held, c.want, c.held)
			}
		})
	}
}

func TestIntakeMeter(t *testing.T) {
	type look struct {
		seconds int
		intakes []Intake
		want    float64
	}
	pod := func(name string, seconds int, accepted, queued int64) Intake {
		return Intake{Name: name, Started: start, At: at(seconds), Accepted: accepted, QueueBytes: queued}
	}
	other := pod("a", 20, 50, 0)
	other.Started = start.Add(time.Second)
	cases := map[string][]look{
		"one look tells nothing": {{0, []Intake{pod("a", 0, 500, 0)}, 0}},
		"as many as there are, and the tenth that is kept free": {
			{0, []Intake{pod("a", 0, 0, 0), pod("b", 0, 0, 0)}, 0},
			{10, []Intake{pod("a", 10, 900, 0), pod("b", 10, 900, 0)}, 2 / 0.9},
		},
		"fewer, once less comes than they have been seen to take": {
			{0, []Intake{pod("a", 0, 0, 0), pod("b", 0, 0, 0)}, 0},
			{10, []Intake{pod("a", 10, 900, 0), pod("b", 10, 900, 0)}, 2 / 0.9},
			{20, []Intake{pod("a", 20, 1000, 0), pod("b", 20, 1080, 0)}, 28.0 / 90 / 0.9},
			{30, []Intake{pod("a", 30, 1000, 0), pod("b", 30, 1080, 0)}, 0},
		},
		"what only fills the queue shows nothing of what a pod can do": {
			{0, []Intake{pod("a", 0, 0, 0)}, 0},
			{10, []Intake{pod("a", 10, 900, 0)}, 1 / 0.9},
			{20, []Intake{pod("a", 20, 9900, 1000)}, 10 / 0.9},
		},
		"another process of the name begins anew": {
			{0, []Intake{pod("a", 0, 0, 0)}, 0},
			{10, []Intake{pod("a", 10, 900, 0)}, 1 / 0.9},
			{20, []Intake{other}, 0},
		},
		"a pod that has gone is forgotten": {
			{0, []Intake{pod("a", 0, 0, 0), pod("b", 0, 0, 0)}, 0},
			{10, []Intake{pod("a", 10, 900, 0), pod("b", 10, 100, 0)}, 100.0 / 90 / 0.9},
			{20, []Intake{pod("b", 20, 200, 0)}, 1 / 0.9},
		},
	}
	for name, looks := range cases {
		t.Run(name, func(t *testing.T) {
			var m IntakeMeter
			for _, l := range looks {
				if got := m.Observe(l.intakes); math.Abs(got-l.want) > 1e-9 {
					t.Errorf("after %d s: %v, want %v", l.seconds, got, l.want)
				}
			}
		})
	}
}

func TestKafkaIsTheBottleneck(t *testing.T) {
	said := func(seconds int, i signal.Ingester) []answered {
		return []answered{{pod: "a", at: at(seconds), Signals: signal.Signals{Started: start, Ingester: &i}}}
	}
	cases := []struct {
		name          string
		first, second signal.Ingester
		want          bool
	}{
		{"fast", signal.Ingester{ProducedBatches: 10, ProduceSeconds: 100}, signal.Ingester{ProducedBatches: 110, ProduceSeconds: 105}, false},
		{"slow", signal.Ingester{ProducedBatches: 10, ProduceSeconds: 0}, signal.Ingester{ProducedBatches: 20, ProduceSeconds: 15}, true},
		{"many retries", signal.Ingester{}, signal.Ingester{ProducedBatches: 80, ProduceRetries: 20}, true},
		{"few retries", signal.Ingester{}, signal.Ingester{ProducedBatches: 99, ProduceRetries: 1}, false},
		{"nothing but retries", signal.Ingester{ProducedBatches: 5}, signal.Ingester{ProducedBatches: 5, ProduceRetries: 3}, true},
		{"unreachable", signal.Ingester{}, signal.Ingester{KafkaUnreachable: true}, true},
		{"nothing to send", signal.Ingester{ProducedBatches: 5}, signal.Ingester{ProducedBatches: 5}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var m ProduceMeter
			m.observe(said(0, c.first))
			if got := m.observe(said(10, c.second)); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestHolder(t *testing.T) {
	var h Holder
	steps := []struct {
		seconds int
		fresh   float64
		settled bool
		want    float64
		since   int
	}{
		{0, 1, false, 1, 0}, // nothing to hold yet
		{10, 2, true, 2, 10},
		{20, 5, false, 2, 10},
		{100, 6, false, 2, 10},
		{101, 7, false, 7, 101}, // held for longer than it is worth
		{110, 8, true, 8, 110},
		{120, 9, false, 8, 110},
	}
	for _, s := range steps {
		got, since := h.Next(s.fresh, s.settled, at(s.seconds))
		if got != s.want || !since.Equal(at(s.since)) {
			t.Errorf("after %d s: %v of %v, want %v of %v", s.seconds, got, since, s.want, at(s.since))
		}
	}
}

func reading(seconds int, end, done int64) lag.Reading {
	return lag.Reading{At: at(seconds), Partitions: []lag.Partition{{End: end, Done: done}}}
}

func TestRates(t *testing.T) {
	var m RateMeter
	m.Observe(reading(0, 1000, 1000)) // whatever was before is no arrival
	var got Rates
	for i := 1; i <= 60; i++ {
		got = m.Observe(reading(10*i, 1000+int64(i)*5000, 1000+int64(i)*3000))
	}
	if math.Abs(got.Arrival-500) > 1 || math.Abs(got.Drain-300) > 1 {
		t.Errorf("got %+v, want 500 to arrive and 300 to drain", got)
	}
	if _, known := got.TimeLeft(1000); known {
		t.Error("lag that grows has a time left")
	}
	if left, known := (Rates{Arrival: 100, Drain: 300}).TimeLeft(4000); !known || left != 20*time.Second {
		t.Errorf("%v left, %v, want 20 s", left, known)
	}
	if left, known := (Rates{}).TimeLeft(0); !known || left != 0 {
		t.Errorf("%v left without lag, %v", left, known)
	}
	surge := m.Observe(reading(610, 301_000+50_000, 181_000))
	if surge.Arrival < 2500 {
		t.Errorf("a surge from 500 to 5000 is seen as %v", surge.Arrival)
	}
	if anew := m.Observe(reading(620, 10, 0)); anew.Arrival != 0 || anew.Drain != 0 {
		t.Errorf("another log begins with %+v", anew)
	}
}

func TestDrainPerPod(t *testing.T) {
	var m RateMeter
	observe := func(seconds int, started time.Time, appended int64, busy float64) float64 {
		m.ObserveWorkers([]Worker{{"a", started, at(seconds), appended, busy}})
		return m.rates.DrainPerPod
	}
	steps := []struct {
		name     string
		seconds  int
		started  time.Time
		appended int64
		busy     float64
		want     float64
	}{
		{"the first sample tells nothing", 0, start, 5000, 50, 0},
		{"idle tells nothing", 10, start, 5010, 51, 0},
		{"busy for more than half of it", 20, start, 15_010, 57, 1000},
		{"which is not enough to know better", 30, start, 16_010, 63, 1000},
		{"a restart tells nothing", 40, at(25), 100, 1, 1000},
		{"busy all the time", 50, at(25), 20_100, 11, 1000 + (1-math.Exp(-10.0/60))*1000},
	}
	for _, s := range steps {
		if got := observe(s.seconds, s.started, s.appended, s.busy); math.Abs(got-s.want) > 1e-6 {
			t.Errorf("%s: got %v, want %v", s.name, got, s.want)
		}
	}
}

func TestOwners(t *testing.T) {
	topic, old := uuid.New(), uuid.New()
	unsealed := at(5)
	member := func(id uuid.UUID, generation int32, partitions ...signal.Partition) answered {
		return answered{Signals: signal.Signals{Consumer: &signal.Consumer{TopicID: id.String(), Generation: generation, Partitions: partitions}}}
	}
	got := ownersOf([]answered{
		member(topic, 4, signal.Partition{Partition: 0, SealedOffset: 99, NextOffset: 99}),
		member(topic, 5, signal.Partition{Partition: 0, SealedOffset: 50, NextOffset: 60, FirstUnsealed: &unsealed}),
		member(topic, 5, signal.Partition{Partition: 1, SealedOffset: 7, NextOffset: 9}),
		member(topic, -1, signal.Partition{Partition: 2, SealedOffset: 7}),
		member(old, 5, signal.Partition{Partition: 3, SealedOffset: 7}),
	}, topic)
	want := owners{
		progress:   map[int32]lag.Progress{0: {Done: 50, Oldest: unsealed}, 1: {Done: 9}},
		generation: 5, members: 5, current: 3,
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(owners{})); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got.settled(5, 2) {
		t.Error("members of an older generation have settled")
	}
	one := ownersOf([]answered{member(topic, 5, signal.Partition{Partition: 0})}, topic)
	if !one.settled(1, 1) || one.settled(2, 1) || one.settled(1, 2) {
		t.Error("a group has settled when all members are there and own all partitions")
	}
	if none := ownersOf(nil, topic); !none.settled(0, 3) {
		t.Error("a group without members has settled")
	}
}

func TestStoreKeepsWhatIsKnownUntilItIsStale(t *testing.T) {
	store, p := NewStore(), Pipeline{"default", "orders"}
	gone := errors.New("gone")
	known := Value{Value: 7, At: start}
	read := func(put Value, seconds int) (float64, error) {
		store.Put(p, Sample{LagRecords: put})
		s, _ := store.Sample(p)
		return s.LagRecords.Value, s.LagRecords.Known(at(seconds))
	}
	store.Keep(map[Pipeline]bool{p: true})
	if s, found := store.Sample(p); !found || s.LagRecords.Known(start) == nil {
		t.Error("what was never collected is known")
	}
	if _, err := read(Value{err: gone}, 0); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
	if v, err := read(known, 10); v != 7 || err != nil {
		t.Errorf("got %v, %v", v, err)
	}
	if v, err := read(Value{err: gone}, 60); v != 7 || err != nil {
		t.Errorf("a minute later %v, %v", v, err)
	}
	if _, err := read(Value{err: gone}, 121); !errors.Is(err, gone) {
		t.Errorf("stale, and %v", err)
	}
	read(known, 0)
	if _, err := read(Value{err: &lag.Error{Reason: lag.TopicRecreated, Err: gone}}, 1); lag.ReasonOf(err) != lag.TopicRecreated {
		t.Errorf("another topic, and %v", err)
	}
	store.Keep(nil)
	if _, found := store.Sample(p); found || len(store.Pipelines("")) != 0 {
		t.Error("a pipeline that is gone is still there")
	}
}
