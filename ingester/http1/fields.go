package http1

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// hasBody reports whether a response with the status has a body (RFC 9110,
// section 6.4.1).
func hasBody(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

func (w *response) appendStatus(status int) {
	b := append(w.conn.out, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	if text := http.StatusText(status); text != "" {
		b = append(b, text...)
	} else {
		b = append(b, "status code "...)
		b = strconv.AppendInt(b, int64(status), 10)
	}
	w.conn.out = append(b, "\r\n"...)
}

// appendFields appends the handler's fields, but for those that say where the
// message and the connection end: sendHead appends them.
func (w *response) appendFields(informs bool) {
	w.keys = w.keys[:0]
	for key := range w.header {
		w.keys = append(w.keys, key)
	}
	slices.Sort(w.keys)
	dated := informs
	for _, key := range w.keys {
		values := w.header[key]
		switch key {
		case "Content-Length":
			if !informs {
				w.length = declaredLength(values)
			}
			continue
		case "Connection":
			w.conn.closeAfter = w.conn.closeAfter || !informs && asksToClose(values)
			continue
		case "Transfer-Encoding", "Trailer":
			continue
		case "Content-Type", "Content-Encoding":
			w.typed = w.typed || key == "Content-Type" || len(values) > 0 && values[0] != ""
			if key == "Content-Type" && w.status == http.StatusNotModified {
				continue
			}
		case "Date":
			dated = true
		}
		for _, value := range values {
			w.appendField(key, value)
		}
	}
	if !dated {
		w.conn.out = append(w.conn.out, w.conn.server.date.at(time.Now())...)
	}
}

// appendField appends a field, unless its name is none. A value stays on its
// line, whatever it contains.
func (w *response) appendField(key, value string) {
	for i := range len(key) {
		if classes[key[i]]&ofToken == 0 {
			return
		}
	}
	b := append(w.conn.out, key...)
	b = append(b, ": "...)
	at := len(b)
	b = append(b, strings.Trim(value, " \t\r\n")...)
	for i := at; i < len(b); i++ {
		if b[i] == '\r' || b[i] == '\n' {
			b[i] = ' '
		}
	}
	w.conn.out = append(b, "\r\n"...)
}

// declaredLength is what a Content-Length of the handler says, in bytes; -1 if
// nothing that can be understood.
func declaredLength(values []string) int64 {
	if len(values) == 0 {
		return -1
	}
	n, err := strconv.ParseUint(strings.TrimSpace(values[0]), 10, 63)
	if err != nil {
		return -1
	}
	return int64(n)
}

// asksToClose reports whether one of the options of Connection is close.
func asksToClose(values []string) bool {
	for _, value := range values {
		for option := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(option), "close") {
				return true
			}
		}
	}
	return false
}

// sendHead ends the head, now that it is known how the body is sent: with the
// length that the handler declared, or that it turned out to have when done, or
// in chunks; and what was held back of the body.
func (w *response) sendHead(done bool) {
	w.headSent = true
	c := w.conn
	// A client may not read the response before it has sent all of its body.
	if !w.fullDuplex && !c.closeAfter && c.body.left > 0 {
		c.closeAfter = !c.body.drop()
	}
	if hasBody(w.status) {
		if w.length < 0 && done {
			w.length = int64(len(w.text))
		}
		w.appendFraming()
	}
	if c.closeAfter || c.server.draining.Load() {
		c.closeAfter = true
		c.out = append(c.out, "Connection: close\r\n"...)
	}
	c.out = append(c.out, "\r\n"...)
	w.put(w.text)
}

func (w *response) appendFraming() {
	if w.length >= 0 {
		w.conn.out = append(w.conn.out, "Content-Length: "...)
		w.conn.out = strconv.AppendInt(w.conn.out, w.length, 10)
		w.conn.out = append(w.conn.out, "\r\n"...)
	} else {
		w.chunked = true
		w.conn.out = append(w.conn.out, "Transfer-Encoding: chunked\r\n"...)
	}
	if !w.typed && len(w.text) > 0 {
		w.appendField("Content-Type", http.DetectContentType(w.text))
	}
}

// date is the field Date, which is made once a second.
type date struct{ now atomic.Pointer[datedSecond] }

type datedSecond struct {
	second int64
	field  []byte
}

func (d *date) at(now time.Time) []byte {
	made := d.now.Load()
	if made == nil || made.second != now.Unix() {
		made = &datedSecond{now.Unix(), now.UTC().AppendFormat([]byte("Date: "), http.TimeFormat+"\r\n")}
		d.now.Store(made)
	}
	return made.field
}
