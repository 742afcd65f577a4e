package httpapi

import (
	"encoding/json"
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
	// retryAfter is sent as Retry-After, in seconds, where nothing better is
	// known; 0 for none.
	retryAfter int
}

// The problems. Those with a 4xx status are the client's to mend, but for 408
// and 429, which pass by themselves. Every name is part of the API; docs/http.md
// says what a client should do about each.
var (
	notFound                   = kind{name: "not-found", status: http.StatusNotFound, title: "There is nothing here"}
	methodNotAllowed           = kind{name: "method-not-allowed", status: http.StatusMethodNotAllowed, title: "The method is not allowed"}
	unauthorized               = kind{name: "unauthorized", status: http.StatusUnauthorized, title: "Credentials are needed"}
	forbidden                  = kind{name: "forbidden", status: http.StatusForbidden, title: "The credentials are not good for this"}
	unknownAcknowledgement     = kind{name: "unknown-acknowledgement", status: http.StatusBadRequest, title: "There is no such acknowledgement"}
	weakerAcknowledgement      = kind{name: "weaker-acknowledgement", status: http.StatusBadRequest, title: "A weaker acknowledgement is not given"}
	unavailableAcknowledgement = kind{name: "unavailable-acknowledgement", status: http.StatusBadRequest, title: "The acknowledgement can't be given here"}
	unknownParameter           = kind{name: "unknown-parameter", status: http.StatusBadRequest, title: "There is no such parameter"}
	malformedQuery             = kind{name: "malformed-query", status: http.StatusBadRequest, title: "The query is malformed"}
	repeatedHeader             = kind{name: "repeated-header", status: http.StatusBadRequest, title: "A header is given twice"}
	lengthRequired             = kind{name: "length-required", status: http.StatusLengthRequired, title: "The length of the body is not declared"}
	malformedIdempotencyKey    = kind{name: "malformed-idempotency-key", status: http.StatusBadRequest, title: "The idempotency key is malformed"}
	idempotencyKeyReused       = kind{name: "idempotency-key-reused", status: http.StatusUnprocessableEntity, title: "The idempotency key was used for another request"}
	malformedBatchID           = kind{name: "malformed-batch-id", status: http.StatusBadRequest, title: "That is no batch id"}
	otherInstance              = kind{name: "other-instance", status: http.StatusNotFound, title: "Another instance took the batch"}
	unknownBatch               = kind{name: "unknown-batch", status: http.StatusNotFound, title: "The batch is not remembered"}
	unsupportedMediaType       = kind{name: "unsupported-media-type", status: http.StatusUnsupportedMediaType, title: "The media type is not supported"}
	unsupportedContentCoding   = kind{name: "unsupported-content-encoding", status: http.StatusUnsupportedMediaType, title: "The content encoding is not supported"}
	malformedEncoding          = kind{name: "malformed-encoding", status: http.StatusBadRequest, title: "The body is not encoded as its header says"}
	bodyTimeout                = kind{name: "body-timeout", status: http.StatusRequestTimeout, title: "The body came too slowly"}
	incompleteBody             = kind{name: "incomplete-body", status: http.StatusBadRequest, title: "The body is incomplete"}
	bodyTooLarge               = kind{name: "body-too-large", status: http.StatusRequestEntityTooLarge, title: "The body is too large"}
	recordTooLarge             = kind{name: string(record.RecordTooLarge), status: http.StatusRequestEntityTooLarge, title: "A record is too large"}
	recordRefused              = kind{name: "record-refused", status: http.StatusUnprocessableEntity, title: "The topic does not take a record"}
	tooManyRequests            = kind{name: "too-many-requests", status: http.StatusTooManyRequests, title: "Too many requests at once", retryAfter: 1}
	queueFull                  = kind{name: "queue-full", status: http.StatusTooManyRequests, title: "The queue is full"}
	kafkaUnreachable           = kind{name: "kafka-unreachable", status: http.StatusServiceUnavailable, title: "Kafka does not answer, and the queue is full"}
	spoolFull                  = kind{name: "spool-full", status: http.StatusServiceUnavailable, title: "The spool is full", retryAfter: 5}
	draining                   = kind{name: "draining", status: http.StatusServiceUnavailable, title: "The server is shutting down", retryAfter: 1}
	notDelivered               = kind{name: "not-delivered", status: http.StatusServiceUnavailable, title: "The records could not be delivered to Kafka", retryAfter: 5}
	outcomeUnknown             = kind{name: "outcome-unknown", status: http.StatusGatewayTimeout, title: "It is not known whether the records are in Kafka"}
	internalError              = kind{name: "internal-error", status: http.StatusInternalServerError, title: "The server has a fault"}

	malformedJSON  = kind{name: string(record.MalformedJSON), status: http.StatusBadRequest, title: "The body is not valid JSON"}
	invalidUTF8    = kind{name: string(record.InvalidUTF8), status: http.StatusBadRequest, title: "The body is not valid UTF-8"}
	notAnObject    = kind{name: string(record.NotAnObject), status: http.StatusBadRequest, title: "A record is not a JSON object"}
	nestingTooDeep = kind{name: string(record.NestingTooDeep), status: http.StatusBadRequest, title: "A record is nested too deeply"}
	noRecords      = kind{name: string(record.NoRecords), status: http.StatusBadRequest, title: "The body holds no records"}
)

// kinds are all of them, and those of OTLP.
var kinds = []kind{
	notFound, methodNotAllowed, unauthorized, forbidden,
	unknownAcknowledgement, weakerAcknowledgement, unavailableAcknowledgement,
	malformedQuery, unknownParameter, repeatedHeader, lengthRequired,
	malformedIdempotencyKey, idempotencyKeyReused, malformedBatchID, otherInstance, unknownBatch,
	unsupportedMediaType, unsupportedContentCoding, malformedEncoding,
	bodyTimeout, incompleteBody, bodyTooLarge, recordTooLarge, recordRefused,
	tooManyRequests, queueFull, kafkaUnreachable, spoolFull, draining,
	notDelivered, outcomeUnknown, internalError,
	malformedJSON, invalidUTF8, notAnObject, nestingTooDeep, noRecords,
	otlpMalformed, otlpRejected,
}

// problem is a refusal as RFC 9457 has it, with members of our own.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Batch is the id of a batch that had been accepted.
	Batch string `json:"batch,omitempty"`
	// Owner is the instance whose batch was looked up.
	Owner string `json:"owner,omitempty"`
	// Record is the index of the record that is refused, from 0, and Offset
	// where in the body the reason was found, in bytes from 0.
	Record *int   `json:"record,omitempty"`
	Offset *int64 `json:"offset,omitempty"`
	// Placements say which records of the batch are in Kafka, if any are.
	Placements []record.Placement `json:"placements,omitempty"`

	kind    kind
	headers [][2]string
	// records is how many the batch has, and rejected what a parser had left
	// out before: what a dialect that can say "in part" needs.
	records  int
	rejected *partial
	// retryAfter is sent as Retry-After, in seconds; 0 for none.
	retryAfter int
	// broken is set where the rest of the body can't be read.
	broken bool
	// clientGone is set where nobody is there to read the response.
	clientGone bool
}

func newProblem(k kind, detail string, args ...any) *problem {
	return &problem{Type: problemBase + k.name, Title: k.title, Status: k.status, Detail: fmt.Sprintf(detail, args...), kind: k, retryAfter: k.retryAfter}
}

// header adds a header field to the response.
func (p *problem) header(name, value string) {
	p.headers = append(p.headers, [2]string{name, value})
}

// writeProblem is the refusal of the dialect of POST /logs.
func writeProblem(_ *http.Request, p *problem, buffer []byte) response {
	document, err := json.Marshal(p)
	if err != nil { // a problem holds nothing that can't be encoded
		panic(err)
	}
	buffer = append(append(buffer, document...), '\n') // the next prompt of a person's shell begins on its own line
	return response{p.Status, "application/problem+json", buffer}
}
