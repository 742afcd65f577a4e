package segment

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"time"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// Reasons for which a segment is due to be sealed.
const (
	DueBySize = "size"
	DueByAge  = "age"
	DueByHour = "hour"
)

// writeBytes is the size from which lines are written without being copied.
// Smaller appends are gathered, so that many small record batches still make
// few writes.
const writeBytes = 256 << 10

// pending is the segment that is being written.
type pending struct {
	link    Link
	data    string // path of the staged data
	staged  string // path of the staged link
	file    *os.File
	writer  *bufio.Writer
	sum     uint32
	since   time.Time // when the first record came
	hour    int64     // of the first record, since the Unix epoch
	batches int       // appended with records
	stride  int       // one in so many is listed in the link
	offered bool      // a link may exist: what is staged is no longer ours to remove
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
	if err := c.pending.append(lines, span); err != nil {
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
	p := c.partition
	data := p.stagedName(offsetName(c.sealed), c.writer, dataSuffix)
	link := p.stagedName(offsetName(c.sealed), c.writer, linkSuffix)
	return &pending{data: c.directory.path(data), staged: c.directory.path(link), stride: 1, link: Link{
		Version: formatVersion, Topic: p.topic, TopicID: p.topicID, Partition: p.number,
		BaseOffset: c.sealed, NextOffset: c.sealed, Staged: data, Codec: codecNone, Writer: c.writer,
	}}
}

func (p *pending) append(lines []byte, span record.Span) error {
	if span.Records > 0 {
		if err := p.write(lines, span); err != nil {
			return err
		}
	}
	p.link.NextOffset, p.link.LeaderEpoch = span.NextOffset, span.LeaderEpoch
	return nil
}

func (p *pending) write(lines []byte, span record.Span) error {
	if p.file == nil {
		if err := p.create(span); err != nil {
			return err
		}
	}
	if _, err := p.writer.Write(lines); err != nil {
		return err
	}
	p.sum = crc32.Update(p.sum, castagnoli, lines)
	p.link.Records += span.Records
	p.link.Bytes += int64(len(lines))
	p.link.FirstTimestamp = min(p.link.FirstTimestamp, span.FirstTimestamp)
	p.link.LastTimestamp = max(p.link.LastTimestamp, span.LastTimestamp)
	p.index(span)
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (p *pending) create(span record.Span) error {
	f, err := os.OpenFile(p.data, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	p.file, p.writer = f, bufio.NewWriterSize(f, writeBytes)
	p.since, p.hour = time.Now(), hourOf(span.FirstTimestamp)
	p.link.FirstTimestamp, p.link.LastTimestamp = span.FirstTimestamp, span.LastTimestamp
	p.link.DataPath = p.link.partition().dataPath(p.link.BaseOffset, span.FirstTimestamp)
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
// A segment is due when it has reached its size, when its first record came
// MaxAgeSeconds ago, or when next has records of a later UTC hour; those of an
// earlier hour stay with it. Without records it is never due.
func (c *Chain) Due(now time.Time, next record.Span) string {
	p := c.pending
	if p == nil || p.link.Records == 0 {
		return ""
	}
	switch cfg := c.directory.config; {
	case p.link.Bytes >= int64(cfg.MaxBytes):
		return DueBySize
	case now.Sub(p.since) >= time.Duration(cfg.MaxAgeSeconds)*time.Second:
		return DueByAge
	case next.Records > 0 && hourOf(next.FirstTimestamp) > p.hour:
		return DueByHour
	}
	return ""
}

// finish makes the data's content durable.
func (p *pending) finish() error {
	if p.file == nil {
		p.link.DataPath, p.link.Staged = "", ""
		return nil
	}
	err := p.writer.Flush()
	if err == nil {
		err = p.file.Sync()
	}
	p.link.Checksum = formatChecksum(p.sum)
	return errors.Join(err, p.file.Close())
}

// discard removes what is staged, unless a link may name it.
func (p *pending) discard() error {
	if p.file != nil {
		_ = p.file.Close() // its content is given up, or was synced by finish
	}
	if p.offered {
		return nil
	}
	return errors.Join(removeIfExists(p.data), removeIfExists(p.staged))
}
