package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

var fuzzLimits = Limits{MaxRecordBytes: 1 << 20, MaxDepth: 4}

// depthOf is how deep a valid JSON text is nested.
func depthOf(text []byte) int {
	depth, deepest, inString := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

// acceptable is what a record has to be, said with the standard library.
func acceptable(text []byte) bool {
	text = bytes.Trim(text, " \t\r\n")
	return json.Valid(text) && utf8.Valid(text) && text[0] == '{' && depthOf(text) <= fuzzLimits.MaxDepth
}

// split is what ParseJSON is to make of a body; nil when it is to refuse it.
func split(body []byte) []json.RawMessage {
	if acceptable(body) {
		return []json.RawMessage{body}
	}
	list := []json.RawMessage{}
	trimmed := bytes.Trim(body, " \t\r\n")
	if len(trimmed) == 0 || trimmed[0] != '[' || !utf8.Valid(body) || json.Unmarshal(body, &list) != nil {
		return nil
	}
	for _, text := range list {
		if !acceptable(text) {
			return nil
		}
	}
	return list
}

// lines is what ParseNDJSON is to make of a body; nil when it is to refuse it.
func lines(body []byte) []json.RawMessage {
	var list []json.RawMessage
	for line := range bytes.SplitSeq(body, []byte{'\n'}) {
		if len(bytes.Trim(line, " \t\r")) == 0 {
			continue
		}
		if !acceptable(line) {
			return nil
		}
		list = append(list, line)
	}
	return list
}

func decode(t *testing.T, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("decode %q: %v", text, err)
	}
	return v
}

// compare checks one parser's result against the reference.
func compare(t *testing.T, body []byte, parse func(*Batch, []byte, Limits) error, want []json.RawMessage) {
	t.Helper()
	b := NewBatch("b")
	err := parse(b, bytes.Clone(body), fuzzLimits)
	if (err == nil) != (want != nil) {
		t.Fatalf("error is %v, but the standard library finds %q", err, want)
	}
	if err != nil {
		var refusal *ParseError
		if !errors.As(err, &refusal) || refusal.Offset < 0 || refusal.Offset > int64(len(body)) || refusal.Record > b.Len() {
			t.Fatalf("refused with %#v", err)
		}
		return
	}
	if b.Len() != len(want) {
		t.Fatalf("%d records, want %d", b.Len(), len(want))
	}
	for i, text := range want {
		got, text := b.Record(i), bytes.Trim(text, " \t\r\n")
		if bytes.ContainsAny(got, "\r\n") {
			t.Errorf("record %d spans lines: %q", i, got)
		}
		if !bytes.ContainsAny(text, "\r\n") && !bytes.Equal(got, text) {
			t.Errorf("record %d is %q, want it as it was: %q", i, got, text)
		}
		if !reflect.DeepEqual(decode(t, got), decode(t, text)) {
			t.Errorf("record %d is %q, which means something else than %q", i, got, text)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		``, `[]`, `{}`, ` [ { } , { "a" : [ 1 ] } ] `, "{\"a\":\n[1, 2]}", "{}\n{}\n", "{\"a\":1}\r\n\r\n{\"b\":\"\\u00e9\\\"\"}",
		`{"a":-0.5e+10,"b":[true,false,null]}`, `{"a":"日本語 and more than eight bytes"}`, "{\"a\":\"\xed\xa0\x80\"}", `{"a":{"b":{"c":{"d":1}}}}`,
		`[1]`, `{"a":01}`, `[{}`, `{"a":"\ud800"}`, "{\"a\":\"\x00\"}", "[{}\r,\r{\r}]",
		`[{"a":"` + strings.Repeat("x", 64) + `\"` + strings.Repeat("y", 2100) + `é"},{"b":"` + strings.Repeat(`\\"`, 40) + `"}]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		compare(t, body, ParseJSON, split(body))
		compare(t, body, ParseNDJSON, lines(body))
	})
}
