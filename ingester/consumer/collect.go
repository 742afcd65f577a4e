package consumer

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// atRisk is the part of the topic's retention after which a record that is not
// stored is at risk.
const atRisk = 0.5

// What the standings tell when they are asked. Partitions are the label's
// values as long as this process owns them.
var (
	lagRecords = describe("lag_records", "Offsets between the partition's high watermark, as of the last answer, and the next one to store.", "partition")
	delay      = describe("delay_seconds", "Age of the oldest record known that is not stored for good, 0 without one; since a partition stopped at the latest. Nothing before its first fetch.", "partition")
	oldestAge  = describe("oldest_unsealed_age_seconds", "The largest delay of the process's partitions; nothing while none of them has one.")
	retained   = describe("topic_retention_seconds", "The topic's retention.ms; nothing while it is without end, or not known.")
	riskAt     = describe("retention_at_risk_partitions", "Partitions whose oldest record that is not stored has seen more than a half of the topic's retention, and those that stopped since it had passed.")
	left       = describe("retention_left_seconds", "Time until the topic's retention may remove the oldest record that is not stored.")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, subsystem, name), help, labels, nil)
}

// Describe implements prometheus.Collector.
func (s *standings) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{lagRecords, delay, oldestAge, retained, riskAt, left} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (s *standings) Collect(to chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	show := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	now := time.Now()
	for partition, p := range s.partitions {
		label := strconv.Itoa(int(partition))
		if p.lag >= 0 {
			show(lagRecords, float64(p.lag), label)
		}
		if p.delayKnown() {
			show(delay, p.delay(now).Seconds(), label)
		}
	}
	risk := s.risk(now)
	if risk.known || len(s.partitions) == 0 {
		show(oldestAge, risk.oldest.Seconds())
	}
	limited := !s.retention.unknown && s.retention.age > 0
	if limited || risk.partitions > 0 {
		show(riskAt, float64(risk.partitions))
	}
	if limited {
		show(retained, s.retention.age.Seconds())
		show(left, risk.left.Seconds())
	}
}

// risk is what the topic's retention threatens.
type risk struct {
	partitions   int
	oldest, left time.Duration
	known        bool // some partition has a delay
}

// risk is called with the lock held.
func (s *standings) risk(now time.Time) risk {
	var r risk
	passed := false
	for _, p := range s.partitions {
		age := p.delay(now)
		r.oldest, r.known = max(r.oldest, age), r.known || p.delayKnown()
		passed = passed || p.reason == stopRetention
		if p.reason == stopRetention || age.Seconds() > atRisk*s.retention.age.Seconds() && s.retention.age > 0 {
			r.partitions++
		}
	}
	if r.left = s.retention.age - r.oldest; passed {
		r.left = min(r.left, 0)
	}
	return r
}

// delayKnown: a fetch has told whether records wait.
func (s *standing) delayKnown() bool { return s.oldest() != 0 || s.lag >= 0 }

func (s *standing) delay(now time.Time) time.Duration {
	oldest := s.oldest()
	if oldest == 0 {
		return 0
	}
	return max(0, now.Sub(time.UnixMilli(oldest)))
}
