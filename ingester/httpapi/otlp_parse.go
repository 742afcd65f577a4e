package httpapi

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/logpipeline/logpipeline/ingester/record"
)

const (
	// malformedOTLP is a body that is no ExportLogsServiceRequest.
	malformedOTLP record.Kind = "malformed-otlp"
	// recordsRejected is a request of which no log record can be taken.
	recordsRejected record.Kind = "records-rejected"
)

// The problems that only OTLP has, as the metrics count them.
var (
	otlpMalformed = kind{name: string(malformedOTLP), status: http.StatusBadRequest, title: "The body is not an OTLP request"}
	otlpRejected  = kind{name: string(recordsRejected), status: http.StatusBadRequest, title: "None of the log records can be taken"}
)

// parseOTLP fills the batch with the records of an ExportLogsServiceRequest in
// protobuf's wire format. Records that can't be taken are left out, which the
// error, a *partial, says; any other error leaves the batch of no use.
func parseOTLP(b *record.Batch, body []byte, limits record.Limits) error {
	w := otlpWriter{limits: limits}
	w.request(body)
	switch {
	case w.err != nil:
		return w.err
	case w.records == 0 && w.rejected > 0:
		return &record.ParseError{Kind: recordsRejected, Record: -1, Offset: -1, Reason: w.reasons()}
	case w.records == 0:
		return nil
	}
	w.shrink()
	// The parser of POST /logs has the last word on what a record is.
	err := record.ParseNDJSON(b, w.lines, limits)
	if refusal := (*record.ParseError)(nil); errors.As(err, &refusal) {
		return errors.New("write log records as JSON: " + refusal.Error()) // not the sender's fault
	}
	if err != nil {
		return err
	}
	if w.rejected > 0 {
		return &partial{rejected: w.rejected, reason: w.reasons()}
	}
	return nil
}

// shrink moves the lines out of a buffer that is much larger, which the queue
// would hold otherwise. Without room to move, the larger one does as well.
func (w *otlpWriter) shrink() {
	n := len(w.lines)
	if n > cap(w.lines)/2 || w.limits.Reserve != nil && w.limits.Reserve(int64(n)) != nil {
		return
	}
	w.lines = append(make([]byte, 0, n), w.lines...)
}

// reasons says what was rejected, and why the first of it was.
func (w *otlpWriter) reasons() string {
	return fmt.Sprintf("%d of %d log records are rejected; %s", w.rejected, w.records+w.rejected, w.reason)
}

// parseOTLPJSON is parseOTLP for OTLP's JSON form. Members with unknown names
// have to be ignored; where that leaves nothing, the sender is told.
func parseOTLPJSON(b *record.Batch, body []byte, limits record.Limits) error {
	request, ignored, err := transcodeOTLP(body, limits)
	if err != nil {
		return err
	}
	if len(request) == 0 && ignored != "" {
		return &partial{reason: fmt.Sprintf("the request has no resourceLogs, so it holds no log records; its member %q is not one of OTLP's and is ignored", ignored)}
	}
	return parseOTLP(b, request, limits)
}
