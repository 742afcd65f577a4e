package consumer_test

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestTransactions: markers and aborted records are offsets that hold nothing
// for a reader; they count as done, also at the end of the log.
func TestTransactions(t *testing.T) {
	onEveryBroker(t, 1, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		producer, err := kgo.NewClient(kgo.SeedBrokers(b.servers...), kgo.TransactionalID(b.name), kgo.DefaultProduceTopic(b.name))
		if err != nil {
			t.Fatal(err)
		}
		defer producer.Close()
		transact := func(end kgo.TransactionEndTry, values ...string) {
			t.Helper()
			if err := producer.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			for _, v := range values {
				if err := producer.ProduceSync(t.Context(), kgo.StringRecord(v)).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			if err := producer.EndTransaction(t.Context(), end); err != nil {
				t.Fatal(err)
			}
		}
		transact(kgo.TryAbort, `"never seen"`)
		transact(kgo.TryCommit, line(0, 0), line(0, 1))
		transact(kgo.TryAbort, "not even\na line")
		transact(kgo.TryCommit, line(0, 2))
		b.sent[0] = 3
		p := start(b, dir)
		waitStored(b, dir)
		transact(kgo.TryAbort, `"never seen"`) // after the last record: pending when the chain is left
		_, end, err := b.client.Offsets(t.Context(), b.name, 0)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "read to the end", func() error {
			if got := p.faults.appended.Load(); got != end {
				return fmt.Errorf("appended up to %d of %d", got, end)
			}
			return nil
		})
		p.stop()
		report := waitStored(b, dir)
		c := report.Chains[0]
		if got, want := [3]int64{c.NextOffset, c.Records, c.WithoutRecords}, [3]int64{end, 3, end - 3}; got != want {
			t.Errorf("next offset, records and offsets without: %v, want %v", got, want)
		}
	})
}
