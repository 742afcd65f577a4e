package scaling

import (
	"time"

	"github.com/google/uuid"

	"github.com/logpipeline/logpipeline/controllers/scaling/lag"
)

// owners is what the members of a consumer group say of the partitions.
type owners struct {
	progress map[int32]lag.Progress
	// generation is the latest that a member knows, -1 without any.
	generation int32
	// members have answered, and current ones of them are of that generation.
	members, current int
}

// ownersOf believes, for every partition, whoever has it in the latest
// generation; what is said of another topic, or without a generation, counts
// for nothing.
func ownersOf(answers []answered, topic uuid.UUID) owners {
	o := owners{progress: map[int32]lag.Progress{}, generation: -1}
	for _, a := range answers {
		if a.Consumer != nil {
			o.members++
			o.generation = max(o.generation, a.Consumer.Generation)
		}
	}
	for _, a := range answers {
		c := a.Consumer
		if c == nil || c.Generation < 0 || c.Generation != o.generation {
			continue
		}
		o.current++
		if id, err := uuid.Parse(c.TopicID); err != nil || topic != uuid.Nil && id != topic {
			continue
		}
		for _, p := range c.Partitions {
			o.progress[p.Partition] = progressOf(p.SealedOffset, p.NextOffset, p.FirstUnsealed)
		}
	}
	return o
}

// settled says that all members are of one generation, which has shared out
// all partitions: no rebalance is under way.
func (o owners) settled(asked, partitions int) bool {
	return o.members == asked && o.current == o.members && (o.members == 0 || len(o.progress) >= partitions)
}

// progressOf: what lies between the sealed end and the next offset, with no
// record that waits to be sealed, is without records.
func progressOf(sealed, next int64, firstUnsealed *time.Time) lag.Progress {
	if firstUnsealed == nil {
		return lag.Progress{Done: max(sealed, next)}
	}
	return lag.Progress{Done: sealed, Oldest: *firstUnsealed}
}
