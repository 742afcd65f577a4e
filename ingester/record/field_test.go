package record

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

type found struct {
	Raw  string
	Kind ValueKind
}

// lookUp is Lookup with a result that can be compared.
func lookUp(t *testing.T, record string, dotted ...string) []found {
	t.Helper()
	paths, err := ParsePaths(dotted...)
	if err != nil {
		t.Fatal(err)
	}
	into := make([]Value, paths.Len())
	for i := range into {
		into[i] = Value{Raw: []byte("of the record before"), Kind: StringValue}
	}
	paths.Lookup([]byte(record), into)
	list := []found{}
	for _, v := range into {
		list = append(list, found{string(v.Raw), v.Kind})
	}
	return list
}

func TestLookup(t *testing.T) {
	none := found{"", NoValue}
	const kinds = `{"s":"text","n":-1.5e3,"o":{"a":1},"a":[1,{"s":2}],"t":true,"f":false,"z":null}`
	for name, tc := range map[string]struct {
		record string
		paths  []string
		want   []found
	}{
		"every kind of value": {kinds, []string{"s", "n", "o", "a", "t", "f", "z"}, []found{
			{`"text"`, StringValue}, {`-1.5e3`, NumberValue}, {`{"a":1}`, ObjectValue}, {`[1,{"s":2}]`, ArrayValue},
			{`true`, TrueValue}, {`false`, FalseValue}, {`null`, NullValue}}},
		"an empty record":                    {`{}`, []string{"a"}, []found{none}},
		"no path":                            {`{"a":1}`, nil, []found{}},
		"a field that isn't there":           {kinds, []string{"tenant"}, []found{none}},
		"a name that another begins with":    {`{"tenants":1,"ten":2,"tenant":3}`, []string{"tenant"}, []found{{"3", NumberValue}}},
		"a value that looks like a name":     {`{"a":"tenant","b":"\"tenant\":1","tenant":2}`, []string{"tenant"}, []found{{"2", NumberValue}}},
		"a field of an inner object":         {`{"tenant":{"name":"x","id":"y"},"id":"z"}`, []string{"tenant.id"}, []found{{`"y"`, StringValue}}},
		"the same name deeper down":          {`{"a":{"id":1},"b":[{"id":2}],"id":3}`, []string{"id"}, []found{{"3", NumberValue}}},
		"a path through a value":             {`{"tenant":"x","a":["tenant",{"id":1}]}`, []string{"tenant.id", "a.id", "a.1"}, []found{none, none, none}},
		"an object and what is in it":        {`{"a":{"b":{"c":1}}}`, []string{"a.b.c", "a", "a.b"}, []found{{"1", NumberValue}, {`{"b":{"c":1}}`, ObjectValue}, {`{"c":1}`, ObjectValue}}},
		"white space everywhere":             {" { \"a\" : 1 , \"b\" :\t{ \"c\" : \"x\" , \"d\" : [ ] } } ", []string{"a", "b.c", "b.d"}, []found{{"1", NumberValue}, {`"x"`, StringValue}, {"[ ]", ArrayValue}}},
		"quotes and brackets in texts":       {`{"x":"}\\\"]{","y":["\\","]"],"a":1}`, []string{"a", "y"}, []found{{"1", NumberValue}, {`["\\","]"]`, ArrayValue}}},
		"texts longer than a word":           {`{"x":"日本語 and more than eight bytes","a":"` + strings.Repeat("y", 100) + `"}`, []string{"a"}, []found{{`"` + strings.Repeat("y", 100) + `"`, StringValue}}},
		"a name with a dot":                  {`{"a":{"b":1},"a.b":2,"a\\b":3}`, []string{"a.b", `a\.b`, `a\\b`}, []found{{"1", NumberValue}, {"2", NumberValue}, {"3", NumberValue}}},
		"escaped names":                      {`{"\u0074enant":{"i\u0064":1},"\ud83d\ude00":2,"\"\/\b\f\n\r\t":3}`, []string{"tenant.id", "\U0001F600", "\"/\b\f\n\r\t"}, []found{{"1", NumberValue}, {"2", NumberValue}, {"3", NumberValue}}},
		"an escaped name that goes on":       {`{"\u0074enants":1,"\u0074en":2,"\ud83d":3}`, []string{"tenant", "ten"}, []found{none, {"2", NumberValue}}},
		"a name twice: the last counts":      {`{"a":1,"b":2,"\u0061":"x"}`, []string{"a"}, []found{{`"x"`, StringValue}}},
		"an object twice: the last counts":   {`{"a":{"b":1,"c":{"d":2}},"a":{"b":3}}`, []string{"a.b", "a.c.d"}, []found{{"3", NumberValue}, none}},
		"an object, then something else":     {`{"a":{"b":1},"a":null}`, []string{"a.b", "a"}, []found{none, {"null", NullValue}}},
		"names beyond ASCII":                 {`{"ключ":{"日本":1}}`, []string{"ключ.日本"}, []found{{"1", NumberValue}}},
		"an empty name can't be looked for":  {`{"":1,"a":2}`, []string{"a"}, []found{{"2", NumberValue}}},
		"what is cut short":                  {`{"a":1,"b":"x`, []string{"a", "b"}, []found{{"1", NumberValue}, none}},
		"what ends behind a name":            {`{"a"`, []string{"a"}, []found{none}},
		"what ends behind a colon":           {`{"a":`, []string{"a"}, []found{none}},
		"what ends with a backslash":         {`{"a":"\`, []string{"a"}, []found{none}},
		"what isn't closed":                  {`{"a":[{"b":1}`, []string{"a"}, []found{none}},
		"an array instead of a record":       {`[{"a":1}]`, []string{"a"}, []found{none}},
		"nothing at all instead of a record": {``, []string{"a"}, []found{none}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, lookUp(t, tc.record, tc.paths...)); diff != "" {
				t.Errorf("%s in %s (-want +got):\n%s", tc.paths, tc.record, diff)
			}
		})
	}
}

func TestParsePathsRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		paths []string
		want  string
	}{
		"an empty path":                    {[]string{""}, `parse field path "": a name in it is empty`},
		"two dots":                         {[]string{"a", "a..b"}, `parse field path "a..b": a name in it is empty`},
		"a dot at the end":                 {[]string{"a."}, `parse field path "a.": a name in it is empty`},
		"a backslash at the end":           {[]string{`a\`}, `parse field path "a\\": a backslash stands before neither`},
		"a backslash in front of a letter": {[]string{`a\n`}, `parse field path "a\\n": a backslash stands before neither`},
		"one path twice":                   {[]string{"a.b", "a", "a.b"}, `parse field path "a.b": it stands twice`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParsePaths(tc.paths...); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("ParsePaths(%q) = %v, want %q…", tc.paths, err, tc.want)
			}
		})
	}
}

func TestAppendText(t *testing.T) {
	path, err := ParsePath("a")
	if err != nil {
		t.Fatal(err)
	}
	for record, want := range map[string]string{
		`{"a":""}`:                          "",
		`{"a":"plain"}`:                     "plain",
		`{"a":"\"\\\/\b\f\n\r\t\u00eF\u0"}`: "\"\\/\b\f\n\r\tï\uFFFD", // \u0 is no record, but does no harm
		`{"a":"x\ud83d\ude00y"}`:            "x\U0001F600y",
		`{"a":"\ud83dx\ude00\ud83d\u0041"}`: "\uFFFDx\uFFFD\uFFFDA",
		`{"a":12.50}`:                       "12.50",
		`{"a":{"b":"\n"}}`:                  `{"b":"\n"}`,
		`{"b":1}`:                           "",
	} {
		value, _ := path.Lookup([]byte(record))
		if got := string(value.AppendText([]byte("> "))); got != "> "+want {
			t.Errorf("text of a in %s is %q, want %q behind \"> \"", record, got, want)
		}
	}
}

func TestLookupAllocatesNothing(t *testing.T) {
	path, err := ParsePath("tenant.id")
	if err != nil {
		t.Fatal(err)
	}
	record := []byte(`{"a":"\n","\u0074enant":{"name":["x"],"\u0069d":"a\tb"}}`)
	buffer := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		value, ok := path.Lookup(record)
		if buffer = value.AppendText(buffer[:0]); !ok || string(buffer) != "a\tb" {
			t.Fatalf("found %q, %v", buffer, ok)
		}
	}); n != 0 {
		t.Errorf("%v allocations a record", n)
	}
}

// reference is what encoding/json finds.
func reference(record []byte, names []string) []byte {
	for _, name := range names {
		var members map[string]json.RawMessage
		if json.Unmarshal(record, &members) != nil {
			return nil
		}
		record = members[name]
	}
	return record
}

func FuzzLookup(f *testing.F) {
	for _, seed := range [][2]string{
		{`{"a":1}`, "a"}, {` { "a" : { "b" : "x\ud83d\ude00" , "c" : [ { } ] } } `, "a.b"}, {`{"a":{"b":1},"a":{"c":2}}`, "a.b"},
		{`{"a":{"b":1},"\u0061":null}`, "a.b"}, {`{"a.b":"\\","x":"\\\""}`, `a\.b`}, {`{"日本語 and more than eight bytes":[1,"]"]}`, "日本語 and more than eight bytes"},
		{`{"a":[[["\\\\\""]]],"b":-0.1e+5}`, "b"}, {`{"a":"`, "a"}, {`{"\ud800":true}`, "\uFFFD"}, {"{\"a\":1}\r\n", "a"},
	} {
		f.Add([]byte(seed[0]), seed[1])
	}
	f.Fuzz(func(t *testing.T, record []byte, dotted string) {
		path, err := ParsePath(dotted)
		if err != nil {
			return
		}
		value, ok := path.Lookup(record)
		AppendString(nil, value.Raw)
		AppendString(nil, record)
		names, _ := splitPath(dotted)
		if !json.Valid(record) || !utf8.Valid(record) {
			return
		}
		want := reference(record, names)
		if string(value.Raw) != string(want) || ok != (want != nil) || ok && value.Kind != kindOfText(t, want) {
			t.Fatalf("%q is %q, of kind %d (%v), want %q", dotted, value.Raw, value.Kind, ok, want)
		}
		if value.Kind != StringValue {
			return
		}
		var text string
		if err := json.Unmarshal(want, &text); err != nil || string(value.AppendText(nil)) != text {
			t.Fatalf("the text of %s is %q, want %q", want, value.AppendText(nil), text)
		}
	})
}

// kindOfText is the kind of a JSON text as encoding/json sees it.
func kindOfText(t *testing.T, text []byte) ValueKind {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	token, err := d.Token()
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatalf("decode %q: %v", text, err)
	}
	switch v := token.(type) {
	case string:
		return StringValue
	case json.Number:
		return NumberValue
	case json.Delim:
		return map[json.Delim]ValueKind{'{': ObjectValue, '[': ArrayValue}[v]
	case bool:
		return map[bool]ValueKind{true: TrueValue, false: FalseValue}[v]
	default:
		return NullValue
	}
}
