// Package deadletter keeps the records that could not be delivered and whose
// client can't be told so any more: in a topic of their own, or, while Kafka
// is away or no such topic is configured, in a bounded folder. What lies in the
// folder moves to the topic by itself; Scan lists what is in both, and Replay
// puts it back where it should have gone.
//
// Every record is kept byte for byte, at least once, under its identity: the
// id of its batch and its index in there. What is there twice, because a move
// was interrupted, is recognised by that and counts once.
package deadletter

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// The headers of a record in the dead-letter topic; the record's own follow
// them. A replayed record carries the first and headerReceived before
// its own.
const (
	// HeaderIdentity is "<batch id>/<index of the record>".
	HeaderIdentity = "logpipeline-dead-letter"

	headerPart         = "logpipeline-dead-letter-part" // "<first record>+<records>" of the letter
	headerReason       = "logpipeline-dead-letter-reason"
	headerTopic        = "logpipeline-dead-letter-topic"
	headerPartition    = "logpipeline-dead-letter-partition"
	headerReceived     = "logpipeline-dead-letter-received"
	headerTime         = "logpipeline-dead-letter-time"
	headerUnknown      = "logpipeline-dead-letter-unknown"
	headerAcknowledged = "logpipeline-dead-letter-acknowledged"

	// headerReplayed is that of a marker, a record that says that others were
	// replayed: "<batch id>/<indices>", such as 0-4,7.
	headerReplayed = "logpipeline-dead-letter-replayed"
)

// Letter is a dead letter without its records.
type Letter struct {
	// Batch is the id of the records' batch, FirstRecord the index in it of
	// the first of them, and Records how many there are.
	Batch       string `json:"batch"`
	FirstRecord int    `json:"firstRecord"`
	Records     int    `json:"records"`
	// Reason is what the last attempt failed with.
	Reason string `json:"reason"`
	// Unknown is set where the records may be in the topic nevertheless.
	Unknown bool `json:"unknown"`
	// Acknowledged is set where the client holds a receipt for them, or may
	// hold one.
	Acknowledged bool `json:"acknowledged"`
	// Topic and Partition are where they should have gone; Partition is -1
	// where none had been chosen.
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	// Received is when the request came, and Time when it was given up.
	Received time.Time `json:"received"`
	Time     time.Time `json:"time"`
}

// reasonBytes bounds a reason, and headerBytes what a record of the topic takes
// beside the record itself and its own headers: by so much its max.message.bytes
// has to exceed that of the topic where the record should have gone.
const (
	reasonBytes = 512
	headerBytes = 2 << 10
)

func letterOf(d record.DeadLetter) Letter {
	reason := d.Reason
	if len(reason) > reasonBytes {
		reason = strings.ToValidUTF8(reason[:reasonBytes], "")
	}
	return Letter{
		Batch: d.Batch, FirstRecord: d.FirstRecord, Records: len(d.Records), Reason: reason,
		Unknown: d.Unknown, Acknowledged: d.Acknowledged, Topic: d.Topic, Partition: d.Partition,
		Received: d.Received.UTC(), Time: d.Time.UTC(),
	}
}

// name tells one letter from another.
func (l Letter) name() string { return identity(l.Batch, l.part()) }

func (l Letter) part() string { return fmt.Sprintf("%d+%d", l.FirstRecord, l.Records) }

func identity(batch, index string) string { return batch + "/" + index }

// headers are those of the record with this index, but for its own.
func (l Letter) headers(index int) []record.Header {
	h := func(key, value string) record.Header { return record.Header{Key: key, Value: []byte(value)} }
	return []record.Header{
		h(HeaderIdentity, identity(l.Batch, strconv.Itoa(index))),
		h(headerPart, l.part()),
		h(headerReason, l.Reason),
		h(headerTopic, l.Topic),
		h(headerPartition, strconv.Itoa(int(l.Partition))),
		h(headerReceived, l.Received.Format(time.RFC3339Nano)),
		h(headerTime, l.Time.Format(time.RFC3339Nano)),
		h(headerUnknown, strconv.FormatBool(l.Unknown)),
		h(headerAcknowledged, strconv.FormatBool(l.Acknowledged)),
	}
}

// ownHeaders is how many headers of a record in the topic are ours.
const ownHeaders = 9

// maxRecords bounds the index of a record, so that no header makes us take
// memory for more than any request can have.
const maxRecords = 1 << 26

var errForeign = errors.New("not a dead letter of ours")

// readHeaders undoes headers. What isn't ours is errForeign.
func readHeaders(headers []record.Header) (l Letter, index int, err error) {
	if len(headers) < ownHeaders || headers[0].Key != HeaderIdentity {
		return Letter{}, 0, errForeign
	}
	var errs [7]error
	value := func(i int) string { return string(headers[i].Value) }
	l.Batch, index, errs[0] = splitIdentity(value(0))
	_, errs[1] = fmt.Sscanf(value(1), "%d+%d", &l.FirstRecord, &l.Records)
	l.Reason, l.Topic = value(2), value(3)
	partition, err := strconv.ParseInt(value(4), 10, 32)
	l.Partition, errs[2] = int32(partition), err
	l.Received, errs[3] = time.Parse(time.RFC3339Nano, value(5))
	l.Time, errs[4] = time.Parse(time.RFC3339Nano, value(6))
	l.Unknown, errs[5] = strconv.ParseBool(value(7))
	l.Acknowledged, errs[6] = strconv.ParseBool(value(8))
	if err := errors.Join(errs[:]...); err != nil {
		return Letter{}, 0, fmt.Errorf("%w: %w", errForeign, err)
	}
	if l.FirstRecord < 0 || l.Records < 1 || l.Records > maxRecords || index < l.FirstRecord || index >= l.FirstRecord+l.Records || index >= maxRecords {
		return Letter{}, 0, fmt.Errorf("%w: record %d of %s", errForeign, index, l.part())
	}
	return l, index, nil
}

func splitIdentity(s string) (batch string, index int, err error) {
	at := strings.LastIndexByte(s, '/')
	if at < 0 {
		return "", 0, errForeign
	}
	index, err = strconv.Atoi(s[at+1:])
	return s[:at], index, err
}
