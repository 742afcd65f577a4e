package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
)

// group is a block of constants.
type group struct {
	doc       string
	constants []constant
}

type constant struct{ value, doc string }

// readConstants reads the blocks of string constants of a Go file.
func readConstants(path string) ([]group, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	var groups []group
	for _, declaration := range file.Decls {
		block, ok := declaration.(*ast.GenDecl)
		if !ok || block.Tok != token.CONST {
			continue
		}
		g := group{doc: oneLine(block.Doc.Text())}
		for _, spec := range block.Specs {
			g.add(spec.(*ast.ValueSpec))
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// add leaves out the constant's Go name, with which its comment begins.
func (g *group) add(spec *ast.ValueSpec) {
	literal, ok := spec.Values[0].(*ast.BasicLit)
	if !ok {
		return
	}
	value, err := strconv.Unquote(literal.Value)
	if err != nil {
		return // no string
	}
	doc := strings.TrimPrefix(oneLine(spec.Doc.Text()), spec.Names[0].Name)
	g.constants = append(g.constants, constant{value, strings.TrimSpace(strings.TrimPrefix(doc, ":"))})
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
