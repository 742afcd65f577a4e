package deadletter

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// A file holds one letter: the magic, whose last byte is the format's version;
// the length of the description as a varint, and the description, a JSON
// object; the records in order, each after its length as a varint; the
// CRC-32C of all that, big-endian.
const fileMagic = "LPDL\x01"

const checksumSize = 4

// ErrCorrupt wraps what is wrong with a file of the folder.
var ErrCorrupt = errors.New("corrupt dead letter")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// description is the JSON object in a file.
type description struct {
	Letter
	Headers []describedHeader `json:"headers,omitempty"`
}

type describedHeader struct {
	Key   string `json:"key"`
	Value []byte `json:"value"` // base64; null as nil is
}

func encodeFile(d record.DeadLetter) ([]byte, error) {
	about := description{Letter: letterOf(d)}
	for _, h := range d.Headers {
		about.Headers = append(about.Headers, describedHeader(h))
	}
	described, err := json.Marshal(about)
	if err != nil {
		return nil, err
	}
	size := len(fileMagic) + len(described) + binary.MaxVarintLen32 + checksumSize
	for _, r := range d.Records {
		size += binary.MaxVarintLen32 + len(r)
	}
	file := append(make([]byte, 0, size), fileMagic...)
	file = appendBytes(file, described)
	for _, r := range d.Records {
		file = appendBytes(file, r)
	}
	return binary.BigEndian.AppendUint32(file, crc32.Checksum(file, castagnoli)), nil
}

func appendBytes(file, b []byte) []byte {
	return append(binary.AppendUvarint(file, uint64(len(b))), b...)
}

// decodeFile undoes encodeFile; the records lie in file. The error wraps
// ErrCorrupt.
func decodeFile(file []byte) (record.DeadLetter, error) {
	content := len(file) - checksumSize
	switch {
	case content < len(fileMagic) || string(file[:len(fileMagic)-1]) != fileMagic[:len(fileMagic)-1]:
		return record.DeadLetter{}, fmt.Errorf("%w: it doesn't begin like one", ErrCorrupt)
	case file[len(fileMagic)-1] != fileMagic[len(fileMagic)-1]:
		return record.DeadLetter{}, fmt.Errorf("%w: its format is version %d, this release reads version %d", ErrCorrupt, file[len(fileMagic)-1], fileMagic[len(fileMagic)-1])
	case crc32.Checksum(file[:content], castagnoli) != binary.BigEndian.Uint32(file[content:]):
		return record.DeadLetter{}, fmt.Errorf("%w: its checksum is wrong", ErrCorrupt)
	}
	described, rest, ok := cutBytes(file[len(fileMagic):content])
	var about description
	if !ok || json.Unmarshal(described, &about) != nil {
		return record.DeadLetter{}, fmt.Errorf("%w: its description can't be read", ErrCorrupt)
	}
	l := about.Letter
	d := record.DeadLetter{
		Batch: l.Batch, FirstRecord: l.FirstRecord, Reason: l.Reason, Unknown: l.Unknown, Acknowledged: l.Acknowledged,
		Topic: l.Topic, Partition: l.Partition, Received: l.Received, Time: l.Time,
	}
	for _, h := range about.Headers {
		d.Headers = append(d.Headers, record.Header(h))
	}
	for len(rest) > 0 && ok {
		var r []byte
		r, rest, ok = cutBytes(rest)
		d.Records = append(d.Records, r)
	}
	if !ok || len(d.Records) != l.Records || l.Records < 1 || l.FirstRecord < 0 || l.FirstRecord > maxRecords-l.Records {
		return record.DeadLetter{}, fmt.Errorf("%w: it describes %d records from %d on, and holds %d", ErrCorrupt, l.Records, l.FirstRecord, len(d.Records))
	}
	return d, nil
}

func cutBytes(b []byte) (cut, rest []byte, ok bool) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, nil, false
	}
	end := n + int(size)
	return b[n:end:end], b[end:], true
}
