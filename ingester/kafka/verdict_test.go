package kafka

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The table is the decision: every code that the protocol defines, and what it
// means for a batch that was answered so.
func TestClassifyCodes(t *testing.T) {
	want := map[Verdict][]int16{
		Unexplained:  {-1},
		Retry:        {2, 3, 5, 19, 89, 100},
		TooLarge:     {10, 18},
		Refused:      {17, 21, 29, 31, 32, 35, 42, 43, 44, 76, 87},
		Duplicate:    {46},
		SequenceLost: {45, 59},
		ProducerLost: {47, 49, 90},
	}
	definite := map[int16]bool{}
	for _, codes := range want {
		for _, code := range codes {
			definite[code] = true
		}
	}
	for code := int16(-1); code <= 150; code++ { // all others may be answered after the append, or mean nothing to us
		if code != 0 && !definite[code] {
			want[InDoubt] = append(want[InDoubt], code)
		}
	}
	got := map[Verdict][]int16{}
	for code := int16(-1); code <= 150; code++ {
		if code != 0 {
			v := Classify(fmt.Errorf("produce: %w", codeError(code, "text")))
			got[v] = append(got[v], code)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestClassifyExchanges(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		want   Verdict
		reason string
	}{
		"success":             {nil, Acknowledged, "none"},
		"nothing sent":        {&ExchangeError{Sent: false, Err: errors.New("dial")}, Retry, "connection"},
		"connection lost":     {&ExchangeError{Sent: true, Err: errors.New("reset")}, InDoubt, "connection"},
		"no answer in time":   {&ExchangeError{Sent: true, Err: context.DeadlineExceeded}, InDoubt, "time-out"},
		"cancelled":           {&ExchangeError{Sent: true, Err: context.Canceled}, InDoubt, "cancelled"},
		"malformed response":  {malformed(errTruncated), InDoubt, "connection"},
		"anything else":       {errors.New("?"), InDoubt, "connection"},
		"leader lost it late": {codeError(6, ""), InDoubt, "Not Leader For Partition"},
		"replicas lost late":  {codeError(20, ""), InDoubt, "Not Enough Replicas After Append"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Classify(c.err); got != c.want {
				t.Errorf("verdict %d, want %d", got, c.want)
			}
			if got := Reason(c.err); got != c.reason {
				t.Errorf("reason %q, want %q", got, c.reason)
			}
		})
	}
}
