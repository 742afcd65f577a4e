package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// schema is what we read of an OpenAPI schema.
type schema struct {
	Description string            `json:"description"`
	Type        string            `json:"type"`
	Format      string            `json:"format"`
	Enum        []string          `json:"enum"`
	Default     any               `json:"default"`
	Minimum     *float64          `json:"minimum"`
	Maximum     *float64          `json:"maximum"`
	IntOrString bool              `json:"x-kubernetes-int-or-string"`
	Required    []string          `json:"required"`
	Properties  map[string]schema `json:"properties"`
	Items       *schema           `json:"items"`
	Values      *schema           `json:"additionalProperties"`
	Rules       []rule            `json:"x-kubernetes-validations"`
}

type rule struct {
	Message string `json:"message"`
}

func readSchema(file string) (schema, error) {
	document, err := os.ReadFile(file)
	if err != nil {
		return schema{}, err
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					Root schema `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(document, &crd); err != nil {
		return schema{}, err
	}
	if len(crd.Spec.Versions) != 1 {
		return schema{}, errors.New("the page is made for one version of the API")
	}
	return crd.Spec.Versions[0].Schema.Root, nil
}

// section is what has fields of ours: those of Kubernetes' own types have no
// descriptions.
func (s schema) section() (fields schema, is bool) {
	if s.Items != nil {
		return s.Items.section()
	}
	if s.secret() {
		return s, false
	}
	described := slices.ContainsFunc(slices.Collect(maps.Values(s.Properties)), func(p schema) bool { return p.Description != "" })
	return s, described
}

// secret tells whether it names a Secret, which the preface explains.
func (s schema) secret() bool {
	_, name := s.Properties["name"]
	_, key := s.Properties["key"]
	return name && (len(s.Properties) == 1 || key && len(s.Properties) == 2)
}

// fields of an object: those that it must have first, then by name.
func (s schema) fields() []string {
	return slices.SortedFunc(maps.Keys(s.Properties), func(a, b string) int {
		if required := slices.Contains(s.Required, a); required != slices.Contains(s.Required, b) {
			if required {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
}

// kind is a type as one would say it.
func (s schema) kind() string {
	switch {
	case s.secret():
		return "{" + strings.Join(s.fields(), ", ") + "}"
	case len(s.Enum) > 0:
		return strings.Join(s.Enum, ", ")
	case s.IntOrString:
		return "size"
	case s.Items != nil:
		return "list of " + s.Items.kind()
	case s.Values != nil:
		return "map to " + s.Values.kind()
	case s.Format == "date-time":
		return "time"
	default:
		return s.Type + s.bounds()
	}
}

func (s schema) bounds() string {
	switch {
	case s.Minimum != nil && s.Maximum != nil:
		return fmt.Sprintf(", %.0f to %.0f", *s.Minimum, *s.Maximum)
	case s.Minimum != nil:
		return fmt.Sprintf(", from %.0f", *s.Minimum)
	default:
		return ""
	}
}
