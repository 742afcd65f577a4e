package deadletter

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// undecodableHeaders is how many of them always come first.
const undecodableHeaders = 6

// Undecodable is a record batch or a record that a consumer found in its topic
// and could not store. It is never replayed: it still could not be stored.
type Undecodable struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	// Offset is the first that it stands for, and NextOffset the one behind.
	Offset     int64 `json:"offset"`
	NextOffset int64 `json:"nextOffset"`
	// Content is batch or record.
	Content string    `json:"content"`
	Reason  string    `json:"reason"`
	Time    time.Time `json:"time"`
	// Bytes are kept of it, in all of its parts that are there.
	Bytes int64 `json:"bytes"`

	parts map[string]bool
}

// addUndecodable takes note of one record of the topic.
func (inv *Inventory) addUndecodable(r *kafka.Record, headers []record.Header) error {
	u, part, err := readUndecodable(headers)
	if err != nil {
		return err
	}
	name := string(headers[0].Value)
	known := inv.undecodable[name]
	if known == nil {
		known = &u
		inv.undecodable[name] = known
	}
	if !known.parts[part] {
		known.parts[part] = true
		known.Bytes += int64(len(r.Value))
	}
	return nil
}

// readUndecodable returns errForeign for what no consumer of ours has written.
func readUndecodable(headers []record.Header) (u Undecodable, part string, err error) {
	if len(headers) < undecodableHeaders || headers[0].Key != record.HeaderUndecodable {
		return u, "", errForeign
	}
	value := func(i int) string { return string(bytes.ToValidUTF8(headers[i].Value, nil)) }
	fields := strings.Split(value(0), "/")
	if len(fields) != 3 {
		return u, "", errForeign
	}
	partition, badPartition := strconv.ParseInt(fields[1], 10, 32)
	u = Undecodable{Topic: fields[0], Partition: int32(partition), Content: value(1), Reason: value(4), parts: map[string]bool{}}
	var badOffset, badNext, badTime error
	u.Offset, badOffset = strconv.ParseInt(fields[2], 10, 64)
	u.NextOffset, badNext = strconv.ParseInt(value(3), 10, 64)
	u.Time, badTime = time.Parse(time.RFC3339Nano, value(5))
	if err := errors.Join(badPartition, badOffset, badNext, badTime); err != nil {
		return u, "", fmt.Errorf("%w: %w", errForeign, err)
	}
	return u, value(2), nil
}

func byOffset(a, b Undecodable) int {
	return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
}

// sortedUndecodable is what the topic has, by where it came from.
func (inv *Inventory) sortedUndecodable() []Undecodable {
	all := make([]Undecodable, 0, len(inv.undecodable))
	for _, u := range inv.undecodable {
		all = append(all, *u)
	}
	slices.SortFunc(all, byOffset)
	return all
}
