package deadletter

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// Reader reads from Kafka; *kafka.Client is one.
type Reader interface {
	Topic(ctx context.Context, name string) (kafka.Topic, error)
	Offsets(ctx context.Context, topic string, partition int32) (start, end int64, err error)
	Fetch(ctx context.Context, f *kafka.FetchRequest) (*kafka.FetchResponse, error)
}

// Inventory is what Scan found.
type Inventory struct {
	// Letters are those with records that were not replayed, the oldest first.
	Letters []Entry `json:"letters"`
	// Replayed is how many records were, as far as the topic still tells.
	Replayed int `json:"replayedRecords"`
	// Undecodable is what the consumers could not store; it is never replayed.
	Undecodable []Undecodable `json:"undecodable"`
	// Foreign is how many records of the topic are no dead letters of ours.
	Foreign int `json:"foreignRecords"`
	// Corrupt are the files that can't be read, and why.
	Corrupt []string `json:"corruptFiles"`

	entries     map[string]*Entry
	undecodable map[string]*Undecodable
	batches     map[string]indices // which records of a batch were replayed
}

// Entry is one letter.
type Entry struct {
	Letter
	// Pending is how many of its records are kept and were not replayed.
	Pending int `json:"pending"`
	// InTopic and InFolder say where the letter is.
	InTopic  bool `json:"inTopic"`
	InFolder bool `json:"inFolder"`
	// Sample is the beginning of its first record that was found.
	Sample string `json:"sample"`

	seen indices
}

// sampleBytes is how much of a record a sample shows.
const sampleBytes = 60

// Scan lists the letters in the topic, unless that is "", and in the folder
// dir, each once. It looks at the whole topic. With an error the inventory
// still holds what could be read: the folder's letters, say, while Kafka is
// away.
func Scan(ctx context.Context, client Reader, topic, dir string) (*Inventory, error) {
	inv := &Inventory{Letters: []Entry{}, Corrupt: []string{}, entries: map[string]*Entry{}, undecodable: map[string]*Undecodable{}, batches: map[string]indices{}}
	var err error
	if topic != "" {
		err = readTopic(ctx, client, topic, inv.addRecord)
	}
	inv.Undecodable = inv.sortedUndecodable()
	err = errors.Join(err, inv.addFolder(dir))
	for _, e := range slices.SortedFunc(maps.Values(inv.entries), older) {
		e.Pending = e.seen.without(inv.replayed(e.Batch))
		inv.Replayed += e.seen.without(nil) - e.Pending
		if e.Pending > 0 {
			inv.Letters = append(inv.Letters, *e)
		}
	}
	return inv, err
}

func older(a, b *Entry) int {
	return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Batch, b.Batch), cmp.Compare(a.FirstRecord, b.FirstRecord))
}

// replayed is which records of a batch were.
func (inv *Inventory) replayed(batch string) indices {
	if inv.batches[batch] == nil {
		inv.batches[batch] = indices{}
	}
	return inv.batches[batch]
}

func (inv *Inventory) entry(l Letter) *Entry {
	e := inv.entries[l.name()]
	if e == nil {
		e = &Entry{Letter: l, seen: indices{}}
		inv.entries[l.name()] = e
	}
	return e
}

// addRecord takes note of one record of the topic.
func (inv *Inventory) addRecord(r *kafka.Record, headers []record.Header) error {
	if len(headers) == 1 && headers[0].Key == headerReplayed {
		if inv.addMarker(string(headers[0].Value)) != nil {
			inv.Foreign++
		}
		return nil
	}
	if l, index, err := readHeaders(headers); err == nil {
		inv.entry(l).add(index, r.Value).InTopic = true
	} else if inv.addUndecodable(r, headers) != nil {
		inv.Foreign++
	}
	return nil
}

func (inv *Inventory) addMarker(name string) error {
	at := strings.LastIndexByte(name, '/')
	if at < 0 {
		return errForeign
	}
	return inv.replayed(name[:at]).addFormatted(name[at+1:])
}

func (e *Entry) add(index int, value []byte) *Entry {
	e.seen.add(index)
	if e.Sample == "" {
		e.Sample = string(bytes.ToValidUTF8(value[:min(len(value), sampleBytes)], nil))
	}
	return e
}

// addFolder takes note of the letters in the folder.
func (inv *Inventory) addFolder(dir string) error {
	paths, err := files(dir)
	if err != nil {
		return fmt.Errorf("read folder of dead letters: %w", err)
	}
	for _, path := range paths {
		letters, err := readFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist): // moved or replayed meanwhile
		case errors.Is(err, ErrCorrupt):
			inv.Corrupt = append(inv.Corrupt, err.Error())
		case err != nil:
			return fmt.Errorf("read folder of dead letters: %w", err)
		default:
			inv.addLetters(letters)
		}
	}
	return nil
}

func (inv *Inventory) addLetters(letters []record.DeadLetter) {
	for _, d := range letters {
		e := inv.entry(letterOf(d))
		for i, value := range d.Records {
			e.add(d.FirstRecord+i, value)
		}
		e.InFolder = true
	}
}

const (
	fetchBytes = 4 << 20
	fetchWait  = 500 * time.Millisecond
)

// readTopic calls visit with every record that the topic has now.
func readTopic(ctx context.Context, client Reader, topic string, visit func(*kafka.Record, []record.Header) error) error {
	described, err := client.Topic(ctx, topic)
	if err != nil {
		return fmt.Errorf("read dead-letter topic: %w", err)
	}
	for _, p := range described.Partitions {
		start, end, err := client.Offsets(ctx, topic, p.ID)
		if err != nil {
			return fmt.Errorf("read dead-letter topic: %w", err)
		}
		f := &kafka.FetchRequest{Topic: topic, Partition: p.ID, Offset: start, LeaderEpoch: -1, MaxBytes: fetchBytes, MinBytes: 1, MaxWait: fetchWait}
		for f.Offset < end {
			if err := readOnce(ctx, client, f, visit); err != nil {
				return fmt.Errorf("read dead-letter topic: %w", err)
			}
		}
	}
	return nil
}

// readOnce visits what one fetch brings and moves on behind it.
func readOnce(ctx context.Context, client Reader, f *kafka.FetchRequest, visit func(*kafka.Record, []record.Header) error) error {
	response, err := client.Fetch(ctx, f)
	if err != nil {
		return err
	}
	var reader kafka.BatchReader
	var headers []record.Header
	reader.Reset(response.Records, f.Offset, response.Aborted)
	for {
		batch, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for r := (kafka.Record{}); batch.Next(&r); {
			if headers, err = r.Headers(headers[:0]); err == nil {
				err = visit(&r, headers)
			}
			if err != nil {
				return err
			}
		}
		if err := batch.Err(); err != nil {
			return err
		}
		f.Offset = batch.NextOffset
	}
}
