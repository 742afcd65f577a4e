package lag

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

var metadataOfAll = kafkago.MetadataRequest{}

// Whatever a broker sends, readers end, and never have more elements than the
// response has bytes.
func FuzzResponses(f *testing.F) {
	f.Add(uint8(0), []byte{0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0})
	f.Add(uint8(1), []byte{0, 0, 0, 0, 0, 2, 2, 'g', 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add(uint8(2), []byte{0, 0, 0, 0, 0, 2, 2, 'g', 1, 0, 0, 0, 0})
	f.Add(uint8(3), []byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 0})
	f.Add(uint8(4), fetchOf(dataBatch(7, 3, noon)))
	f.Fuzz(func(t *testing.T, which uint8, response []byte) {
		d := newDecoder(bufio.NewReader(bytes.NewReader(response)), int64(len(response)))
		elements := 0
		switch which % 5 {
		case 0:
			elements = len(readTopics(d))
		case 1:
			elements = len(readCoordinators(d))
		case 2:
			elements = len(readCommits(d))
		case 3:
			elements = len(readOffsets(d))
		case 4:
			elements = len(readSeen(d, map[place]peek{{"t", 0}: {from: 7}}))
		}
		if d.left < 0 || elements > len(response) {
			t.Errorf("%d bytes left, %d elements of %d bytes", d.left, elements, len(response))
		}
	})
}

// dataBatch is a batch of n records at base, without the records.
func dataBatch(base int64, n int32, at time.Time) []byte {
	b := make([]byte, batchHeader)
	be := binary.BigEndian
	be.PutUint64(b, uint64(base))
	be.PutUint32(b[8:], batchHeader-beforeLength)
	b[16] = 2
	be.PutUint32(b[23:], uint32(n-1))
	be.PutUint64(b[27:], uint64(at.UnixMilli()))
	be.PutUint64(b[35:], uint64(at.Add(time.Minute).UnixMilli()))
	be.PutUint64(b[43:], 1<<64-1)
	be.PutUint32(b[57:], uint32(n))
	return b
}

// fetchOf is a Fetch response v11 with these batches of partition 0 of topic t.
func fetchOf(batches ...[]byte) []byte {
	b := make([]byte, 10)
	b = appendString(appendInt32(b, 1), "t")
	b = appendInt32(appendInt32(b, 1), 0)
	b = append(b, make([]byte, 26)...)
	b = appendInt32(appendInt32(b, 0), -1)
	records := bytes.Join(batches, nil)
	return append(appendInt32(b, int32(len(records))), records...)
}

func TestWalkOverBatches(t *testing.T) {
	appendTime := dataBatch(7, 3, noon)
	appendTime[22] |= 0x08
	hollow := dataBatch(7, 3, noon)
	copy(hollow[57:], []byte{0, 0, 0, 0})
	at := map[place]peek{{"t", 0}: {from: 7}}
	cases := []struct {
		name    string
		batches [][]byte
		want    seen
	}{
		{"nothing", nil, seen{from: 7, records: 7, until: 7}},
		{"the batch around the offset", [][]byte{dataBatch(5, 4, noon)}, seen{from: 7, records: 7, until: 9, oldest: noon}},
		{"one before it", [][]byte{dataBatch(5, 2, noon), dataBatch(7, 2, later)}, seen{from: 7, records: 7, until: 9, oldest: later}},
		{"a hole in the log", [][]byte{dataBatch(9, 2, noon)}, seen{from: 7, records: 9, until: 11, oldest: noon}},
		{"the time of appending", [][]byte{appendTime}, seen{from: 7, records: 7, until: 10, oldest: noon.Add(time.Minute)}},
		{"a batch that compaction has emptied", [][]byte{hollow}, seen{from: 7, records: 10, until: 10}},
		{"an incomplete one", [][]byte{dataBatch(7, 3, noon)[:40]}, seen{from: 7, records: 7, until: 7}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			response := fetchOf(c.batches...)
			d := newDecoder(bufio.NewReader(bytes.NewReader(response)), int64(len(response)))
			got := readSeen(d, at)[place{"t", 0}]
			if got.oldest.Equal(c.want.oldest) {
				got.oldest = c.want.oldest
			}
			if got != c.want || d.err != nil || d.left != 0 {
				t.Errorf("got %+v, %v, %d bytes left, want %+v", got, d.err, d.left, c.want)
			}
		})
	}
}
