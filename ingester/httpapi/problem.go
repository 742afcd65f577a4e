package httpapi

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// problemBase precedes the name of a problem in its type. The types are names:
// they stay as they are, and need not be fetched (RFC 9457, section 3.1.1).
const problemBase = "https://logpipeline.io/problems/"

// kind is what a type of problem always is: its name, status and title.
type kind struct {
	name   string
	status int
	title  string
	// retryAfter is sent as Retry-After, in seconds; 0 for none.
	retryAfter int
}

// The problems. Those with a 4xx status are the client's to mend, but for 429,
// which passes by itself. Every name is part of the API.
var (
	notFound                 = kind{name: "not-found", status: http.StatusNotFound, title: "There is nothing here"}
	methodNotAllowed         = kind{name: "method-not-allowed", status: http.StatusMethodNotAllowed, title: "The method is not allowed"}
	unsupportedMediaType     = kind{name: "unsupported-media-type", status: http.StatusUnsupportedMediaType, title: "The media type is not supported"}
	unsupportedContentCoding = kind{name: "unsupported-content-encoding", status: http.StatusUnsupportedMediaType, title: "The content encoding is not supported"}
	bodyTimeout              = kind{name: "body-timeout", status: http.StatusRequestTimeout, title: "The body came too slowly"}
	incompleteBody           = kind{name: "incomplete-body", status: http.StatusBadRequest, title: "The body is incomplete"}
	bodyTooLarge             = kind{name: "body-too-large", status: http.StatusRequestEntityTooLarge, title: "The body is too large"}
	recordTooLarge           = kind{name: string(record.RecordTooLarge), status: http.StatusRequestEntityTooLarge, title: "A record is too large"}
	tooManyRequests          = kind{name: "too-many-requests", status: http.StatusTooManyRequests, title: "Too many requests at once", retryAfter: 1}
	queueFull                = kind{name: "queue-full", status: http.StatusTooManyRequests, title: "The queue is full", retryAfter: 1}
	draining                 = kind{name: "draining", status: http.StatusServiceUnavailable, title: "The server is shutting down", retryAfter: 1}
	notDelivered             = kind{name: "not-delivered", status: http.StatusServiceUnavailable, title: "The records could not be delivered to Kafka", retryAfter: 5}
	outcomeUnknown           = kind{name: "outcome-unknown", status: http.StatusGatewayTimeout, title: "It is not known whether the records are in Kafka"}
	internalError            = kind{name: "internal-error", status: http.StatusInternalServerError, title: "The server has a fault"}
)

// refusedRecords has the kinds of record.ParseError, all but RecordTooLarge,
// under their own names.
func refusedRecords(k record.Kind) kind {
	titles := map[record.Kind]string{
		record.MalformedJSON:  "The body is not valid JSON",
		record.InvalidUTF8:    "The body is not valid UTF-8",
		record.NotAnObject:    "A record is not a JSON object",
		record.NestingTooDeep: "A record is nested too deeply",
		record.NoRecords:      "The body holds no records",
	}
	return kind{name: string(k), status: http.StatusBadRequest, title: titles[k]}
}

// problem is a refusal as RFC 9457 has it, with members of our own.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Batch is the id of a batch that had been accepted.
	Batch string `json:"batch,omitempty"`
	// Record is the index of the record that is refused, from 0, and Offset
	// where in the body the reason was found, in bytes from 0.
	Record *int   `json:"record,omitempty"`
	Offset *int64 `json:"offset,omitempty"`
	// Placements say which leading part of the batch is in Kafka, if any is.
	Placements []record.Placement `json:"placements,omitempty"`

	kind    kind
	headers [][2]string
	// broken is set where the rest of the body can't be read.
	broken bool
	// clientGone is set where nobody is there to read the response.
	clientGone bool
}

func newProblem(k kind, detail string, args ...any) *problem {
	return &problem{Type: problemBase + k.name, Title: k.title, Status: k.status, Detail: fmt.Sprintf(detail, args...), kind: k}
}

// header adds a header field to the response.
func (p *problem) header(name, value string) {
	p.headers = append(p.headers, [2]string{name, value})
}

// admissionProblem says why the queue granted no reservation.
func admissionProblem(err error) *problem {
	switch {
	case errors.Is(err, record.ErrClosed):
		return newProblem(draining, "this server takes no more records; send them to another, or retry later")
	case errors.Is(err, record.ErrNeverFits):
		return newProblem(bodyTooLarge, "%v, which queue.maxBytes sets; send fewer records in a request", err)
	case errors.Is(err, record.ErrFull):
		return newProblem(queueFull, "%v; retry later", err)
	}
	return newProblem(internalError, "%v", err)
}

// parseProblem says why the parser refused the body.
func parseProblem(err error) *problem {
	var refusal *record.ParseError
	if !errors.As(err, &refusal) {
		return admissionProblem(err)
	}
	var p *problem
	if refusal.Kind == record.RecordTooLarge {
		p = newProblem(recordTooLarge, "%s (requestLimits.maxRecordBytes)", refusal.Reason)
	} else {
		p = newProblem(refusedRecords(refusal.Kind), "%s", refusal.Reason)
	}
	p.Offset = &refusal.Offset
	if refusal.Record >= 0 {
		p.Record = &refusal.Record
	}
	return p
}
