package http1

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// maxLines bounds a head that is served here, in lines.
const maxLines = 64

// head is the head of a request. It is served here if every line ends in CR LF,
// the first is
//
//	POST <absolute path, perhaps with a query> HTTP/1.1
//
// and the others are fields, each on one line and with a name of its own, among
// which are Host and Content-Length, and none that changes how the message is
// read or answered (see admit). What net/http makes of such a head is the same:
// the fuzz test compares.
type head struct {
	// The lines that have been found in the bytes so far, without their ends;
	// the last begins at from, and its end is not before seen.
	lines      []span
	from, seen int

	// What the last head said.
	requestLine []byte
	target      string
	url         url.URL
	fields      []field
	header      http.Header
	host        string
	length      int64 // of the body, in bytes
}

type span struct{ from, to int }

// begin forgets the lines, but not what they said.
func (h *head) begin() { h.lines, h.from, h.seen = h.lines[:0], 0, 0 }

// known reports whether there was a head before.
func (h *head) known() bool { return len(h.requestLine) > 0 }

// size is how many bytes the head takes that has been found.
func (h *head) size() int { return h.seen }

// find looks for the end of the head in b, of which it has seen the beginning
// before. It tells as early as it can that the head is not ours: whoever sent
// it may wait for an answer.
func (h *head) find(b []byte) verdict {
	for {
		n := bytes.IndexByte(b[h.seen:], '\n')
		if n < 0 {
			h.seen = len(b)
			if begun := min(len(b), len(method)); string(b[:begun]) != method[:begun] {
				return foreign
			}
			return incomplete
		}
		end := h.seen + n
		if end == h.from || b[end-1] != '\r' {
			return foreign
		}
		line := span{h.from, end - 1}
		h.from, h.seen = end+1, end+1
		switch {
		case line.from < line.to && len(h.lines) < maxLines:
			h.lines = append(h.lines, line)
		case line.from == line.to && len(h.lines) > 0:
			return complete
		default:
			return foreign
		}
	}
}

// parse reads the head that has been found in b. A line that is the same as
// before has said all that it says already. False means that the head is not
// ours; what is then left of h is of no use.
func (h *head) parse(b []byte) bool {
	if first := b[h.lines[0].from:h.lines[0].to]; !bytes.Equal(first, h.requestLine) && !h.parseRequestLine(first) {
		return false
	}
	lines := h.lines[1:]
	if len(lines) != len(h.fields) {
		return h.parseFields(b, lines)
	}
	for i, line := range lines {
		f, text := &h.fields[i], b[line.from:line.to]
		switch {
		case bytes.Equal(text, f.text):
		case !f.isNamedIn(text):
			return h.parseFields(b, lines)
		case !h.setValue(f, text):
			return false
		}
	}
	return true
}

const (
	method  = "POST "
	version = " HTTP/1.1"
)

func (h *head) parseRequestLine(line []byte) bool {
	target, isPost := bytes.CutPrefix(line, []byte(method))
	target, isHTTP11 := bytes.CutSuffix(target, []byte(version))
	if !isPost || !isHTTP11 || len(target) == 0 || target[0] != '/' || !consistsOf(target, ofTarget) {
		return false
	}
	h.requestLine = append(h.requestLine[:0], line...)
	h.target = string(target)
	parsed, err := url.ParseRequestURI(h.target)
	if err != nil {
		return false
	}
	h.url = *parsed
	return true
}

// parseFields reads all fields anew.
func (h *head) parseFields(b []byte, lines []span) bool {
	h.header = make(http.Header, len(lines))
	h.fields = slices.Grow(h.fields[:0], len(lines))[:len(lines)]
	h.host, h.length = "", -1
	for i, line := range lines {
		f, text := &h.fields[i], b[line.from:line.to]
		if !f.name(text) {
			return false
		}
		if _, twice := h.header[f.key]; twice || f.key == "Host" && h.host != "" {
			return false
		}
		if !h.setValue(f, text) {
			return false
		}
	}
	return h.host != "" && h.length >= 0
}

// setValue notes the value of a named field.
func (h *head) setValue(f *field, text []byte) bool {
	value := bytes.Trim(text[f.colon+1:], " \t")
	if !consistsOf(value, ofValue) || !h.admit(f.key, value) {
		return false
	}
	f.text = append(f.text[:0], text...)
	if f.key == "Host" {
		h.host = string(value)
		return true
	}
	f.value[0] = string(value)
	h.header[f.key] = f.value[:1:1]
	return true
}

// admit notes what the server itself has to know of a field, and reports
// whether the field, with this value, leaves the request an ordinary one.
func (h *head) admit(key string, value []byte) bool {
	switch key {
	case "Host":
		return len(value) > 0 && consistsOf(value, ofHost)
	case "Content-Length":
		return h.setLength(value)
	case "Connection":
		return bytes.EqualFold(value, []byte("keep-alive"))
	case "Transfer-Encoding", "Trailer", "Expect", "Upgrade": // another kind of message, or of answer
		return false
	case "Pragma": // net/http derives another field from it
		return false
	}
	return true
}

func (h *head) setLength(digits []byte) bool {
	if len(digits) == 0 || len(digits) > 18 || !consistsOf(digits, ofNumber) {
		return false
	}
	n, err := strconv.ParseInt(string(digits), 10, 64)
	h.length = n
	return err == nil
}
