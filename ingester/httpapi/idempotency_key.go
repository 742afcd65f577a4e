package httpapi

import "net/http"

// keyOf returns a request's Idempotency-Key, "" when there is none. The field
// is a string as RFC 9651, section 3.3.3, has it ("…" in double quotes); the
// same characters without the quotes are the same key, for many clients send
// it so.
func keyOf(header http.Header) (string, *problem) {
	fields := header["Idempotency-Key"]
	if len(fields) == 0 {
		return "", nil
	}
	if len(fields) > 1 {
		return "", newProblem(malformedIdempotencyKey, "there are %d Idempotency-Key fields; send one", len(fields))
	}
	key, ok := unquoteKey(fields[0])
	switch {
	case !ok:
		return "", newProblem(malformedIdempotencyKey, "Idempotency-Key is %q; send 1 to %d printable ASCII characters in double quotes, with a \\ before each \" and \\ among them, for example \"8e03978e-40d5-43e8-bc93-6894a57f9324\"", shorten(fields[0], maxKeyBytes), maxKeyBytes)
	case len(key) > maxKeyBytes:
		return "", newProblem(malformedIdempotencyKey, "Idempotency-Key has %d characters, more than %d; a UUID is enough", len(key), maxKeyBytes)
	}
	return key, nil
}

// unquoteKey returns what the quotes hold, or, where there are none, the text.
func unquoteKey(text string) (key string, ok bool) {
	quoted := len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"'
	if !quoted {
		return text, text != "" && isPlain(text, '!')
	}
	text = text[1 : len(text)-1]
	if isPlain(text, ' ') {
		return text, text != ""
	}
	return unescapeKey(text)
}

// isPlain reports whether all characters are printable ASCII from the first
// one allowed on, and none has to be escaped.
func isPlain(text string, first byte) bool {
	for i := range len(text) {
		if c := text[i]; c < first || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func unescapeKey(text string) (key string, ok bool) {
	plain := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		escaped := c == '\\'
		if escaped {
			if i++; i == len(text) {
				return "", false
			}
			c = text[i]
		}
		if special := c == '"' || c == '\\'; special != escaped || c < ' ' || c > '~' {
			return "", false
		}
		plain = append(plain, c)
	}
	return string(plain), true
}
