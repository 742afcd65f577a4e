package segment

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/prometheus/client_golang/prometheus"
)

// Resume records a gap in a chain that is stored at a location (see Verify), for
// a consumer that cannot go on there; see Chain.RecordGap. Living consumers may
// have the chain open: of all who seal at its end one wins. upTo is told the
// topic's id and the chain's end, and returns the offset from which on records
// shall be stored; its error keeps the chain as it is, and so does the lead of
// another writer, which is an error too.
//
// It opens the chain as a writer does, with what that mends; see Store.Open.
func Resume(ctx context.Context, location, topic string, number int32, reason string, upTo func(topicID string, end int64) (int64, error), logger *slog.Logger) (RecordedGap, error) {
	gap, err := resume(ctx, location, topic, number, reason, upTo, logger)
	if err != nil {
		return RecordedGap{}, fmt.Errorf("resume partition %d of %q: %w", number, topic, err)
	}
	return gap, nil
}

func resume(ctx context.Context, location, topic string, number int32, reason string, upTo func(string, int64) (int64, error), logger *slog.Logger) (RecordedGap, error) {
	files, done, err := openFiles(ctx, location)
	if err != nil {
		return RecordedGap{}, err
	}
	defer done()
	chains, err := findChains(ctx, files, topic, number)
	if err != nil {
		return RecordedGap{}, err
	}
	if err := prove(ctx, files); err != nil {
		return RecordedGap{}, err
	}
	s, err := newStore(files, config.Segment{}, logger, prometheus.NewRegistry())
	if err != nil {
		return RecordedGap{}, err
	}
	id := chains[0].topicID // opening refuses further ones
	c, err := s.Open(ctx, topic, id, number, func(context.Context) (int64, error) {
		return 0, damaged("%s has no header: restore it from a backup", chains[0].chainPath())
	})
	if err != nil {
		return RecordedGap{}, err
	}
	end := c.NextOffset()
	next, err := upTo(id, end)
	if err != nil {
		return RecordedGap{}, err
	}
	if recorded, err := c.RecordGap(ctx, next, reason); err != nil {
		return RecordedGap{}, err
	} else if !recorded {
		return RecordedGap{}, fmt.Errorf("another writer has sealed at offset %d meanwhile, and the chain goes up to %d: look again", end, c.NextOffset())
	}
	return RecordedGap{FirstOffset: end, NextOffset: next, Reason: reason}, nil
}
