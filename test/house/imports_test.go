// Package house tests that the tree keeps the rules that it is built by.
package house

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/logpipeline/logpipeline/"

// dataPath is what the parts of the data path may import of each other; they
// meet only in the package ingester.
var dataPath = []string{"ingester/record", "ingester/config", "ingester/kafka", "ingester/signal"}

// onDisk is for those that keep files of their own.
var onDisk = append([]string{"ingester/durable"}, dataPath...)

// mayImport says, by folder, which packages of this module a package may
// import. The longest folder that matches a package counts; a package that no
// folder matches is a mistake, so that a new one has to be placed. A folder
// that ends in "/" is meant alone, without those below it.
var mayImport = map[string][]string{
	"api":                    {"api"},
	"cmd/operator":           {"api", "controllers"},
	"cmd/ingester":           {"ingester"},
	"controllers/":           {"api", "controllers", "ingester/config", "ingester/kafka"},
	"controllers/resources":  {"api", "ingester/config"},
	"controllers/topics":     {"ingester/kafka", "ingester/config"},
	"controllers/scaling":    {"controllers/scaling", "ingester/kafka", "ingester/config", "ingester/signal"},
	"controllers/metricsapi": {"controllers/scaling"},
	"ingester/":              {"ingester"},
	"ingester/config":        {},
	"ingester/record":        {},
	"ingester/signal":        {},
	"ingester/kafka":         {"ingester/config", "ingester/record", "ingester/mounted"},
	"ingester/mounted":       {},
	"ingester/durable":       {},
	"ingester/http1":         {},
	"ingester/aggregate":     dataPath,
	"ingester/httpapi":       append([]string{"ingester/mounted"}, dataPath...),
	"ingester/queue":         dataPath,
	"ingester/spool":         onDisk,
	"ingester/journal":       onDisk,
	"ingester/deadletter":    onDisk,
	"ingester/producer":      dataPath,
	"ingester/consumer":      dataPath,
	"ingester/segment":       onDisk,
	"hack":                   {"test/e2e/scenario"},
	"hack/configdoc":         {"ingester/config"},
	"hack/simulation":        {"controllers/scaling"},
	"bench":                  {"bench", "ingester"},
	"bench/operator":         {"bench", "api", "controllers/resources", "controllers/metricsapi/aggregationtest", "ingester/signal"},
	"test":                   {"test", "api", "ingester", "controllers"},
}

// foreign are modules that only a part of the tree may know.
var foreign = []struct {
	imported string
	allowed  []string
}{
	{"k8s.io/client-go", []string{"api", "bench/operator", "cmd/operator", "controllers", "test"}},
	{"k8s.io/api", []string{"api", "bench/operator", "cmd/operator", "controllers", "test"}},
	{"k8s.io/apimachinery", []string{"api", "bench/operator", "cmd/operator", "controllers", "test"}},
	{"sigs.k8s.io/controller-runtime", []string{"bench/operator", "cmd/operator", "controllers", "test"}},
	{"github.com/segmentio/kafka-go", []string{"bench", "ingester", "controllers/topics", "controllers/scaling", "test"}},
}

func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		folder, known := longestMatch(p.path)
		if !known {
			t.Errorf("%s has no rule: say in mayImport what it may import", p.path)
			continue
		}
		for _, imported := range p.imports {
			if inside, ours := strings.CutPrefix(imported, module); ours {
				if !within(inside, mayImport[folder]) && !withinFolder(inside, p.path) {
					t.Errorf("%s imports %s, but %s may import only %v", p.path, inside, folder, mayImport[folder])
				}
				continue
			}
			for _, rule := range foreign {
				if withinFolder(imported, rule.imported) && !within(p.path, rule.allowed) {
					t.Errorf("%s imports %s, which only %v may know", p.path, imported, rule.allowed)
				}
			}
		}
	}
}

// The tools of Kubernetes have no place below Kafka: see docs/house.md.
func TestTopicAdministrationKnowsNothingOfKubernetes(t *testing.T) {
	for _, p := range packages(t) {
		if !within(p.path, []string{"controllers/topics", "controllers/scaling"}) {
			continue
		}
		for _, imported := range p.imports {
			if strings.HasPrefix(imported, "k8s.io/") || strings.HasPrefix(imported, "sigs.k8s.io/") {
				t.Errorf("%s imports %s", p.path, imported)
			}
		}
	}
}

type goPackage struct {
	path    string // below the module
	imports []string
}

// packages lists the module's packages with the imports of their code, tests
// aside: a test may set up whatever it needs.
func packages(t *testing.T) []goPackage {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...")
	command.Dir = "../.."
	output, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var found []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(output))); ; {
		var listed struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&listed); errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		found = append(found, goPackage{strings.TrimPrefix(listed.ImportPath, module), listed.Imports})
	}
}

func longestMatch(path string) (folder string, known bool) {
	for candidate := range mayImport {
		alone, isAlone := strings.CutSuffix(candidate, "/")
		if (path == alone || !isAlone && withinFolder(path, candidate)) && len(candidate) > len(folder) {
			folder, known = candidate, true
		}
	}
	return folder, known
}

func within(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool { return withinFolder(path, folder) })
}

func withinFolder(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}
