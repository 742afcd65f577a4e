package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// audit is the API server's own account of the operator's requests, each at
// its end.
type audit struct{ path string }

const policy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: Metadata
  users: ["` + operatorUser + `"]
- level: None
`

func (a audit) configure(environment *envtest.Environment, folder string) error {
	file := filepath.Join(folder, "audit-policy.yaml")
	environment.ControlPlane.GetAPIServer().Configure().
		Set("audit-policy-file", file).Set("audit-log-path", a.path).Set("audit-log-maxsize", "100000")
	return os.WriteFile(file, []byte(policy), 0o600)
}

// requests of the operator, by what they are, such as "patch leases".
type requests map[string]int

// between counts those that ended in a span of time.
func (a audit) between(from, to time.Time) (_ requests, err error) {
	file, err := os.Open(a.path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	counted, decoder := requests{}, json.NewDecoder(bufio.NewReaderSize(file, 1<<20))
	for {
		var event struct {
			Verb           string
			StageTimestamp time.Time
			ObjectRef      struct{ Resource, Subresource string }
		}
		if err := decoder.Decode(&event); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return counted, nil
		} else if err != nil {
			return nil, fmt.Errorf("read %s: %w", a.path, err)
		}
		if event.StageTimestamp.Before(from) || !event.StageTimestamp.Before(to) {
			continue
		}
		what := event.Verb + " " + event.ObjectRef.Resource
		if event.ObjectRef.Subresource != "" {
			what += "/" + event.ObjectRef.Subresource
		}
		counted[what]++
	}
}

const (
	accessReviews = "create subjectaccessreviews"
	tokenReviews  = "create tokenreviews"
)

// writes are all that change something. A review only asks.
func (r requests) writes() (n int) {
	for what, count := range r {
		verb, _, _ := strings.Cut(what, " ")
		switch verb {
		case "create", "update", "patch", "delete", "deletecollection":
			if what != accessReviews && what != tokenReviews {
				n += count
			}
		}
	}
	return n
}

// leases are the writes of the leader's lease.
func (r requests) leases() int {
	return r["update leases"] + r["patch leases"] + r["create leases"]
}
