package httpapi

import (
	"net/http"
	"strings"
)

// coding is how a body is compressed, by its name in Content-Encoding; "" is
// not at all.
type coding string

const (
	identity     coding = ""
	gzipped      coding = "gzip"
	zstandard    coding = "zstd"
	snappyFramed coding = "snappy"
)

// acceptedCodings are the content codings that are taken, as the header
// Accept-Encoding of a refusal names them.
const acceptedCodings = "gzip, zstd, snappy, identity"

// codingOf returns the coding of a body that comes with these headers, or
// refuses it. It is for every dialect.
func codingOf(header http.Header) (coding, *problem) {
	fields := header["Content-Encoding"]
	if len(fields) == 0 {
		return identity, nil
	}
	found := identity
	for name := range strings.SplitSeq(strings.Join(fields, ","), ",") {
		c, known := codingNamed(strings.ToLower(strings.TrimSpace(name)))
		switch {
		case !known:
			return identity, codingProblem("Content-Encoding is %q", name)
		case c != identity && found != identity:
			return identity, codingProblem("Content-Encoding is %q, several codings one upon the other: compress once", strings.Join(fields, ", "))
		case c != identity:
			found = c
		}
	}
	return found, nil
}

// codingNamed knows the names of the IANA's register of content codings, and
// x-snappy-framed, as the OpenTelemetry Collector calls what others call snappy.
func codingNamed(name string) (c coding, known bool) {
	switch name {
	case "", "identity":
		return identity, true
	case "gzip", "x-gzip":
		return gzipped, true
	case "zstd":
		return zstandard, true
	case "snappy", "x-snappy-framed":
		return snappyFramed, true
	}
	return identity, false
}

func codingProblem(reason string, args ...any) *problem {
	p := newProblem(unsupportedContentCoding, reason+"; accepted: "+acceptedCodings, args...)
	p.header("Accept-Encoding", acceptedCodings)
	return p
}
