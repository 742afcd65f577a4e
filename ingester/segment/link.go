package segment

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	// checksumPrefix names the algorithm. CRC32C, as Kafka's own batches
	// have it, finds what disks and copies do to a file and costs nearly
	// nothing beside the write (it runs at the memory's speed); SHA-256
	// would cost as much as all the rest of the data path, and would guard
	// against a forger, who could write the link as well.
	checksumPrefix = "crc32c:"
)

// Header is the content of a chain's header: written once, never changed.
type Header struct {
	Version     int    `json:"version"`
	Topic       string `json:"topic"`
	TopicID     string `json:"topicID"`
	Partition   int32  `json:"partition"`
	FirstOffset int64  `json:"firstOffset"`
}

// Link is the content of one link: one line of JSON.
type Link struct {
	Version    int    `json:"version"`
	Topic      string `json:"topic"`
	TopicID    string `json:"topicID"`
	Partition  int32  `json:"partition"`
	BaseOffset int64  `json:"baseOffset"`
	NextOffset int64  `json:"nextOffset"`
	// DataPath is where the data is published, and Staged where it waits
	// until then; both empty when Records is 0.
	DataPath string `json:"dataPath,omitempty"`
	Staged   string `json:"staged,omitempty"`
	Records  int64  `json:"records"`
	// Bytes is the size of the data as it is stored, and UncompressedBytes
	// that of its lines; the same where Codec is none.
	Bytes             int64 `json:"bytes"`
	UncompressedBytes int64 `json:"uncompressedBytes"`
	// Checksum is the CRC32C of the data as it is stored, "crc32c:" and 8 hex
	// digits.
	Checksum string `json:"checksum"`
	// Codec is none, gzip or zstd.
	Codec string `json:"codec"`
	// FirstTimestamp and LastTimestamp are the smallest and the largest
	// Kafka timestamp, in milliseconds since the Unix epoch.
	FirstTimestamp int64 `json:"firstTimestamp"`
	LastTimestamp  int64 `json:"lastTimestamp"`
	LeaderEpoch    int32 `json:"leaderEpoch"`
	// Writer is the token of the writer that sealed the segment.
	Writer string `json:"writer"`
	// Gap is nil but in a link that stands for records that are not stored.
	Gap *Gap `json:"gap,omitempty"`
	// Totals are those of the chain from its first link through this one, so
	// that they outlive the links that retention removes. Links of the first
	// release have none.
	Totals *Totals `json:"totals,omitempty"`
	// Batches are [offset, smallest timestamp] of record batches: of all of
	// them, or of every 2nd, 4th, ... where a segment has more than
	// maxIndexEntries. The first one is always there.
	Batches [][2]int64 `json:"batches,omitempty"`
}

// Totals are sums over links.
type Totals struct {
	Records int64 `json:"records"`
	Bytes   int64 `json:"bytes"` // as stored
	// GapOffsets are those that links record as gaps.
	GapOffsets int64 `json:"gapOffsets,omitempty"`
}

func (t Totals) plus(l Link) Totals {
	return Totals{Records: t.Records + l.Records, Bytes: t.Bytes + l.Bytes, GapOffsets: t.GapOffsets + l.gapOffsets()}
}

func (t Totals) String() string {
	return fmt.Sprintf("%d records, %d bytes and %d offsets of gaps", t.Records, t.Bytes, t.GapOffsets)
}

// before are the totals of all links before this one, nil when unknown.
func (l Link) before() *Totals {
	if l.Totals == nil {
		return nil
	}
	return &Totals{Records: l.Totals.Records - l.Records, Bytes: l.Totals.Bytes - l.Bytes, GapOffsets: l.Totals.GapOffsets - l.gapOffsets()}
}

// maxIndexEntries bounds Batches, and with it the size of a link to some 40 KiB.
const maxIndexEntries = 1024

// ParseHeader reads a header and checks it in itself.
func ParseHeader(document []byte) (Header, error) {
	var h Header
	if err := parseDocument(document, &h); err != nil {
		return Header{}, err
	}
	if err := h.partition().validate(); err != nil {
		return Header{}, damaged("%w", err)
	}
	if h.FirstOffset < 0 {
		return Header{}, damaged("first offset %d is negative", h.FirstOffset)
	}
	return h, nil
}

// ParseLink reads a link and checks it in itself: its fields agree, and its
// paths lie where this package writes.
func ParseLink(document []byte) (Link, error) {
	var l Link
	if err := parseDocument(document, &l); err != nil {
		return Link{}, err
	}
	if l.Codec == codecNone && l.UncompressedBytes == 0 {
		l.UncompressedBytes = l.Bytes // older links name the one size only
	}
	if err := l.validate(); err != nil {
		return Link{}, damaged("%w", err)
	}
	return l, nil
}

func (h Header) partition() partition { return partition{h.Topic, h.TopicID, h.Partition} }
func (l Link) partition() partition   { return partition{l.Topic, l.TopicID, l.Partition} }

func (l Link) validate() error {
	if err := l.partition().validate(); err != nil {
		return err
	}
	if l.BaseOffset < 0 || l.NextOffset <= l.BaseOffset {
		return fmt.Errorf("next offset %d does not follow base offset %d", l.NextOffset, l.BaseOffset)
	}
	if l.Records < 0 || l.Records > l.NextOffset-l.BaseOffset {
		return fmt.Errorf("%d records do not fit into offsets %d to %d", l.Records, l.BaseOffset, l.NextOffset-1)
	}
	if t := l.before(); t != nil && (t.Records < 0 || t.Bytes < 0 || t.GapOffsets < 0) {
		return fmt.Errorf("totals of %v are less than the link's own", *l.Totals)
	}
	if l.Gap != nil && l.Records > 0 {
		return fmt.Errorf("%d records, but a gap because of %q", l.Records, l.Gap.Reason)
	}
	if l.Gap != nil {
		if err := l.Gap.validate(); err != nil {
			return err
		}
	}
	if !slices.Contains(codecs, l.Codec) {
		return fmt.Errorf("codec %q: this release reads %q", l.Codec, codecs)
	}
	if l.Records == 0 {
		if l.Bytes != 0 || l.UncompressedBytes != 0 || l.DataPath != "" || l.Staged != "" {
			return fmt.Errorf("0 records, but %d bytes in %q, staged as %q", l.Bytes, l.DataPath, l.Staged)
		}
		return nil
	}
	return l.validateData()
}

func (l Link) validateData() error {
	if l.UncompressedBytes < 2*l.Records {
		return fmt.Errorf("%d bytes are too few for %d lines that are not empty", l.UncompressedBytes, l.Records)
	}
	if l.Bytes < 1 || l.Codec == codecNone && l.Bytes != l.UncompressedBytes {
		return fmt.Errorf("%d bytes do not store %d bytes with codec %s", l.Bytes, l.UncompressedBytes, l.Codec)
	}
	if _, err := parseChecksum(l.Checksum); err != nil {
		return err
	}
	if len(l.Batches) == 0 {
		return fmt.Errorf("no record batch is listed for %d records", l.Records)
	}
	if want := l.partition().dataPath(l.BaseOffset, l.Batches[0][1], l.Codec); l.DataPath != want {
		return fmt.Errorf("data path is %q, but the first batch's hour makes it %q", l.DataPath, want)
	}
	name, found := strings.CutPrefix(l.Staged, stagingDir+"/")
	if !found || !filepath.IsLocal(name) || strings.ContainsAny(name, `/\`) {
		return fmt.Errorf("staged name %q is not a file of %s/", l.Staged, stagingDir)
	}
	return nil
}

func formatChecksum(sum uint32) string { return fmt.Sprintf("%s%08x", checksumPrefix, sum) }

func parseChecksum(s string) (uint32, error) {
	digits, found := strings.CutPrefix(s, checksumPrefix)
	sum, err := strconv.ParseUint(digits, 16, 32)
	if !found || len(digits) != 8 || err != nil {
		return 0, fmt.Errorf("checksum %q is not %q and 8 hex digits", s, checksumPrefix)
	}
	return uint32(sum), nil
}
