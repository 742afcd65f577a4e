package record

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var testLimits = Limits{MaxRecordBytes: 64, MaxDepth: 3}

func records(b *Batch) []string {
	list := []string{}
	for i := range b.Len() {
		list = append(list, string(b.Record(i)))
	}
	return list
}

func TestParseAccepts(t *testing.T) {
	tests := []struct {
		name  string
		parse func(*Batch, []byte, Limits) error
		body  string
		want  []string
	}{
		{"array of no records", ParseJSON, ` [ ] `, []string{}},
		{"one object", ParseJSON, `{"a":1}`, []string{`{"a":1}`}},
		{"empty objects", ParseJSON, "[{},\n{} ]\n", []string{`{}`, `{}`}},
		{"white space on one line is kept", ParseJSON, `[ { "a" : [ 1 , 2 ] } ]`, []string{`{ "a" : [ 1 , 2 ] }`}},
		{"white space that spans lines goes", ParseJSON, "[{\n  \"a b\": [1,\t2],\r\n  \"c\\\" \\\\\" : {}\n}, {\"d\": 3}]", []string{`{"a b":[1,2],"c\" \\":{}}`, `{"d": 3}`}},
		{"a carriage return alone spans lines", ParseJSON, "{\"a\":\r1}", []string{`{"a":1}`}},
		{"duplicate names", ParseJSON, `{"a":1,"a":2}`, []string{`{"a":1,"a":2}`}},
		{"every escape", ParseJSON, `{"":"\"\\\/\b\f\n\r\t\u00eF\ud800"}`, []string{`{"":"\"\\\/\b\f\n\r\t\u00eF\ud800"}`}},
		{"every kind of number", ParseJSON, `[{"a":[0,-0,1.5,-12.0e3,1E+2,1e-2]}]`, []string{`{"a":[0,-0,1.5,-12.0e3,1E+2,1e-2]}`}},
		{"literals", ParseJSON, `{"a":[true,false,null]}`, []string{`{"a":[true,false,null]}`}},
		{"characters beyond ASCII", ParseJSON, "{\"ключ\":\"日本語 \U0001F600\x7f\"}", []string{"{\"ключ\":\"日本語 \U0001F600\x7f\"}"}},
		{"as deep as allowed", ParseJSON, `{"a":[{}]}`, []string{`{"a":[{}]}`}},
		{"as large as allowed", ParseJSON, `{"a":"` + strings.Repeat("x", 56) + `"}`, []string{`{"a":"` + strings.Repeat("x", 56) + `"}`}},
		{"larger than allowed, but for white space", ParseJSON, "{\n" + strings.Repeat(" ", 64) + "}", []string{`{}`}},

		{"lines", ParseNDJSON, "{\"a\":1}\n{\"b\":2}\n", []string{`{"a":1}`, `{"b":2}`}},
		{"last line without an end", ParseNDJSON, "{\"a\":1}\n{\"b\":2}", []string{`{"a":1}`, `{"b":2}`}},
		{"Windows line ends", ParseNDJSON, "{\"a\":1}\r\n{\"b\":2}\r\n", []string{`{"a":1}`, `{"b":2}`}},
		{"blank lines", ParseNDJSON, "\n \r\n{\"a\":1}\n\n\t\n{\"b\":2}\n\n", []string{`{"a":1}`, `{"b":2}`}},
		{"space around a record", ParseNDJSON, "  { \"a\" : 1 } \t\r\n", []string{`{ "a" : 1 }`}},
		{"a carriage return inside a line", ParseNDJSON, "{\"a\":\r 1}\n{}", []string{`{"a":1}`, `{}`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := NewBatch("b")
			if err := tt.parse(b, []byte(tt.body), testLimits); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, records(b)); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			if want := int64(len(strings.Join(tt.want, ""))); b.Bytes() != want {
				t.Errorf("Bytes() = %d, want %d", b.Bytes(), want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		name  string
		parse func(*Batch, []byte, Limits) error
		body  string
		want  ParseError // Reason is a part of the whole reason
	}{
		{"empty body", ParseJSON, "", ParseError{NoRecords, -1, 0, "empty"}},
		{"only white space", ParseJSON, " \r\n\t", ParseError{NoRecords, -1, 0, "empty"}},
		{"no JSON", ParseJSON, "hello", ParseError{MalformedJSON, 0, 0, `expected a record, found 'h'`}},
		{"byte order mark", ParseJSON, "\xef\xbb\xbf{}", ParseError{MalformedJSON, 0, 0, "found byte 0xef"}},
		{"a number", ParseJSON, " 12", ParseError{NotAnObject, 0, 1, `'1'`}},
		{"a string in the array", ParseJSON, `[{},"a"]`, ParseError{NotAnObject, 1, 4, `'"'`}},
		{"an array in the array", ParseJSON, `[[{}]]`, ParseError{NotAnObject, 0, 1, `'['`}},
		{"null in the array", ParseJSON, `[{},{},null]`, ParseError{NotAnObject, 2, 7, `'n'`}},
		{"array not closed", ParseJSON, `[{}`, ParseError{MalformedJSON, 0, 3, "found the end of the body"}},
		{"array only opened", ParseJSON, `[`, ParseError{MalformedJSON, 0, 1, "found the end of the body"}},
		{"comma before the end", ParseJSON, `[{},]`, ParseError{MalformedJSON, 1, 4, "expected a record, found ']'"}},
		{"no comma", ParseJSON, `[{} {}]`, ParseError{MalformedJSON, 0, 4, "',' or ']'"}},
		{"bytes behind the array", ParseJSON, `[{}] x`, ParseError{MalformedJSON, -1, 5, "end of the body"}},
		{"a second object", ParseJSON, "{}\n{}", ParseError{MalformedJSON, -1, 3, "end of the body"}},
		{"object not closed", ParseJSON, `{"a":1`, ParseError{MalformedJSON, 0, 6, "',' or '}' after a member, found the end"}},
		{"name without quotes", ParseJSON, `{a:1}`, ParseError{MalformedJSON, 0, 1, "name of a member"}},
		{"comma in front of the brace", ParseJSON, `{"a":1,}`, ParseError{MalformedJSON, 0, 7, "name of a member"}},
		{"no colon", ParseJSON, `{"a" 1}`, ParseError{MalformedJSON, 0, 5, "':'"}},
		{"no value", ParseJSON, `{"a":}`, ParseError{MalformedJSON, 0, 5, "a value"}},
		{"no value at the end", ParseJSON, `{"a":`, ParseError{MalformedJSON, 0, 5, "a value"}},
		{"inner array not closed", ParseJSON, `{"a":[1}`, ParseError{MalformedJSON, 0, 7, "',' or ']' after an element"}},
		{"string not closed", ParseJSON, `{"a`, ParseError{MalformedJSON, 0, 3, "end of a string"}},
		{"control character", ParseJSON, "{\"abcdefghij\n\":1}", ParseError{MalformedJSON, 0, 12, `write it as \u000a`}},
		{"unknown escape", ParseJSON, `{"\x":1}`, ParseError{MalformedJSON, 0, 3, "behind a backslash"}},
		{"backslash at the end", ParseJSON, `{"\`, ParseError{MalformedJSON, 0, 3, "behind a backslash"}},
		{"three hexadecimal digits", ParseJSON, `{"\u12g4":1}`, ParseError{MalformedJSON, 0, 6, "four hexadecimal digits"}},
		{"hexadecimal digits at the end", ParseJSON, `{"\u12`, ParseError{MalformedJSON, 0, 6, "four hexadecimal digits"}},
		{"leading zero", ParseJSON, `{"a":01}`, ParseError{MalformedJSON, 0, 6, "',' or '}'"}},
		{"minus alone", ParseJSON, `{"a":-}`, ParseError{MalformedJSON, 0, 6, "minus sign"}},
		{"decimal point alone", ParseJSON, `{"a":1.}`, ParseError{MalformedJSON, 0, 7, "decimal point"}},
		{"exponent alone", ParseJSON, `{"a":1e+}`, ParseError{MalformedJSON, 0, 8, "exponent"}},
		{"plus sign", ParseJSON, `{"a":+1}`, ParseError{MalformedJSON, 0, 5, "a value"}},
		{"literal cut short", ParseJSON, `{"a":tru}`, ParseError{MalformedJSON, 0, 5, "expected true"}},
		{"stray continuation byte", ParseJSON, "{\"a\":\"\x80\"}", ParseError{InvalidUTF8, 0, 6, "0x80"}},
		{"overlong encoding", ParseJSON, "{\"a\":\"\xc0\xaf\"}", ParseError{InvalidUTF8, 0, 6, "0xc0"}},
		{"encoded surrogate", ParseJSON, "{\"a\":\"x\xed\xa0\x80\"}", ParseError{InvalidUTF8, 0, 7, "0xed"}},
		{"beyond Unicode", ParseJSON, "{\"a\":\"\xf4\x90\x80\x80\"}", ParseError{InvalidUTF8, 0, 6, "0xf4"}},
		{"character cut short", ParseJSON, "{\"a\":\"\xe6\x97\"}", ParseError{InvalidUTF8, 0, 6, "0xe6"}},
		{"objects too deep", ParseJSON, `[{},{"a":{"b":{"c":{}}}}]`, ParseError{NestingTooDeep, 1, 19, "more than 3"}},
		{"arrays too deep", ParseJSON, `{"a":[[[]]]}`, ParseError{NestingTooDeep, 0, 7, "more than 3"}},
		{"record too large", ParseJSON, `[{},{"a":"` + strings.Repeat("x", 57) + `"}]`, ParseError{RecordTooLarge, 1, 4, "65 bytes, more than the 64"}},

		{"no lines", ParseNDJSON, "\n\r\n", ParseError{NoRecords, -1, 0, "empty"}},
		{"an array line", ParseNDJSON, "{}\n[{}]", ParseError{NotAnObject, 1, 3, `'['`}},
		{"an array line after blank ones", ParseNDJSON, "\n\n[{}]", ParseError{NotAnObject, 0, 2, `'['`}},
		{"two records on a line", ParseNDJSON, "{}\n{} {}", ParseError{MalformedJSON, 1, 6, "end of the line"}},
		{"a comma after the record", ParseNDJSON, "{},\n{}", ParseError{MalformedJSON, 0, 2, "end of the line"}},
		{"a record on two lines", ParseNDJSON, "{}\n{\"a\":\n1}\n", ParseError{MalformedJSON, 1, 8, "send records that span lines as application/json"}},
		{"a record cut by the line's end", ParseNDJSON, "{\"a\":1\n{\"b\":2}\n", ParseError{MalformedJSON, 0, 6, "the line ends inside a record"}},
		{"a string cut by the line's end", ParseNDJSON, "{\"a\":\"b\n{\"b\":2}\n", ParseError{MalformedJSON, 0, 7, "control character 0x0a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.parse(NewBatch("b"), []byte(tt.body), testLimits)
			var got *ParseError
			if !errors.As(err, &got) {
				t.Fatalf("error is %v, want a ParseError", err)
			}
			reason := got.Reason
			if got.Reason = tt.want.Reason; *got != tt.want {
				t.Errorf("got %v, want %v", got, &tt.want)
			}
			if !strings.Contains(reason, tt.want.Reason) {
				t.Errorf("reason is %q, want %q in it", reason, tt.want.Reason)
			}
		})
	}
}

// The index of tiny records outgrows their bytes, so each step of it is asked
// for before it is taken.
func TestIndexIsReserved(t *testing.T) {
	body := "[" + strings.Repeat("{},", 9_999) + "{}]"
	t.Run("granted", func(t *testing.T) {
		b, reserved := NewBatch("b"), int64(0)
		limits := Limits{MaxRecordBytes: 64, MaxDepth: 3, Reserve: func(n int64) error { reserved += n; return nil }}
		if err := ParseJSON(b, []byte(body), limits); err != nil {
			t.Fatal(err)
		}
		if held := int64(cap(b.spans)) * spanBytes; b.Len() != 10_000 || reserved < held {
			t.Errorf("%d records with an index of %d bytes, of which %d are reserved", b.Len(), held, reserved)
		}
	})
	t.Run("refused", func(t *testing.T) {
		limits := Limits{MaxRecordBytes: 64, MaxDepth: 3, Reserve: func(n int64) error {
			if n > 16<<10 {
				return ErrFull
			}
			return nil
		}}
		if err := ParseJSON(NewBatch("b"), []byte(body), limits); err != ErrFull {
			t.Errorf("error is %v, want %v", err, ErrFull)
		}
	})
}

func TestParseAllocatesNothingPerRecord(t *testing.T) {
	body := arrayOf(logLines(1000))
	b := NewBatch("b")
	perRun := testing.AllocsPerRun(20, func() {
		b.spans, b.bytes = nil, 0
		if err := ParseJSON(b, body, benchLimits); err != nil {
			t.Fatal(err)
		}
	})
	if perRun > 1 {
		t.Errorf("%v allocations for 1000 records, want only the index", perRun)
	}
}
