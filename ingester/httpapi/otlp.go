package httpapi

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// otlp is the dialect of OTLP/HTTP logs, as version 1.10 of the OTLP
// specification has it; docs/otlp.md says what a log record becomes, and what
// each answer means to a client. The answer is in the encoding of the request.
var otlp = dialect{formatOf: otlpFormat, receipt: writeExport, refusal: writeStatus}

const otlpTypes = "application/x-protobuf, application/json"

// otlpFormat picks the parser for a request's Content-Type.
func otlpFormat(header http.Header) (format, *problem) {
	decode, p := codingOf(header)
	if p != nil {
		return format{}, p
	}
	contentType := header.Get("Content-Type")
	switch mediaType, _, _ := mime.ParseMediaType(contentType); mediaType {
	case protobufField[0]:
		return format{parseOTLP, decode}, nil
	case jsonField[0]:
		return format{parseOTLPJSON, decode}, nil
	}
	p = newProblem(unsupportedMediaType, "Content-Type is %q; OTLP is sent as %s", contentType, strings.Replace(otlpTypes, ",", " or", 1))
	p.header("Accept-Post", otlpTypes)
	return format{}, p
}

// inProtobuf reports whether a request is answered in the wire format, and not
// in JSON.
func inProtobuf(r *http.Request) bool {
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return mediaType == protobufField[0]
}

// writeExport answers with an ExportLogsServiceResponse. Its status is 200
// whatever the acknowledgement, for OTLP knows no other.
func writeExport(r *http.Request, accepted *receipt, buffer []byte) response {
	if accepted.rejected == nil {
		return exported(r, 0, "", buffer)
	}
	return exported(r, accepted.rejected.rejected, accepted.rejected.reason, buffer)
}

// exported is the response to a request of which so many records, for a
// reason, are not taken. A reason alone is a warning.
func exported(r *http.Request, rejected int, reason string, buffer []byte) response {
	if inProtobuf(r) {
		if reason != "" {
			partial := protowire.AppendVarint([]byte{1<<3 | byte(asVarint)}, uint64(rejected))
			partial = protowire.AppendString(append(partial, 2<<3|byte(asBytes)), reason)
			buffer = protowire.AppendBytes(append(buffer, 1<<3|byte(asBytes)), partial)
		}
		return response{http.StatusOK, protobufField[0], buffer}
	}
	if reason == "" {
		return response{http.StatusOK, jsonField[0], append(buffer, "{}\n"...)}
	}
	// An int64 is a string in protobuf's JSON.
	buffer = strconv.AppendInt(append(buffer, `{"partialSuccess":{"rejectedLogRecords":"`...), int64(rejected), 10)
	buffer = appendJSON(append(buffer, `","errorMessage":`...), reason)
	return response{http.StatusOK, jsonField[0], append(buffer, "}}\n"...)}
}

// writeStatus answers with a google.rpc.Status that says what the problem is;
// where Kafka took all records but those that it can't take, with a partial
// success.
func writeStatus(r *http.Request, p *problem, buffer []byte) response {
	if refused := p.refusedRecords(); refused > 0 {
		return exported(r, refused, p.message(), buffer)
	}
	status := otlpStatus{Message: p.message()}
	if p.Status == http.StatusBadRequest {
		status.Details = []otlpBadRequest{{badRequestType, []otlpViolation{{p.Detail}}}}
	}
	if inProtobuf(r) {
		return response{retryable(p), protobufField[0], status.appendWire(buffer)}
	}
	document, err := json.Marshal(status)
	if err != nil { // a status holds nothing that can't be encoded
		panic(err)
	}
	return response{retryable(p), jsonField[0], append(append(buffer, document...), '\n')}
}

// refusedRecords is how many records of a request were not taken because of
// what they are, when others were; 0 where none were taken, or the reason is
// another.
func (p *problem) refusedRecords() int {
	if len(p.Placements) == 0 || p.kind != recordTooLarge && p.kind != recordRefused {
		return 0
	}
	refused := p.records
	for _, placement := range p.Placements {
		refused -= int(placement.LastOffset - placement.FirstOffset + 1)
	}
	if p.rejected != nil {
		refused += p.rejected.rejected
	}
	return refused
}

// retryable is the status that the problem has in OTLP, whose clients give
// records up at every status but 429, 502, 503 and 504. What passes by itself,
// or is no fault of the records, must be one of these.
func retryable(p *problem) int {
	switch p.kind {
	case bodyTimeout, internalError:
		return http.StatusServiceUnavailable
	}
	return p.Status
}

// message is the problem in one line.
func (p *problem) message() string {
	text := p.kind.name + ": " + p.Detail
	if p.Offset != nil && *p.Offset >= 0 {
		text += fmt.Sprintf(" (at byte %d of the body)", *p.Offset)
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

const badRequestType = "type.googleapis.com/google.rpc.BadRequest"

// otlpStatus is a google.rpc.Status.
type otlpStatus struct {
	Message string           `json:"message"`
	Details []otlpBadRequest `json:"details,omitempty"`
}

// otlpBadRequest is a google.protobuf.Any with a google.rpc.BadRequest.
type otlpBadRequest struct {
	Type       string          `json:"@type"`
	Violations []otlpViolation `json:"fieldViolations"`
}

type otlpViolation struct {
	Description string `json:"description"`
}

// appendWire appends the status in the wire format.
func (s otlpStatus) appendWire(b []byte) []byte {
	b = protowire.AppendString(append(b, 2<<3|byte(asBytes)), s.Message)
	for _, detail := range s.Details {
		var badRequest []byte
		for _, violation := range detail.Violations {
			description := protowire.AppendString([]byte{2<<3 | byte(asBytes)}, strings.ToValidUTF8(violation.Description, "\uFFFD"))
			badRequest = protowire.AppendBytes(append(badRequest, 1<<3|byte(asBytes)), description)
		}
		packed := protowire.AppendString([]byte{1<<3 | byte(asBytes)}, detail.Type)
		packed = protowire.AppendBytes(append(packed, 2<<3|byte(asBytes)), badRequest)
		b = protowire.AppendBytes(append(b, 3<<3|byte(asBytes)), packed)
	}
	return b
}
