package main

import (
	"bytes"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"
)

const preface = `# Configuration of the ingester

<!-- Written by go run ./hack/configdoc from the comments of ingester/config. -->

These are the settings of the YAML file that ` + "`ingester ROLE --config FILE`" + ` reads.
What is left out has its default; a setting that isn't listed here is an error.
Sizes are numbers of bytes, or have a unit: ` + "`512Ki`, `64Mi`, `2Gi`" + `. In Kubernetes
the operator writes this file. The roles standalone and direct have the topic ` + "`logs`" + ` and a
` + "`drain.delaySeconds`" + ` of 0. ` + "`ingester ROLE --print-config`" + ` prints what is in
effect. [tuning.md](tuning.md) says which settings depend on your traffic.

`

// writer writes the page, section by section.
type writer struct {
	bytes.Buffer
	comments comments
	missing  []error
}

// section writes the settings of a struct, and then its sections.
func (w *writer) section(path string, value reflect.Value) {
	names := settings(value.Type())
	heading := false
	var sections []int
	for i := range value.NumField() {
		field := value.Type().Field(i)
		if field.Type.Kind() == reflect.Struct {
			sections = append(sections, i)
			continue
		}
		if !heading {
			w.WriteString("| setting | default | unit | meaning |\n|---|---|---|---|\n")
			heading = true
		}
		doc := w.comments[value.Type().Name()+"."+field.Name]
		if doc == "" {
			w.missing = append(w.missing, fmt.Errorf("%s.%s has no comment", value.Type().Name(), field.Name))
		}
		fmt.Fprintf(w, "| `%s` | %s | %s | %s |\n", path+names[field.Name], defaultOf(value.Field(i)), unit(field), named(doc, names))
	}
	for _, i := range sections {
		field := value.Type().Field(i)
		name := path + nameOf(field)
		inner := settings(field.Type)
		fmt.Fprintf(w, "\n## `%s`\n\n%s\n\n", name, named(w.comments[field.Type.Name()], inner))
		w.section(name+".", value.Field(i))
	}
}

// settings are the names in the file of the fields of a struct that are no
// sections.
func settings(t reflect.Type) map[string]string {
	names := map[string]string{}
	for i := range t.NumField() {
		if t.Field(i).Type.Kind() != reflect.Struct {
			names[t.Field(i).Name] = nameOf(t.Field(i))
		}
	}
	return names
}

func nameOf(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}

var word = regexp.MustCompile(`\b[A-Z][A-Za-z]*\b`)

// named replaces the names of fields by those in the file.
func named(doc string, names map[string]string) string {
	doc = word.ReplaceAllStringFunc(doc, func(name string) string {
		if setting := names[name]; setting != "" {
			return "`" + setting + "`"
		}
		return name
	})
	return strings.ReplaceAll(doc, "|", `\|`)
}

// unit is told by the type, or by the name.
func unit(field reflect.StructField) string {
	switch {
	case field.Type.Name() == "Bytes" && strings.HasSuffix(field.Name, "PerSecond"):
		return "bytes/s"
	case field.Type.Name() == "Bytes":
		return "bytes"
	case strings.HasSuffix(field.Name, "Milliseconds"):
		return "ms"
	case strings.HasSuffix(field.Name, "Seconds"):
		return "s"
	case strings.HasSuffix(field.Name, "Records"):
		return "records"
	default:
		return ""
	}
}

// defaultOf is what one would write into the file.
func defaultOf(value reflect.Value) string {
	if value.Kind() == reflect.Slice {
		var elements []string
		for i := range value.Len() {
			elements = append(elements, fmt.Sprint(value.Index(i)))
		}
		return "`[" + strings.Join(elements, ", ") + "]`"
	}
	if value.IsZero() && value.Kind() == reflect.String {
		return "empty"
	}
	document, err := yaml.Marshal(value.Interface())
	if err != nil {
		panic(err) // it is one of our own defaults
	}
	return "`" + strings.TrimSpace(string(document)) + "`"
}
