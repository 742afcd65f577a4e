package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
)

// comments are those of types ("Queue") and of fields ("Queue.MaxBytes").
type comments map[string]string

// readComments reads those of every struct of a package. A field without one
// shares that of the field before it.
func readComments(dir string) (comments, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	c := comments{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		c.read(file)
	}
	return c, nil
}

func (c comments) read(file *ast.File) {
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
