package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/logpipeline/logpipeline/ingester/durable"
)

// formatVersion is the version of the segments that this release writes. It
// reads this one and the older ones: in version 1 the meta of a batch had no
// flags.
const formatVersion = 2

// A segment's file begins, in little endian, with
//
//	 0  "lpspool" and a byte 0
//	 8  format version, uint32
//	12  checksum of the 12 bytes before; so far the same in every version
//	16  the segment's number, uint64
//	24  position of its first data entry, or of the next one at all, uint64
//	32  end of the segment before, uint64: what stands there is void; 0: none before
//	40  when it was made (Unix, in nanoseconds), uint64
//	48  checksum of the 48 bytes before
const fileHeaderSize = 52

const fileMagic = "lpspool\x00"

// fileHeader is how a segment's file begins.
type fileHeader struct {
	number, first uint64
	previousEnd   int64
	created       time.Time
}

func (h fileHeader) encode() []byte {
	b := make([]byte, fileHeaderSize)
	copy(b, fileMagic)
	binary.LittleEndian.PutUint32(b[8:], formatVersion)
	binary.LittleEndian.PutUint32(b[12:], crc32.Checksum(b[:12], castagnoli))
	binary.LittleEndian.PutUint64(b[16:], h.number)
	binary.LittleEndian.PutUint64(b[24:], h.first)
	binary.LittleEndian.PutUint64(b[32:], uint64(h.previousEnd))
	binary.LittleEndian.PutUint64(b[40:], uint64(h.created.UnixNano()))
	binary.LittleEndian.PutUint32(b[48:], crc32.Checksum(b[:48], castagnoli))
	return b
}

// NewerVersionError refuses a spool that a newer release has written.
type NewerVersionError struct {
	Path    string
	Version uint32
}

// Error names the file, its version and the remedy.
func (e *NewerVersionError) Error() string {
	return fmt.Sprintf("%s has format version %d, but this release reads versions up to %d: run the release that wrote it, or a newer one, until it has delivered what the spool holds",
		e.Path, e.Version, formatVersion)
}

// errFileHeader is a header that isn't whole; a crash leaves such a one behind.
var errFileHeader = errors.New("the segment's header is damaged")

// parseFileHeader reads the header of the segment with that number at path. It
// returns errFileHeader or a *NewerVersionError.
func parseFileHeader(b []byte, path string, number uint64) (fileHeader, error) {
	if len(b) < 16 || string(b[:8]) != fileMagic || binary.LittleEndian.Uint32(b[12:]) != crc32.Checksum(b[:12], castagnoli) {
		return fileHeader{}, errFileHeader
	}
	if version := binary.LittleEndian.Uint32(b[8:]); version > formatVersion {
		return fileHeader{}, &NewerVersionError{path, version}
	}
	if len(b) < fileHeaderSize || binary.LittleEndian.Uint32(b[48:]) != crc32.Checksum(b[:48], castagnoli) {
		return fileHeader{}, errFileHeader
	}
	h := fileHeader{
		number:      binary.LittleEndian.Uint64(b[16:]),
		first:       binary.LittleEndian.Uint64(b[24:]),
		previousEnd: int64(binary.LittleEndian.Uint64(b[32:])),
		created:     time.Unix(0, int64(binary.LittleEndian.Uint64(b[40:]))),
	}
	if h.number != number {
		return fileHeader{}, fmt.Errorf("%w: it says segment %d", errFileHeader, h.number)
	}
	return h, nil
}

// segment is a file of the spool and what is known of it; what an entry of it
// is about is read from the file.
type segment struct {
	number  uint64
	path    string
	created time.Time
	// first is the position of its first data entry, or of the next one at all.
	first uint64
	// size is how many bytes of it are durable and count. More may stand in
	// the file: what is being written, or what could not be made durable.
	size int64
	// data are the positions of its readable data entries, and undone is how
	// many of these aren't done; records is how many records of them aren't.
	data    runs[uint64]
	undone  uint64
	records int64
	keyed   bool // an entry of an earlier run has an Idempotency-Key
	// damages are in the order of their place.
	damages []*damage
}

// damagedTo is where the damage at an offset ends; 0 where there is none.
func (s *segment) damagedTo(at int64) int64 {
	for _, d := range s.damages {
		if d.from <= at && at < d.to {
			return d.to
		}
	}
	return 0
}

// damage is a stretch of a segment that can't be read.
type damage struct {
	from, to int64
	reason   string
	// lost are the positions of the data entries that stood there, as far as
	// that is known from those around it.
	lost run[uint64]
	// torn is set where the stretch looks as if its writing was interrupted.
	torn bool
}

const (
	segmentSuffix = ".segment"
	tempSuffix    = ".tmp"
)

func segmentPath(dir string, number uint64) string {
	return durable.Numbered(dir, number, segmentSuffix)
}

// listSegments returns the numbers of the segments in dir, in order, and the
// names of temporary files that a crash left.
func listSegments(dir string) (numbers []uint64, stale []string, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range files {
		if number, isSegment := durable.NumberOf(f, segmentSuffix); isSegment {
			numbers = append(numbers, number)
		} else if strings.HasSuffix(f.Name(), tempSuffix) {
			stale = append(stale, f.Name())
		}
	}
	slices.Sort(numbers)
	return numbers, stale, nil
}
