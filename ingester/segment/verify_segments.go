package segment

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"
	"time"
)

// verifySegments finds what no link names.
func (v *verifier) verifySegments(ctx context.Context) error {
	return v.verifyFolder(ctx, segmentsDir)
}

func (v *verifier) verifyFolder(ctx context.Context, dir string) error {
	if hour, ok := parseHourFolder(dir); ok && !v.includes(hour, hour.Add(time.Hour-1)) {
		return nil
	}
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
	var incarnations []partition
	for id, err := range v.from.list(ctx, path.Join(chainDir, topic), "") {
		if err != nil {
			return err
		}
		p := partition{topic, id.name, number}
		link, err := readLink(ctx, v.from, p, base)
		if err == nil && link.DataPath == name {
			return nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return v.orphan(ctx, name, false) // that link may name it
		}
		incarnations = append(incarnations, p)
	}
	return v.orphan(ctx, name, v.canNeverBeNamed(incarnations, base))
}

func (v *verifier) orphan(ctx context.Context, name string, forEver bool) error {
	f, err := v.from.open(ctx, name)
	if err == nil {
		err = f.Close()
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, fs.ErrNotExist): // retention has removed it just now
		return nil
	case !v.FixOrphans:
		v.report.add(name, "no link names it")
	case !forEver:
		v.report.add(name, "no link names it, but one might yet, or its chain is damaged: it was left")
	default:
		if err := v.from.remove(ctx, name); err != nil {
			return err
		}
		v.report.OrphansRemoved = append(v.report.OrphansRemoved, name)
	}
	return nil
}

// canNeverBeNamed: links are only created at the end of a chain, and the end
// never moves back. So a place before the end that has no link, or a link that
// names other data, stays so. That goes for a chain without a problem: of one
// that has lost a link, this may be the data. It goes for the incarnations that
// are in the store: another one begins only when these have been moved away.
func (v *verifier) canNeverBeNamed(incarnations []partition, base int64) bool {
	for _, p := range incarnations {
		if end, sound := v.sound[p]; !sound || base >= end {
			return false
		}
	}
	return len(incarnations) > 0
}

// parseHourFolder takes segments/dt=2006-01-02/hour=15 apart.
func parseHourFolder(dir string) (time.Time, bool) {
	name, found := strings.CutPrefix(dir, segmentsDir+"/")
	hour, err := time.Parse("dt=2006-01-02/hour=15", name)
	return hour, found && err == nil
}
