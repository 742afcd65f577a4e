package controllers

import (
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// stopping is how far a pipeline is that shall have no pods. Its ingesters go
// at once: their own drain brings what they have queued to Kafka.
type stopping struct {
	// consumers go on, to store what the topic holds; 0 once they need not.
	consumers int32
	// waits says what for, and nothing that changes with every pass.
	waits string
	// ended tells of consumers that are let go now.
	ended *happening
}

// drainSeen is what decides on that.
type drainSeen struct {
	topic string
	// consumers that run, or shall; 0 once they have been let go.
	consumers int32
	// lost says that others have deleted the consumers.
	lost bool
	// ingesting says that ingesters may still bring records.
	ingesting bool
	// left are records that are not stored yet, if that is known; fresh says
	// that it was read after the last ingester had gone.
	left         int64
	known, fresh bool

	since, now time.Time
	within     time.Duration
}

// decide is pure.
func (s drainSeen) decide() stopping {
	switch {
	case s.lost:
		return stopping{ended: s.notDrained("they were deleted first, as in the foreground or with the namespace")}
	case s.consumers == 0:
		return stopping{}
	case s.known && s.left == 0 && s.fresh && !s.ingesting:
		return stopping{ended: &happening{corev1.EventTypeNormal, "Drained", "Drain",
			fmt.Sprintf("all records of topic %q are stored: the consumers stop", s.topic)}}
	case s.now.Sub(s.since) >= s.within:
		return stopping{ended: s.notDrained(fmt.Sprintf("the %v that they have are over", s.within))}
	}
	until := s.since.Add(s.within).UTC().Format(time.RFC3339)
	if s.ingesting {
		return stopping{consumers: s.consumers, waits: fmt.Sprintf("ingesters hand on what they have queued, consumers store it, until %s at the latest", until)}
	}
	return stopping{consumers: s.consumers, waits: fmt.Sprintf("consumers store what topic %q still holds, until %s at the latest", s.topic, until)}
}

func (s drainSeen) notDrained(why string) *happening {
	left := "nobody knows how many"
	if s.known {
		left = fmt.Sprint(s.left)
	}
	return &happening{corev1.EventTypeWarning, "NotDrained", "Drain", fmt.Sprintf(
		"the consumers stop before all is stored (%s): %s records of topic %q were left when last counted, of which those in open segments are still stored",
		why, left, s.topic)}
}

// drains remembers of pipelines that stop what need not outlive the operator.
type drains struct {
	mu    sync.Mutex
	quiet map[client.ObjectKey]time.Time
	ended map[client.ObjectKey]happening
}

func newDrains() *drains {
	return &drains{quiet: map[client.ObjectKey]time.Time{}, ended: map[client.ObjectKey]happening{}}
}

// quietSince is when a pipeline was first seen without ingesters.
func (d *drains) quietSince(key client.ObjectKey, ingesting bool, now time.Time) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if ingesting {
		delete(d.quiet, key)
		return now
	}
	if _, known := d.quiet[key]; !known {
		d.quiet[key] = now
	}
	return d.quiet[key]
}

// end notes how a drain ended; first is true once for each time that a pipeline
// stops.
func (d *drains) end(key client.ObjectKey, how happening) (first bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, told := d.ended[key]; told {
		return false
	}
	d.ended[key] = how
	return true
}

// drained tells whether a drain was seen to end with all stored. An operator
// that has taken over in between has not seen it.
func (d *drains) drained(key client.ObjectKey) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ended[key].kind == corev1.EventTypeNormal
}

// forget ends what is remembered of a pipeline that runs, or is gone.
func (d *drains) forget(key client.ObjectKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.quiet, key)
	delete(d.ended, key)
}
