package lag

import (
	"cmp"
	"context"
	"slices"

	"github.com/google/uuid"
)

// looking names a place in a log where a group has come to.
type looking struct {
	group string
	topic uuid.UUID
	place
}

// look is what was seen there, the last time.
type look struct {
	seen
	bytes  int32 // to ask for, the next time
	missed int   // how often it had no turn since
}

// view is a partition whose next record nobody knows.
type view struct {
	looking
	leader int32
	into   *Partition
}

// look finds out when the first records that aren't done were taken, where
// their owners don't tell. What was seen is kept for as long as it lasts: where
// nobody consumes, one look is enough. Those that have no turn in this reading
// are the first in the next.
func (r *round) look(ctx context.Context) {
	kept := map[looking]look{}
	var open []view
	for _, it := range r.sound() {
		for i := range it.partitions {
			p := &it.partitions[i]
			if p.Records() == 0 || !p.Oldest.IsZero() {
				continue
			}
			v := view{looking{it.Group, it.topic.id, place{it.Topic, p.ID}}, it.topic.leaders[p.ID], p}
			before, known := r.looked[v.looking]
			kept[v.looking] = before
			if !known || !p.look(before.seen) {
				open = append(open, v)
			}
		}
	}
	r.looked = kept
	r.lookAt(ctx, r.turns(open))
}

// turns chooses what is asked of every broker now, no partition twice.
func (r *round) turns(open []view) map[int32][]view {
	slices.SortStableFunc(open, func(a, b view) int {
		return cmp.Or(cmp.Compare(r.looked[b.looking].missed, r.looked[a.looking].missed), comparePlaces(a.place, b.place))
	})
	chosen, taken, room := map[int32][]view{}, map[place]bool{}, map[int32]int{}
	for _, v := range open {
		l := r.looked[v.looking]
		l.bytes = max(l.bytes, peekLeast)
		if taken[v.place] || len(chosen[v.leader]) > 0 && room[v.leader]+int(l.bytes) > peekMost {
			l.missed++
		} else {
			l.missed = 0
			taken[v.place] = true
			room[v.leader] += int(l.bytes)
			chosen[v.leader] = append(chosen[v.leader], v)
		}
		r.looked[v.looking] = l
	}
	return chosen
}

func (r *round) lookAt(ctx context.Context, chosen map[int32][]view) {
	// A broker that doesn't answer, or refuses, leaves the times unknown.
	answers, _ := perBroker(chosen, func(broker int32, views []view) (map[place]seen, error) {
		slices.SortFunc(views, func(a, b view) int { return comparePlaces(a.place, b.place) })
		wanted := make([]peek, len(views))
		for i, v := range views {
			wanted[i] = peek{v.place, v.into.Done, r.looked[v.looking].bytes}
		}
		return r.fetchNext(ctx, broker, wanted)
	})
	for leader, views := range chosen {
		for _, v := range views {
			s, answered := answers[leader][v.place]
			if !answered || s.refusal != 0 {
				continue
			}
			l := r.looked[v.looking]
			l.seen = s
			if !v.into.look(s) && s.until == s.from && l.bytes < 1<<27 {
				l.bytes *= peekGrowth
			}
			r.looked[v.looking] = l
		}
	}
}
