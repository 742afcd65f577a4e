package segment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// Verify proves that a data directory holds every record of its chains once,
// or says what is wrong. It returns an error only when it could not look: the
// directory cannot be read, or ctx has ended.
//
// For every chain: the first link begins at the header's first offset, each
// further one where the one before it ended, and the data of each has the
// link's checksum, bytes and records, every one of them a line of valid JSON.
// Under segments/ there is nothing that no link names. A directory without any
// chain proves nothing, and is a problem.
//
// It reads one file at a time, in small pieces; what it holds grows by 8 bytes
// a link of the chain in hand. It may run beside living consumers: the links
// are listed before they are walked, so that each one listed is reachable; a
// file under segments/ had its link before it came there; and data is looked
// for where it is published, where it is staged, and once more where it is
// published, which a rename in between cannot escape.
func Verify(ctx context.Context, dir string) (Report, error) {
	if _, err := os.Stat(dir); err != nil {
		return Report{}, fmt.Errorf("verify data directory: %w", err)
	}
	v := verifier{root: dir, report: Report{Chains: []ChainReport{}, Problems: []Problem{}}}
	for _, part := range []func(context.Context) error{v.verifyChains, v.verifySegments} {
		if err := part(ctx); err != nil {
			return Report{}, fmt.Errorf("verify %q: %w", dir, err)
		}
	}
	v.report.Complete = len(v.report.Problems) == 0
	return v.report, nil
}

type verifier struct {
	root   string
	report Report
}

func (v *verifier) verifyChains(ctx context.Context) error {
	topics, err := v.folders(chainDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, topic := range topics {
		ids, err := v.folders(filepath.Join(chainDir, topic))
		if err != nil {
			return err
		}
		if len(ids) > 1 {
			v.report.add(filepath.Join(chainDir, topic), "holds %d incarnations of the topic (%v): it was deleted and created again", len(ids), ids)
		}
		for _, id := range ids {
			if err := v.verifyIncarnation(ctx, topic, id); err != nil {
				return err
			}
		}
	}
	if len(v.report.Chains) == 0 {
		v.report.add(chainDir, "there is no chain: nothing has been stored here, so nothing is proven")
	}
	return nil
}

func (v *verifier) verifyIncarnation(ctx context.Context, topic, id string) error {
	dir := filepath.Join(chainDir, topic, id)
	numbers, err := v.folders(dir)
	if err != nil {
		return err
	}
	slices.SortFunc(numbers, func(a, b string) int { return len(a) - len(b) }) // 2 before 10
	for _, number := range numbers {
		n, err := strconv.ParseInt(number, 10, 32)
		p := partition{topic, id, int32(n)}
		if err != nil || p.validate() != nil || strconv.FormatInt(n, 10) != number {
			v.report.add(filepath.Join(dir, number), "is not the chain of a partition")
			continue
		}
		if err := v.verifyChain(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) verifyChain(ctx context.Context, p partition) error {
	header, err := readHeader(filepath.Join(v.root, p.chainPath(), headerName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return v.verifyWithoutHeader(p)
	case err != nil:
		v.report.add(filepath.Join(p.chainPath(), headerName), "%v", err)
		return nil
	case header.partition() != p:
		v.report.add(filepath.Join(p.chainPath(), headerName), "is the header of %v, topic id %s", header.partition(), header.TopicID)
		return nil
	}
	listed, err := v.listLinks(p)
	if err != nil {
		return err
	}
	w := chainWalk{verifier: v, partition: p, next: header.FirstOffset}
	w.report = ChainReport{Topic: p.topic, TopicID: p.topicID, Partition: p.number, FirstOffset: header.FirstOffset}
	if err := w.run(ctx, listed); err != nil {
		return err
	}
	w.report.NextOffset = w.next
	v.report.addChain(w.report)
	return nil
}

// verifyWithoutHeader: a writer that makes its chain's folder and has not made
// the header yet is no damage; links without one are.
func (v *verifier) verifyWithoutHeader(p partition) error {
	listed, err := v.listLinks(p)
	if err == nil && len(listed) > 0 {
		if _, err := os.Lstat(filepath.Join(v.root, p.chainPath(), headerName)); errors.Is(err, fs.ErrNotExist) {
			v.report.add(filepath.Join(p.chainPath(), headerName), "is missing: where the chain begins is unknown")
		}
	}
	return err
}

// listLinks returns the base offsets of a chain's links, sorted.
func (v *verifier) listLinks(p partition) ([]int64, error) {
	var listed []int64
	err := v.readDir(p.chainPath(), func(e fs.DirEntry) {
		if base, ok := parseOffsetName(e.Name()); ok {
			listed = append(listed, base)
		} else if e.Name() != headerName && e.Name() != headName {
			v.report.add(filepath.Join(p.chainPath(), e.Name()), "does not belong into a chain")
		}
	})
	slices.Sort(listed)
	return listed, err
}

func (v *verifier) folders(dir string) ([]string, error) {
	var names []string
	err := v.readDir(dir, func(e fs.DirEntry) {
		if e.IsDir() {
			names = append(names, e.Name())
		} else {
			v.report.add(filepath.Join(dir, e.Name()), "does not belong into %s", dir)
		}
	})
	slices.Sort(names)
	return names, err
}

// readDir visits a directory's entries a few at a time, so that a large one is
// never held.
func (v *verifier) readDir(dir string, visit func(fs.DirEntry)) error {
	d, err := os.Open(filepath.Join(v.root, dir))
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	for {
		entries, err := d.ReadDir(1024)
		for _, e := range entries {
			visit(e)
		}
		if len(entries) == 0 {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}
