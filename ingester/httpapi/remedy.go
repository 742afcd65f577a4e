package httpapi

import (
	"bytes"
	"net/http"
	"strings"
)

// How bodies begin that are compressed (RFC 1952, section 2.3.1; RFC 8878,
// section 3.1.1), and texts that are not in UTF-8 alone.
var (
	gzipMagic = []byte("\x1f\x8b")
	zstdMagic = []byte("\x28\xb5\x2f\xfd")
	beginning = []struct {
		with   []byte
		remedy string
	}{
		{gzipMagic, "the body looks like gzip: add Content-Encoding: gzip"},
		{zstdMagic, "the body looks like zstd: add Content-Encoding: zstd"},
		{snappyIdentifier, "the body looks like snappy: add Content-Encoding: snappy"},
		{[]byte("\xef\xbb\xbf"), "the body begins with a byte order mark: leave it out"},
		{[]byte("\xff\xfe"), "the body looks like UTF-16: send UTF-8"},
		{[]byte("\xfe\xff"), "the body looks like UTF-16: send UTF-8"},
		{[]byte("{\x00"), "the body looks like UTF-16: send UTF-8"},
		{[]byte("[\x00"), "the body looks like UTF-16: send UTF-8"},
		{[]byte("\x00{"), "the body looks like UTF-16: send UTF-8"},
		{[]byte("\x00["), "the body looks like UTF-16: send UTF-8"},
	}
)

// checkHeaders refuses what leaves open which body is meant.
func (x *exchange) checkHeaders() *problem {
	header := x.r.Header
	if n := len(header["Content-Type"]); n > 1 {
		return newProblem(repeatedHeader, "there are %d Content-Type fields; send one", n)
	}
	_, declared := header["Content-Length"]
	if x.r.ProtoMajor > 1 || declared || x.r.ContentLength != 0 {
		return nil
	}
	// What follows may be a body nevertheless: it must not be taken for the
	// next request.
	p := newProblem(lengthRequired, "there is neither Content-Length nor Transfer-Encoding: chunked, so there is no body; send one of them, and Content-Length: 0 for none")
	p.broken = true
	return p
}

// addRemedy says what is likely to be wrong with a body that was not parsed. It
// may have been changed where records were found.
func (x *exchange) addRemedy(p *problem, f format, body []byte) {
	if p.Offset == nil || x.dialect != &logs {
		return
	}
	if p.kind == noRecords && len(body) > 0 {
		p.Detail = "the body is white space only"
	}
	if remedy := remedyOf(p, f, body, isLines(x.r.Header)); remedy != "" {
		p.Detail += "; " + remedy
	}
}

func remedyOf(p *problem, f format, body []byte, lines bool) string {
	if remedy := remedyOfBeginning(f, body); remedy != "" {
		return remedy
	}
	at, text := int(*p.Offset), bytes.TrimLeft(body, " \t\r\n")
	if at >= len(body) || len(text) == 0 {
		return ""
	}
	switch {
	case lines && text[0] == '[' && p.Record != nil && *p.Record == 0:
		return "an array is sent as application/json"
	case !lines && text[0] == '{' && body[at] == '{' && bytes.HasSuffix(bytes.TrimRight(body[:at], " \t\r\n"), []byte("}")):
		second := 1
		p.Record = &second
		return "records on lines of their own are sent as application/x-ndjson"
	case p.kind == malformedJSON && body[at] >= '0' && body[at] <= '9' && followsZero(body[:at]):
		return "a number has no leading zeros"
	}
	return ""
}

func remedyOfBeginning(f format, body []byte) string {
	for _, b := range beginning {
		compressed := b.with[0] == gzipMagic[0] || b.with[0] == zstdMagic[0] || bytes.Equal(b.with, snappyIdentifier)
		if bytes.HasPrefix(body, b.with) && (f.decode == identity || !compressed) {
			return b.remedy
		}
	}
	return ""
}

// followsZero reports whether a number has begun with 0.
func followsZero(before []byte) bool {
	before, isZero := bytes.CutSuffix(before, []byte("0"))
	return isZero && (len(before) == 0 || strings.IndexByte("-:,[ \t\r\n", before[len(before)-1]) >= 0)
}

func isLines(header http.Header) bool {
	contentType := header.Get("Content-Type")
	mediaType, _, _ := strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(mediaType)) {
	case "application/x-ndjson", "application/json-lines":
		return true
	}
	return false
}

// notCompressed refuses a body that does not begin as its coding does.
func notCompressed(c coding, body []byte) *problem {
	var magic []byte
	switch c {
	case gzipped:
		magic = gzipMagic
	case zstandard:
		if isSkippable(body) {
			return nil
		}
		magic = zstdMagic
	default:
		return nil
	}
	if begun := body[:min(len(body), len(magic))]; bytes.HasPrefix(magic, begun) {
		return nil
	}
	return newProblem(malformedEncoding, "Content-Encoding is %s, but the body does not begin as %s does; leave the header out if it is not compressed", c, c)
}

// isSkippable reports whether the body begins with a frame of zstd that holds
// no data (RFC 8878, section 3.1.2).
func isSkippable(body []byte) bool {
	return len(body) >= 4 && body[0]&0xf0 == 0x50 && string(body[1:4]) == "\x2a\x4d\x18"
}
