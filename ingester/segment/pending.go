package segment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// Reasons for which a segment is due to be sealed.
const (
	DueBySize = "size"
	DueByAge  = "age"
	DueByHour = "hour"
	// DueBySpace: all open segments together take more than MaxOpenBytes, and
	// this one most of it.
	DueBySpace = "space"
)

// plainSuffix ends the name of lines that are compressed when they are sealed.
const plainSuffix = ".plain"

// pending is the segment that is being written.
type pending struct {
	before  Totals // of the chain
	link    Link
	staged  string     // name of the staged link
	waits   bool       // its lines are staged as they are, until there is an encoder
	data    stagedData // nil until the first record, and once it is finished
	writer  *dataWriter
	since   time.Time // when the first record came
	hour    int64     // of the first record, since the Unix epoch
	batches int       // appended with records
	stride  int       // one in so many is listed in the link
}

// Append adds a run of offsets and the lines of its records, each of which
// ends with '\n'; lines is not kept. The run must begin at NextOffset, and have
// as many lines as records. The file is written in order and never synced
// before Seal.
func (c *Chain) Append(lines []byte, span record.Span) error {
	if c.failed != nil {
		return c.failed
	}
	if err := c.checkSpan(lines, span); err != nil {
		return fmt.Errorf("append to chain of %v: %w", c.partition, err)
	}
	if c.pending == nil {
		c.pending = c.newPending()
	}
	c.store.troubles.begin(c.partition)
	err := c.pending.append(c.store, lines, span)
	c.store.troubles.end(c.partition, err, false)
	if err != nil {
		c.failed = fmt.Errorf("append to chain of %v: %w", c.partition, err)
		return c.failed
	}
	return nil
}

func (c *Chain) checkSpan(lines []byte, span record.Span) error {
	if next := c.NextOffset(); span.BaseOffset != next || span.NextOffset <= next {
		return fmt.Errorf("offsets %d to %d do not continue the chain, whose next offset is %d", span.BaseOffset, span.NextOffset-1, next)
	}
	if n := int64(bytes.Count(lines, newline)); n != span.Records || n > 0 && lines[len(lines)-1] != '\n' {
		return fmt.Errorf("offsets %d to %d have %d records, but %d complete lines", span.BaseOffset, span.NextOffset-1, span.Records, n)
	}
	return nil
}

var newline = []byte{'\n'}

func (c *Chain) newPending() *pending {
	p, codec := c.partition, c.store.encoders.codec
	name := func(suffix string) string { return p.stagedName(offsetName(c.sealed), c.writer, suffix) }
	return &pending{before: c.totals, staged: name(linkSuffix), stride: 1, link: Link{
		Version: formatVersion, Topic: p.topic, TopicID: p.topicID, Partition: p.number,
		BaseOffset: c.sealed, NextOffset: c.sealed, Staged: name(dataSuffix(codec)), Codec: codec, Writer: c.writer,
	}}
}

func (p *pending) append(s *Store, lines []byte, span record.Span) error {
	if span.Records > 0 {
		if err := p.write(s, lines, span); err != nil {
			return err
		}
	}
	p.link.NextOffset, p.link.LeaderEpoch = span.NextOffset, span.LeaderEpoch
	return nil
}

func (p *pending) write(s *Store, lines []byte, span record.Span) error {
	if p.writer == nil {
		if err := p.begin(s, span); err != nil {
			return err
		}
	}
	if _, err := p.writer.Write(lines); err != nil {
		return err
	}
	s.space.take(p, p.writer.taken())
	p.link.Records += span.Records
	p.link.UncompressedBytes += int64(len(lines))
	p.link.FirstTimestamp = min(p.link.FirstTimestamp, span.FirstTimestamp)
	p.link.LastTimestamp = max(p.link.LastTimestamp, span.LastTimestamp)
	p.index(span)
	return nil
}

func (p *pending) begin(s *Store, span record.Span) (err error) {
	encoder, name := s.encoders.streams.tryTake(), p.link.Staged
	if encoder == nil && p.link.Codec != codecNone {
		name = p.link.Staged + plainSuffix
	}
	if p.data, err = s.files.stage(name); err != nil {
		s.encoders.streams.give(encoder)
		return err
	}
	p.waits = name != p.link.Staged
	p.writer = newDataWriter(p.data, encoder)
	p.since, p.hour = time.Now(), hourOf(span.FirstTimestamp)
	p.link.FirstTimestamp, p.link.LastTimestamp = span.FirstTimestamp, span.LastTimestamp
	p.link.DataPath = p.link.partition().dataPath(p.link.BaseOffset, span.FirstTimestamp, p.link.Codec)
	return nil
}

// index lists the batch in the link; when the list is full, every other entry
// is dropped and from then on every other batch is listed.
func (p *pending) index(span record.Span) {
	if p.batches%p.stride == 0 {
		if len(p.link.Batches) == maxIndexEntries {
			for i := range maxIndexEntries / 2 {
				p.link.Batches[i] = p.link.Batches[2*i]
			}
			p.link.Batches = p.link.Batches[:maxIndexEntries/2]
			p.stride *= 2
		}
		p.link.Batches = append(p.link.Batches, [2]int64{span.BaseOffset, span.FirstTimestamp})
	}
	p.batches++
}

func hourOf(timestamp int64) int64 {
	const hour = int64(time.Hour / time.Millisecond)
	if timestamp < 0 {
		return (timestamp+1)/hour - 1
	}
	return timestamp / hour
}

// Due returns why the segment must be sealed before next is appended, or "".
// A segment is due when its lines have reached MaxBytes, when its first record
// came MaxAgeSeconds ago, when next has records of a later UTC hour (those of
// an earlier hour stay with it), or when it is the largest while all that are
// open in the store take more than MaxOpenBytes. Without records it is never
// due.
//
// The size is that of the lines, however small they are stored: it bounds what
// is fetched once more after a crash and what a reader gets at once, and a
// chain is cut at the same offsets whatever its codec.
func (c *Chain) Due(now time.Time, next record.Span) string {
	p := c.pending
	if p == nil || p.link.Records == 0 {
		return ""
	}
	switch cfg := c.store.config; {
	case p.link.UncompressedBytes >= int64(cfg.MaxBytes):
		return DueBySize
	case now.Sub(p.since) >= time.Duration(cfg.MaxAgeSeconds)*time.Second:
		return DueByAge
	case next.Records > 0 && hourOf(next.FirstTimestamp) > p.hour:
		return DueByHour
	case cfg.MaxOpenBytes > 0 && c.store.space.exceeds(int64(cfg.MaxOpenBytes), p):
		return DueBySpace
	}
	return ""
}

// finish makes the data durable under its staged name.
func (p *pending) finish(ctx context.Context, s *Store) error {
	if p.writer == nil {
		p.link.DataPath, p.link.Staged = "", ""
		p.sum()
		return nil
	}
	if err := p.writer.finish(); err != nil {
		return err
	}
	if p.waits {
		if err := p.encode(ctx, s); err != nil {
			return err
		}
	}
	p.link.Bytes, p.link.Checksum = p.writer.stored.bytes, formatChecksum(p.writer.stored.sum)
	p.sum()
	if err := p.data.finish(ctx); err != nil {
		return err
	}
	p.data = nil
	s.encoders.streams.give(p.writer.release())
	s.space.give(p)
	return nil
}

// encode compresses lines that have waited for it, into another file.
func (p *pending) encode(ctx context.Context, s *Store) error {
	encoder, err := s.encoders.seals.take(ctx)
	if err != nil {
		return err
	}
	defer s.encoders.seals.give(encoder)
	if _, err := p.data.Seek(0, io.SeekStart); err != nil {
		return err
	}
	encoded, err := s.files.stage(p.link.Staged)
	if err != nil {
		return err
	}
	w := newDataWriter(encoded, encoder)
	defer w.release()
	_, err = io.Copy(w, p.data)
	if err == nil {
		err = w.finish()
	}
	if err != nil {
		return errors.Join(err, encoded.drop())
	}
	plain := p.data
	p.data, p.writer, p.waits = encoded, w, false
	return plain.drop()
}

func (p *pending) sum() {
	totals := p.before.plus(p.link)
	p.link.Totals = &totals
}

// drop gives up data that is not finished.
func (p *pending) drop(s *Store) error {
	if p.data == nil {
		return nil
	}
	s.space.give(p)
	s.encoders.streams.give(p.writer.release())
	return p.data.drop()
}
