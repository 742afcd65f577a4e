package deadletter

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// A file holds letters that were put together: the magic, whose last byte is the
// format's version; for each letter its length as a varint, and the letter; the
// CRC-32C of all that, big-endian. A letter is the length of its description as
// a varint, and the description, a JSON object; then the records in order, each
// after its length as a varint.
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

// encodeLetter is the letter as it stands in a file.
func encodeLetter(d record.DeadLetter) ([]byte, error) {
	about := description{Letter: letterOf(d)}
	for _, h := range d.Headers {
		about.Headers = append(about.Headers, describedHeader(h))
	}
	described, err := json.Marshal(about)
	if err != nil {
		return nil, err
	}
	size := len(described) + binary.MaxVarintLen32
	for _, r := range d.Records {
		size += binary.MaxVarintLen32 + len(r)
	}
	letter := appendBytes(make([]byte, 0, size), described)
	for _, r := range d.Records {
		letter = appendBytes(letter, r)
	}
	return letter, nil
}

// fileSize is how large encoded letters make a file.
func fileSize(letters [][]byte) int64 {
	size := len(fileMagic) + checksumSize
	for _, l := range letters {
		size += varintSize(len(l)) + len(l)
	}
	return int64(size)
}

func varintSize(n int) int {
	return len(binary.AppendUvarint(make([]byte, 0, binary.MaxVarintLen64), uint64(n)))
}

// joinFile makes a file of encoded letters.
func joinFile(letters [][]byte) []byte {
	file := append(make([]byte, 0, fileSize(letters)), fileMagic...)
	for _, l := range letters {
		file = appendBytes(file, l)
	}
	return binary.BigEndian.AppendUint32(file, crc32.Checksum(file, castagnoli))
}

func encodeFile(letters []record.DeadLetter) ([]byte, error) {
	encoded := make([][]byte, len(letters))
	for i, d := range letters {
		var err error
		if encoded[i], err = encodeLetter(d); err != nil {
			return nil, err
		}
	}
	return joinFile(encoded), nil
}

func appendBytes(file, b []byte) []byte {
	return append(binary.AppendUvarint(file, uint64(len(b))), b...)
}

// decodeFile undoes encodeFile; the records lie in file. The error wraps
// ErrCorrupt.
func decodeFile(file []byte) ([]record.DeadLetter, error) {
	content := len(file) - checksumSize
	switch {
	case content < len(fileMagic) || string(file[:len(fileMagic)-1]) != fileMagic[:len(fileMagic)-1]:
		return nil, fmt.Errorf("%w: it doesn't begin like one", ErrCorrupt)
	case file[len(fileMagic)-1] != fileMagic[len(fileMagic)-1]:
		return nil, fmt.Errorf("%w: its format is version %d, this release reads version %d", ErrCorrupt, file[len(fileMagic)-1], fileMagic[len(fileMagic)-1])
	case crc32.Checksum(file[:content], castagnoli) != binary.BigEndian.Uint32(file[content:]):
		return nil, fmt.Errorf("%w: its checksum is wrong", ErrCorrupt)
	}
	var letters []record.DeadLetter
	for rest := file[len(fileMagic):content]; len(rest) > 0; {
		letter, behind, ok := cutBytes(rest)
		if !ok {
			return nil, fmt.Errorf("%w: letter %d is not whole", ErrCorrupt, len(letters))
		}
		d, err := decodeLetter(letter)
		if err != nil {
			return nil, fmt.Errorf("%w: letter %d: %s", ErrCorrupt, len(letters), err.Error())
		}
		letters, rest = append(letters, d), behind
	}
	if len(letters) == 0 {
		return nil, fmt.Errorf("%w: it holds no letter", ErrCorrupt)
	}
	return letters, nil
}

// decodeLetter undoes encodeLetter.
func decodeLetter(letter []byte) (record.DeadLetter, error) {
	described, rest, ok := cutBytes(letter)
	var about description
	if !ok || json.Unmarshal(described, &about) != nil {
		return record.DeadLetter{}, errors.New("its description can't be read")
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
		return record.DeadLetter{}, fmt.Errorf("it describes %d records from %d on, and holds %d", l.Records, l.FirstRecord, len(d.Records))
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
