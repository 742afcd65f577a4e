package httpapi

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"time"
)

// otlpLogRecord is the fields of a LogRecord, but for the attributes.
type otlpLogRecord struct {
	time, observedTime, severity, flags, dropped uint64

	severityText, eventName, traceID, spanID, body []byte

	hasBody bool
}

func (w *otlpWriter) readRecord(message []byte) otlpLogRecord {
	var r otlpLogRecord
	for f := w.fields(message); f.next(); {
		switch f.tag {
		case recordTime:
			r.time = f.number
		case recordObservedTime:
			r.observedTime = f.number
		case recordSeverityNumber:
			r.severity = f.number
		case recordSeverityText:
			r.severityText = f.bytes
		case recordEventName:
			r.eventName = f.bytes
		case recordTraceID:
			r.traceID = f.bytes
		case recordSpanID:
			r.spanID = f.bytes
		case recordFlags:
			r.flags = f.number
		case recordBody:
			r.body, r.hasBody = f.bytes, true
		case recordDropped:
			r.dropped = f.number
		}
	}
	return r
}

// appendRecord appends the members of a record. A member is left out where its
// field has its default: no time, no severity, no trace.
func (w *otlpWriter) appendRecord(out, message []byte) []byte {
	r := w.readRecord(message)
	out = appendTime(out, `"time":"`, r.time)
	out = appendTime(out, `"observedTime":"`, r.observedTime)
	if severity := int32(r.severity); severity != 0 {
		out = strconv.AppendInt(appendName(out, `"severityNumber":`), int64(severity), 10)
	}
	out = w.appendMember(out, `"severityText":`, r.severityText)
	out = w.appendMember(out, `"eventName":`, r.eventName)
	out = appendID(out, `"traceId":"`, r.traceID, 16)
	out = appendID(out, `"spanId":"`, r.spanID, 8)
	out = appendCount(out, `"flags":`, uint32(r.flags))
	if r.hasBody {
		out = w.appendValue(appendName(out, `"body":`), r.body, 2)
	}
	out = w.appendAttributes(out, message, recordAttributes, 2)
	out = appendCount(out, `"droppedAttributesCount":`, uint32(r.dropped))
	if out[len(out)-1] == '{' && len(w.origin) > 0 {
		return append(out, w.origin[1:]...)
	}
	return append(out, w.origin...)
}

// appendName appends the name of a member, with a comma before it if it isn't
// the object's first.
func appendName(out []byte, name string) []byte {
	if out[len(out)-1] != '{' {
		out = append(out, ',')
	}
	return append(out, name...)
}

// appendTime appends a time as RFC 3339 has it, in UTC and with nine digits
// behind the point, so that times sort as text does; 0 is no time.
func appendTime(out []byte, name string, nanoseconds uint64) []byte {
	if nanoseconds == 0 {
		return out
	}
	const second = uint64(time.Second)
	out = time.Unix(int64(nanoseconds/second), 0).UTC().AppendFormat(appendName(out, name), time.RFC3339)
	out[len(out)-1] = '.' // was Z
	fraction := nanoseconds % second
	for unit := second / 10; unit > 0; unit /= 10 {
		out = append(out, '0'+byte(fraction/unit%10))
	}
	return append(out, 'Z', '"')
}

func appendCount(out []byte, name string, n uint32) []byte {
	if n == 0 {
		return out
	}
	return strconv.AppendUint(appendName(out, name), uint64(n), 10)
}

// appendID appends an id of size bytes in hexadecimal digits. An id of another
// size, or all zero, stands for none.
func appendID(out []byte, name string, id []byte, size int) []byte {
	var none [16]byte
	if len(id) != size || bytes.Equal(id, none[:size]) {
		return out
	}
	return append(hex.AppendEncode(appendName(out, name), id), '"')
}

// appendMember appends a member that is a string, unless it is empty.
func (w *otlpWriter) appendMember(out []byte, name string, text []byte) []byte {
	if len(text) == 0 {
		return out
	}
	return w.appendText(appendName(out, name), text)
}

func (w *otlpWriter) appendResource(out, message, url []byte) []byte {
	dropped := uint64(0)
	for f := w.fields(message); f.next(); {
		if f.tag == resourceDropped {
			dropped = f.number
		}
	}
	start := len(out)
	out = append(out, `,"resource":{`...)
	empty := len(out)
	out = w.appendAttributes(out, message, resourceAttributes, 3)
	out = appendCount(out, `"droppedAttributesCount":`, uint32(dropped))
	out = w.appendMember(out, `"schemaUrl":`, url)
	return closeObject(out, start, empty)
}

func (w *otlpWriter) appendScope(out, message, url []byte) []byte {
	var name, version []byte
	dropped := uint64(0)
	for f := w.fields(message); f.next(); {
		switch f.tag {
		case scopeName:
			name = f.bytes
		case scopeVersion:
			version = f.bytes
		case scopeDropped:
			dropped = f.number
		}
	}
	start := len(out)
	out = append(out, `,"scope":{`...)
	empty := len(out)
	out = w.appendMember(out, `"name":`, name)
	out = w.appendMember(out, `"version":`, version)
	out = w.appendAttributes(out, message, scopeAttributes, 3)
	out = appendCount(out, `"droppedAttributesCount":`, uint32(dropped))
	out = w.appendMember(out, `"schemaUrl":`, url)
	return closeObject(out, start, empty)
}

// closeObject ends an object, whose name begins at start and whose members at
// empty, or takes it away when it has none.
func closeObject(out []byte, start, empty int) []byte {
	if len(out) == empty {
		return out[:start]
	}
	return append(out, '}')
}
