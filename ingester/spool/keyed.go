package spool

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// Keyed calls remember, in order, for each batch of an earlier run that has an
// Idempotency-Key and can be read, delivered (done) or not, as far as the files
// still hold it: so a client that comes again because it got no answer is
// known, whenever its batch goes on. The batch is remember's until that returns,
// and nothing is fed by it. It is called before Run; its errors are that a file
// can't be opened.
func (s *Spool) Keyed(remember func(b *record.Batch, done bool)) error {
	for _, segment := range s.segments {
		if !segment.keyed {
			continue
		}
		err := segment.eachKeyed(func(b *record.Batch) { remember(b, s.earlier.settled.contains(b.Position)) })
		if err != nil {
			return fmt.Errorf("read the keys in the spool: %w", err)
		}
	}
	return nil
}

// eachKeyed yields the batches of a segment that have a key.
func (s *segment) eachKeyed(yield func(b *record.Batch)) error {
	f, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	r := newReader(f, s.number, s.size)
	for at := int64(fileHeaderSize); ; {
		e, next, err := r.next(at)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && e.kind == kindData && e.data.key != "" && s.data.contains(e.position) {
			if b := r.whole(e); b != nil {
				yield(b)
			}
		}
		at = next
	}
}

// whole is the batch of a data entry, nil where the disk can't read it again.
func (r *reader) whole(e found) *record.Batch {
	read, err := readStored(r, e.at, e.header)
	if err != nil {
		return nil
	}
	b, err := read.batch(0, int(e.records))
	if err != nil {
		return nil
	}
	return b
}
