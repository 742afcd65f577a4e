package segment

import (
	"context"
	"errors"
	"io/fs"
	"path"
)

// verifySegments finds what no link names.
func (v *verifier) verifySegments(ctx context.Context) error {
	return v.verifyFolder(ctx, segmentsDir)
}

func (v *verifier) verifyFolder(ctx context.Context, dir string) error {
	var folders []string
	for e, err := range v.from.list(ctx, dir, "") {
		if err != nil {
			return err
		}
		if name := path.Join(dir, e.name); e.folder {
			folders = append(folders, name)
		} else if err := v.verifyNamed(ctx, name); err != nil {
			return err
		}
	}
	for _, folder := range folders {
		if err := v.verifyFolder(ctx, folder); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// verifyNamed looks for the link that names a published file.
func (v *verifier) verifyNamed(ctx context.Context, name string) error {
	topic, number, base, ok := parseDataName(path.Base(name))
	if !ok {
		v.report.add(name, "is not a segment: its name is not <topic>-<partition>-<base offset>.ndjson, .ndjson.gz or .ndjson.zst")
		return nil
	}
	for id, err := range v.from.list(ctx, path.Join(chainDir, topic), "") {
		if err != nil {
			return err
		}
		link, err := readLink(ctx, v.from, partition{topic, id.name, number}, base)
		if err == nil && link.DataPath == name {
			return nil
		}
	}
	f, err := v.from.open(ctx, name)
	if err == nil {
		_ = f.Close()
	}
	if ctx.Err() == nil && !errors.Is(err, fs.ErrNotExist) { // else retention has removed it just now
		v.report.add(name, "no link names it")
	}
	return ctx.Err()
}
