package aggregate

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// FuzzAdd compares with what encoding/json finds in the same records.
func FuzzAdd(f *testing.F) {
	f.Add([]byte(`{"a":"x","b":{"c":1},"n":2}` + "\n" + `{"a":"\u0078","b":{"c":1e2},"n":"2"}` + "\n"))
	f.Add([]byte(`{"b":{"c":-0.5,"c":7},"b":{},"n":12345678901234567890}` + "\n" + `{"n":1e999}`))
	f.Add([]byte(`{"a":[{"a":1}],"b":"c","n":{"n":1}}`))
	f.Add([]byte(`{"a":"` + strings.Repeat("ä", 128) + `","b":{"c":null}}`))
	plan := must(f, withoutQuantiles(cfg("a b.c", "n")))
	f.Fuzz(func(t *testing.T, input []byte) {
		r, want := plan.NewRollup(), reference{}
		for line := range bytes.Lines(input) {
			line = bytes.TrimSuffix(line, []byte("\n"))
			if !isRecord(line) {
				continue
			}
			r.Add(append(slices.Clone(line), '\n'), 0)
			want.add(line)
		}
		a, err := plan.NewAnswer(firstMinute)
		if err == nil {
			err = a.Add(r)
		}
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, asReference(a.Rows())); diff != "" {
			t.Errorf("%q (-encoding/json +rollup):\n%s", input, diff)
		}
	})
}

// isRecord: what httpapi lets through is an object in valid UTF-8.
func isRecord(line []byte) bool {
	var members map[string]json.RawMessage
	return json.Unmarshal(line, &members) == nil && members != nil && utf8.Valid(line)
}

// reference is what there is of each group, by its values as JSON.
type reference map[string]referenceCell

type referenceCell struct {
	Records, Bytes, Count, Skipped int64
	Min, Max                       float64
}

func (ref reference) add(line []byte) {
	var top map[string]json.RawMessage
	_ = json.Unmarshal(line, &top) // isRecord
	var below map[string]json.RawMessage
	_ = json.Unmarshal(top["b"], &below) // without an object there is nothing
	values := [2]json.RawMessage{top["a"], below["c"]}
	group := make(map[string]json.RawMessage)
	name := "other"
	if shortEnough(values[0]) && shortEnough(values[1]) {
		for i, field := range []string{"a", "b.c"} {
			if values[i] != nil {
				group[field] = normal(values[i])
			}
		}
		document, _ := json.Marshal(group) // valid JSON in it
		name = string(document)
	}
	c := ref[name]
	c.Records++
	c.Bytes += int64(len(line))
	c.addNumber(top["n"])
	ref[name] = c
}

func (c *referenceCell) addNumber(document json.RawMessage) {
	if document == nil {
		return
	}
	var x any
	if json.Unmarshal(document, &x) == nil {
		if x, ok := x.(float64); ok && math.Abs(x) <= maxNumber {
			if c.Count == 0 {
				c.Min, c.Max = x, x
			}
			c.Count++
			c.Min, c.Max = min(c.Min, x), max(c.Max, x)
			return
		}
	}
	c.Skipped++
}

func shortEnough(document json.RawMessage) bool {
	var text string
	if json.Unmarshal(document, &text) == nil && !bytes.Equal(bytes.TrimSpace(document), []byte("null")) {
		return len(text) <= maxValueBytes
	}
	return len(document) <= maxValueBytes
}

// normal writes a string as encoding/json does, and leaves the rest.
func normal(document json.RawMessage) json.RawMessage {
	var text *string
	if json.Unmarshal(document, &text) == nil && text != nil {
		document, _ = json.Marshal(text)
	}
	return document
}

func asReference(rows []Row) reference {
	ref := reference{}
	for _, row := range rows {
		document, _ := json.Marshal(row.Group)
		name := string(document)
		if row.Other {
			name = "other"
		}
		n := row.Numbers["n"]
		c := ref[name] // groups that differ in white space alone are one here
		c.Records += row.Records
		c.Bytes += row.Bytes
		c.Skipped += n.Skipped
		if n.Count > 0 {
			if c.Count == 0 {
				c.Min, c.Max = *n.Min, *n.Max
			}
			c.Count += n.Count
			c.Min, c.Max = min(c.Min, *n.Min), max(c.Max, *n.Max)
		}
		ref[name] = c
	}
	return ref
}
