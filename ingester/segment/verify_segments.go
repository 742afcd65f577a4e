package segment

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// verifySegments finds what no link names.
func (v *verifier) verifySegments(ctx context.Context) error {
	return v.verifyFolder(ctx, segmentsDir)
}

func (v *verifier) verifyFolder(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var folders []string
	err := v.readDir(dir, func(e fs.DirEntry) {
		if path := filepath.Join(dir, e.Name()); e.IsDir() {
			folders = append(folders, path)
		} else {
			v.verifyNamed(path)
		}
	})
	if err != nil && (dir != segmentsDir || !errors.Is(err, fs.ErrNotExist)) {
		return err
	}
	for _, folder := range folders {
		if err := v.verifyFolder(ctx, folder); err != nil {
			return err
		}
	}
	return nil
}

// verifyNamed looks for the link that names a published file.
func (v *verifier) verifyNamed(path string) {
	topic, number, base, ok := parseDataName(filepath.Base(path))
	if !ok {
		v.report.add(path, "is not a segment: its name is not <topic>-<partition>-<base offset>%s", dataSuffix)
		return
	}
	ids, err := os.ReadDir(filepath.Join(v.root, chainDir, topic))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		v.report.add(path, "its chain cannot be read: %v", err)
		return
	}
	for _, id := range ids {
		p := partition{topic, id.Name(), number}
		link, err := readLink(filepath.Join(v.root, p.chainPath()), p, base)
		if err == nil && link.DataPath == filepath.ToSlash(path) {
			return
		}
	}
	v.report.add(path, "no link names it")
}
