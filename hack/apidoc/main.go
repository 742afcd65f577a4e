// Command apidoc writes docs/api.md from the CRD of LogPipelines, whose
// descriptions are the comments of the API's Go package, and from the comments
// of the conditions there. It runs at the root of the repository; with -check
// it writes nothing and fails when the page is not current.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
)

const (
	crdFile        = "config/crd/bases/ingest.logpipeline.io_logpipelines.yaml"
	conditionsFile = "api/v1alpha1/conditions.go"
	page           = "docs/api.md"
)

func main() {
	check := flag.Bool("check", false, "fail when "+page+" is not current, and write nothing")
	flag.Parse()
	if err := run(*check); err != nil {
		fmt.Fprintln(os.Stderr, "apidoc:", err)
		os.Exit(1)
	}
}

func run(check bool) error {
	root, err := readSchema(crdFile)
	if err != nil {
		return fmt.Errorf("read %s: %w", crdFile, err)
	}
	groups, err := readConstants(conditionsFile)
	if err != nil {
		return err
	}
	w := &writer{described: map[string]string{}}
	w.page(root, groups)
	if err := w.complain(); err != nil {
		return err
	}
	if !check {
		return os.WriteFile(page, w.Bytes(), 0o644)
	}
	written, err := os.ReadFile(page)
	if err == nil && !bytes.Equal(written, w.Bytes()) {
		err = fmt.Errorf("%s is not current: run go run ./hack/apidoc", page)
	}
	return err
}
