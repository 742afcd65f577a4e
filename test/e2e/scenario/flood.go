package scenario

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
)

// Flood posts batches of NDJSON from many clients at a time.
type Flood struct {
	URL     string // of POST /logs
	Clients int
	// Batch returns the body of a batch, counted from 0, and its records. It
	// is called by all clients.
	Batch func(number int64) (body []byte, records int)

	begun atomic.Int64
}

// Send has each client post its next batch when the one before is
// acknowledged, as long as more says so of its number. An outcome in doubt, or
// the context's end, is an error.
func (f *Flood) Send(ctx context.Context, more func(number int64) bool) (Fed, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: f.Clients}}
	defer client.CloseIdleConnections()
	var (
		running sync.WaitGroup
		mutex   sync.Mutex
		total   Fed
	)
	for range f.Clients {
		running.Go(func() {
			fed, err := f.drive(ctx, client, more)
			if err != nil {
				cancel(err)
			}
			mutex.Lock()
			defer mutex.Unlock()
			total.Requests += fed.Requests
			total.Records += fed.Records
			total.Refused += fed.Refused
		})
	}
	running.Wait()
	return total, context.Cause(ctx)
}

func (f *Flood) drive(ctx context.Context, client *http.Client, more func(int64) bool) (fed Fed, err error) {
	for {
		number := f.begun.Add(1) - 1
		if !more(number) {
			return fed, nil
		}
		body, records := f.Batch(number)
		_, refused, err := post(ctx, client, f.URL, body, records)
		fed.Refused += refused
		if err != nil {
			return fed, err
		}
		fed.Requests++
		fed.Records += int64(records)
	}
}
