package main

import (
	"context"
	"log"
	"net/http"
	"time"

	"github.com/segmentio/kafka-go"
)

const (
	channelBatches = 1_000_000
	channelWorkers = 100
)

// newChannel is version 2 as it was reviewed: 202 means that the batch is in
// the channel. Its faults are part of it: memory is bounded by the number of
// batches only, workers know no cancellation and never end, and a batch that
// can't be produced is dropped with a line in the log.
func newChannel(s settings) (design, error) {
	writer, err := newWriter(s, 50_000, 200*time.Millisecond)
	if err != nil {
		return design{}, err
	}
	queue := make(chan [][]byte, channelBatches)
	for range channelWorkers {
		go work(queue, writer)
	}
	store := func(_ *http.Request, body []byte) error {
		queue <- lines(body)
		return nil
	}
	return design{store, http.StatusAccepted}, nil
}

func work(queue <-chan [][]byte, writer *kafka.Writer) {
	for batch := range queue {
		if err := writer.WriteMessages(context.Background(), messages(batch)...); err != nil {
			log.Printf("drop a batch of %d records: %v", len(batch), err)
		}
	}
}
