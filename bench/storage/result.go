package main

import (
	"fmt"
	"time"
)

// Result is one contender, as it stands in the JSON file.
type Result struct {
	Contender string `json:"contender"`
	Kind      string `json:"kind"`       // ours, peer or baseline
	Topic     string `json:"topicCodec"` // of the record batches that were read
	Stored    string `json:"storedCodec"`
	Synced    bool   `json:"synced"` // whether what counts as stored is fsynced

	Records             int64   `json:"records"` // of the topic
	RecordsPerCPUSecond float64 `json:"recordsPerCPUSecond"`
	RecordsPerSecond    float64 `json:"recordsPerSecond"`
	CPUSeconds          float64 `json:"cpuSeconds"` // user and system, from the start of the process
	WallSeconds         float64 `json:"wallSeconds"`
	ResidentPeakMiB     int64   `json:"residentPeakMiB"` // VmHWM

	StoredRecords   int64 `json:"storedRecords"`             // counted after the contender was stopped
	VerifiedRecords int64 `json:"verifiedRecords,omitempty"` // ours alone
}

func newResult(c contender, records int) Result {
	return Result{
		Contender: c.name, Kind: string(c.kind), Topic: c.topic, Stored: c.stored, Synced: c.kind == ours,
		Records: int64(records),
	}
}

// took is what it had cost when the last records were seen to be stored.
func (r *Result) took(cpu, wall time.Duration) {
	r.CPUSeconds, r.WallSeconds = cpu.Seconds(), wall.Seconds()
	r.RecordsPerSecond = float64(r.Records) / r.WallSeconds
	r.RecordsPerCPUSecond = float64(r.Records) / max(r.CPUSeconds, tick.Seconds())
}

// tick is the step in which CPU times are known.
const tick = 10 * time.Millisecond

// exact says whether each record is stored once, as far as counts can tell.
func (r Result) exact() bool {
	return r.StoredRecords == r.Records && (r.Kind != string(ours) || r.VerifiedRecords == r.Records)
}

// count says in a word whether all is stored.
func (r Result) count() string {
	switch more := r.StoredRecords - r.Records; {
	case more < 0:
		return fmt.Sprintf("%d LOST", -more)
	case more > 0:
		return fmt.Sprintf("%d DOUBLED", more)
	case !r.exact():
		return "NOT VERIFIED"
	case r.Kind == string(ours):
		return "exact, verified"
	default:
		return "exact"
	}
}
