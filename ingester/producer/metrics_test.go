package producer

import (
	"errors"
	"fmt"
	"regexp"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/kafka"
)

func TestReasonsAreLabelsInKebabCase(t *testing.T) {
	for want, err := range map[string]error{
		"message-size-too-large":     fmt.Errorf("send: %w", kafkago.MessageSizeTooLarge),
		"not-leader-for-partition":   kafkago.NotLeaderForPartition,
		"topic-authorization-failed": kafkago.TopicAuthorizationFailed,
		"unknown-code":               kafka.Error(9999),
		"connection":                 errors.New("reset"),
		"overdue":                    errOverdue,
		"stopped":                    fmt.Errorf("%w: %w", errStopped, errors.New("reset")),
		"journal":                    fmt.Errorf("%w: disk", errJournal),
	} {
		if got := label(err); got != want {
			t.Errorf("the label of %v is %q, want %q", err, got, want)
		}
	}
}

func TestKnownReasonsBeginAtZero(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	newMetrics(registry)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	kebab := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	series := map[string]bool{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				series[family.GetName()+" "+l.GetValue()] = m.GetCounter().GetValue() == 0
				if !kebab.MatchString(l.GetValue()) {
					t.Errorf("%s has the label %q", family.GetName(), l.GetValue())
				}
			}
		}
	}
	for _, want := range []string{
		"logpipeline_producer_retries_total connection", "logpipeline_producer_retries_total time-out",
		"logpipeline_producer_retries_total not-enough-replicas", "logpipeline_producer_refused_records_total overdue",
		"logpipeline_producer_refused_records_total stopped", "logpipeline_producer_refused_records_total message-size-too-large",
		"logpipeline_producer_doubts_total unknown",
	} {
		if !series[want] {
			t.Errorf("%s isn't there at 0", want)
		}
	}
}
