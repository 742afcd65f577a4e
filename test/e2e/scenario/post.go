package scenario

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// post sends a batch until it is acknowledged, and returns the receipt and how
// often it was refused. A definite refusal is tried again; any other answer is
// an error, for a scenario's counts have to match to the record.
func post(ctx context.Context, client *http.Client, url string, body []byte, records int) (receipt string, refused int64, err error) {
	for {
		answer, err := send(ctx, client, url, "", body)
		switch {
		case err != nil:
			return "", refused, err
		case answer.status == http.StatusOK || answer.status == http.StatusAccepted:
			receipt, err := answer.receipt(records)
			return receipt, refused, err
		case !answer.refuses():
			return "", refused, fmt.Errorf("post %s: status %d: %s", url, answer.status, answer.body)
		}
		refused++
		select {
		case <-ctx.Done():
			return "", refused, ctx.Err()
		case <-time.After(max(answer.retryAfter, time.Second)):
		}
	}
}

type answer struct {
	status     int
	retryAfter time.Duration
	problem    bool // it is the ingester's own
	body       []byte
}

// refuses: the ingester says so, or no connection to one came about.
func (a answer) refuses() bool {
	if a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable && a.problem {
		return true
	}
	return a.status == http.StatusServiceUnavailable &&
		(bytes.Contains(a.body, []byte("dial tcp")) || bytes.Contains(a.body, []byte("no endpoints available")))
}

func (a answer) receipt(records int) (string, error) {
	var receipt struct{ Records int }
	if err := json.Unmarshal(a.body, &receipt); err != nil {
		return "", fmt.Errorf("read receipt %q: %w", a.body, err)
	}
	if receipt.Records != records {
		return "", fmt.Errorf("receipt says %d records, sent %d: %s", receipt.Records, records, a.body)
	}
	return string(bytes.TrimSpace(a.body)), nil
}

// send posts a batch once, with a bearer token unless that is empty.
func send(ctx context.Context, client *http.Client, url, token string, body []byte) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Content-Type", "application/x-ndjson")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	said, err := io.ReadAll(response.Body)
	seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
	return answer{
		status: response.StatusCode, retryAfter: time.Duration(seconds) * time.Second, body: said,
		problem: strings.HasPrefix(response.Header.Get("Content-Type"), "application/problem+json"),
	}, err
}
