package aggregate

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

const (
	// problemBase precedes the name of a problem in its type; see RFC 9457.
	problemBase = "https://logpipeline.io/problems/"
	// answerTime bounds the work for one answer. It is shorter than the time
	// that the admin server gives a response.
	answerTime = 8 * time.Second
)

// problem is a refusal as RFC 9457 has it. Field, Value and Remedy are there
// when a parameter is at fault.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Field  string `json:"field,omitempty"`
	Value  string `json:"value,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}

// handler answers GET /aggregates.
type handler struct {
	plan    *Plan
	topic   string
	rollups Rollups
	logger  *slog.Logger
	turn    chan struct{} // holds one token: one answer is worked on at a time
}

// NewHandler returns the handler of GET /aggregates, which answers with a
// Report as JSON, from the roll-ups that a topic has in the store; see
// ParseQuery. A refusal is application/problem+json. One answer is worked on
// at a time, so that it can't take the consumer's memory; others wait.
func NewHandler(plan *Plan, topic string, rollups Rollups, logger *slog.Logger) http.Handler {
	return &handler{plan, topic, rollups, logger, make(chan struct{}, 1)}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		writeProblem(w, problem{Type: "method-not-allowed", Title: "The method is not allowed", Status: http.StatusMethodNotAllowed, Detail: "use GET"})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	report, err := h.answer(ctx, r)
	if err != nil {
		if r.Context().Err() == nil {
			writeProblem(w, h.problemOf(err))
		}
		return
	}
	writeJSON(w, http.StatusOK, "application/json", report)
}

func (h *handler) answer(ctx context.Context, r *http.Request) (Report, error) {
	query, err := h.plan.ParseQuery(r.URL.Query(), time.Now())
	if err != nil {
		return Report{}, err
	}
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-ctx.Done():
		return Report{}, ctx.Err()
	}
	answer, coverage, err := h.plan.Gather(ctx, h.rollups, h.topic, query, nil)
	if err != nil {
		return Report{}, err
	}
	return answer.Report(coverage), nil
}

func (h *handler) problemOf(err error) problem {
	var query *QueryError
	switch {
	case errors.As(err, &query):
		return problem{
			Type: "malformed-query", Title: "The query is malformed", Status: http.StatusBadRequest, Detail: query.Error(),
			Field: query.Field, Value: query.Value, Remedy: query.Remedy,
		}
	case errors.Is(err, ErrTooManyRows):
		return problem{
			Type: "too-many-rows", Title: "The answer has too many rows", Status: http.StatusUnprocessableEntity, Detail: err.Error(),
			Remedy: "ask for a shorter time, a longer step or fewer fields",
		}
	case errors.Is(err, context.DeadlineExceeded):
		return problem{
			Type: "took-too-long", Title: "The answer takes too long", Status: http.StatusServiceUnavailable, Detail: err.Error(),
			Remedy: "ask for a shorter time, or use the command ingester aggregate, which has no deadline",
		}
	}
	h.logger.Error("aggregates cannot be read", "error", err)
	return problem{
		Type: "storage-unavailable", Title: "The store cannot be read", Status: http.StatusServiceUnavailable, Detail: err.Error(),
		Remedy: "ask again when the store can be reached",
	}
}

func writeProblem(w http.ResponseWriter, p problem) {
	p.Type = problemBase + p.Type
	writeJSON(w, p.Status, "application/problem+json", p)
}

func writeJSON(w http.ResponseWriter, status int, contentType string, content any) {
	document, err := json.Marshal(content)
	if err != nil { // numbers are finite, and values valid JSON
		panic(err)
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(append(document, '\n')) // a client that has left misses nothing
}
