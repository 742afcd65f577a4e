package record

import "fmt"

// Kind is a stable name for why a body is refused.
type Kind string

const (
	// MalformedJSON is a body that RFC 8259 does not allow.
	MalformedJSON Kind = "malformed-json"
	// InvalidUTF8 is a string that is not UTF-8 as RFC 3629 has it.
	InvalidUTF8 Kind = "invalid-utf8"
	// NotAnObject is a record that is JSON, but not a JSON object.
	NotAnObject Kind = "not-an-object"
	// NestingTooDeep is a record nested deeper than Limits.MaxDepth.
	NestingTooDeep Kind = "nesting-too-deep"
	// RecordTooLarge is a record larger than Limits.MaxRecordBytes.
	RecordTooLarge Kind = "record-too-large"
	// NoRecords is a body of nothing but white space.
	NoRecords Kind = "no-records"
)

// ParseError says which record of a body is refused, where, and why.
type ParseError struct {
	Kind Kind
	// Record is the index of the record, from 0; -1 where the fault lies
	// outside of any record.
	Record int
	// Offset is where in the body the fault was found, in bytes from 0.
	Offset int64
	// Reason is for a person who mends the body.
	Reason string
}

// Error names the record, where there is one, and the offset.
func (e *ParseError) Error() string {
	if e.Record < 0 {
		return fmt.Sprintf("%s at byte %d: %s", e.Kind, e.Offset, e.Reason)
	}
	return fmt.Sprintf("record %d: %s at byte %d: %s", e.Record, e.Kind, e.Offset, e.Reason)
}

// Fault says which record of a batch it is for which the topic refused it.
type Fault struct {
	// Record is the index of the record in its batch, from 0.
	Record int
	// Err is why; it wraps ErrTooLarge or ErrRefused.
	Err error
}

// Error names the record.
func (f *Fault) Error() string { return fmt.Sprintf("record %d: %v", f.Record, f.Err) }

// Unwrap returns why the record was refused.
func (f *Fault) Unwrap() error { return f.Err }
