package mounted

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxFileBytes is what a Secret or a ConfigMap may hold at most.
const maxFileBytes = 1 << 20

// File is one file that was read.
type File struct {
	// Path is the file's, as it was asked for.
	Path    string
	Content []byte
	// Err is why a file of a directory could not be read; that of any other
	// path is returned instead.
	Err error
}

func (f File) equal(other File) bool {
	return f.Path == other.Path && bytes.Equal(f.Content, other.Content) && fmt.Sprint(f.Err) == fmt.Sprint(other.Err)
}

// read reads the files at paths, with those of one directory from one
// generation of it. A generation that is replaced and removed meanwhile is
// left for the one that follows.
func read(paths []string) ([]File, error) {
	for {
		generations := generations{}
		files, err := generations.readAll(paths)
		allRead := err == nil && !slices.ContainsFunc(files, func(f File) bool { return f.Err != nil })
		if allRead || generations.current() {
			return files, err
		}
	}
}

// generations says for each directory where its files really were when it was
// first asked for, "" where that could not be told.
type generations map[string]string

// generation follows the link ..data of a directory, if it has one. The link
// is read in one step, so that it isn't taken for absent while it is replaced.
func generation(directory string) (string, error) {
	target, err := os.Readlink(filepath.Join(directory, "..data"))
	if err != nil {
		return filepath.EvalSymlinks(directory)
	}
	return filepath.Join(directory, target), nil
}

func (g generations) of(directory string) (string, error) {
	if known := g[directory]; known != "" {
		return known, nil
	}
	target, err := generation(directory)
	g[directory] = target
	return target, err
}

// current reports whether no directory has moved on to another generation.
func (g generations) current() bool {
	for directory, known := range g {
		if now, _ := generation(directory); now != known {
			return false
		}
	}
	return true
}

func (g generations) readAll(paths []string) ([]File, error) {
	files := []File{}
	for _, path := range paths {
		var err error
		if files, err = g.append(files, filepath.Clean(path)); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
	}
	return files, nil
}

// append appends the file at path, or, if that is a directory, its files.
func (g generations) append(files []File, path string) ([]File, error) {
	target, err := g.of(filepath.Dir(path))
	if err != nil {
		return nil, withoutPath(err)
	}
	target = filepath.Join(target, filepath.Base(path))
	if info, err := os.Stat(target); err == nil && info.IsDir() {
		return g.appendDirectory(files, path)
	}
	content, err := readFile(target)
	return append(files, File{Path: path, Content: content}), err
}

// appendDirectory appends the files of a directory; what is hidden, or no
// regular file, isn't one. One that can't be read says nothing about the others.
func (g generations) appendDirectory(files []File, directory string) ([]File, error) {
	target, err := g.of(directory)
	if err != nil {
		return nil, withoutPath(err)
	}
	entries, err := os.ReadDir(target)
	if err != nil {
		return nil, withoutPath(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") {
			continue
		}
		content, err := readFile(filepath.Join(target, name))
		if errors.Is(err, errNotRegular) {
			continue
		}
		path := filepath.Join(directory, name)
		if err != nil {
			content, err = nil, fmt.Errorf("read %s: %w", path, err)
		}
		files = append(files, File{path, content, err})
	}
	return files, nil
}

var errNotRegular = errors.New("it is no regular file")

// readFile reads a regular file that is no larger than any Secret.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err == nil && len(content) > maxFileBytes {
		err = fmt.Errorf("it is larger than %d bytes, the most that a Secret can hold", maxFileBytes)
	}
	return content, err
}

// withoutPath takes from an error the path that a link was followed to: it
// would be none that anybody has asked for.
func withoutPath(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}
