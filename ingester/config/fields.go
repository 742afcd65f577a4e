package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// checkDocument compares a JSON document with the fields of Config, and returns
// every mistake, each naming the dotted field, its value and the remedy. What
// decodes it says so in terms of Go, and stops at the first.
func checkDocument(document []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber() // to show a number as it was written
	var value any
	if err := decoder.Decode(&value); err != nil {
		return err
	}
	return errors.Join(checkValue("", value, reflect.TypeFor[Config]())...)
}

// checkValue checks what stands at the dotted path field against its type; null
// leaves the default.
func checkValue(field string, value any, t reflect.Type) []error {
	if value == nil {
		return nil
	}
	var good bool
	var remedy string
	switch {
	case t == reflect.TypeFor[Bytes]():
		_, err := ParseBytes(fmt.Sprint(value))
		good, remedy = err == nil, sizeRemedy
	case t.Kind() == reflect.Struct:
		if object, ok := value.(map[string]any); ok {
			return checkFieldsOf(field, object, t)
		}
		good, remedy = false, "write fields below it: "+strings.Join(fieldNames(t), ", ")
	case t.Kind() == reflect.Slice:
		if list, ok := value.([]any); ok {
			return checkElements(field, list, t.Elem())
		}
		good, remedy = false, fmt.Sprintf("write a list, such as [%s]", literal(value))
	default:
		good, remedy = checkScalar(value, t.Kind())
	}
	if good {
		return nil
	}
	if field == "" {
		field = "the document"
	}
	return []error{fmt.Errorf("%s is %s: %s", field, literal(value), remedy)}
}

func checkScalar(value any, kind reflect.Kind) (good bool, remedy string) {
	number, isNumber := value.(json.Number)
	switch kind {
	case reflect.String:
		_, good = value.(string)
		return good, "write a text, in quotes"
	case reflect.Bool:
		_, good = value.(bool)
		return good, "write true or false, without quotes"
	case reflect.Int, reflect.Int32, reflect.Int64:
		_, err := strconv.ParseInt(number.String(), 10, 64)
		return isNumber && err == nil, "write a whole number, without quotes or a unit"
	case reflect.Float64:
		return isNumber, "write a number, without quotes"
	}
	return true, "" // a kind that no field has
}

func checkElements(field string, list []any, t reflect.Type) []error {
	var mistakes []error
	for i, element := range list {
		mistakes = append(mistakes, checkValue(fmt.Sprintf("%s[%d]", field, i), element, t)...)
	}
	return mistakes
}

func checkFieldsOf(section string, object map[string]any, t reflect.Type) []error {
	fields := fieldsOf(t)
	var mistakes []error
	for _, name := range sortedKeys(object) {
		if known, found := fields[name]; found {
			mistakes = append(mistakes, checkValue(dotted(section, name), object[name], known)...)
		} else {
			mistakes = append(mistakes, fmt.Errorf("unknown field %q: %s", dotted(section, name), hint(section, name, t)))
		}
	}
	return mistakes
}

// hint says what may have been meant by a field that the section does not have.
func hint(section, name string, t reflect.Type) string {
	names := fieldNames(t)
	nearest := slices.MinFunc(names, func(a, b string) int { return distance(name, a) - distance(name, b) })
	if distance(name, nearest) <= 2 || strings.EqualFold(name, nearest) {
		return fmt.Sprintf("did you mean %q?", dotted(section, nearest))
	}
	if elsewhere := pathsTo(name, "", reflect.TypeFor[Config]()); len(elsewhere) > 0 {
		return fmt.Sprintf("did you mean %s?", strings.Join(elsewhere, " or "))
	}
	if section == "" {
		return "there are " + strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s has %s", section, strings.Join(names, ", "))
}

// pathsTo returns the dotted paths of all fields of the name.
func pathsTo(name, section string, t reflect.Type) []string {
	if t.Kind() != reflect.Struct {
		return nil
	}
	var paths []string
	fields := fieldsOf(t)
	for _, known := range fieldNames(t) {
		if known == name {
			paths = append(paths, dotted(section, known))
		}
		paths = append(paths, pathsTo(name, dotted(section, known), fields[known])...)
	}
	return paths
}

func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for f := range t.Fields() {
		fields[f.Tag.Get("json")] = f.Type
	}
	return fields
}

func fieldNames(t reflect.Type) []string { return sortedKeys(fieldsOf(t)) }

func sortedKeys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func dotted(section, name string) string {
	if section == "" {
		return name
	}
	return section + "." + name
}

// literal shows a value as JSON, shortened.
func literal(value any) string {
	const most = 80
	document, err := json.Marshal(value)
	if err != nil { // it was decoded from JSON
		panic(err)
	}
	if len(document) > most {
		return strings.ToValidUTF8(string(document[:most]), "") + "…"
	}
	return string(document)
}

// distance is how many letters are to be put in, left out or replaced to make b
// of a (Levenshtein's distance).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
