package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOnlyOurDescriptionsStay(t *testing.T) {
	const given = `---
spec:
  versions:
  - schema:
      openAPIV3Schema:
        description: |-
          Thing is
          ours.
        properties:
          apiVersion:
            description: theirs, and kept
            type: string
          spec:
            description: theirs
            properties:
              description:
                description: description is a field of ours.
                type: string
              list:
                items:
                  description: theirs
                  type: string
                type: array
              map:
                additionalProperties:
                  description: theirs
                  type: string
                description: theirs
                type: object
            type: object
        type: object
`
	const want = `---
spec:
  versions:
  - schema:
      openAPIV3Schema:
        description: |-
          Thing is
          ours.
        properties:
          apiVersion:
            description: theirs, and kept
            type: string
          spec:
            properties:
              description:
                description: description is a field of ours.
                type: string
              list:
                items:
                  type: string
                type: array
              map:
                additionalProperties:
                  type: string
                type: object
            type: object
        type: object
`
	got, err := prune([]byte(given), comments{"Thing is ours.": true, "description is a field of ours.": true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestWhatIsNoCRDIsRefused(t *testing.T) {
	for name, document := range map[string]string{"no versions": "spec: {}", "no YAML": "{"} {
		if _, err := prune([]byte(document), nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
