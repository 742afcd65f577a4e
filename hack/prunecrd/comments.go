package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
)

// comments are texts, with single spaces between their words: controller-gen
// breaks some of their lines anew.
type comments map[string]bool

func (c comments) have(text string) bool { return c[words(text)] }

func words(text string) string { return strings.Join(strings.Fields(text), " ") }

// readComments reads those of types and of fields of a package, without their
// markers.
func readComments(dir string) (comments, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	found := comments{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		ast.Inspect(file, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.GenDecl:
				found.add(node.Doc)
			case *ast.TypeSpec:
				found.add(node.Doc)
			case *ast.Field:
				found.add(node.Doc)
			}
			return true
		})
	}
	return found, nil
}

func (c comments) add(group *ast.CommentGroup) {
	var lines []string
	for line := range strings.Lines(group.Text()) {
		if !strings.HasPrefix(line, "+") {
			lines = append(lines, line)
		}
	}
	if text := words(strings.Join(lines, " ")); text != "" {
		c[text] = true
	}
}
