package aggregate

import (
	"bytes"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// newRecorder has a clock that goes from 1970 on to the next window with the
// first observation.
func newRecorder(plan *Plan, to Writer) (*Recorder, *prometheus.Registry) {
	registry := prometheus.NewPedanticRegistry()
	now := at(0)
	gauges := NewGauges(plan, time.Second, func() time.Time {
		defer func() { now = at(61) }()
		return now
	})
	return NewRecorder(plan, to, gauges, slog.New(slog.DiscardHandler), registry), registry
}

func spanOf(base int64, run Run) record.Span {
	records := int64(bytes.Count(run.Lines, []byte("\n")))
	return record.Span{BaseOffset: base, NextOffset: base + records, Records: records, FirstTimestamp: run.Timestamp, LastTimestamp: run.Timestamp + 5}
}

func TestRecordingWritesWhatWasSealed(t *testing.T) {
	plan := must(t, cfg("level", ""))
	f := newFolder()
	recorder, registry := newRecorder(plan, f)
	recording := recorder.Partition("logs", "id", 1)
	run := Run{[]byte(`{"level":"info"}` + "\n"), 5}

	recording.Sealed(t.Context()) // nothing has been appended
	recording.Append(run.Lines, spanOf(5, run))
	recording.Drop() // others have stored it
	recording.Append(run.Lines, spanOf(10, run))
	recording.Append(nil, record.Span{BaseOffset: 11, NextOffset: 20}) // offsets without records
	recording.Sealed(t.Context())

	if diff := cmp.Diff([]string{plan.Name(at10(1))}, slices.Collect(maps.Keys(f.rollups))); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
	if n, err := testutil.GatherAndCount(registry, "logpipeline_aggregate_window_records"); err != nil || n != 1 {
		t.Errorf("%d series and %v, want that of info", n, err)
	}

	f.broken = errDisk
	recording.Append(run.Lines, spanOf(20, run))
	recording.Sealed(t.Context())
	if written, failed := testutil.ToFloat64(recorder.written), testutil.ToFloat64(recorder.failed); written != 1 || failed != 1 {
		t.Errorf("%v written and %v failed, want 1 and 1", written, failed)
	}
}

func TestNameOfARollup(t *testing.T) {
	plan := must(t, cfg("level", ""))
	want := "rollups/logs/id/1/00000000000000000010-00000000000000000020." + plan.Hash()
	if got := plan.Name(at10(1)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
