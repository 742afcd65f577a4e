package segment

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	stagingDir  = "staging"
	chainDir    = "chain"
	segmentsDir = "segments"

	headerName    = "header"
	headName      = "head"
	milestoneName = "milestone"

	linkSuffix = ".link"

	// maxTopicLength leaves room for "-<partition>-<base offset>.ndjson.zst"
	// in a file name, which file systems end at 255 bytes. Kafka itself
	// allows 249 bytes.
	maxTopicLength = 255 - len("-2147483647-00000000000000000000.ndjson.zst")
)

var (
	topicPattern   = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)
	topicIDPattern = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
)

// partition names one chain.
type partition struct {
	topic   string
	topicID string
	number  int32
}

func (p partition) String() string { return fmt.Sprintf("%s/%d", p.topic, p.number) }

func (p partition) validate() error {
	switch {
	case !topicPattern.MatchString(p.topic) || p.topic == "." || p.topic == "..":
		return fmt.Errorf("topic %q: a Kafka topic name holds letters, digits, '.', '_' and '-'", p.topic)
	case len(p.topic) > maxTopicLength:
		return fmt.Errorf("topic %q has %d bytes, but the names of its segments leave room for %d: use a shorter topic name", p.topic, len(p.topic), maxTopicLength)
	case !topicIDPattern.MatchString(p.topicID):
		return fmt.Errorf("topic %q: topic id %q: must be 1 to 64 letters, digits, '_' and '-'", p.topic, p.topicID)
	case p.number < 0:
		return fmt.Errorf("topic %q: partition %d is negative", p.topic, p.number)
	}
	return nil
}

// chainPath is the folder of the chain. It and all other names are those of a
// store: relative to its root, with '/'.
func (p partition) chainPath() string {
	return path.Join(chainDir, p.topic, p.topicID, strconv.Itoa(int(p.number)))
}

// linkPath is the name of a link.
func (p partition) linkPath(baseOffset int64) string {
	return path.Join(p.chainPath(), offsetName(baseOffset))
}

// dataPath is where the segment is published: in the UTC hour of its first
// record.
func (p partition) dataPath(baseOffset, firstTimestamp int64, codec string) string {
	hour := time.UnixMilli(firstTimestamp).UTC()
	name := fmt.Sprintf("%s-%d-%s%s", p.topic, p.number, offsetName(baseOffset), dataSuffix(codec))
	return path.Join(segmentsDir, hour.Format("dt=2006-01-02"), hour.Format("hour=15"), name)
}

// stagedName is a name that only this writer uses. It begins with the topic id and not the topic: the id is short,
// and differs between incarnations.
func (p partition) stagedName(what, writer, suffix string) string {
	return path.Join(stagingDir, fmt.Sprintf("%s%s-%s%s", p.stagedPrefix(), what, writer, suffix))
}

func (p partition) stagedPrefix() string { return fmt.Sprintf("%s-%d-", p.topicID, p.number) }

// offsetName is the name of the link at an offset; names sort as offsets do.
func offsetName(offset int64) string { return fmt.Sprintf("%020d", offset) }

// parseOffsetName is the inverse of offsetName.
func parseOffsetName(name string) (int64, bool) {
	if len(name) != 20 || strings.Trim(name, "0123456789") != "" {
		return 0, false
	}
	offset, err := strconv.ParseInt(name, 10, 64)
	return offset, err == nil
}

// parseDataName takes a published segment's file name apart.
func parseDataName(name string) (topic string, number int32, baseOffset int64, ok bool) {
	i := slices.IndexFunc(codecs, func(codec string) bool { return strings.HasSuffix(name, dataSuffix(codec)) })
	if i < 0 {
		return "", 0, 0, false
	}
	rest, offset, ok := cutLast(strings.TrimSuffix(name, dataSuffix(codecs[i])), '-')
	if !ok {
		return "", 0, 0, false
	}
	topic, digits, ok := cutLast(rest, '-')
	if !ok || !topicPattern.MatchString(topic) {
		return "", 0, 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	baseOffset, ok = parseOffsetName(offset)
	return topic, int32(n), baseOffset, ok && err == nil && n >= 0
}

func cutLast(s string, separator byte) (before, after string, found bool) {
	i := strings.LastIndexByte(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}
