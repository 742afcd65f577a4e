package main

import (
	"context"

	"github.com/logpipeline/logpipeline/ingester"
	"github.com/logpipeline/logpipeline/ingester/segment"
)

func openArchived(ctx context.Context, location string) (aggregateStore, error) {
	archive, err := segment.OpenArchive(ctx, location)
	if err != nil {
		return nil, err
	}
	return ingester.SegmentArchive{Archive: archive}, nil
}
