package record

import (
	"fmt"
	"strings"
)

// Limits bound what a parser accepts.
type Limits struct {
	// MaxRecordBytes bounds one record, as it will be stored.
	MaxRecordBytes int64
	// MaxDepth bounds how deep a record is nested; the record is depth 1.
	MaxDepth int
	// Reserve, unless it is nil, is asked before the index of the records
	// takes so many bytes of memory more: small records can need more for
	// their index than for themselves. Its error ends the parse and is
	// returned as it is.
	Reserve func(bytes int64) error
}

// ParseJSON fills the batch with the objects of one JSON text (RFC 8259): an
// array of objects, or one object. An empty array is a batch of 0 records.
//
// A record is byte for byte what the body holds; only where it would span
// lines is the white space between its tokens removed, in place. The batch
// takes the body over. The error is a *ParseError, or that of Limits.Reserve,
// and leaves the batch of no use.
func ParseJSON(b *Batch, body []byte, limits Limits) error {
	p := newParser(b, body, limits)
	i := p.space(0)
	if i == len(body) {
		return noRecords()
	}
	var err error
	if body[i] == '[' {
		i, err = p.array(p.space(i + 1))
	} else {
		i, err = p.record(i)
	}
	if err != nil {
		return err
	}
	if i = p.space(i); i < len(body) {
		p.unexpected(i, "the end of the body behind the JSON text")
		return p.refusal(-1)
	}
	return nil
}

// ParseNDJSON fills the batch with the objects of a body that holds one on
// each line. Lines end with \n or \r\n, the last one may go without; blank
// ones are skipped. In all else it is ParseJSON.
func ParseNDJSON(b *Batch, body []byte, limits Limits) error {
	p := newParser(b, body, limits)
	i := p.space(0)
	if i == len(body) {
		return noRecords()
	}
	var err error
	for i < len(body) {
		if i, err = p.line(i); err != nil {
			return err
		}
	}
	return nil
}

func noRecords() error {
	return &ParseError{Kind: NoRecords, Record: -1, Reason: "the body is empty"}
}

// parser adds to a batch the records that its scanner finds.
type parser struct {
	scanner
	batch  *Batch
	limits Limits
}

func newParser(b *Batch, body []byte, limits Limits) *parser {
	b.buffer = body
	return &parser{scanner: scanner{data: body, maxDepth: limits.MaxDepth}, batch: b, limits: limits}
}

// refusal is what the scanner failed for.
func (p *parser) refusal(record int) error {
	fault := p.fault
	fault.Record = record
	return &fault
}

// array adds the records of an array, from the first token behind its
// opening bracket on, and returns the offset behind the closing one.
func (p *parser) array(i int) (int, error) {
	if i < len(p.data) && p.data[i] == ']' {
		return i + 1, nil
	}
	for {
		end, err := p.record(i)
		if err != nil {
			return 0, err
		}
		i = p.space(end)
		switch {
		case i < len(p.data) && p.data[i] == ',':
			i = p.space(i + 1)
		case i < len(p.data) && p.data[i] == ']':
			return i + 1, nil
		default:
			p.unexpected(i, "',' or ']' after a record")
			return 0, p.refusal(p.batch.Len() - 1)
		}
	}
}

// line adds the record that begins at i, and returns where the next begins.
func (p *parser) line(i int) (int, error) {
	index := p.batch.Len()
	end, err := p.record(i)
	if p.newline >= 0 {
		p.fail(MalformedJSON, p.newline, "the line ends inside a record; send records that span lines as application/json")
		return 0, p.refusal(index)
	}
	if err != nil {
		return 0, err
	}
	next := p.space(end)
	if next < len(p.data) && p.newline < 0 {
		p.unexpected(next, "the end of the line after a record")
		return 0, p.refusal(index)
	}
	return next, nil
}

// record adds the object at i, and returns the offset behind it.
func (p *parser) record(i int) (int, error) {
	index := p.batch.Len()
	p.newline, p.broken = -1, false
	if i >= len(p.data) || p.data[i] != '{' {
		p.noObject(i)
		return 0, p.refusal(index)
	}
	end := p.object(i+1, 1)
	if end == failed {
		return 0, p.refusal(index)
	}
	last := end
	if p.broken {
		last = i + stripSpace(p.data[i:end])
	}
	if size := int64(last - i); size > p.limits.MaxRecordBytes {
		p.fail(RecordTooLarge, i, fmt.Sprintf("the record has %d bytes, more than the %d that are taken", size, p.limits.MaxRecordBytes))
		return 0, p.refusal(index)
	}
	return end, p.batch.add(i, last, p.limits.Reserve)
}

// noObject tells a JSON value that is no object from what is no JSON at all.
func (p *parser) noObject(i int) {
	if i < len(p.data) && strings.IndexByte(`"-0123456789tfn[`, p.data[i]) >= 0 {
		p.fail(NotAnObject, i, fmt.Sprintf("a record is a JSON object, but this value begins with %q", p.data[i]))
		return
	}
	p.unexpected(i, "a record")
}

// stripSpace removes the white space between the tokens of valid JSON, in
// place, and returns what length is left.
func stripSpace(data []byte) int {
	n, inString, escaped := 0, false, false
	for _, c := range data {
		switch {
		case escaped:
			escaped = false
		case inString:
			inString, escaped = c != '"', c == '\\'
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			continue
		default:
			inString = c == '"'
		}
		data[n] = c
		n++
	}
	return n
}
