package lag

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	kafkago "github.com/segmentio/kafka-go"
)

// round is one reading.
type round struct {
	*Cluster
	items []*item
}

// item is what a reading has found out for a query.
type item struct {
	Query
	topic      topic
	committed  map[int32]int64
	partitions []Partition
	err        error // the first; nothing is asked for after it
}

func (it *item) fail(err error) {
	if it.err == nil {
		it.err = fmt.Errorf("read lag of group %q on topic %q: %w", it.Group, it.Topic, err)
	}
}

func (it *item) result(now time.Time) Result {
	if it.err != nil {
		return Result{Err: it.err}
	}
	return Result{Reading: Reading{At: now, TopicID: it.topic.id, Partitions: it.partitions}}
}

// sound are the items without an error.
func (r *round) sound() []*item {
	return slices.DeleteFunc(slices.Clone(r.items), func(it *item) bool { return it.err != nil })
}

func (r *round) describe(ctx context.Context) {
	names := map[string]bool{}
	for _, it := range r.items {
		names[it.Topic] = true
	}
	if len(names) == 0 {
		return
	}
	topics, err := r.Cluster.describe(ctx, slices.Sorted(maps.Keys(names)))
	for _, it := range r.items {
		if err != nil {
			it.fail(unreachable(err))
			continue
		}
		it.topic = topics[it.Topic]
		it.checkTopic()
	}
}

func (it *item) checkTopic() {
	switch known := it.TopicID; {
	case it.topic.refusal != 0:
		it.fail(refused(it.topic.refusal, "describe topic"))
	case len(it.topic.leaders) == 0:
		it.fail(&Error{Incomplete, fmt.Errorf("the brokers name no partition")})
	case known != uuid.Nil && known != it.topic.id:
		it.fail(&Error{TopicRecreated, fmt.Errorf("the topic's id is %s, but %s was stored from: it was deleted and created again", it.topic.id, known)})
	}
}

// readCommits asks every coordinator once. Where a group has none yet, or
// another one now, that is known the next time.
func (r *round) readCommits(ctx context.Context) {
	r.readCoordinators(ctx)
	wanted := map[int32][]wantedCommits{}
	for _, it := range r.sound() {
		broker := r.coordinators[it.Group]
		wanted[broker] = append(wanted[broker], wantedCommits{it.Group, it.Topic, slices.Sorted(maps.Keys(it.topic.leaders))})
	}
	answers, failed := perBroker(wanted, func(broker int32, wanted []wantedCommits) (map[groupTopic]commits, error) {
		return r.fetchCommits(ctx, broker, wanted)
	})
	for _, it := range r.sound() {
		broker := r.coordinators[it.Group]
		it.takeCommits(answers[broker], failed[broker])
		if it.err != nil {
			delete(r.coordinators, it.Group)
		}
	}
}

func (it *item) takeCommits(answer map[groupTopic]commits, err error) {
	found, answered := answer[groupTopic{it.Group, it.Topic}]
	if !answered {
		found = answer[groupTopic{group: it.Group}] // refused as a whole
	}
	switch {
	case err != nil:
		it.fail(unreachable(err))
	case found.refusal == kafkago.GroupIdNotFound: // as some brokers say that it has committed nothing
	case found.refusal != 0:
		it.fail(refused(found.refusal, "read commits"))
	default:
		it.committed = found.offsets
	}
}

func (r *round) readCoordinators(ctx context.Context) {
	unknown := map[string]bool{}
	for _, it := range r.sound() {
		if _, known := r.coordinators[it.Group]; !known {
			unknown[it.Group] = true
		}
	}
	if len(unknown) == 0 {
		return
	}
	found, err := r.findCoordinators(ctx, slices.Sorted(maps.Keys(unknown)))
	for _, it := range r.sound() {
		if !unknown[it.Group] {
			continue
		}
		switch answer, answered := found[it.Group]; {
		case err != nil:
			it.fail(unreachable(err))
		case !answered:
			it.fail(&Error{Incomplete, fmt.Errorf("the broker names no coordinator")})
		case answer.refusal != 0:
			it.fail(refused(answer.refusal, "find coordinator"))
		default:
			r.coordinators[it.Group] = answer.broker
		}
	}
}

type bounds struct{ start, end map[place]offset }

// readBounds asks every broker for the bounds of all partitions that it leads.
func (r *round) readBounds(ctx context.Context) {
	answers, failed := perBroker(r.led(), func(broker int32, wanted []place) (bounds, error) {
		start, err := r.listOffsets(ctx, broker, earliestOffset, wanted)
		if err != nil {
			return bounds{}, err
		}
		end, err := r.listOffsets(ctx, broker, latestOffset, wanted)
		return bounds{start, end}, err
	})
	for _, it := range r.sound() {
		for partition, leader := range it.topic.leaders {
			if err := failed[leader]; err != nil {
				it.fail(unreachable(err))
				continue
			}
			it.takeBounds(partition, answers[leader])
		}
		sortPartitions(it.partitions)
	}
}

// led are the partitions by their leaders, each once, those of a topic
// together.
func (r *round) led() map[int32][]place {
	wanted := map[int32][]place{}
	for _, it := range r.sound() {
		for partition, leader := range it.topic.leaders {
			if leader < 0 {
				it.fail(&Error{Incomplete, fmt.Errorf("partition %d has no leader", partition)})
				continue
			}
			wanted[leader] = append(wanted[leader], place{it.Topic, partition})
		}
	}
	for leader, places := range wanted {
		slices.SortFunc(places, comparePlaces)
		wanted[leader] = slices.Compact(places)
	}
	return wanted
}

func comparePlaces(a, b place) int {
	return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
}

func (it *item) takeBounds(partition int32, answer bounds) {
	start, hasStart := answer.start[place{it.Topic, partition}]
	end, hasEnd := answer.end[place{it.Topic, partition}]
	switch {
	case !hasStart || !hasEnd:
		it.fail(&Error{Incomplete, fmt.Errorf("partition %d: its leader says nothing about it", partition)})
	case start.refusal != 0:
		it.fail(refused(start.refusal, "find start of partition %d", partition))
	case end.refusal != 0:
		it.fail(refused(end.refusal, "find end of partition %d", partition))
	default:
		committed, has := it.committed[partition]
		if !has {
			committed = -1
		}
		p, err := locate(partition, start.value, end.value, committed, it.Progress[partition])
		if err != nil {
			it.fail(err)
			return
		}
		it.partitions = append(it.partitions, p)
	}
}
