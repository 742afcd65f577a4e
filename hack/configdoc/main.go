// Command configdoc writes docs/configuration.md from the comments and the
// defaults of package config. It runs at the root of the repository; with
// -check it writes nothing and fails when the page is not current.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"

	"github.com/logpipeline/logpipeline/ingester/config"
)

const (
	source = "ingester/config"
	page   = "docs/configuration.md"
)

func main() {
	check := flag.Bool("check", false, "fail when "+page+" is not current, and write nothing")
	flag.Parse()
	if err := run(*check); err != nil {
		fmt.Fprintln(os.Stderr, "configdoc:", err)
		os.Exit(1)
	}
}

func run(check bool) error {
	comments, err := readComments(source)
	if err != nil {
		return err
	}
	w := &writer{comments: comments}
	w.WriteString(preface)
	defaults := reflect.ValueOf(config.Default())
	w.section("", defaults)
	if w.missing != nil {
		return errors.Join(w.missing...)
	}
	if !check {
		return os.WriteFile(page, w.Bytes(), 0o644)
	}
	written, err := os.ReadFile(page)
	if err == nil && !bytes.Equal(written, w.Bytes()) {
		err = fmt.Errorf("%s is not current: run go run ./hack/configdoc", page)
	}
	return err
}
