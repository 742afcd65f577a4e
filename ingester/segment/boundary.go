package segment

import (
	"context"
	"fmt"
	"path"
	"strings"
)

// Retention takes from the front of a chain: first data, much later links. How
// far it has come is said by markers in the chain's folder removed/, whose
// names end with an offset: before it all data, or all links, are removed or
// about to be. The largest marker of a kind counts, and is never removed; so
// the boundaries never move back, whoever moves them.
//
// This keeps the chain exact without a lock. Nothing at or after a boundary is
// ever removed. So who has walked from an offset, and finds afterwards that the
// links' boundary is not beyond it, has seen the true chain; and who has
// created a link at an offset and finds the same has created it where the chain
// ended, and not in a place that a removed link has left.
const removedDir = "removed"

type boundaryKind string

const (
	ofLinks boundaryKind = "links"
	ofData  boundaryKind = "data"
)

// boundaries are offsets of links: where the links begin, and where the data
// does.
type boundaries struct{ links, data int64 }

// marker is the content of a boundary's file: the one step that was taken to
// it. The steps before that one are complete.
type marker struct {
	Version int   `json:"version"`
	From    int64 `json:"from"`
	To      int64 `json:"to"`
}

// readBoundaries returns where the chain begins by now; first is where it
// began.
func readBoundaries(ctx context.Context, from reader, p partition, first int64) (boundaries, error) {
	b := boundaries{links: first, data: first}
	for e, err := range from.list(ctx, p.removedPath(), "") {
		if err != nil {
			return b, err
		}
		kind, offset, ok := parseMarkerName(e.name)
		switch {
		case ok && kind == ofLinks:
			b.links = max(b.links, offset)
		case ok && kind == ofData:
			b.data = max(b.data, offset)
		}
	}
	b.data = max(b.data, b.links)
	return b, nil
}

func readMarker(ctx context.Context, from reader, p partition, kind boundaryKind, to int64) (marker, error) {
	name := p.markerPath(kind, to)
	document, err := readFile(ctx, from, name)
	if err != nil {
		return marker{}, err
	}
	m, err := parseMarker(document, to)
	if err != nil {
		return marker{}, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

func parseMarker(document []byte, to int64) (marker, error) {
	var m marker
	if err := parseDocument(document, &m); err != nil {
		return marker{}, err
	}
	if m.To != to || m.From < 0 || m.From >= m.To {
		return marker{}, damaged("is the step from offset %d to %d, of a marker for %d", m.From, m.To, to)
	}
	return m, nil
}

func (p partition) removedPath() string { return path.Join(p.chainPath(), removedDir) }

func (p partition) markerPath(kind boundaryKind, offset int64) string {
	return path.Join(p.removedPath(), fmt.Sprintf("%s-%s", kind, offsetName(offset)))
}

func parseMarkerName(name string) (boundaryKind, int64, bool) {
	kind, digits, _ := strings.Cut(name, "-")
	offset, ok := parseOffsetName(digits)
	return boundaryKind(kind), offset, ok && (kind == string(ofLinks) || kind == string(ofData))
}
