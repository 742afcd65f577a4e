package httpapi

import (
	"fmt"

	"github.com/logpipeline/logpipeline/ingester/record"
)

const (
	// otlpExpansion bounds what a byte of protobuf becomes as JSON: the worst
	// is a control character in a string, which becomes \u00XX.
	otlpExpansion = 6
	// otlpNames is more than all member names, punctuation and numbers of
	// fixed size in a record take, without its resource and scope, and more
	// than those of resource and scope take.
	otlpNames = 320
)

// otlpWriter turns an ExportLogsServiceRequest into one JSON object a line for
// each of its log records; docs/otlp.md describes them. It reads the wire
// format as it stands and writes the JSON straight away, so that nothing is
// held in memory beside the body and the lines, and both are reserved before
// they are written.
type otlpWriter struct {
	limits record.Limits
	body   []byte

	lines []byte
	// origin is the members "resource" and "scope" as they end each record
	// of one ScopeLogs.
	origin  []byte
	entries otlpEntries

	records  int
	rejected int
	reason   string // why the first rejected record was
	fault    string // why the record at hand, or its origin, can't be taken
	err      error  // why the request can't be
}

// request writes all records, or stops with err.
func (w *otlpWriter) request(body []byte) {
	w.body = body
	w.lines = w.room(nil, w.estimate())
	for f := w.fields(body); f.next(); {
		if f.tag == requestResourceLogs {
			w.resourceLogs(f.bytes)
		}
	}
}

// estimate is how many bytes the lines will usually take: about as many as the
// wire format for what a client put in, and the names of the members, and each
// record's resource and scope. With more, the lines are moved once. What is too
// large to be taken doesn't count.
func (w *otlpWriter) estimate() int {
	total, largest := 0, 0
	for request := w.fields(w.body); request.next(); {
		if request.tag != requestResourceLogs {
			continue
		}
		records, resource := 0, 0
		for f := w.fields(request.bytes); f.next(); {
			switch f.tag {
			case resourceLogsResource:
				resource = len(f.bytes)
			case resourceLogsScopeLogs:
				n, bytes, most := w.measureScope(f.bytes)
				records += n
				total += bytes
				largest = max(largest, most)
			}
		}
		if w.fits(resource) {
			total += records * resource
		}
	}
	return total + total/8 + otlpExpansion*largest + otlpNames
}

// measureScope counts the records of a ScopeLogs, and estimates the bytes of
// their lines without the resource. most is the largest in the wire format.
func (w *otlpWriter) measureScope(message []byte) (records, bytes, most int) {
	scope := 0
	for f := w.fields(message); f.next(); {
		switch f.tag {
		case scopeLogsScope:
			scope = len(f.bytes)
		case scopeLogsRecords:
			if !w.fits(len(f.bytes)) {
				continue
			}
			records++
			bytes += len(f.bytes)
			most = max(most, len(f.bytes))
		}
	}
	if w.fits(scope) {
		bytes += records * scope
	}
	return records, bytes + records*otlpNames*3/4, most
}

// fits reports whether so many bytes may be a record, or a part of one.
func (w *otlpWriter) fits(size int) bool { return int64(size) <= w.limits.MaxRecordBytes }

// room makes sure that n bytes can be appended to a buffer. A larger one is
// reserved beside that which it replaces.
func (w *otlpWriter) room(buffer []byte, n int) []byte {
	if cap(buffer)-len(buffer) >= n {
		return buffer
	}
	capacity := max(2*cap(buffer), len(buffer)+n)
	if !w.reserve(capacity) {
		return buffer
	}
	return append(make([]byte, 0, capacity), buffer...)
}

func (w *otlpWriter) reserve(n int) bool {
	if w.err == nil && w.limits.Reserve != nil {
		w.err = w.limits.Reserve(int64(n))
	}
	return w.err == nil
}

func (w *otlpWriter) resourceLogs(message []byte) {
	var resource, url []byte
	for f := w.fields(message); f.next(); {
		switch f.tag {
		case resourceLogsResource:
			resource = f.bytes
		case resourceLogsSchemaURL:
			url = f.bytes
		}
	}
	for f := w.fields(message); f.next(); {
		if f.tag == resourceLogsScopeLogs {
			w.scopeLogs(f.bytes, resource, url)
		}
	}
}

func (w *otlpWriter) scopeLogs(message, resource, resourceURL []byte) {
	var scope, url []byte
	for f := w.fields(message); f.next(); {
		switch f.tag {
		case scopeLogsScope:
			scope = f.bytes
		case scopeLogsSchemaURL:
			url = f.bytes
		}
	}
	fault := w.writeOrigin(resource, resourceURL, scope, url)
	for f := w.fields(message); f.next(); {
		if f.tag == scopeLogsRecords {
			w.fault = fault
			w.record(f.bytes)
		}
	}
}

// writeOrigin writes what the records of one ScopeLogs share, and returns why
// none of them can be taken.
func (w *otlpWriter) writeOrigin(resource, resourceURL, scope, scopeURL []byte) string {
	size := len(resource) + len(resourceURL) + len(scope) + len(scopeURL)
	if !w.fits(size) {
		return fmt.Sprintf("its resource and scope have %d bytes, more than the %d that a record may have", size, w.limits.MaxRecordBytes)
	}
	w.origin = w.room(w.origin[:0], otlpExpansion*size+otlpNames)
	if w.err != nil {
		return ""
	}
	w.fault = ""
	w.origin = w.appendResource(w.origin, resource, resourceURL)
	w.origin = w.appendScope(w.origin, scope, scopeURL)
	return w.fault
}

// record writes one line, or rejects the record.
func (w *otlpWriter) record(message []byte) {
	most := w.limits.MaxRecordBytes
	if !w.fits(len(message)) {
		w.reject("it has %d bytes, more than the %d that are taken (requestLimits.maxRecordBytes)", len(message), most)
	}
	if w.fault == "" {
		if w.lines = w.room(w.lines, otlpExpansion*len(message)+len(w.origin)+otlpNames); w.err != nil {
			return
		}
		start := len(w.lines)
		lines := append(w.appendRecord(append(w.lines, '{'), message), '}', '\n')
		if size := len(lines) - start - 1; !w.fits(size) {
			w.reject("as JSON, with its resource and scope, it has %d bytes, more than the %d that are taken (requestLimits.maxRecordBytes)", size, most)
		}
		if w.fault == "" {
			w.lines = lines
			w.records++
			return
		}
	}
	if w.rejected == 0 {
		w.reason = fmt.Sprintf("log record %d: %s", w.records, w.fault)
	}
	w.rejected++
}
