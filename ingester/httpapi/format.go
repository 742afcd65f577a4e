package httpapi

import (
	"mime"
	"net/http"
	"strings"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// parser fills a batch with the records of a body.
type parser func(b *record.Batch, body []byte, limits record.Limits) error

// format is how a body becomes records: it is decoded, and then parsed.
type format struct {
	parse  parser
	decode coding
}

// acceptedTypes are the media types that are taken, as the header Accept-Post
// of a refusal names them.
const acceptedTypes = "application/json, application/x-ndjson, application/json-lines"

// formatOf picks the parser for a request's Content-Type and the decoder for
// its Content-Encoding, or refuses the type, its charset, or the encoding.
func formatOf(header http.Header) (format, *problem) {
	decode, p := codingOf(header)
	if p != nil {
		return format{}, p
	}
	contentType := header.Get("Content-Type")
	if parse := parserOf(contentType); parse != nil {
		return format{parse, decode}, nil
	}
	mediaType, parameters, err := mime.ParseMediaType(contentType)
	if err != nil && contentType != "" {
		return format{}, typeProblem("Content-Type %q is not readable (%v)", contentType, err)
	}
	if charset, given := parameters["charset"]; given && !strings.EqualFold(charset, "utf-8") {
		return format{}, typeProblem("charset is %q, but records are UTF-8", charset)
	}
	if parse := parserOf(mediaType); parse != nil {
		return format{parse, decode}, nil
	}
	switch mediaType {
	case "":
		return format{}, typeProblem("Content-Type is missing")
	case "application/x-www-form-urlencoded":
		return format{}, typeProblem("Content-Type is %q, which curl -d sends unless it is told otherwise: add -H 'Content-Type: application/json', or for lines --data-binary and -H 'Content-Type: application/x-ndjson'", mediaType)
	}
	return format{}, typeProblem("Content-Type is %q", mediaType)
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
