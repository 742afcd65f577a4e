package main

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// caBundle is where Go's crypto/x509 looks first on Linux.
const caBundle = "etc/ssl/certs/ca-certificates.crt"

// user is numeric so that Kubernetes' runAsNonRoot can check it.
const user = "65532:65532"

// Spec says what goes into an image.
type Spec struct {
	Name           string            // reference with a tag
	Binary         string            // path of a static Linux executable
	CACertificates string            // path of a PEM bundle; not existing or "": none
	Labels         map[string]string // beside the OCI ones that Build sets
}

// Build returns the image of one static binary: entry point /<base name>, user
// 65532:65532, nothing else in it but the CA certificates. The same inputs give
// the same digest: no time, owner or mode of the host goes in.
//
// It fails on a bad name, and on a binary that isn't a static Linux executable
// for amd64 or arm64, because such a container would die with "no such file or
// directory".
func Build(spec Spec) (v1.Image, error) {
	tag, err := name.NewTag(spec.Name)
	if err != nil {
		return nil, fmt.Errorf("parse image name %q: %w", spec.Name, err)
	}
	architecture, err := staticArchitecture(spec.Binary)
	if err != nil {
		return nil, err
	}
	layers, err := layers(spec)
	if err != nil {
		return nil, err
	}
	image, err := mutate.ConfigFile(empty.Image, config(spec, tag, architecture))
	if err != nil {
		return nil, fmt.Errorf("set image configuration: %w", err)
	}
	image, err = mutate.AppendLayers(image, layers...)
	if err != nil {
		return nil, fmt.Errorf("append layers: %w", err)
	}
	return image, nil
}

func config(spec Spec, tag name.Tag, architecture string) *v1.ConfigFile {
	labels := map[string]string{
		"org.opencontainers.image.title":    path.Base(tag.RepositoryStr()),
		"org.opencontainers.image.version":  tag.TagStr(),
		"org.opencontainers.image.licenses": "Apache-2.0",
	}
	maps.Copy(labels, spec.Labels)
	return &v1.ConfigFile{
		OS:           "linux",
		Architecture: architecture,
		Created:      v1.Time{Time: time.Unix(0, 0).UTC()},
		RootFS:       v1.RootFS{Type: "layers"},
		Config: v1.Config{
			Entrypoint: []string{"/" + filepath.Base(spec.Binary)},
			User:       user,
			WorkingDir: "/",
			Labels:     labels,
		},
	}
}

// layers puts what changes seldom first, so that engines can reuse it.
func layers(spec Spec) ([]v1.Layer, error) {
	var all []v1.Layer
	if spec.CACertificates != "" {
		certificates, err := os.ReadFile(spec.CACertificates)
		switch {
		case err == nil:
			layer, err := fileLayer(caBundle, 0o644, certificates)
			if err != nil {
				return nil, err
			}
			all = append(all, layer)
		case !os.IsNotExist(err):
			return nil, fmt.Errorf("read CA certificates: %w", err)
		}
	}
	binary, err := os.ReadFile(spec.Binary)
	if err != nil {
		return nil, fmt.Errorf("read binary: %w", err)
	}
	layer, err := fileLayer(filepath.Base(spec.Binary), 0o755, binary)
	if err != nil {
		return nil, err
	}
	return append(all, layer), nil
}

// Write stores the image under its name as a docker-archive. The file appears
// whole or not at all.
func Write(image v1.Image, reference, file string) error {
	tag, err := name.NewTag(reference)
	if err != nil {
		return fmt.Errorf("parse image name %q: %w", reference, err)
	}
	partial := file + ".partial"
	defer os.Remove(partial)
	if err := tarball.WriteToFile(partial, tag, image); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return os.Rename(partial, file)
}
