package kafka

import (
	"errors"
	"testing"
	"time"
)

func TestFetchIntoRoomOfTheCaller(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, client *Client, topic string) {
		var builder BatchBuilder
		builder.Append(time.Now().UnixMilli(), nil, []byte("a record"), nil)
		if _, err := client.Produce(t.Context(), &ProduceRequest{
			Topic: topic, Timeout: 10 * time.Second, Batch: builder.Seal(NoProducer, -1),
		}); err != nil {
			t.Fatal(err)
		}
		var room []byte
		var asked int
		fetch := &FetchRequest{
			Topic: topic, LeaderEpoch: -1, MaxBytes: 1 << 20, MinBytes: 1, MaxWait: 5 * time.Second,
			Room: func(n int) []byte { asked = n; return room },
		}
		if _, err := client.Fetch(t.Context(), fetch); !errors.Is(err, ErrNoRoom) || errors.Is(err, ErrUnreachable) {
			t.Fatalf("without room the error is %v, want %v", err, ErrNoRoom)
		}
		if client.layout.stale {
			t.Error("a lack of room made the client doubt who leads the partition")
		}
		room = make([]byte, asked+10)
		for range 2 { // and the connection that follows is a good one
			response, err := client.Fetch(t.Context(), fetch)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(response.Records); n == 0 || &response.Records[n-1] != &room[asked-1] {
				t.Errorf("%d bytes of records are not at the end of the %d bytes in the room given", n, asked)
			}
			if fetch.request.response != nil {
				t.Error("the request keeps the room")
			}
		}
	})
}

func TestReadersShareADecompressor(t *testing.T) {
	var builders [2]*BatchBuilder
	var readers [2]BatchReader
	var shared Decompressor
	for i, text := range []string{"first", "second"} {
		builders[i] = newBuilder(t, "zstd", 0)
		builders[i].Append(1, nil, []byte(text), nil)
		sealed := builders[i].Seal(NoProducer, -1)
		readers[i].Decompressor = &shared
		readers[i].Reset(sealed, 0, nil)
	}
	for i, want := range []string{"first", "second"} {
		batch, err := readers[i].Next()
		if err != nil {
			t.Fatal(err)
		}
		var r Record
		if !batch.Next(&r) || string(r.Value) != want {
			t.Errorf("record is %q, want %q", r.Value, want)
		}
		if readers[i].own.buffer != nil {
			t.Error("the reader used a decompressor of its own")
		}
	}
}
