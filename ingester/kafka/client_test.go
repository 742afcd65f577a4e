package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestTopic(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, client *Client, name string) {
		topic, err := client.Topic(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if id, err := uuid.Parse(topic.ID); err != nil || id == uuid.Nil {
			t.Errorf("topic id is %q: %v", topic.ID, err)
		}
		if topic.ClusterID == "" || topic.Name != name || len(topic.Partitions) != 2 {
			t.Errorf("got %+v", topic)
		}
		for i, p := range topic.Partitions {
			if p.ID != int32(i) || p.Leader < 0 || p.LeaderEpoch < 0 {
				t.Errorf("partition %d is %+v", i, p)
			}
		}
		_, err = client.Topic(t.Context(), name+".absent")
		if !errors.Is(err, UnknownTopic) || errors.Is(err, ErrUnreachable) {
			t.Errorf("absent topic: %v", err)
		}
	})
}

func TestProduceAndFetch(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, client *Client, topic string) {
		producer := newProducerID(t, client)
		var builder BatchBuilder
		produce := func(epoch int16, sequence int32, values ...string) (int64, error) {
			builder.Reset()
			for i, v := range values {
				builder.Append(time.Now().UnixMilli()-int64(i), nil, []byte(v), nil)
			}
			batch := builder.Seal(ProducerID{ID: producer.ID, Epoch: producer.Epoch + epoch}, sequence)
			return client.Produce(t.Context(), &ProduceRequest{Topic: topic, Partition: 1, Batch: batch, Timeout: 5 * time.Second})
		}
		big := strings.Repeat("x", smallPayload)
		for i, want := range []struct {
			raised   int16 // epochs
			sequence int32
			values   []string
			offset   int64
			verdict  Verdict
		}{
			{0, 0, []string{"a", "b", "c"}, 0, Acknowledged},
			{0, 3, []string{"d", big}, 3, Acknowledged},
			{0, 3, []string{"d", big}, 3, Acknowledged}, // the same again adds nothing
			{0, 9, []string{"gap"}, 0, SequenceLost},
			{1, 5, []string{"a raised epoch begins at 0"}, 0, SequenceLost},
			{1, 0, []string{"f"}, 5, Acknowledged},
			{0, 5, []string{"the old epoch is fenced"}, 0, ProducerLost},
		} {
			offset, err := produce(want.raised, want.sequence, want.values...)
			if offset != want.offset || Classify(err) != want.verdict {
				t.Errorf("batch %d: offset %d, %v; want %d, verdict %d", i, offset, err, want.offset, want.verdict)
			}
		}
		start, end, err := client.Offsets(t.Context(), topic, 1)
		if start != 0 || end != 6 || err != nil {
			t.Errorf("offsets %d to %d, %v", start, end, err)
		}
		if diff := cmp.Diff([]string{"1:b", "2:c", "3:d", "4:" + big, "5:f"}, fetchAll(t, client, topic, 1, 1, end)); diff != "" {
			t.Errorf("records from offset 1 (-want +got):\n%s", diff)
		}
		_, err = client.Fetch(t.Context(), &FetchRequest{Topic: topic, Partition: 1, Offset: 99, LeaderEpoch: -1, MaxBytes: 1 << 20})
		if !errors.Is(err, OffsetOutOfRange) {
			t.Errorf("fetch past the end: %v", err)
		}
		_, err = client.Fetch(t.Context(), &FetchRequest{Topic: topic, Partition: 1, LeaderEpoch: 99, MaxBytes: 1 << 20})
		if !errors.Is(err, UnknownLeaderEpoch) {
			t.Errorf("fetch under a future leader epoch: %v", err)
		}
	})
}

func newProducerID(t testing.TB, client *Client) ProducerID {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		producer, err := client.InitProducerID(ctx)
		if err == nil {
			return producer
		}
		if !errors.Is(err, kafkago.GroupLoadInProgress) {
			t.Fatal(err)
		}
	}
}

// fetchAll reads up to the end and renders each record as offset:value.
func fetchAll(t testing.TB, client *Client, topic string, partition int32, from, end int64) []string {
	t.Helper()
	var all []string
	var reader BatchReader
	var record Record
	f := &FetchRequest{Topic: topic, Partition: partition, Offset: from, LeaderEpoch: -1, MaxBytes: 1 << 20, MinBytes: 1, MaxWait: time.Second}
	for f.Offset < end {
		response, err := client.Fetch(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		reader.Reset(response.Records, f.Offset, response.Aborted)
		for {
			batch, err := reader.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			for batch.Next(&record) {
				all = append(all, fmt.Sprintf("%d:%s", record.Offset, record.Value))
			}
			if batch.Err() != nil {
				t.Fatal(batch.Err())
			}
			f.Offset = batch.NextOffset
		}
	}
	return all
}

func TestUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	client := newClient(t, []string{listener.Addr().String()}, "logs")
	_, topicErr := client.Topic(t.Context(), "logs")
	_, _, offsetsErr := client.Offsets(t.Context(), "logs", 0)
	_, produceErr := client.Produce(t.Context(), &ProduceRequest{Topic: "logs"})
	for _, err := range []error{topicErr, offsetsErr, produceErr} {
		var exchange *ExchangeError
		if !errors.Is(err, ErrUnreachable) || !errors.As(err, &exchange) || exchange.Sent {
			t.Errorf("got %v", err)
		}
	}
	if Classify(produceErr) != Retry {
		t.Errorf("a batch that wasn't sent is judged %d", Classify(produceErr))
	}
}

// A context that ends interrupts an exchange that has begun, so that the
// buffers are free at once, and leaves the batch in doubt.
func TestContextEndsWhileTheBrokerHoldsTheAnswer(t *testing.T) {
	closed := make(chan struct{}) // after the cluster: it must not wake while it closes
	t.Cleanup(func() { close(closed) })
	cluster := newFake(t)
	client := newClient(t, cluster.ListenAddrs(), "logs")
	ctx, cancel := context.WithCancel(t.Context())
	held := make(chan struct{})
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.SleepControl(func() { close(held); <-closed })
		return nil, nil, false
	})
	go func() {
		<-held
		_, _ = client.Topic(t.Context(), "logs") // answered when the broker is past it and holds the answer
		cancel()
	}()
	var builder BatchBuilder
	builder.Append(1, nil, []byte("x"), nil)
	_, err := client.Produce(ctx, &ProduceRequest{Topic: "logs", Batch: builder.Seal(ProducerID{}, 0), Timeout: time.Minute})
	if Classify(err) != InDoubt || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// The connection is lost between the append and its acknowledgement: the same
// bytes again find out the offset and add nothing.
func TestAcknowledgementIsLost(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, client *Client, topic string) {
		var lose atomic.Bool
		dial := client.transport.Dial
		client.transport.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			connection, err := dial(ctx, network, address)
			return &losing{Conn: connection, lose: &lose}, err
		}
		var builder BatchBuilder
		builder.Append(time.Now().UnixMilli(), nil, []byte("once"), nil)
		request := &ProduceRequest{Topic: topic, Partition: 1, Batch: builder.Seal(newProducerID(t, client), 0), Timeout: 5 * time.Second}
		if _, _, err := client.Offsets(t.Context(), topic, 1); err != nil { // the connection is there
			t.Fatal(err)
		}
		lose.Store(true)
		if _, err := client.Produce(t.Context(), request); Classify(err) != InDoubt {
			t.Fatalf("without an answer: %v", err)
		}
		if offset, err := client.Produce(t.Context(), request); offset != 0 || err != nil {
			t.Errorf("sent again: offset %d, %v", offset, err)
		}
		if diff := cmp.Diff([]string{"0:once"}, fetchAll(t, client, topic, 1, 0, 1)); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		if _, end, err := client.Offsets(t.Context(), topic, 1); end != 1 || err != nil {
			t.Errorf("log ends at %d, %v", end, err)
		}
	})
}

// losing is a connection that, once told to lose, breaks at the first byte of
// the answer to a produce request.
type losing struct {
	net.Conn
	lose    *atomic.Bool
	produce atomic.Bool // the last request
}

func (c *losing) Write(b []byte) (int, error) {
	c.produce.Store(len(b) > 6 && b[4] == 0 && b[5] == 0)
	return c.Conn.Write(b)
}

func (c *losing) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil && c.produce.Load() && c.lose.CompareAndSwap(true, false) {
		return 0, net.ErrClosed
	}
	return n, err
}

// A broker that announces 2 GiB, or nothing, is an error before any memory is
// taken.
func TestResponseSizeIsBounded(t *testing.T) {
	for name, announced := range map[string]string{
		"2 GiB": "\x7f\xff\xff\xff", "4 GiB": "\xff\xff\xff\xff", "nothing": "\x00\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			here, there := net.Pipe()
			go func() {
				defer there.Close()
				if _, err := there.Read(make([]byte, 100)); err == nil {
					_, _ = there.Write([]byte(announced))
				}
			}()
			defer here.Close()
			r := &request{head: make([]byte, 8), limit: 1 << 20}
			if err := r.roundTrip(here); err == nil || !strings.Contains(err.Error(), "announces") || cap(r.response) != 0 {
				t.Errorf("got %v, %d bytes allocated", err, cap(r.response))
			}
		})
	}
}

// An exchange that its caller gave up before it began sends nothing, however
// late the transport gets round to it.
func TestAbandonedExchangeSendsNothing(t *testing.T) {
	x := &exchange{request: &request{head: make([]byte, 8)}, done: make(chan struct{})}
	if !x.abandon() {
		t.Fatal("it had not begun")
	}
	if _, err := x.RawExchange(nil); !errors.Is(err, errAbandoned) {
		t.Errorf("got %v", err)
	}
}

// An exchange that is given up while it runs ends at once, and its connection
// isn't used for another one, even if the answer had come by then.
func TestAbandonedExchangeIsInterrupted(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	defer here.Close()
	x := &exchange{request: &request{head: make([]byte, 8), limit: 1 << 20}, done: make(chan struct{})}
	returned := make(chan error, 1)
	go func() {
		_, err := x.RawExchange(here)
		returned <- err
	}()
	if _, err := io.ReadFull(there, make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	if x.abandon() {
		t.Error("said that nothing was sent")
	}
	<-x.done
	if err := <-returned; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want the connection's deadline", err)
	}
}
