package record

import "fmt"

// Key appends the key of a record to into, which must not be nil, or finds that
// it has none. A nil Key is that of no record.
type Key func(into, value []byte) (key []byte, found bool)

// KeyOf finds keys by the dotted path of a field: the text of a string, the
// literal of a number or boolean. A record without such a field has no key. It
// is nil for an empty path; the error is that of ParsePath and names the setting.
func KeyOf(field string) (Key, error) {
	if field == "" {
		return nil, nil
	}
	path, err := ParsePath(field)
	if err != nil {
		return nil, fmt.Errorf("producer.keyField is %q: %w", field, err)
	}
	return func(into, value []byte) ([]byte, bool) {
		v, _ := path.Lookup(value)
		switch v.Kind {
		case StringValue, NumberValue, TrueValue, FalseValue:
			return v.AppendText(into), true
		default:
			return into, false
		}
	}, nil
}
