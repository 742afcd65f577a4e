package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

const preface = `# The LogPipeline resource

<!-- Written by go run ./hack/apidoc from the CRD and the comments of api/v1alpha1. -->

` + "`ingest.logpipeline.io/v1alpha1`, kind `LogPipeline`, short name `lp`" + `. ` + "`kubectl explain lp.spec.ingester`" + `
shows the same. A field whose default is not given here takes that of the release
that runs: [configuration.md](configuration.md) has it, under the same name.
Sizes are whole numbers of bytes, such as ` + "`64Mi`" + `. ` + "`{name}`" + ` names a Secret of the same
namespace; in ` + "`{name, key}`" + ` the key may be left out, and is then ` + "`ca.crt`" + `. Samples are in
[config/samples](../config/samples).

`

// writer writes the page, section by section.
type writer struct {
	bytes.Buffer
	// described are the sections written so far, by what is in them.
	described map[string]string
	missing   []error
}

func (w *writer) page(root schema, groups []group) {
	w.WriteString(preface)
	w.rules(root)
	w.section("spec", root.Properties["spec"])
	w.section("status", root.Properties["status"])
	w.conditions(groups)
}

// section writes the fields of an object, and then the objects in it.
func (w *writer) section(path string, s schema) {
	inner, _ := s.section()
	fmt.Fprintf(w, "## `%s`\n\n%s\n\n", path, oneLine(s.Description))
	if other := w.sameAs(path, inner); other != "" {
		fmt.Fprintf(w, "It has the fields of [`%s`](#%s).\n\n", other, anchor(other))
		return
	}
	w.WriteString("| field | type | default | meaning |\n|---|---|---|---|\n")
	for _, name := range inner.fields() {
		w.field(path, name, inner.Properties[name], slices.Contains(inner.Required, name))
	}
	w.WriteString("\n")
	w.rules(inner)
	for _, name := range inner.fields() {
		if _, is := inner.Properties[name].section(); is {
			w.section(path+"."+name, inner.Properties[name])
		}
	}
}

func (w *writer) field(path, name string, s schema, required bool) {
	if s.Description == "" && !strings.HasPrefix(path, "status.conditions") {
		w.missing = append(w.missing, fmt.Errorf("%s.%s has no comment", path, name))
	}
	shown, value := "`"+name+"`", ""
	if _, is := s.section(); is {
		shown = fmt.Sprintf("[`%s`](#%s)", name, anchor(path+"."+name))
	}
	switch {
	case required:
		value = "required"
	case s.Default != nil && reflect.ValueOf(s.Default).Kind() != reflect.Map:
		value = fmt.Sprintf("`%v`", s.Default)
	}
	fmt.Fprintf(w, "| %s | %s | %s | %s |\n", shown, s.kind(), value, cell(oneLine(s.Description)))
}

func (w *writer) rules(s schema) {
	if len(s.Rules) == 0 {
		return
	}
	for _, r := range s.Rules {
		fmt.Fprintf(w, "- %s.\n", r.Message)
	}
	w.WriteString("\n")
}

// sameAs is the section that was written with the same fields.
func (w *writer) sameAs(path string, s schema) string {
	document, err := json.Marshal(s.Properties)
	if err != nil {
		w.missing = append(w.missing, err)
	}
	other := w.described[string(document)]
	if other == "" {
		w.described[string(document)] = path
	}
	return other
}

func (w *writer) conditions(groups []group) {
	w.WriteString("## Conditions\n\n")
	for i, g := range groups {
		if i > 0 {
			fmt.Fprintf(w, "### %s\n\n", strings.TrimSuffix(g.doc, "."))
		} else {
			fmt.Fprintf(w, "%s\n\n", g.doc)
		}
		for _, c := range g.constants {
			fmt.Fprintf(w, "- `%s`: %s\n", c.value, c.doc)
			if c.doc == "" {
				w.missing = append(w.missing, fmt.Errorf("condition or reason %s has no comment", c.value))
			}
		}
		w.WriteString("\n")
	}
	w.Truncate(w.Len() - 1)
}

func (w *writer) complain() error { return errors.Join(w.missing...) }

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// anchor is where the forges put a heading.
func anchor(path string) string { return strings.ToLower(strings.ReplaceAll(path, ".", "")) }
