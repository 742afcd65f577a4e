package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"time"

	"github.com/logpipeline/logpipeline/ingester/durable"
)

// formatVersion is the version of the files that this release writes. It reads
// this one and the older ones, of which there are none yet.
const formatVersion = 1

// A file begins, in little endian, with
//
//	 0  "lpjournl"
//	 8  format version, uint32
//	12  checksum of the 12 bytes before; so far the same in every version
//	16  the file's number, uint64
//	24  offset of its first record, uint64
//	32  end of the file before, uint64: what stands there is void; 0: none before
//	40  when it was made (Unix, in nanoseconds), uint64
//	48  checksum of the 48 bytes before
const fileHeaderSize = 52

const (
	fileMagic  = "lpjournl"
	fileSuffix = ".journal"
)

// fileHeader is how a file begins.
type fileHeader struct {
	number      uint64
	base        int64
	previousEnd int64
	created     time.Time
}

func (h fileHeader) encode() []byte {
	b := make([]byte, fileHeaderSize)
	copy(b, fileMagic)
	binary.LittleEndian.PutUint32(b[8:], formatVersion)
	binary.LittleEndian.PutUint32(b[12:], crc32.Checksum(b[:12], castagnoli))
	binary.LittleEndian.PutUint64(b[16:], h.number)
	binary.LittleEndian.PutUint64(b[24:], uint64(h.base))
	binary.LittleEndian.PutUint64(b[32:], uint64(h.previousEnd))
	binary.LittleEndian.PutUint64(b[40:], uint64(h.created.UnixNano()))
	binary.LittleEndian.PutUint32(b[48:], crc32.Checksum(b[:48], castagnoli))
	return b
}

// NewerVersionError refuses a journal that a newer release has written.
type NewerVersionError struct {
	Path    string
	Version uint32
}

// Error names the file, its version and the remedy.
func (e *NewerVersionError) Error() string {
	return fmt.Sprintf("%s has format version %d, but this release reads versions up to %d: run the release that wrote it, or a newer one",
		e.Path, e.Version, formatVersion)
}

// errFileHeader is a header that isn't whole; a crash leaves such a one behind.
var errFileHeader = errors.New("the file's header is damaged")

// parseFileHeader reads the header of the file with that number at path. It
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
		base:        int64(binary.LittleEndian.Uint64(b[24:])),
		previousEnd: int64(binary.LittleEndian.Uint64(b[32:])),
		created:     time.Unix(0, int64(binary.LittleEndian.Uint64(b[40:]))),
	}
	if h.number != number || h.base < 0 || h.previousEnd < 0 {
		return fileHeader{}, errFileHeader
	}
	return h, nil
}

// file is one of the journal's, and what is known of it. What changes while it
// is written is guarded by the journal's mu.
type file struct {
	number uint64
	path   string
	size   int64 // bytes that are durable and count; more may stand in the file
	next   int64 // offset behind its last record
}

func filePath(dir string, number uint64) string {
	return durable.Numbered(dir, number, fileSuffix)
}

// listFiles returns the numbers of the files in dir, in order.
func listFiles(dir string) (numbers []uint64, err error) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if number, ours := durable.NumberOf(name, fileSuffix); ours {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}
