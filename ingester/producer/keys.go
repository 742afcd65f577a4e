package producer

import (
	"fmt"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// keys finds the keys of records.
type keys struct {
	wanted bool
	path   record.Path
}

// newKeys looks for the field at a dotted path; for none, if that is empty.
func newKeys(field string) (keys, error) {
	if field == "" {
		return keys{}, nil
	}
	path, err := record.ParsePath(field)
	if err != nil {
		return keys{}, fmt.Errorf("producer.keyField is %q: %w", field, err)
	}
	return keys{wanted: true, path: path}, nil
}

// of appends the key of a record to into, which must not be nil: the text of a
// string, the literal of a number or boolean. A record without such a field
// has no key.
func (k keys) of(into, value []byte) (key []byte, found bool) {
	v, _ := k.path.Lookup(value)
	switch v.Kind {
	case record.StringValue, record.NumberValue, record.TrueValue, record.FalseValue:
		return v.AppendText(into), true
	default:
		return into, false
	}
}
