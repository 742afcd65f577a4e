package record

import (
	"strings"
	"testing"
)

func TestKeyOf(t *testing.T) {
	keyOf, err := KeyOf("a.b")
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]string{
		`{"a":{"b":"x\u0041"}}`: "key xA true",
		`{"a":{"b":""}}`:        "key  true",
		`{"a":{"b":1.50}}`:      "key 1.50 true",
		`{"a":{"b":false}}`:     "key false true",
		`{"a":{"b":null}}`:      "key  false",
		`{"a":{"b":[1]}}`:       "key  false",
		`{"a":1}`:               "key  false",
	} {
		key, found := keyOf([]byte("key "), []byte(value))
		got := string(key) + map[bool]string{true: " true", false: " false"}[found]
		if got != want {
			t.Errorf("the key of %s is %q, want %q", value, got, want)
		}
	}
	if none, err := KeyOf(""); none != nil || err != nil {
		t.Errorf("KeyOf without a field: %v", err)
	}
	if _, err := KeyOf(`a\x`); err == nil || !strings.HasPrefix(err.Error(), `producer.keyField is "a\\x": `) {
		t.Errorf("KeyOf of a bad path: %v", err)
	}
}
