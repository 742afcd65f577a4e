package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
)

// comments are those of types ("Queue") and of fields ("Queue.MaxBytes").
type comments map[string]string

// readComments reads those of every struct of a Go file. A field without one
// shares that of the field before it.
func readComments(path string) (comments, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	c := comments{}
	for _, declaration := range file.Decls {
		types, ok := declaration.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range types.Specs {
			if named, ok := spec.(*ast.TypeSpec); ok {
				c.add(named, types.Doc)
			}
		}
	}
	return c, nil
}

func (c comments) add(named *ast.TypeSpec, doc *ast.CommentGroup) {
	c[named.Name.Name] = oneLine(doc)
	fields, ok := named.Type.(*ast.StructType)
	if !ok {
		return
	}
	last := ""
	for _, field := range fields.Fields.List {
		if field.Doc != nil {
			last = oneLine(field.Doc)
		}
		for _, name := range field.Names {
			c[named.Name.Name+"."+name.Name] = last
		}
	}
}

func oneLine(doc *ast.CommentGroup) string { return strings.Join(strings.Fields(doc.Text()), " ") }
