package segment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"time"
)

// Verify proves that a store holds every record of its chains once, or says
// what is wrong. Its location is a data directory, or the URL of an object
// store as OpenObjectStore takes it. It returns an error only when it could
// not look: the store cannot be read, or ctx has ended.
//
// For every chain: the first link begins at the header's first offset, each
// further one where the one before it ended, and the data of each has the
// link's checksum, bytes and records, every one of them a line of valid JSON.
// What retention has removed is no problem: links before the chain's boundary,
// data before that of its data; what the remaining links say of it adds up.
// Under segments/ there is nothing that no link names. A store without any
// chain proves nothing, and is a problem.
//
// It reads one file at a time, in small pieces; what it holds grows by 8 bytes
// a link of the chain in hand. It may run beside living consumers: the links
// are listed before they are walked, so that each one listed is reachable; a
// file under segments/ had its link before it came there; and data is looked
// for where it is published, where it is staged, and once more where it is
// published, which a move in between cannot escape.
func Verify(ctx context.Context, location string) (Report, error) {
	return Verification{}.Run(ctx, location)
}

// Verification is what Verify does, but for what its fields change.
type Verification struct {
	// From and To bound the time of the records whose data is read, From
	// included, To not; zero is no bound. All links are checked all the same:
	// that nothing is missing or doubled is a property of the whole chain. Files
	// that no link names are looked for in the folders of the hours in between.
	From, To time.Time
	// NoGaps makes recorded gaps problems.
	NoGaps bool
	// FixOrphans removes the files under segments/ that no link can ever name,
	// instead of calling them problems; see canNeverBeNamed. It is for a whole store:
	// with a bound, Run refuses it.
	FixOrphans bool
}

// Run verifies the store at a location; see Verify.
func (o Verification) Run(ctx context.Context, location string) (Report, error) {
	from, done, err := openReader(ctx, location)
	if err != nil {
		return Report{}, fmt.Errorf("verify %q: %w", location, err)
	}
	defer done()
	report, err := o.run(ctx, from)
	if err != nil {
		return Report{}, fmt.Errorf("verify %q: %w", location, err)
	}
	return report, nil
}

func (o Verification) run(ctx context.Context, from readRemover) (Report, error) {
	if o.FixOrphans && o.isBounded() {
		return Report{}, errors.New("orphans are removed only where all data is verified: leave the bounds out")
	}
	v := newVerifier(o, from)
	for _, part := range []func(context.Context) error{v.verifyChains, v.verifySegments} {
		if err := part(ctx); err != nil {
			return Report{}, err
		}
	}
	v.report.Complete = v.report.problems() == 0
	v.report.From, v.report.To = bound(o.From), bound(o.To)
	return v.report, nil
}

func (o Verification) isBounded() bool { return !o.From.IsZero() || !o.To.IsZero() }

// includes reports whether something between first and last, both included, is
// between the bounds.
func (o Verification) includes(first, last time.Time) bool {
	return (o.From.IsZero() || !last.Before(o.From)) && (o.To.IsZero() || first.Before(o.To))
}

func bound(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

type verifier struct {
	Verification
	from   readRemover
	report Report
	// sound has the chains that have no problem, and their ends.
	sound map[partition]int64
	// With linksOnly no data is read; the rest is of the chain that was walked
	// last.
	linksOnly      bool
	linksFrom      int64
	oldest, newest time.Time
}

func newVerifier(o Verification, from readRemover) *verifier {
	return &verifier{Verification: o, from: from, sound: map[partition]int64{}, report: Report{Chains: []ChainReport{}, Problems: []Problem{}}}
}

func (v *verifier) verifyChains(ctx context.Context) error {
	topics, err := v.folders(ctx, chainDir)
	if err != nil {
		return err
	}
	for _, topic := range topics {
		ids, err := v.folders(ctx, path.Join(chainDir, topic))
		if err != nil {
			return err
		}
		if len(ids) > 1 {
			v.report.add(path.Join(chainDir, topic), "holds %d incarnations of the topic (%v): it was deleted and created again", len(ids), ids)
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
	dir := path.Join(chainDir, topic, id)
	numbers, err := v.folders(ctx, dir)
	if err != nil {
		return err
	}
	slices.SortFunc(numbers, func(a, b string) int { return len(a) - len(b) }) // 2 before 10
	for _, number := range numbers {
		n, err := strconv.ParseInt(number, 10, 32)
		p := partition{topic, id, int32(n)}
		if err != nil || p.validate() != nil || strconv.FormatInt(n, 10) != number {
			v.report.add(path.Join(dir, number), "is not the chain of a partition")
			continue
		}
		if err := v.verifyChain(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) verifyChain(ctx context.Context, p partition) error {
	header, err := readHeader(ctx, v.from, p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return v.verifyWithoutHeader(ctx, p)
	case err != nil:
		v.report.add(path.Join(p.chainPath(), headerName), "%v", err)
		return ctx.Err()
	}
	hints := v.readHints(ctx, p) // before the links, which never run behind
	listed, err := v.listLinks(ctx, p)
	if err != nil {
		return err
	}
	before := v.report.problems()
	w := chainWalk{verifier: v, partition: p, header: header, totals: &Totals{}}
	w.report = ChainReport{Topic: p.topic, TopicID: p.topicID, Partition: p.number, FirstOffset: header.FirstOffset}
	if err := w.run(ctx, listed); err != nil {
		return err
	}
	w.checkHints(hints)
	w.report.NextOffset, w.report.DataFrom = w.next, w.begin.data
	v.linksFrom = w.begin.links
	v.report.addChain(w.report)
	if v.report.problems() == before {
		v.sound[p] = w.next
	}
	return nil
}

// verifyWithoutHeader: a writer that makes its chain's folder and has not made
// the header yet is no damage; links without one are.
func (v *verifier) verifyWithoutHeader(ctx context.Context, p partition) error {
	listed, err := v.listLinks(ctx, p)
	if err == nil && len(listed) > 0 {
		if _, err := readHeader(ctx, v.from, p); errors.Is(err, fs.ErrNotExist) {
			v.report.add(path.Join(p.chainPath(), headerName), "is missing: where the chain begins is unknown")
		}
	}
	return err
}

// listLinks returns the base offsets of a chain's links, sorted.
func (v *verifier) listLinks(ctx context.Context, p partition) ([]int64, error) {
	var listed []int64
	for e, err := range v.from.list(ctx, p.chainPath(), "") {
		if err != nil {
			return nil, err
		}
		if base, ok := parseOffsetName(e.name); ok {
			listed = append(listed, base)
		} else if belongs := e.name == headerName || e.name == headName || e.name == milestoneName || e.folder && e.name == removedDir; !belongs {
			v.report.add(path.Join(p.chainPath(), e.name), "does not belong into a chain")
		}
	}
	slices.Sort(listed)
	return listed, nil
}

func (v *verifier) folders(ctx context.Context, dir string) ([]string, error) {
	var names []string
	for e, err := range v.from.list(ctx, dir, "") {
		if err != nil {
			return nil, err
		}
		if e.folder {
			names = append(names, e.name)
		} else {
			v.report.add(path.Join(dir, e.name), "does not belong into %s", dir)
		}
	}
	slices.Sort(names)
	return names, nil
}
