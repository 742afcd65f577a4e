package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// fileLayer is a layer of one file and its parent directories, all owned by
// root and dated 1970, so that a running container can't change its own binary
// and the digest depends on name, mode and content alone.
func fileLayer(name string, mode int64, content []byte) (v1.Layer, error) {
	archive, err := fileArchive(name, mode, content)
	if err != nil {
		return nil, fmt.Errorf("archive %s: %w", name, err)
	}
	// These images travel from one folder of a machine to another: time counts,
	// size doesn't.
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(archive)), nil
	}, tarball.WithCompressionLevel(gzip.BestSpeed), tarball.WithCompressedCaching)
	if err != nil {
		return nil, fmt.Errorf("make layer of %s: %w", name, err)
	}
	return layer, nil
}

func fileArchive(name string, mode int64, content []byte) ([]byte, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, directory := range parents(name) {
		header := &tar.Header{Typeflag: tar.TypeDir, Name: directory + "/", Mode: 0o755, ModTime: time.Unix(0, 0)}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content)), ModTime: time.Unix(0, 0)}
	if err := w.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	err := w.Close()
	return archive.Bytes(), err
}

// parents lists the directories above a relative path, the outermost first:
// for etc/ssl/x they are etc and etc/ssl.
func parents(name string) []string {
	var all []string
	for i, r := range name {
		if r == '/' {
			all = append(all, name[:i])
		}
	}
	return all
}
