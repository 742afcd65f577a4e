package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
)

// Stored is what `ingester verify -o json` says of a pipeline's storage, as
// far as a scenario reads it.
type Stored struct {
	Complete bool  `json:"complete"`
	Records  int64 `json:"records"`
	Segments int64 `json:"segments"`
}

// Verify runs verify in the consumer's pod. A chain that isn't complete is an
// answer, not an error.
func (c Cluster) Verify(ctx context.Context, p Pipeline) (Stored, error) {
	return readStored(c.inConsumer(ctx, p, "verify", "--data-dir", "/data", "-o", "json"))
}

// VerifyApart runs verify in a pod of its own: it neither needs a consumer nor
// takes CPU time from one.
func (c Cluster) VerifyApart(ctx context.Context, p Pipeline, images Images) (Stored, error) {
	_, said, err := c.once(ctx, p.Namespace, images.Ingester, p.Name, "verify", "--data-dir", "/data", "-o", "json")
	return readStored(said, err)
}

func readStored(said string, err error) (Stored, error) {
	var stored Stored
	if jsonErr := json.Unmarshal([]byte(said), &stored); jsonErr != nil {
		return Stored{}, fmt.Errorf("read the answer of verify: %w (%w): %q", jsonErr, err, said)
	}
	return stored, nil
}

// VerifyText is the answer of verify for people.
func (c Cluster) VerifyText(ctx context.Context, p Pipeline) (string, error) {
	return c.inConsumer(ctx, p, "verify", "--data-dir", "/data")
}

// FirstRecords returns the first stored lines of the pipeline, with the names
// of the segments that they stand in.
func (c Cluster) FirstRecords(ctx context.Context, p Pipeline, limit int) (string, error) {
	return c.inConsumer(ctx, p, "cat", "--data-dir", "/data", "--limit", strconv.Itoa(limit), "--names")
}

// AwaitStored waits until exactly the wanted number of records is stored and
// proven complete. More than that is an error at once: a record was doubled.
func (c Cluster) AwaitStored(ctx context.Context, p Pipeline, want int64) (Stored, error) {
	var stored Stored
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err := Eventually(ctx, func() error {
		var err error
		if stored, err = c.Verify(ctx, p); err != nil {
			return err
		}
		if stored.Records > want {
			cancel(fmt.Errorf("%d records are stored, more than the %d acknowledged", stored.Records, want))
		}
		if stored.Records != want || !stored.Complete {
			return fmt.Errorf("%d of %d records are stored, complete: %t", stored.Records, want, stored.Complete)
		}
		return nil
	})
	return stored, err
}

func (c Cluster) inConsumer(ctx context.Context, p Pipeline, arguments ...string) (string, error) {
	command := []string{"exec", "-n", p.Namespace, "deployment/" + p.Name + "-consumer", "--", "/ingester"}
	return c.Run(ctx, append(command, arguments...)...)
}
