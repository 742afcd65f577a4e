package main

import (
	"archive/tar"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

const reference = "logpipeline.local/pause:test"

// entry is what the tests compare of a file in an image.
type entry struct {
	Mode     int64
	UID, GID int
	ModTime  int64
	Content  string
}

func TestImageReadBack(t *testing.T) {
	binary := buildPause(t)
	certificates := writeFile(t, "bundle.pem", "-----BEGIN CERTIFICATE-----\n")
	archive := filepath.Join(t.TempDir(), "pause.tar")
	if err := run([]string{"--name", reference, "--binary", binary, "--ca-certificates", certificates,
		"--label", "org.opencontainers.image.revision=abc", "--output", archive}); err != nil {
		t.Fatal(err)
	}

	image := readImage(t, archive)
	if err := validate.Image(image); err != nil {
		t.Errorf("validate the image: %v", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := v1.Config{
		Entrypoint: []string{"/pause"},
		User:       "65532:65532",
		WorkingDir: "/",
		Labels: map[string]string{
			"org.opencontainers.image.title":    "pause",
			"org.opencontainers.image.version":  "test",
			"org.opencontainers.image.licenses": "Apache-2.0",
			"org.opencontainers.image.revision": "abc",
		},
	}
	if diff := cmp.Diff(want, config.Config); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if !config.Created.Equal(time.Unix(0, 0)) || config.OS != "linux" || config.Architecture == "" {
		t.Errorf("created %v for %s/%s, want 1970 for linux and an architecture", config.Created, config.OS, config.Architecture)
	}

	program, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	wantFiles := map[string]entry{
		"etc":                               {Mode: 0o755},
		"etc/ssl":                           {Mode: 0o755},
		"etc/ssl/certs":                     {Mode: 0o755},
		"etc/ssl/certs/ca-certificates.crt": {Mode: 0o644, Content: "-----BEGIN CERTIFICATE-----\n"},
		"pause":                             {Mode: 0o755, Content: string(program)},
	}
	if diff := cmp.Diff(wantFiles, files(t, image)); diff != "" {
		t.Errorf("files (-want +got):\n%.2000s", diff)
	}
}

func TestSameInputsGiveSameDigest(t *testing.T) {
	binary := buildPause(t)
	first := digest(t, Spec{Name: reference, Binary: binary})
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(binary, later, later); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(binary, 0o700); err != nil {
		t.Fatal(err)
	}
	if again := digest(t, Spec{Name: reference, Binary: binary}); again != first {
		t.Errorf("digest after touching the binary = %s, want %s", again, first)
	}
}

func TestMissingCACertificatesAreLeftOut(t *testing.T) {
	image, err := Build(Spec{Name: reference, Binary: buildPause(t), CACertificates: filepath.Join(t.TempDir(), "none.pem")})
	if err != nil {
		t.Fatal(err)
	}
	if got := files(t, image); len(got) != 1 {
		t.Errorf("image holds %d files, want the binary alone", len(got))
	}
}

func TestBadInput(t *testing.T) {
	static := buildPause(t)
	script := writeFile(t, "script", "#!/bin/sh\n")
	output := filepath.Join(t.TempDir(), "out.tar")
	for _, test := range []struct {
		situation string
		args      []string
		want      string
	}{
		{"no output", []string{"--name", reference, "--binary", static}, "flag --output is empty"},
		{"upper case name", []string{"--name", "local/Pause:1", "--binary", static, "--output", output}, `parse image name "local/Pause:1"`},
		{"no binary", []string{"--name", reference, "--output", output}, `open binary ""`},
		{"a script", []string{"--name", reference, "--binary", script, "--output", output}, "as a Linux executable"},
		{"a dynamic binary", []string{"--name", reference, "--binary", "/bin/sh", "--output", output}, "build it with CGO_ENABLED=0"},
		{"a label without value", []string{"--label", "x"}, `label "x": want KEY=VALUE`},
	} {
		t.Run(test.situation, func(t *testing.T) {
			err := run(test.args)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v, want one with %q", err, test.want)
			}
			if leftover, _ := filepath.Glob(output + "*"); leftover != nil {
				t.Errorf("wrote %v in spite of the error", leftover)
			}
		})
	}
}

// buildPause builds the sandbox program, the smallest static binary at hand.
func buildPause(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "pause")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", binary, "./pause")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build pause: %v\n%s", err, output)
	}
	return binary
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func readImage(t *testing.T, archive string) v1.Image {
	t.Helper()
	tag, err := name.NewTag(reference)
	if err != nil {
		t.Fatal(err)
	}
	image, err := tarball.ImageFromPath(archive, &tag)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func digest(t *testing.T, spec Spec) v1.Hash {
	t.Helper()
	image, err := Build(spec)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// files reads the image's whole file system.
func files(t *testing.T, image v1.Image) map[string]entry {
	t.Helper()
	stream := mutate.Extract(image)
	defer stream.Close()
	found := map[string]entry{}
	for archive := tar.NewReader(stream); ; {
		header, err := archive.Next()
		if err == io.EOF {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		found[strings.TrimSuffix(header.Name, "/")] = entry{
			Mode: header.Mode, UID: header.Uid, GID: header.Gid, ModTime: header.ModTime.Unix(), Content: string(content)}
	}
}
