// Package aggregate counts stored records by windows of time and by fields.
//
// A Rollup is what one segment adds to every answer: for each window that the
// segment has records of, and each group of records with equal values in the
// configured fields, how many records and bytes there are, and count, sum,
// minimum, maximum and a quantile sketch of the configured numbers. It is a
// pure function of the segment, of its record batches' timestamps and of the
// configuration, so it may be thrown away and computed again. An Answer is
// roll-ups merged, in any order.
//
// Cardinality is bounded, and never silently: records whose group has no place
// any more are counted in their window's row Other.
package aggregate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/DataDog/sketches-go/ddsketch/mapping"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
)

const (
	// QuantileError bounds how far a quantile is from the value of that rank,
	// as a part of this value; see docs/aggregation.md for its range.
	QuantileError = 0.01

	// maxWindows bounds the windows of one roll-up. A segment ends with the
	// hour, so only records whose timestamps Kafka took from a careless
	// producer can reach it.
	maxWindows = 3600
	// rollupGroups is how many times the groups of one window a roll-up holds
	// over all of its windows.
	rollupGroups = 4
	// maxValueBytes bounds a value that a group is named by. Records with a
	// longer one count as Other.
	maxValueBytes = 256
)

// Plan is a configuration made ready. It never changes, and may be used by any
// number of goroutines.
type Plan struct {
	window    int64 // milliseconds
	groupBy   []string
	numeric   []string
	quantiles []float64
	maxGroups int
	hash      [sha256.Size]byte

	paths    record.Paths
	groupAt  []int // where Paths.Lookup puts the fields of groupBy,
	numberAt []int // and those of numeric
	mapping  mapping.IndexMapping
}

// NewPlan reads a configuration that is valid and not off. Its error is that
// of a field path.
func NewPlan(cfg config.Aggregation) (*Plan, error) {
	if !cfg.Enabled() {
		return nil, errors.New("plan aggregation: aggregation.groupBy and aggregation.numeric are empty: name at least one field")
	}
	p := &Plan{
		window:    int64(cfg.WindowSeconds) * 1000,
		groupBy:   slices.Clone(cfg.GroupBy),
		numeric:   slices.Clone(cfg.Numeric),
		quantiles: slices.Clone(cfg.Quantiles),
		maxGroups: cfg.MaxGroups,
		hash:      hashOf(cfg),
	}
	var fields []string
	p.groupAt = placeIn(&fields, cfg.GroupBy)
	p.numberAt = placeIn(&fields, cfg.Numeric)
	var err error
	if p.paths, err = record.ParsePaths(fields...); err != nil {
		return nil, fmt.Errorf("plan aggregation: %w", err)
	}
	if p.mapping, err = mapping.NewCubicallyInterpolatedMapping(QuantileError); err != nil {
		return nil, fmt.Errorf("plan aggregation: %w", err)
	}
	return p, nil
}

// placeIn adds names to fields, each once, and returns where they are. A field
// may be a group's and a number at once.
func placeIn(fields *[]string, names []string) []int {
	at := make([]int, len(names))
	for i, name := range names {
		at[i] = slices.Index(*fields, name)
		if at[i] < 0 {
			at[i] = len(*fields)
			*fields = append(*fields, name)
		}
	}
	return at
}

// hashOf covers what a roll-up's content depends on, and nothing that only
// answers do, such as which quantiles are shown.
func hashOf(cfg config.Aggregation) [sha256.Size]byte {
	document, err := json.Marshal(struct {
		Format, Window   int
		GroupBy, Numeric []string
		MaxGroups        int
		Bounds           [4]int
		QuantileError    float64
	}{
		formatVersion, cfg.WindowSeconds, append([]string{}, cfg.GroupBy...), append([]string{}, cfg.Numeric...), cfg.MaxGroups,
		[4]int{maxWindows, rollupGroups, maxValueBytes, maxBins}, QuantileError,
	})
	if err != nil { // strings and numbers can always be encoded
		panic(err)
	}
	return sha256.Sum256(document)
}

// Hash names the configuration, with 16 hex digits: roll-ups of one hash can
// be merged.
func (p *Plan) Hash() string { return hex.EncodeToString(p.hash[:8]) }

// Window is how long a window is. Windows begin at multiples of it since the
// Unix epoch.
func (p *Plan) Window() time.Duration { return time.Duration(p.window) * time.Millisecond }

// windowOf is the start of the window that a timestamp is in.
func (p *Plan) windowOf(timestamp int64) int64 { return floor(timestamp, p.window) }

// floor is the largest multiple of unit that is not above n.
func floor(n, unit int64) int64 {
	rest := n % unit
	if rest < 0 {
		rest += unit
	}
	return n - rest
}

// Source says of which segment a roll-up is.
type Source struct {
	Topic      string
	TopicID    string
	Partition  int32
	BaseOffset int64
	NextOffset int64
}

// Name is where the roll-up of a segment lies, relative to the store's root
// and with '/'. Because it names both ends of the segment and the
// configuration, writers that differ in either never write the same name, and
// those that agree in both write the same bytes: a roll-up may be written
// before the segment is sealed, and again at any time.
func (p *Plan) Name(s Source) string {
	file := fmt.Sprintf("%020d-%020d.%s", s.BaseOffset, s.NextOffset, p.Hash())
	return path.Join("rollups", s.Topic, s.TopicID, strconv.Itoa(int(s.Partition)), file)
}
