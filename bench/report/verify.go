package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
)

// Verified is what `ingester verify` says of a data directory.
type Verified struct {
	Complete          bool
	Records, Segments int64
	Problems          []struct{ Path, Problem string }
}

// Verify has the ingester, a program, prove a data directory. The error says
// why it is not proven to be complete and without gaps.
func Verify(ctx context.Context, program, data string) (Verified, error) {
	output, err := exec.CommandContext(ctx, program, "verify", "--data-dir", data, "--no-gaps", "-o", "json").Output()
	var v Verified
	if parsed := json.Unmarshal(output, &v); parsed != nil {
		return v, errors.Join(fmt.Errorf("verify %s: %w", data, parsed), err)
	}
	if err != nil || !v.Complete {
		return v, fmt.Errorf("verify %s: not complete: %v (%w)", data, v.Problems, err)
	}
	return v, nil
}
