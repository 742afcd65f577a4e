package main

import (
	"time"

	"github.com/logpipeline/logpipeline/bench/load"
)

// Result is one contender under one scenario, as it stands in the JSON file.
// Times and CPU are of the measured window, counts of the whole run.
type Result struct {
	Contender       string `json:"contender"`
	Ours            bool   `json:"ours"`
	Peer            bool   `json:"peer"` // Bento or the Collector
	ChecksJSON      bool   `json:"checksJSON"`
	Codec           string `json:"codec"`
	Acknowledgement string `json:"acknowledgement"`
	Scenario        string `json:"scenario"`

	RecordsPerSecond    float64 `json:"recordsPerSecond"`
	RecordsPerCPUSecond float64 `json:"recordsPerCPUSecond"`
	CPUSeconds          float64 `json:"cpuSeconds"`  // user and system, of the contender
	Cores               float64 `json:"cores"`       // that it used in the mean
	BrokerCores         float64 `json:"brokerCores"` // that the discarding broker used

	P50Milliseconds     float64 `json:"p50Milliseconds"`
	P99Milliseconds     float64 `json:"p99Milliseconds"`
	P999Milliseconds    float64 `json:"p999Milliseconds"`
	LongestMilliseconds float64 `json:"longestMilliseconds"`

	ResidentMiB     int64 `json:"residentMiB"`     // at the end
	ResidentPeakMiB int64 `json:"residentPeakMiB"` // VmHWM

	AllocationsPerRecord float64 `json:"allocationsPerRecord,omitempty"` // ours alone
	Collections          int64   `json:"collections,omitempty"`          // ours alone

	AcknowledgedRecords int64  `json:"acknowledgedRecords"`
	DeliveredRecords    int64  `json:"deliveredRecords"`
	RefusedRequests     int64  `json:"refusedRequests"`
	FailedRequests      int64  `json:"failedRequests"`
	FirstFailure        string `json:"firstFailure,omitempty"`
	StoppedForMemory    bool   `json:"stoppedForMemory,omitempty"`
}

// result reckons from two snapshots. Where a success comes before the records
// are in Kafka, those that arrived there count.
func (m *measurement) result(before, after snapshot, loadEnded time.Time) Result {
	records := (after.sent.Acknowledged - before.sent.Acknowledged) * recordsPerRequest
	if m.subject.early() {
		records = after.delivered - before.delivered
	}
	cpu, elapsed := (after.cpu - before.cpu).Seconds(), after.at.Sub(before.at).Seconds()
	latency := load.LatencyOf(m.load.Samples(), before.at, loadEnded)
	r := Result{
		Contender: m.subject.name, Ours: m.subject.isOurs(), Peer: m.subject.isPeer(), ChecksJSON: m.subject.checks, Codec: m.subject.codec,
		Acknowledgement: string(m.subject.acknowledgement), Scenario: m.scenario.name,

		RecordsPerSecond:    float64(records) / elapsed,
		RecordsPerCPUSecond: float64(records) / cpu,
		CPUSeconds:          cpu,
		Cores:               cpu / elapsed,
		BrokerCores:         (after.brokerCPU - before.brokerCPU).Seconds() / elapsed,

		P50Milliseconds:     milliseconds(latency.P50),
		P99Milliseconds:     milliseconds(latency.P99),
		P999Milliseconds:    milliseconds(latency.P999),
		LongestMilliseconds: milliseconds(latency.Longest),

		Collections: after.runtime.collections - before.runtime.collections,

		AcknowledgedRecords: after.sent.Acknowledged * recordsPerRequest,
		RefusedRequests:     after.sent.Refused,
		FailedRequests:      after.sent.Failed,
	}
	if records > 0 {
		r.AllocationsPerRecord = float64(after.runtime.allocations-before.runtime.allocations) / float64(records)
	}
	if err := m.load.FirstFailure(); err != nil {
		r.FirstFailure = err.Error()
	}
	return r
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// countsAgree says whether what was acknowledged arrived, once. A failed
// request may have arrived or not.
func (r Result) countsAgree() bool {
	most := r.AcknowledgedRecords + r.FailedRequests*recordsPerRequest
	return r.DeliveredRecords >= r.AcknowledgedRecords && r.DeliveredRecords <= most
}
