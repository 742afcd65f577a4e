package scaling

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/logpipeline/logpipeline/controllers/scaling/lag"
)

// Pipeline names a pipeline.
type Pipeline struct{ Namespace, Name string }

// The metrics that autoscalers and people are given under these names.
const (
	// QueueBytesMetric is what the ingesters' queues hold together.
	QueueBytesMetric = "logpipeline_ingester_queue_bytes"
	// LagRecordsMetric is how many records aren't stored yet.
	LagRecordsMetric = "logpipeline_consumer_lag_records"
	// WantedReplicasMetric is how many consumers it takes.
	WantedReplicasMetric = "logpipeline_consumer_wanted_replicas"
)

// Value is a signal as it was known at a time.
type Value struct {
	Value float64
	At    time.Time
	// Held says why it is not what was measured last.
	Held Hold
	// err is why there is none, or none newer.
	err error
}

// Sample is all that is known of a pipeline's load. What isn't known has a
// Value whose Known is an error.
type Sample struct {
	QueueBytes, LagRecords, WantedReplicas Value
	// DelaySeconds is how long the oldest record that isn't done has waited.
	DelaySeconds Value
	// Trouble is what keeps a consumer from storing.
	Trouble Trouble
	Rates
}

// StaleAfter is from which age on a signal counts as unknown. It is longer
// than any hold.
const StaleAfter = 2 * time.Minute

// Why there may be no value.
var (
	errNotAsked     = errors.New("not collected yet")
	errNoIngester   = errors.New("no ingester is ready")
	errDelayUnknown = errors.New("the ingest time of the oldest record is not known yet")
)

// Known returns nil for a signal that may be acted on at a time, and otherwise
// why it may not.
func (v Value) Known(now time.Time) error {
	switch age := now.Sub(v.At); {
	case v.At.IsZero() && v.err == nil:
		return errNotAsked
	case v.At.IsZero():
		return v.err
	case age <= StaleAfter:
		return nil
	case v.err != nil:
		return fmt.Errorf("unknown for %v: %w", age.Round(time.Second), v.err)
	default:
		return fmt.Errorf("unknown for %v", age.Round(time.Second))
	}
}

// after is v where it could be had, and otherwise what was known before, until
// that is stale; at once nothing, where it will not come back by itself.
func (v Value) after(before Value) Value {
	if v.err == nil {
		return v
	}
	if lag.Lasting(v.err) {
		return Value{err: v.err}
	}
	before.err = v.err
	return before
}

// Store keeps the latest sample of every pipeline. It is safe for concurrent
// use.
type Store struct {
	mutex   sync.RWMutex
	samples map[Pipeline]Sample
}

// NewStore returns an empty store.
func NewStore() *Store { return &Store{samples: map[Pipeline]Sample{}} }

// Sample returns the latest sample of a pipeline; found is false for one that
// is not looked after.
func (s *Store) Sample(p Pipeline) (sample Sample, found bool) {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	sample, found = s.samples[p]
	return sample, found
}

// Pipelines returns those of a namespace, or all when it is empty, in no order.
func (s *Store) Pipelines(namespace string) []Pipeline {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	var found []Pipeline
	for p := range s.samples {
		if namespace == "" || p.Namespace == namespace {
			found = append(found, p)
		}
	}
	return found
}

// Put replaces what is known of a pipeline. A value that could not be had
// leaves the one before, with its age.
func (s *Store) Put(p Pipeline, sample Sample) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	before := s.samples[p]
	sample.QueueBytes = sample.QueueBytes.after(before.QueueBytes)
	sample.LagRecords = sample.LagRecords.after(before.LagRecords)
	sample.WantedReplicas = sample.WantedReplicas.after(before.WantedReplicas)
	sample.DelaySeconds = sample.DelaySeconds.after(before.DelaySeconds)
	s.samples[p] = sample
}

// Keep forgets all pipelines but these, and has those that are new wait for
// their first sample.
func (s *Store) Keep(pipelines map[Pipeline]bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for p := range s.samples {
		if !pipelines[p] {
			delete(s.samples, p)
		}
	}
	for p := range pipelines {
		if _, found := s.samples[p]; !found {
			s.samples[p] = Sample{}
		}
	}
}
