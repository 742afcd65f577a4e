package segment

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
)

// formatVersion is the version of the documents that this release writes, and
// the newest that it reads. Fields that it does not know are ignored: a newer
// release adds fields within a version, and raises it for what an older one must
// not overlook.
const formatVersion = 1

// The header, the links and the markers of a chain decide what is stored. Each
// is one line of JSON whose last field is the CRC32C of all the bytes before
// it, so that no damage to it becomes another offset.
const (
	sumField  = `,"lineChecksum":"`
	sumDigits = len(checksumPrefix) + 8
	sumEnd    = "\"}\n"
)

// encodeLine is a document without a checksum.
func encodeLine(v any) ([]byte, error) {
	line, err := json.Marshal(v)
	return append(line, '\n'), err
}

// encodeChecked is a document with its checksum; v is a struct that has fields.
func encodeChecked(v any) ([]byte, error) {
	line, err := json.Marshal(v)
	return appendSum(bytes.TrimSuffix(line, []byte("}"))), err
}

func appendSum(line []byte) []byte {
	sum := formatChecksum(crc32.Checksum(line, castagnoli))
	return append(append(append(line, sumField...), sum...), sumEnd...)
}

// checkSum compares a document with its checksum.
func checkSum(document []byte) error {
	at := len(document) - len(sumField) - sumDigits - len(sumEnd)
	if at < 0 || !bytes.HasPrefix(document[at:], []byte(sumField)) {
		return damaged("%q does not end with its checksum: it was cut, or changed", shorten(document))
	}
	if !bytes.Equal(document, appendSum(bytes.Clone(document[:at]))) {
		return damaged("%q has another checksum than it ends with: a byte has changed", shorten(document))
	}
	return nil
}

// parseDocument reads a document of a version that this release knows, and
// refuses one that has been damaged.
func parseDocument(document []byte, into any) error {
	var v struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(document, &v); err != nil {
		return damaged("parse %q: %w", shorten(document), err)
	}
	if v.Version > formatVersion {
		return &StopError{Reason: "UnsupportedFormat", Err: fmt.Errorf("written in format version %d, but this release reads up to version %d: use the newer release", v.Version, formatVersion)}
	}
	if v.Version < 1 {
		return damaged("format version %d does not exist", v.Version)
	}
	if err := checkSum(document); err != nil {
		return err
	}
	if err := json.Unmarshal(document, into); err != nil {
		return damaged("parse %q: %w", shorten(document), err)
	}
	return nil
}

func shorten(document []byte) []byte { return document[:min(len(document), 80)] }
