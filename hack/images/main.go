// Command mkimage makes a container image from one static binary, without a
// container engine:
//
//	mkimage --name REF --binary FILE --output FILE.tar [--label KEY=VALUE]...
//
// The output is a docker-archive: `ctr images import`, `docker load` and
// `kind load image-archive` take it.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mkimage:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var spec Spec
	flags := flag.NewFlagSet("mkimage", flag.ContinueOnError)
	flags.StringVar(&spec.Name, "name", "", "image `reference` with a tag, such as logpipeline.local/ingester:dev")
	flags.StringVar(&spec.Binary, "binary", "", "static Linux binary `file`; becomes the entry point /<its base name>")
	flags.StringVar(&spec.CACertificates, "ca-certificates", "/etc/ssl/certs/ca-certificates.crt",
		"PEM `file` put at /etc/ssl/certs/ca-certificates.crt; left out where it doesn't exist or the value is empty")
	output := flags.String("output", "", "docker-archive `file` to write")
	flags.Func("label", "further `KEY=VALUE` label; may be repeated", func(label string) error {
		return spec.addLabel(label)
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *output == "" {
		return fmt.Errorf("flag --output is empty: name the tar file to write")
	}
	image, err := Build(spec)
	if err != nil {
		return err
	}
	return Write(image, spec.Name, *output)
}

func (s *Spec) addLabel(label string) error {
	key, value, found := strings.Cut(label, "=")
	if !found || key == "" {
		return fmt.Errorf("label %q: want KEY=VALUE", label)
	}
	if s.Labels == nil {
		s.Labels = map[string]string{}
	}
	s.Labels[key] = value
	return nil
}
