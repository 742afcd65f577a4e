package aggregate

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fourSegments have a roll-up each, but for one that is missing, one that is
// damaged, and one that lies under another's name.
func fourSegments(t *testing.T, plan *Plan) *folder {
	f := newFolder()
	for n := range int64(4) {
		f.keep(at10(n), 1000*n, `{"level":"info"}`, `{"level":"warn"}`)
	}
	f.keep(Source{Topic: "other", BaseOffset: 1}, 0, `{"level":"fatal"}`)
	f.count(t, plan, at10(0))
	f.count(t, plan, at10(2))
	f.rollups[plan.Name(at10(2))][50] ^= 1
	f.rollups[plan.Name(at10(3))] = f.rollups[plan.Name(at10(0))]
	return f
}

func TestGather(t *testing.T) {
	plan := must(t, cfg("level", ""))
	f := fourSegments(t, plan)

	answer, coverage, err := plan.Gather(t.Context(), f, "logs", firstMinute, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Coverage{Segments: 4, Missing: 3}); coverage != want {
		t.Errorf("from roll-ups alone: %+v, want %+v", coverage, want)
	}
	if rows := answer.Rows(); len(rows) != 2 || rows[0].Records != 1 {
		t.Errorf("rows %+v, want one record of each level", rows)
	}
	if diff := cmp.Diff([]time.Time{at(0), at(120)}, f.asked); diff != "" {
		t.Errorf("asked for segments of (-want +got):\n%s", diff)
	}

	var whys []error
	recompute := func(ctx context.Context, of Source, why error) (*Rollup, error) {
		whys = append(whys, why)
		return plan.Count(ctx, f, of)
	}
	answer, coverage, err = plan.Gather(t.Context(), f, "logs", firstMinute, recompute)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Coverage{Segments: 4, Recomputed: 3}); coverage != want {
		t.Errorf("with recomputing: %+v, want %+v", coverage, want)
	}
	if rows := answer.Rows(); len(rows) != 2 || rows[0].Records != 4 {
		t.Errorf("rows %+v, want four records of each level", rows)
	}
	for _, why := range whys {
		if !errors.Is(why, ErrDamaged) && !errors.Is(why, fs.ErrNotExist) {
			t.Errorf("recomputed because of %v", why)
		}
	}
}

func TestGatherOfARollupOfAnotherConfiguration(t *testing.T) {
	plan, other := must(t, cfg("level", "")), must(t, cfg("service", ""))
	f := newFolder()
	f.keep(at10(0), 0, `{"level":"info"}`)
	f.count(t, other, at10(0))
	_, coverage, err := plan.Gather(t.Context(), f, "logs", firstMinute, nil)
	if want := (Coverage{Segments: 1, Missing: 1}); err != nil || coverage != want {
		t.Errorf("%+v and %v, want %+v", coverage, err, want)
	}
}

func TestGatherOfASegmentWithoutData(t *testing.T) {
	plan := must(t, cfg("level", ""))
	f := newFolder()
	f.keep(at10(0), 0, `{"level":"info"}`)
	gone := func(context.Context, Source, error) (*Rollup, error) { return nil, fs.ErrNotExist }
	_, coverage, err := plan.Gather(t.Context(), f, "logs", firstMinute, gone)
	if want := (Coverage{Segments: 1, Missing: 1}); err != nil || coverage != want {
		t.Errorf("%+v and %v, want %+v", coverage, err, want)
	}
}

func TestGatherEndsWithItsContextAndItsStore(t *testing.T) {
	plan := must(t, cfg("level", ""))
	f := fourSegments(t, plan)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := plan.Gather(ctx, f, "logs", firstMinute, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
	f.broken = errDisk
	if _, _, err := plan.Gather(t.Context(), f, "logs", firstMinute, nil); !errors.Is(err, errDisk) {
		t.Errorf("with a broken store: %v", err)
	}
}

// What a consumer wrote as it sealed is what counting the segment again gives,
// byte for byte.
func TestRecomputedIsRecorded(t *testing.T) {
	plan := must(t, cfg("level", "n"))
	f := newFolder()
	recorder, _ := newRecorder(plan, f)
	recording := recorder.Partition("logs", "id", 1)
	for n := range int64(2) {
		of := at10(n)
		for batch := range int64(5) {
			run := Run{[]byte(`{"level":"info","n":0.1}` + "\n" + `{"level":"warn","n":0.7}` + "\n"), 30_000 * batch}
			f.segments[of] = append(f.segments[of], run)
			recording.Append(run.Lines, spanOf(of.BaseOffset+2*batch, run))
		}
		recording.Sealed(t.Context())
	}
	recorded := f.rollups
	f.rollups = make(map[string][]byte)
	f.count(t, plan, at10(0))
	f.count(t, plan, at10(1))
	if diff := cmp.Diff(recorded, f.rollups); diff != "" {
		t.Errorf("(-recorded +recomputed):\n%s", diff)
	}
}
