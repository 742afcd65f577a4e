package segment

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/logpipeline/logpipeline/ingester/config"
)

// put makes a file in a store, as somebody does who has no business there.
func put(t testing.TB, s *Store, name string) {
	t.Helper()
	if err := s.files.create(t.Context(), stagingDir+"/put", name, []byte("{}\n")); err != nil {
		t.Fatal(err)
	}
}

func sortProblems(report Report) {
	slices.SortFunc(report.Problems, func(a, b Problem) int { return strings.Compare(a.Path, b.Path) })
}

func expectAbsent(t testing.TB, s *Store, name string) {
	t.Helper()
	if _, err := readFile(t.Context(), s.files, name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: error %v, want it removed", name, err)
	}
}

func TestVerifyReadsTheDataOfARange(t *testing.T) {
	inEachPlace(t, func(t *testing.T, p place) {
		s := p.open(t, config.CompressionNone)
		c := openChain(t, s)
		sealDays(t, c, 0, 4) // segments at 5, 7, 9, 11, each of noon and the next 2 ms
		for day := range 4 {
			overwrite(t, s, c.partition.dataPath(int64(5+2*day), dayOf(day).UnixMilli(), codecNone), replace("offset", "damage"))
		}
		strays := []string{c.partition.dataPath(100, dayOf(1).UnixMilli(), codecNone), c.partition.dataPath(100, dayOf(1).Add(time.Hour).UnixMilli(), codecNone)}
		for _, name := range strays {
			put(t, s, name)
		}
		data := func(base int64, day int) string {
			return c.partition.dataPath(base, dayOf(day).UnixMilli(), codecNone) + ": a byte has changed"
		}
		stray := []string{strays[0] + ": no link names it", strays[1] + ": no link names it"}
		for name, test := range map[string]struct {
			from, to time.Time
			read     int64
			want     []string
		}{
			"all":                       {time.Time{}, time.Time{}, 4, []string{data(5, 0), data(7, 1), data(9, 2), data(11, 3), stray[0], stray[1]}},
			"from on":                   {dayOf(2), time.Time{}, 2, []string{data(9, 2), data(11, 3)}},
			"from the last millisecond": {dayOf(2).Add(2 * time.Millisecond), time.Time{}, 2, []string{data(9, 2), data(11, 3)}},
			"from after it":             {dayOf(2).Add(3 * time.Millisecond), time.Time{}, 1, []string{data(11, 3)}},
			"up to":                     {time.Time{}, dayOf(1), 1, []string{data(5, 0)}},
			"in the hour of a stray":    {dayOf(1), dayOf(1).Add(time.Hour), 1, []string{data(7, 1), stray[0]}},
			"where nothing is stored":   {dayOf(1).Add(3 * time.Hour), dayOf(2), 0, nil},
		} {
			t.Run(name, func(t *testing.T) {
				report, err := Verification{From: test.from, To: test.to}.run(t.Context(), s.files)
				if err != nil {
					t.Fatal(err)
				}
				sortProblems(report)
				expectReport(t, report, sorted(test.want)...)
				if report.SegmentsRead != test.read || report.Records != 8 || report.Segments != 4 {
					t.Errorf("%d segments read, %d records in %d segments, want %d read and all counted", report.SegmentsRead, report.Records, report.Segments, test.read)
				}
			})
		}
		if err := s.files.remove(t.Context(), c.partition.linkPath(7)); err != nil {
			t.Fatal(err)
		}
		report, err := Verification{From: dayOf(50)}.run(t.Context(), s.files)
		if err != nil {
			t.Fatal(err)
		}
		expectReport(t, report, c.partition.linkPath(9)+": leaves a gap: offsets 7 to 8") // whatever the range
		var text strings.Builder
		if err := report.WriteText(&text); err != nil || !strings.HasSuffix(text.String(), "; of all segments the links were checked, and the data of 0\n") {
			t.Errorf("error %v, text %q", err, text.String())
		}
	})
}

func TestOrphansThatNoLinkCanNameAreRemoved(t *testing.T) {
	inEachPlace(t, func(t *testing.T, p place) {
		s := p.open(t, config.CompressionNone)
		c := openChain(t, s)
		sealDays(t, c, 0, 8)            // offsets 5 to 20
		retain(t, c, dayOf(6), days(3)) // data before offset 11
		at := func(base int64, day int, codec string) string {
			return c.partition.dataPath(base, dayOf(day).UnixMilli(), codec)
		}
		removed := []string{
			at(3, 0, codecNone),  // before the chain
			at(5, 1, codecNone),  // the link there names another hour
			at(12, 3, codecNone), // within a link
			at(13, 4, codecZstd), // the link there names another codec
		}
		left := []string{
			at(21, 8, codecNone), // the next link's place
			at(40, 8, codecNone),
			partition{testTopic, testID, 1}.dataPath(5, noon, codecNone), // of no chain
			partition{"other", testID, 0}.dataPath(5, noon, codecNone),
			hour + "notes.txt",
		}
		for _, name := range append(append([]string{}, removed...), left...) {
			put(t, s, name)
		}
		report, err := Verification{FixOrphans: true}.run(t.Context(), s.files)
		if err != nil {
			t.Fatal(err)
		}
		sortProblems(report)
		expectReport(t, report, sorted([]string{left[0] + ": no link names it, but one might yet", left[1] + ": no link names it, but", left[2] + ": no link names it, but", left[3] + ": no link names it, but", left[4] + ": is not a segment"})...)
		if diff := cmp.Diff(sorted(removed), sorted(report.OrphansRemoved)); diff != "" {
			t.Errorf("removed (-want +got):\n%s", diff)
		}
		for _, name := range removed {
			expectAbsent(t, s, name)
		}
		for _, name := range left {
			if err := s.files.remove(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		expectRetained(t, s, 11, 5, 10)
	})
}

// TestDataOfADamagedChainIsNoOrphan: it may be all that is left of the link.
func TestDataOfADamagedChainIsNoOrphan(t *testing.T) {
	for name, damage := range map[string]func(*testing.T, *Store){
		"a link is gone":         func(t *testing.T, s *Store) { _ = s.files.remove(t.Context(), link7) },
		"the first link is gone": func(t *testing.T, s *Store) { _ = s.files.remove(t.Context(), link5) },
		"the header is gone":     func(t *testing.T, s *Store) { _ = s.files.remove(t.Context(), chainOf0+headerName) },
		"a link cannot be read":  func(t *testing.T, s *Store) { overwrite(t, s, link7, func([]byte) []byte { return nil }) },
		"another's data is wrong": func(t *testing.T, s *Store) {
			overwrite(t, s, data5, replace("5", "6"))
			put(t, s, hour+"orders-0-00000000000000000006.ndjson")
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := threeSegments(t)
			s := openDirectory(t, dir)
			damage(t, s)
			before := namesIn(t, s, segmentsDir)
			report, err := Verification{FixOrphans: true}.run(t.Context(), s.files)
			if err != nil || report.Complete {
				t.Fatalf("error %v, report %+v", err, report)
			}
			if diff := cmp.Diff(before, namesIn(t, s, segmentsDir)); diff != "" {
				t.Errorf("files (-before +after):\n%s", diff)
			}
		})
	}
}

func TestOrphansAreNotFixedInARange(t *testing.T) {
	if _, err := (Verification{From: dayOf(0), FixOrphans: true}).Run(t.Context(), threeSegments(t)); err == nil || !strings.Contains(err.Error(), "leave the bounds out") {
		t.Errorf("error is %v", err)
	}
}
