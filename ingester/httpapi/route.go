package httpapi

import (
	"fmt"
	"net/http"
	"strings"
)

// dialect is one way in which shippers speak: where they post to, which bodies
// they send, and how they are told what became of them. All between, from the
// admission of a body to its records' way to Kafka, is the same for each.
type dialect struct {
	// formatOf says how a body that comes with these headers is decoded and
	// parsed, or refuses it. A parser that leaves records out, because its
	// dialect allows that, returns a *partial.
	formatOf func(header http.Header) (format, *problem)
	// receipt and refusal are the answers to r; they append the body of the
	// response to buffer. Headers that belong to a problem (Retry-After,
	// Allow and their like) are sent in every dialect.
	receipt func(r *http.Request, accepted *receipt, buffer []byte) response
	refusal func(r *http.Request, p *problem, buffer []byte) response
}

// response is what a dialect says.
type response struct {
	status      int
	contentType string
	body        []byte
}

// partial says that a parser left records of a body out. The batch holds the
// others, and is accepted.
type partial struct {
	rejected int
	reason   string
}

// Error says how many were left out, and why.
func (p *partial) Error() string { return p.reason }

// The paths that are served.
const (
	logsPath    = "/logs"
	otlpPath    = "/v1/logs"
	batchesPath = "/logs/batches/"
)

// logs is the dialect of this project's own: POST /logs.
var logs = dialect{formatOf: formatOf, receipt: writeReceipt, refusal: writeProblem}

// resource is what stands at a path: a dialect that is posted to, or a batch
// that can be looked up.
type resource struct {
	dialect *dialect
	batch   string
	// methods are those allowed, as the header Allow has them.
	methods string
}

// resourceAt returns what stands at the path; without methods, nothing does.
func resourceAt(path string) resource {
	switch path {
	case logsPath:
		return resource{dialect: &logs, methods: "POST, OPTIONS"}
	case otlpPath:
		return resource{dialect: &otlp, methods: "POST, OPTIONS"}
	}
	if batch, found := strings.CutPrefix(path, batchesPath); found && batch != "" {
		return resource{dialect: &logs, batch: batch, methods: "GET, HEAD, OPTIONS"}
	}
	return resource{dialect: &logs}
}

// allows reports whether the method is one of the resource's.
func (s resource) allows(method string) bool {
	for allowed := range strings.SplitSeq(s.methods, ", ") {
		if allowed == method {
			return true
		}
	}
	return false
}

// refuse says why a method can't be used here; admin is where metrics are, ""
// if nobody knows.
func (s resource) refuse(r *http.Request, admin string) *problem {
	if s.methods == "" {
		p := newProblem(notFound, "there is nothing at %q; records go to POST %s, or, as OTLP, to POST %s", r.URL.Path, logsPath, otlpPath)
		if admin != "" {
			p.Detail += fmt.Sprintf("; metrics, health and signals are at %q", admin)
		}
		return p
	}
	p := newProblem(methodNotAllowed, "method is %q; %s takes %s", r.Method, r.URL.Path, s.methods)
	p.header("Allow", s.methods)
	return p
}
