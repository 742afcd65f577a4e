package httpapi

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// The wire types that OTLP uses; a tag is number<<3 | wire type.
const (
	asVarint  = uint64(protowire.VarintType)
	asFixed64 = uint64(protowire.Fixed64Type)
	asBytes   = uint64(protowire.BytesType)
	asFixed32 = uint64(protowire.Fixed32Type)
)

// Tags of the fields that are read, from opentelemetry/proto/collector/logs,
// logs, resource and common, all v1, in release 1.10 of the definitions. Other
// fields are skipped, as protobuf has it.
const (
	requestResourceLogs = 1<<3 | asBytes

	resourceLogsResource  = 1<<3 | asBytes
	resourceLogsScopeLogs = 2<<3 | asBytes
	resourceLogsSchemaURL = 3<<3 | asBytes

	scopeLogsScope     = 1<<3 | asBytes
	scopeLogsRecords   = 2<<3 | asBytes
	scopeLogsSchemaURL = 3<<3 | asBytes

	resourceAttributes = 1<<3 | asBytes
	resourceDropped    = 2<<3 | asVarint

	scopeName       = 1<<3 | asBytes
	scopeVersion    = 2<<3 | asBytes
	scopeAttributes = 3<<3 | asBytes
	scopeDropped    = 4<<3 | asVarint

	recordTime           = 1<<3 | asFixed64
	recordSeverityNumber = 2<<3 | asVarint
	recordSeverityText   = 3<<3 | asBytes
	recordBody           = 5<<3 | asBytes
	recordAttributes     = 6<<3 | asBytes
	recordDropped        = 7<<3 | asVarint
	recordFlags          = 8<<3 | asFixed32
	recordTraceID        = 9<<3 | asBytes
	recordSpanID         = 10<<3 | asBytes
	recordObservedTime   = 11<<3 | asFixed64
	recordEventName      = 12<<3 | asBytes

	keyValueKey   = 1<<3 | asBytes
	keyValueValue = 2<<3 | asBytes

	valueString = 1<<3 | asBytes
	valueBool   = 2<<3 | asVarint
	valueInt    = 3<<3 | asVarint
	valueDouble = 4<<3 | asFixed64
	valueArray  = 5<<3 | asBytes
	valueMap    = 6<<3 | asBytes
	valueBytes  = 7<<3 | asBytes

	listValues = 1<<3 | asBytes // of ArrayValue and of KeyValueList
)

// otlpFields walks the fields of one message, as
//
//	for f := w.fields(message); f.next(); { switch f.tag { … } }
//
// It holds nothing but a view of the message. The end of a malformed one ends
// the walk, and every other of the same writer, with the writer's err.
type otlpFields struct {
	writer *otlpWriter
	rest   []byte

	tag    uint64
	number uint64 // of a varint or fixed field
	bytes  []byte // of a length-delimited field
}

func (w *otlpWriter) fields(message []byte) otlpFields {
	return otlpFields{writer: w, rest: message}
}

func (f *otlpFields) next() bool {
	if len(f.rest) == 0 || f.writer.err != nil {
		return false
	}
	n := 0
	if f.tag, n = protowire.ConsumeVarint(f.rest); n < 0 {
		return f.malformed("a tag is cut off, or longer than a tag can be")
	}
	if f.tag>>3 < uint64(protowire.MinValidNumber) || f.tag>>3 > uint64(protowire.MaxValidNumber) {
		return f.malformed(fmt.Sprintf("there is no field number %d", f.tag>>3))
	}
	value := f.rest[n:]
	switch f.tag & 7 {
	case asVarint:
		f.number, n = protowire.ConsumeVarint(value)
	case asFixed64:
		f.number, n = protowire.ConsumeFixed64(value)
	case asFixed32:
		var number uint32
		number, n = protowire.ConsumeFixed32(value)
		f.number = uint64(number)
	case asBytes:
		f.bytes, n = protowire.ConsumeBytes(value)
	default:
		// Groups, which can be nested without end, are of a time before OTLP.
		return f.malformed(fmt.Sprintf("field %d has wire type %d, which OTLP does not use", f.tag>>3, f.tag&7))
	}
	if n < 0 {
		return f.malformed(fmt.Sprintf("field %d is cut off, or has a number that is too large", f.tag>>3))
	}
	f.rest = value[n:]
	return true
}

// malformed ends all walks. What is left of the capacity tells the offset, for
// every message is a view of the one body.
func (f *otlpFields) malformed(reason string) bool {
	offset := cap(f.writer.body) - cap(f.rest)
	f.writer.err = &record.ParseError{Kind: malformedOTLP, Record: -1, Offset: int64(offset), Reason: reason}
	return false
}
