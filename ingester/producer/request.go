package producer

import (
	"github.com/logpipeline/logpipeline/ingester/record"
)

// request is a record.Batch, the records of one HTTP request, in the hands of
// a worker.
type request struct {
	id         string
	batch      *record.Batch // not ours any more once settled
	placements []record.Placement
	delivered  int   // records placed
	err        error // why the rest won't be
}

func (r *request) settled() bool { return r.err != nil || r.delivered == r.batch.Len() }

// place notes where the next n records are; adjacent ranges become one.
func (r *request) place(topic string, partition int32, offset int64, n int) {
	r.delivered += n
	last := offset + int64(n) - 1
	if k := len(r.placements) - 1; k >= 0 && r.placements[k].LastOffset+1 == offset {
		r.placements[k].LastOffset = last
		return
	}
	r.placements = append(r.placements, record.Placement{Topic: topic, Partition: partition, FirstOffset: offset, LastOffset: last})
}

// section is a run of records of one request, to share a Kafka record batch
// with others.
type section struct {
	request *request
	from    int // first record
	to      int // after the last one
}

func (s section) len() int { return s.to - s.from }

// count is the number of records in sections.
func count(sections []section) int {
	n := 0
	for _, s := range sections {
		n += s.len()
	}
	return n
}

// halve splits sections of at least two records into two parts, in order.
func halve(sections []section) (first, second []section) {
	left := count(sections) / 2
	for _, s := range sections {
		n := min(left, s.len())
		left -= n
		if n > 0 {
			first = append(first, section{s.request, s.from, s.from + n})
		}
		if n < s.len() {
			second = append(second, section{s.request, s.from + n, s.to})
		}
	}
	return first, second
}
