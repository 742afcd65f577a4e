package httpapi

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/logpipeline/logpipeline/ingester/record"
)

var otlpLimits = record.Limits{MaxRecordBytes: 64 << 10, MaxDepth: 8}

// specExample is examples/logs.json of the OTLP specification, without its
// white space.
const specExample = `{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"my.service"}}]},` +
	`"scopeLogs":[{"scope":{"name":"my.library","version":"1.0.0","attributes":[{"key":"my.scope.attribute","value":{"stringValue":"some scope attribute"}}]},` +
	`"logRecords":[{"timeUnixNano":"1544712660300000000","observedTimeUnixNano":"1544712660300000000","severityNumber":10,"severityText":"Information",` +
	`"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","body":{"stringValue":"Example log record"},` +
	`"attributes":[{"key":"string.attribute","value":{"stringValue":"some string"}},{"key":"boolean.attribute","value":{"boolValue":true}},` +
	`{"key":"int.attribute","value":{"intValue":"10"}},{"key":"double.attribute","value":{"doubleValue":637.704}},` +
	`{"key":"array.attribute","value":{"arrayValue":{"values":[{"stringValue":"many"},{"stringValue":"values"}]}}},` +
	`{"key":"map.attribute","value":{"kvlistValue":{"values":[{"key":"some.map.key","value":{"stringValue":"some value"}}]}}}]}]}]}]}`

const specRecord = `{"time":"2018-12-13T14:51:00.300000000Z","observedTime":"2018-12-13T14:51:00.300000000Z","severityNumber":10,"severityText":"Information",` +
	`"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","body":"Example log record",` +
	`"attributes":{"string.attribute":"some string","boolean.attribute":true,"int.attribute":10,"double.attribute":637.704,"array.attribute":["many","values"],"map.attribute":{"some.map.key":"some value"}},` +
	`"resource":{"attributes":{"service.name":"my.service"}},"scope":{"name":"my.library","version":"1.0.0","attributes":{"my.scope.attribute":"some scope attribute"}}}`

// ofRecord is a request with one log record, in JSON.
func ofRecord(members string) string {
	return `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{` + members + `}]}]}]}`
}

func ofAttributes(keyValues string) string { return ofRecord(`"attributes":[` + keyValues + `]`) }

func ofBody(value string) string { return ofRecord(`"body":` + value) }

type otlpParser func(*record.Batch, []byte, record.Limits) error

// parsed returns the records of a body and what was rejected of it.
func parsed(t *testing.T, parse otlpParser, body string, limits record.Limits) ([]string, *partial) {
	t.Helper()
	b := record.NewBatch("b")
	err := parse(b, []byte(body), limits)
	var rest *partial
	if err != nil && !errors.As(err, &rest) {
		t.Fatal(err)
	}
	records := []string{}
	for i := range b.Len() {
		records = append(records, string(b.Record(i)))
	}
	return records, rest
}

func TestOTLPMapping(t *testing.T) {
	tests := []struct {
		name, body string
		want       []string
	}{
		{"the specification's example", specExample, []string{specRecord}},
		{"nothing known", ofRecord(``), []string{`{}`}},
		{"defaults are as good as absent", ofRecord(`"timeUnixNano":"0","observedTimeUnixNano":0,"severityNumber":0,"severityText":"","eventName":"","flags":0,"droppedAttributesCount":0,"traceId":"","spanId":"","attributes":[]`), []string{`{}`}},
		{"null is as good as absent", ofRecord(`"timeUnixNano":null,"body":null,"attributes":null,"severityText":null`), []string{`{}`}},
		{"a body that holds nothing", ofBody(`{}`), []string{`{"body":null}`}},
		{"all fields", ofRecord(`"eventName":"e","flags":257,"droppedAttributesCount":4294967295,"timeUnixNano":1,"severityNumber":-1,"severityText":"T"`),
			[]string{`{"time":"1970-01-01T00:00:00.000000001Z","severityNumber":-1,"severityText":"T","eventName":"e","flags":257,"droppedAttributesCount":4294967295}`}},
		{"the last time there is", ofRecord(`"timeUnixNano":"18446744073709551615"`), []string{`{"time":"2554-07-21T23:34:33.709551615Z"}`}},
		{"ids that are none", ofRecord(`"traceId":"00000000000000000000000000000000","spanId":"00"`), []string{`{}`}},
		{"names of the wire format and unknown ones are ignored", ofRecord(`"severity_text":"a","new":[{"a":{}},"]}"],"severityText":"b"`), []string{`{"severityText":"b"}`}},

		{"strings", ofBody(`{"stringValue":"a\"\\\/\b\f\n\r\t\u0001\u00e9\ud83d\ude00é😀\u2028"}`), []string{`{"body":"a\"\\/\u0008\u000c\n\r\t\u0001é😀é😀` + "\u2028" + `"}`}},
		{"half a surrogate pair", ofBody(`{"stringValue":"\ud83d-\ude00\ud83d\u0041"}`), []string{"{\"body\":\"\uFFFD-\uFFFD\uFFFDA\"}"}},
		{"integers", ofBody(`{"arrayValue":{"values":[{"intValue":"9223372036854775807"},{"intValue":-9223372036854775808},{"intValue":1e3},{"intValue":"2.0"},{"intValue":0}]}}`), []string{`{"body":[9223372036854775807,-9223372036854775808,1000,2,0]}`}},
		{"doubles", ofBody(`{"arrayValue":{"values":[{"doubleValue":0.1},{"doubleValue":-0},{"doubleValue":"1e21"},{"doubleValue":123456789},{"doubleValue":1e-7},{"doubleValue":"NaN"},{"doubleValue":"Infinity"},{"doubleValue":"-Infinity"}]}}`), []string{`{"body":[0.1,-0,1e+21,123456789,1e-07,"NaN","Infinity","-Infinity"]}`}},
		{"booleans", ofBody(`{"arrayValue":{"values":[{"boolValue":true},{"boolValue":false}]}}`), []string{`{"body":[true,false]}`}},
		{"bytes", ofBody(`{"arrayValue":{"values":[{"bytesValue":"+\/8="},{"bytesValue":"-_8"},{"bytesValue":""}]}}`), []string{`{"body":["+/8=","+/8=",""]}`}},
		{"nested and empty values", ofBody(`{"kvlistValue":{"values":[{"key":"a","value":{"arrayValue":{}}},{"key":"b","value":{"kvlistValue":{}}},{"key":"c"},{"value":{"intValue":1}}]}}`), []string{`{"body":{"a":[],"b":{},"c":null,"":1}}`}},
		{"a key that comes again", ofAttributes(`{"key":"a","value":{"intValue":1}},{"key":"b","value":{"kvlistValue":{"values":[{"key":"a"},{"key":"a","value":{"intValue":2}}]}}},{"key":"a","value":{"intValue":3}}`), []string{`{"attributes":{"b":{"a":2},"a":3}}`}},
		{"of two kinds of value the last", ofBody(`{"stringValue":"a","intValue":1}`), []string{`{"body":1}`}},

		{"resource and scope in each record", `{"resourceLogs":[{"schemaUrl":"r","scopeLogs":[{"schemaUrl":"s","logRecords":[{"severityText":"a"},{}],"scope":{"name":"n","droppedAttributesCount":2}},{"logRecords":[{}]}],"resource":{"attributes":[{"key":"k","value":{"boolValue":false}}],"droppedAttributesCount":1}},{"scopeLogs":[{"logRecords":[{"severityText":"b"}]}]}]}`,
			[]string{
				`{"severityText":"a","resource":{"attributes":{"k":false},"droppedAttributesCount":1,"schemaUrl":"r"},"scope":{"name":"n","droppedAttributesCount":2,"schemaUrl":"s"}}`,
				`{"resource":{"attributes":{"k":false},"droppedAttributesCount":1,"schemaUrl":"r"},"scope":{"name":"n","droppedAttributesCount":2,"schemaUrl":"s"}}`,
				`{"resource":{"attributes":{"k":false},"droppedAttributesCount":1,"schemaUrl":"r"}}`,
				`{"severityText":"b"}`,
			}},
		{"white space", " {\r\n \"resourceLogs\" :\t[ { \"scopeLogs\" : [ { \"logRecords\" : [ { \"severityText\" : \"a b\" , \"flags\" : 1 } , { } ] } ] } ]\n} \n", []string{`{"severityText":"a b","flags":1}`, `{}`}},
		{"no log records", `{"resourceLogs":[{"resource":{},"scopeLogs":[{"logRecords":[]}]}]}`, []string{}},
		{"nothing", `{}`, []string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, rest := parsed(t, parseOTLPJSON, tt.body, otlpLimits)
			if diff := cmp.Diff(tt.want, got); diff != "" || rest != nil {
				t.Errorf("rejected %v, records (-want +got):\n%s", rest, diff)
			}
		})
	}
}

// wireMessage is a message in the wire format.
type wireMessage []byte

func (m wireMessage) bytes(tag uint64, content string) wireMessage {
	return protowire.AppendString(protowire.AppendVarint(m, tag), content)
}

func (m wireMessage) number(tag, n uint64) wireMessage {
	m = protowire.AppendVarint(m, tag)
	switch tag & 7 {
	case asFixed64:
		return protowire.AppendFixed64(m, n)
	case asFixed32:
		return protowire.AppendFixed32(m, uint32(n))
	}
	return protowire.AppendVarint(m, n)
}

// ofRecords is a request with these log records.
func ofRecords(records ...wireMessage) string {
	var scope wireMessage
	for _, r := range records {
		scope = scope.bytes(scopeLogsRecords, string(r))
	}
	resource := wireMessage{}.bytes(resourceLogsScopeLogs, string(scope))
	return string(wireMessage{}.bytes(requestResourceLogs, string(resource)))
}

func textValue(s string) string { return string(wireMessage{}.bytes(valueString, s)) }

func keyValue(key, value string) string {
	return string(wireMessage{}.bytes(keyValueKey, key).bytes(keyValueValue, value))
}

// nested is an AnyValue of arrays, so many deep.
func nested(depth int) string {
	value := ""
	for range depth {
		value = string(wireMessage{}.bytes(valueArray, string(wireMessage{}.bytes(listValues, value))))
	}
	return value
}

func TestOTLPWireFormat(t *testing.T) {
	manyAgain := wireMessage{}
	wantAgain := []string{}
	for i := range 2 * fewEntries {
		manyAgain = manyAgain.bytes(recordAttributes, keyValue(fmt.Sprint(i%(fewEntries+1)), string(wireMessage{}.number(valueInt, uint64(i)))))
		if i > fewEntries-2 {
			wantAgain = append(wantAgain, fmt.Sprintf(`"%d":%d`, i%(fewEntries+1), i))
		}
	}
	tests := []struct {
		name, body string
		want       []string
		rejected   *partial
	}{
		{"empty", "", []string{}, nil},
		{"unknown fields of every wire type", ofRecords(wireMessage{}.number(99<<3, 1<<63).number(99<<3|asFixed64, 2).number(99<<3|asFixed32, 3).bytes(99<<3|asBytes, "\xff").bytes(recordSeverityText, "a")), []string{`{"severityText":"a"}`}, nil},
		{"known numbers of another wire type", ofRecords(wireMessage{}.bytes(recordTime&^7|asBytes, "x").number(recordBody&^7|asVarint, 1)), []string{`{}`}, nil},
		{"fields in another order, the last of each", ofRecords(wireMessage{}.bytes(recordEventName, "e").bytes(recordSeverityText, "a").number(recordTime, 1).bytes(recordSeverityText, "b")), []string{`{"time":"1970-01-01T00:00:00.000000001Z","severityText":"b","eventName":"e"}`}, nil},
		{"a name that is not in release 1.10", ofRecords(wireMessage{}.bytes(recordBody, string(wireMessage{}.number(8<<3, 1)))), []string{`{"body":null}`}, nil},
		{"many keys, of which some come again", ofRecords(manyAgain), []string{`{"attributes":{` + strings.Join(wantAgain, ",") + `}}`}, nil},
		{"not a number", ofRecords(wireMessage{}.bytes(recordBody, string(wireMessage{}.number(valueDouble, math.Float64bits(math.NaN()))))), []string{`{"body":"NaN"}`}, nil},

		{"text that is not UTF-8", ofRecords(wireMessage{}.bytes(recordBody, textValue("a")), wireMessage{}.bytes(recordBody, textValue("b\xff")), wireMessage{}.bytes(recordBody, textValue("c"))),
			[]string{`{"body":"a"}`, `{"body":"c"}`}, &partial{rejected: 1, reason: `1 of 3 log records are rejected; log record 1: a string is not valid UTF-8: "b\xff"`}},
		{"a key that is not UTF-8", ofRecords(wireMessage{}.bytes(recordAttributes, keyValue("\xc3", "")), wireMessage{}),
			[]string{`{}`}, &partial{rejected: 1, reason: `1 of 2 log records are rejected; log record 0: a string is not valid UTF-8: "\xc3"`}},
		{"as deep as may be", ofRecords(wireMessage{}.bytes(recordBody, nested(otlpLimits.MaxDepth-1))), []string{`{"body":[[[[[[[null]]]]]]]}`}, nil},
		{"too deep", ofRecords(wireMessage{}.bytes(recordBody, nested(5_000)), wireMessage{}, wireMessage{}.bytes(recordBody, nested(otlpLimits.MaxDepth))),
			[]string{`{}`}, &partial{rejected: 2, reason: `2 of 3 log records are rejected; log record 0: it is nested more than 8 deep (requestLimits.maxDepth)`}},
		{"too large", ofRecords(wireMessage{}, wireMessage{}.bytes(recordSeverityText, strings.Repeat("x", 64<<10))),
			[]string{`{}`}, &partial{rejected: 1, reason: `1 of 2 log records are rejected; log record 1: it has 65540 bytes, more than the 65536 that are taken (requestLimits.maxRecordBytes)`}},
		{"too large as JSON", ofRecords(wireMessage{}, wireMessage{}.bytes(recordSeverityText, strings.Repeat("\"", 40_000))),
			[]string{`{}`}, &partial{rejected: 1, reason: `1 of 2 log records are rejected; log record 1: as JSON, with its resource and scope, it has 80019 bytes, more than the 65536 that are taken (requestLimits.maxRecordBytes)`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, rest := parsed(t, parseOTLP, tt.body, otlpLimits)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.rejected, rest, cmp.AllowUnexported(partial{})); diff != "" {
				t.Errorf("rejected (-want +got):\n%s", diff)
			}
		})
	}
}

// What can't be taken of a resource or scope can't be taken in any of their
// records, and no record beside them is touched.
func TestOTLPOriginOfManyRecords(t *testing.T) {
	records := wireMessage{}.bytes(scopeLogsRecords, "").bytes(scopeLogsRecords, "")
	good := wireMessage{}.bytes(resourceLogsScopeLogs, string(records))
	tests := []struct {
		name, resource, reason string
	}{
		{"not UTF-8", string(wireMessage{}.bytes(resourceAttributes, keyValue("\xff", ""))), `a string is not valid UTF-8: "\xff"`},
		{"too large", strings.Repeat(string(wireMessage{}.bytes(resourceAttributes, "")), 64<<10), "its resource and scope have 131072 bytes, more than the 65536 that a record may have"},
		{"too deep", string(wireMessage{}.bytes(resourceAttributes, keyValue("k", nested(6)))), "it is nested more than 8 deep (requestLimits.maxDepth)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bad := wireMessage{}.bytes(resourceLogsScopeLogs, string(records)).bytes(resourceLogsResource, tt.resource)
			body := string(wireMessage{}.bytes(requestResourceLogs, string(bad)).bytes(requestResourceLogs, string(good)))
			got, rest := parsed(t, parseOTLP, body, otlpLimits)
			// None of it may be in the way of the others.
			limits := otlpLimits
			limits.Reserve = func(n int64) error {
				if n > 4*limits.MaxRecordBytes {
					return record.ErrFull
				}
				return nil
			}
			if again, _ := parsed(t, parseOTLP, body, limits); len(again) != 2 {
				t.Errorf("with little memory: %q", again)
			}
			want := &partial{rejected: 2, reason: "2 of 4 log records are rejected; log record 0: " + tt.reason}
			if diff := cmp.Diff(want, rest, cmp.AllowUnexported(partial{})); diff != "" || len(got) != 2 {
				t.Errorf("records %q, rejected (-want +got):\n%s", got, diff)
			}
		})
	}
}

func TestOTLPRefusals(t *testing.T) {
	malformed := func(offset int64, reason string) record.ParseError {
		return record.ParseError{Kind: malformedOTLP, Record: -1, Offset: offset, Reason: reason}
	}
	mismatch := func(reason string) record.ParseError { return malformed(-1, reason) }
	tests := []struct {
		name  string
		parse otlpParser
		body  string
		want  record.ParseError
	}{
		{"a tag that is cut off", parseOTLP, "\x80", malformed(0, "a tag is cut off, or longer than a tag can be")},
		{"a field that is cut off", parseOTLP, "\x0a\x05abcd", malformed(0, "field 1 is cut off, or has a number that is too large")},
		{"a nested field that is cut off", parseOTLP, "\x10\x01\x0a\x02\x12\x01", malformed(4, "field 2 is cut off, or has a number that is too large")},
		{"field 0", parseOTLP, "\x02\x00", malformed(0, "there is no field number 0")},
		{"a group", parseOTLP, "\x10\x01\x0b\x0c", malformed(2, "field 1 has wire type 3, which OTLP does not use")},
		{"JSON for protobuf", parseOTLP, specExample, malformed(0, "field 15 has wire type 3, which OTLP does not use")},
		{"no record can be taken", parseOTLP, ofRecords(wireMessage{}.bytes(recordEventName, "\xff")), record.ParseError{Kind: recordsRejected, Record: -1, Offset: -1, Reason: `1 of 1 log records are rejected; log record 0: a string is not valid UTF-8: "\xff"`}},

		{"no body", parseOTLPJSON, "", record.ParseError{Kind: record.NoRecords, Record: -1, Reason: "the body is empty"}},
		{"no JSON", parseOTLPJSON, `{"a":`, record.ParseError{Kind: record.MalformedJSON, Record: -1, Offset: 5, Reason: "expected a value, found the end of the body"}},
		{"no object", parseOTLPJSON, ` [{}]`, record.ParseError{Kind: record.NotAnObject, Record: -1, Offset: 1, Reason: `an OTLP request is a JSON object, but this one begins with '['`}},
		{"not UTF-8", parseOTLPJSON, "{\"a\":\"\xff\"}", record.ParseError{Kind: record.InvalidUTF8, Record: -1, Offset: 6, Reason: "byte 0xff begins no UTF-8 character"}},
		{"an object for a list", parseOTLPJSON, `{"resourceLogs":{}}`, mismatch(`expected "resourceLogs" to be an array, found an object`)},
		{"a list for an object", parseOTLPJSON, ofBody(`{"kvlistValue":[]}`), mismatch(`expected "kvlistValue" to be an object, found an array`)},
		{"null in a list", parseOTLPJSON, `{"resourceLogs":[null]}`, mismatch(`expected "resourceLogs" to be an object, found null`)},
		{"a number for a string", parseOTLPJSON, ofRecord(`"severityText":1`), mismatch(`expected "severityText" to be a string, found 1`)},
		{"a string for a boolean", parseOTLPJSON, ofBody(`{"boolValue":"true"}`), mismatch(`expected "boolValue" to be true or false, found "true"`)},
		{"the name of a severity", parseOTLPJSON, ofRecord(`"severityNumber":"SEVERITY_NUMBER_INFO"`), mismatch(`expected "severityNumber" to be an integer, found "SEVERITY_NUMBER_INFO"`)},
		{"half an integer", parseOTLPJSON, ofBody(`{"intValue":1.5}`), mismatch(`expected "intValue" to be an integer, found 1.5`)},
		{"an integer that is too large", parseOTLPJSON, ofBody(`{"intValue":"9223372036854775808"}`), mismatch(`expected "intValue" to be an integer, found "9223372036854775808"`)},
		{"a count that is too large", parseOTLPJSON, ofRecord(`"flags":4294967296`), mismatch(`expected "flags" to be an integer that is not negative, found 4294967296`)},
		{"a negative time", parseOTLPJSON, ofRecord(`"timeUnixNano":-1`), mismatch(`expected "timeUnixNano" to be an integer that is not negative, found -1`)},
		{"a double that is too large", parseOTLPJSON, ofBody(`{"doubleValue":1e999}`), mismatch(`expected "doubleValue" to be a number, found 1e999`)},
		{"an id in base64", parseOTLPJSON, ofRecord(`"traceId":"W47/95gDgQPSabY="`), mismatch(`expected "traceId" to be a string of hexadecimal digits, found "W47/95gDgQPSabY="`)},
		{"no base64", parseOTLPJSON, ofBody(`{"bytesValue":"a"}`), mismatch(`expected "bytesValue" to be a string in base64, found "a"`)},
		{"base64 on two lines", parseOTLPJSON, ofBody(`{"bytesValue":"YWJj\nYWJj"}`), mismatch(`expected "bytesValue" to be a string in base64, found "YWJj\nYWJjj"`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.parse(record.NewBatch("b"), []byte(tt.body), otlpLimits)
			var got *record.ParseError
			if !errors.As(err, &got) {
				t.Fatalf("error is %v, want a *record.ParseError", err)
			}
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOTLPNestingInJSON(t *testing.T) {
	deep := func(n int) string {
		return ofBody(strings.Repeat(`{"arrayValue":{"values":[`, n) + "{}" + strings.Repeat(`]}}`, n))
	}
	if got, _ := parsed(t, parseOTLPJSON, deep(7), otlpLimits); len(got) != 1 {
		t.Errorf("at the limit: %q", got)
	}
	for _, depth := range []int{8, 100, 10_000} {
		err := parseOTLPJSON(record.NewBatch("b"), []byte(deep(depth)), otlpLimits)
		var refusal *record.ParseError
		if !errors.As(err, &refusal) || refusal.Kind != recordsRejected && refusal.Kind != record.NestingTooDeep {
			t.Errorf("%d deep: %v", depth, err)
		}
	}
}

// Whatever the request, memory is reserved before it is taken: a refused step
// is the end of it, and what was granted covers what the writer holds.
func TestOTLPReservesWhatItTakes(t *testing.T) {
	resource := wireMessage{}.bytes(resourceAttributes, keyValue("k", textValue(strings.Repeat("r", 10_000))))
	records := strings.Repeat(string(wireMessage{}.bytes(scopeLogsRecords, "")), 1000)
	repeated := string(wireMessage{}.bytes(requestResourceLogs, string(wireMessage{}.bytes(resourceLogsResource, string(resource)).bytes(resourceLogsScopeLogs, records))))
	manyKeys := wireMessage{}
	for i := range 10_000 {
		manyKeys = manyKeys.bytes(recordAttributes, keyValue(fmt.Sprint(i), ""))
	}
	limits := record.Limits{MaxRecordBytes: 1 << 20, MaxDepth: 64}
	for name, body := range map[string]string{
		"a resource in every record": repeated,
		"strings that need escapes":  ofRecords(wireMessage{}.bytes(recordBody, textValue(strings.Repeat("\x01", 100_000)))),
		"entries that hold nothing":  ofRecords(wireMessage{}.bytes(recordBody, string(wireMessage{}.bytes(valueArray, strings.Repeat("\x0a\x00", 50_000))))),
		"many keys":                  ofRecords(manyKeys),
		"records that hold nothing":  ofRecords(make([]wireMessage, 10_000)...),
	} {
		t.Run(name, func(t *testing.T) {
			granted := int64(0)
			limits := limits
			limits.Reserve = func(n int64) error { granted += n; return nil }
			w := otlpWriter{limits: limits}
			w.request([]byte(body))
			if w.err != nil || w.rejected > 0 {
				t.Fatal(w.err, w.reasons())
			}
			if held := int64(cap(w.lines) + cap(w.origin) + entryBytes*cap(w.entries.stack) + w.entries.index); held > granted || granted > 3*held {
				t.Errorf("%d bytes are held and %d reserved", held, granted)
			}
			t.Logf("%d bytes became %d, %d reserved", len(body), len(w.lines), granted)
			for refuseAt := range int64(5) {
				limits.Reserve = func(int64) error {
					if refuseAt--; refuseAt < 0 {
						return record.ErrFull
					}
					return nil
				}
				if err := parseOTLP(record.NewBatch("b"), []byte(body), limits); err != nil && !errors.Is(err, record.ErrFull) {
					t.Errorf("error is %v, want %v", err, record.ErrFull)
				}
			}
		})
	}
}

// The worst that a byte of the wire format can become fits into what is
// reserved for it.
func TestOTLPExpansion(t *testing.T) {
	full := wireMessage{}.number(recordTime, math.MaxUint64).number(recordObservedTime, math.MaxUint64).number(recordSeverityNumber, 1<<31).bytes(recordSeverityText, "\x01").
		bytes(recordEventName, "\x01").bytes(recordTraceID, strings.Repeat("\xff", 16)).bytes(recordSpanID, "\xff\xff\xff\xff\xff\xff\xff\xff").number(recordFlags, math.MaxUint32).
		bytes(recordBody, "").bytes(recordAttributes, "").number(recordDropped, math.MaxUint32)
	double := string(wireMessage{}.number(valueDouble, math.Float64bits(-1.2345678901234567e-300)))
	for name, message := range map[string]wireMessage{
		"every member":    full,
		"control text":    wireMessage{}.bytes(recordSeverityText, strings.Repeat("\x1f", 1000)),
		"doubles":         wireMessage{}.bytes(recordBody, string(wireMessage{}.bytes(valueArray, strings.Repeat(string(wireMessage{}.bytes(listValues, double)), 100)))),
		"empty entries":   wireMessage{}.bytes(recordBody, string(wireMessage{}.bytes(valueMap, string(wireMessage{}.bytes(listValues, ""))))),
		"no keys, bools":  wireMessage{}.bytes(recordAttributes, keyValue("", string(wireMessage{}.number(valueBool, 0)))),
		"negative number": wireMessage{}.bytes(recordBody, string(wireMessage{}.number(valueInt, 1<<63))),
	} {
		t.Run(name, func(t *testing.T) {
			w := otlpWriter{limits: otlpLimits}
			out := w.appendRecord([]byte{'{'}, message)
			if most := otlpExpansion*len(message) + otlpNames; len(out) > most-2 {
				t.Errorf("%d bytes became %d, more than %d: %s", len(message), len(out), most, out)
			}
		})
	}
	w := otlpWriter{limits: otlpLimits}
	resource := wireMessage{}.bytes(resourceAttributes, "").number(resourceDropped, math.MaxUint32)
	scope := wireMessage{}.bytes(scopeName, "\x01").bytes(scopeVersion, "\x01").bytes(scopeAttributes, "").number(scopeDropped, math.MaxUint32)
	w.writeOrigin(resource, []byte("\x01"), scope, []byte("\x01"))
	if most := otlpExpansion*(len(resource)+len(scope)+2) + otlpNames; len(w.origin) > most {
		t.Errorf("resource and scope became %d bytes, more than %d", len(w.origin), most)
	}
}

func TestOTLPJSONNeedsNoMoreInTheWireFormat(t *testing.T) {
	for _, body := range []string{specExample, ofRecord(``), `{"resourceLogs":[{},{},{}]}`, ofBody(`{"arrayValue":{"values":[` + strings.Repeat(`{},`, 500) + `{}]}}`), ofBody(`{"intValue":-1}`), ofRecord(`"flags":1,"severityNumber":-1`)} {
		request, _, err := transcodeOTLP([]byte(body), otlpLimits)
		if err != nil || len(request) > len(body) {
			t.Errorf("%d bytes became %d: %v", len(body), len(request), err)
		}
	}
}
