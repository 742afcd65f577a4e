package record

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ValueKind is what kind of JSON value a Value is.
type ValueKind uint8

// The kinds of values. NoValue is that of a field which a record doesn't have.
const (
	NoValue ValueKind = iota
	StringValue
	NumberValue
	ObjectValue
	ArrayValue
	TrueValue
	FalseValue
	NullValue
)

// Value is one value of a record, as the record has it.
type Value struct {
	// Raw is the JSON text, quotes and all; it lies in the record.
	Raw  []byte
	Kind ValueKind
}

// AppendText appends what the value says: of a string its text, as
// AppendString does; of anything else the JSON text as it stands.
func (v Value) AppendText(dst []byte) []byte {
	if v.Kind == StringValue {
		return AppendString(dst, v.Raw)
	}
	return append(dst, v.Raw...)
}

// Path leads to one field of a record. It is made by ParsePath, never changes,
// and may be used by any number of goroutines.
type Path struct{ paths Paths }

// ParsePath reads a dotted path: "tenant.id" is the member "id" of the object
// that is the member "tenant" of the record. A dot that belongs to a name is
// written \. and a backslash \\. No path leads into an array.
func ParsePath(dotted string) (Path, error) {
	paths, err := ParsePaths(dotted)
	return Path{paths}, err
}

// Lookup finds the field in a record that a parser of this package has
// accepted; see Paths.Lookup.
func (p Path) Lookup(record []byte) (value Value, found bool) {
	var into [1]Value
	p.paths.Lookup(record, into[:p.paths.count])
	return into[0], into[0].Kind != NoValue
}

// Paths lead to several fields, which are found in one pass over a record. It
// never changes, and may be used by any number of goroutines.
type Paths struct {
	root  step
	count int
}

// ParsePaths reads paths as ParsePath does. One path may lead to an object and
// another into it, but none may stand twice.
func ParsePaths(dotted ...string) (Paths, error) {
	paths := Paths{root: step{field: inside}}
	for _, path := range dotted {
		names, err := splitPath(path)
		if err == nil {
			err = paths.root.add(names, paths.count)
		}
		if err != nil {
			return Paths{}, fmt.Errorf("parse field path %q: %w", path, err)
		}
		paths.count++
	}
	return paths, nil
}

// Len is the number of paths.
func (p Paths) Len() int { return p.count }

// Lookup puts the value to which path i leads at into[i], or one of kind
// NoValue where the record has no such field. into must have room for Len
// values, whose bytes lie in the record.
//
// Where an object has a name more than once, its last member counts, as it
// does for encoding/json. Names are compared as text, so that an escaped one
// ("\u0074enant") is found. What is no valid record gives no error and values
// without a meaning.
func (p Paths) Lookup(record []byte, into []Value) {
	into = into[:p.count]
	clear(into)
	f := finder{data: record}
	if i := f.space(0); i < len(record) && record[i] == '{' {
		f.object(i+1, p.root.next, into)
	}
}

// step is a name on one or more paths. Together the steps are a tree, so that
// what paths have in common is looked for once.
type step struct {
	name  string
	field int // the path that ends here, or inside
	next  []step
}

// inside marks a step at which no path ends.
const inside = -1

func (s *step) add(names []string, field int) error {
	if len(names) == 0 {
		if s.field != inside {
			return errors.New("it stands twice")
		}
		s.field = field
		return nil
	}
	i := slices.IndexFunc(s.next, func(n step) bool { return n.name == names[0] })
	if i < 0 {
		i = len(s.next)
		s.next = append(s.next, step{name: names[0], field: inside})
	}
	return s.next[i].add(names[1:], field)
}

// splitPath cuts a path at the dots that have no backslash before them.
func splitPath(path string) ([]string, error) {
	var names []string
	var name strings.Builder
	end := func() error {
		if name.Len() == 0 {
			return errors.New("a name in it is empty; write names with a dot between two, such as tenant.id")
		}
		names = append(names, name.String())
		name.Reset()
		return nil
	}
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '.':
			if err := end(); err != nil {
				return nil, err
			}
		case c != '\\':
			name.WriteByte(c)
		case i+1 < len(path) && (path[i+1] == '.' || path[i+1] == '\\'):
			i++
			name.WriteByte(path[i])
		default:
			return nil, errors.New(`a backslash stands before neither a dot nor a backslash; write \\ for a backslash`)
		}
	}
	return names, end()
}
