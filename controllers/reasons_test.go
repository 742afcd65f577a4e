package controllers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// A reason that is documented and never told would be looked for in vain.
func TestEveryReasonIsTold(t *testing.T) {
	declared := constants(t, filepath.Join("..", "api", "v1alpha1", "conditions.go"))
	if len(declared) < 40 {
		t.Fatalf("only %d conditions and reasons are declared", len(declared))
	}
	used := map[string]bool{}
	for _, file := range sources(t) {
		ast.Inspect(file, func(node ast.Node) bool {
			if selector, ok := node.(*ast.SelectorExpr); ok {
				used[selector.Sel.Name] = true
			}
			return true
		})
	}
	for _, name := range declared {
		if !used[name] {
			t.Errorf("nobody tells %s", name)
		}
	}
}

func constants(t *testing.T, path string) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name := range file.Scope.Objects {
		if strings.HasPrefix(name, "Reason") || strings.HasPrefix(name, "Condition") {
			names = append(names, name)
		}
	}
	return names
}

// sources are the files of this package without its tests.
func sources(t *testing.T) (files []*ast.File) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		files = append(files, file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
