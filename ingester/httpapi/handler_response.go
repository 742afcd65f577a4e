package httpapi

import "strconv"

// declareLength says how long the response is, mostly as long as the one before.
func (x *exchange) declareLength(n int) {
	if n != x.length {
		x.length, x.lengthText[0] = n, strconv.Itoa(n)
	}
	x.w.Header()["Content-Length"] = x.lengthText[:]
}

// send writes a response; a client that is gone is no error of ours.
func (x *exchange) send(answer response) {
	header := x.w.Header()
	if answer.contentType != "" {
		header["Content-Type"] = contentTypeField(answer.contentType)
	}
	if x.draining.Load() {
		header.Set("Connection", "close")
	}
	x.status = answer.status
	x.w.WriteHeader(answer.status)
	_, _ = x.w.Write(answer.body)
}

// jsonField and protobufField are header fields that all responses share.
var (
	jsonField     = []string{"application/json"}
	protobufField = []string{"application/x-protobuf"}
)

func contentTypeField(value string) []string {
	switch value {
	case jsonField[0]:
		return jsonField
	case protobufField[0]:
		return protobufField
	}
	return []string{value}
}

// sendProblem writes a problem in the words of the request's dialect.
func (x *exchange) sendProblem(p *problem) {
	answer := x.dialect.refusal(x.r, p, x.buffer[:0])
	x.buffer = answer.body
	header := x.w.Header()
	for _, field := range p.headers {
		header.Set(field[0], field[1])
	}
	if p.retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	x.declareLength(len(answer.body)) // for it may be flushed
	x.send(answer)
}
