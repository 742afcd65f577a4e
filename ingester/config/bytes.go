package config

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes is a size in bytes. In a file it is a number, or a string with one of
// the binary units Ki, Mi, Gi and Ti, such as "64Mi".
type Bytes int64

var units = []struct {
	suffix string
	size   int64
}{{"Ti", 1 << 40}, {"Gi", 1 << 30}, {"Mi", 1 << 20}, {"Ki", 1 << 10}}

const sizeRemedy = `write a whole number of bytes, or one with Ki, Mi, Gi or Ti, such as "64Mi"`

// ParseBytes reads "1048576" and "1Mi" alike. Fractions, signs and decimal
// units are errors.
func ParseBytes(s string) (Bytes, error) {
	number, factor := s, int64(1)
	for _, u := range units {
		if rest, found := strings.CutSuffix(s, u.suffix); found {
			number, factor = rest, u.size
			break
		}
	}
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil || n > uint64(math.MaxInt64/factor) {
		return 0, fmt.Errorf("parse size %q: %s", s, sizeRemedy)
	}
	return Bytes(int64(n) * factor), nil
}

// String uses the largest unit that divides the size.
func (b Bytes) String() string {
	for _, u := range units {
		if b != 0 && int64(b)%u.size == 0 {
			return strconv.FormatInt(int64(b)/u.size, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// MarshalJSON writes String, as a number where it has no unit.
func (b Bytes) MarshalJSON() ([]byte, error) {
	s := b.String()
	if last := s[len(s)-1]; last == 'i' {
		return json.Marshal(s)
	}
	return []byte(s), nil
}

// UnmarshalJSON reads a number or a string, as ParseBytes does.
func (b *Bytes) UnmarshalJSON(document []byte) error {
	s := string(document)
	if strings.HasPrefix(s, `"`) {
		if err := json.Unmarshal(document, &s); err != nil {
			return err
		}
	}
	parsed, err := ParseBytes(s)
	if err != nil {
		return err
	}
	*b = parsed
	return nil
}
