package httpapi

import (
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// parser fills a batch with the records of a body.
type parser func(b *record.Batch, body []byte, limits record.Limits) error

// The media types and content codings that are taken, as the headers
// Accept-Post and Accept-Encoding of a refusal name them.
const (
	acceptedTypes   = "application/json, application/x-ndjson, application/json-lines"
	acceptedCodings = "identity"
)

// formatOf picks the parser for a request's Content-Type, or refuses the type,
// its charset, or the Content-Encoding.
func formatOf(header http.Header) (parser, *problem) {
	if codings := header.Values("Content-Encoding"); len(codings) > 0 {
		if p := checkCodings(codings); p != nil {
			return nil, p
		}
	}
	contentType := header.Get("Content-Type")
	if parse := parserOf(contentType); parse != nil {
		return parse, nil
	}
	mediaType, parameters, err := mime.ParseMediaType(contentType)
	if err != nil && contentType != "" {
		return nil, typeProblem("Content-Type %q is not readable (%v)", contentType, err)
	}
	if charset, given := parameters["charset"]; given && !strings.EqualFold(charset, "utf-8") {
		return nil, typeProblem("charset is %q, but records are UTF-8", charset)
	}
	if parse := parserOf(mediaType); parse != nil {
		return parse, nil
	}
	switch mediaType {
	case "":
		return nil, typeProblem("Content-Type is missing")
	case "application/x-www-form-urlencoded":
		return nil, typeProblem("Content-Type is %q, which curl -d sends unless it is told otherwise: add -H 'Content-Type: application/json', or for lines --data-binary and -H 'Content-Type: application/x-ndjson'", mediaType)
	}
	return nil, typeProblem("Content-Type is %q", mediaType)
}

func parserOf(mediaType string) parser {
	switch mediaType {
	case "application/json":
		return record.ParseJSON
	case "application/x-ndjson", "application/json-lines":
		return record.ParseNDJSON
	}
	return nil
}

// typeProblem refuses the media type for a reason, and names those accepted.
func typeProblem(reason string, args ...any) *problem {
	p := newProblem(unsupportedMediaType, reason+"; accepted are application/json (an array of objects, or one object), application/x-ndjson and application/json-lines (one object a line)", args...)
	p.header("Accept-Post", acceptedTypes)
	return p
}

func checkCodings(codings []string) *problem {
	for coding := range strings.SplitSeq(strings.Join(codings, ","), ",") {
		coding = strings.ToLower(strings.TrimSpace(coding))
		if coding != "" && !slices.Contains(strings.Split(acceptedCodings, ", "), coding) {
			p := newProblem(unsupportedContentCoding, "Content-Encoding is %q; accepted: %s", coding, acceptedCodings)
			p.header("Accept-Encoding", acceptedCodings)
			return p
		}
	}
	return nil
}
