package segment

import (
	"strings"
	"testing"
	"time"
)

// writeRollups writes two roll-ups of each segment of two offsets from first up
// to next.
func writeRollups(t testing.TB, s *Store, first, next int64) {
	t.Helper()
	for base := first; base < next; base += 2 {
		for _, hash := range []string{"hash", "of-another-configuration"} {
			name := (partition{testTopic, testID, 0}).rollupsPath() + "/" + offsetName(base) + "-" + offsetName(base+2) + "." + hash
			if err := s.Archive().WriteBeside(t.Context(), "test", name, []byte("counted")); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// expectRollups from an offset on, and none before.
func expectRollups(t testing.TB, s *Store, first, next int64) {
	t.Helper()
	names := namesIn(t, s, rollupsDir)
	if int64(len(names)) != next-first {
		t.Errorf("%d roll-ups are left, want %d: %v", len(names), next-first, names)
	}
	for _, name := range names {
		if name < (partition{testTopic, testID, 0}).rollupsPath()+"/"+offsetName(first) {
			t.Errorf("%s is left", name)
		}
	}
}

func TestRollupsGoWithTheirData(t *testing.T) {
	inEachPlace(t, func(t *testing.T, p place) {
		s := p.open(t, "")
		c := openChain(t, s)
		sealDays(t, c, 0, 12) // offsets 5 to 28
		writeRollups(t, s, 5, 29)
		retain(t, c, dayOf(3), days(5))
		expectRollups(t, s, 5, 29)
		retain(t, c, dayOf(8), days(5)) // days 0 to 2 are too old
		expectRetained(t, s, 11, 5, 18)
		expectRollups(t, s, 11, 29)

		// One more day, soon after: its roll-ups wait for the next sweep.
		retain(t, c, dayOf(9).Add(-day+time.Minute), days(5))
		expectRetained(t, s, 13, 5, 16)
		expectRollups(t, s, 11, 29)
		retain(t, c, dayOf(8).Add(sweepEvery), days(5))
		expectRollups(t, s, 13, 29)

		// Roll-ups that were counted too late, and data that a process has
		// removed which then died.
		writeRollups(t, s, 5, 13)
		c = openChain(t, p.open(t, ""))
		retain(t, c, dayOf(8).Add(sweepEvery), days(5))
		expectRollups(t, s, 13, 29)

		retain(t, c, dayOf(1000), days(5)) // all data
		retain(t, c, dayOf(1000).Add(sweepEvery), days(5))
		expectRollups(t, s, 29, 29)
		expectProblemsIn(t, s)
	})
}

// TestSweepListsNoMoreThanItRemoves in an object store, whose chain has many
// roll-ups that stay.
func TestSweepListsNoMoreThanItRemoves(t *testing.T) {
	s := newPlace(t, "memory").open(t, "")
	writeRollups(t, s, 5, 5+2*2000)
	before := offsetName(9)
	listed := 0
	from := listing{s.files, func() { listed++ }}
	if err := removeBefore(t.Context(), from, (partition{testTopic, testID, 0}).rollupsPath(), before, true); err != nil {
		t.Fatal(err)
	}
	expectRollups(t, s, 9, 5+2*2000)
	if listed > 5 {
		t.Errorf("%d names were listed to remove 4", listed)
	}
}

// TestOtherChainsKeepTheirRollups: the sweep is of one partition.
func TestOtherChainsKeepTheirRollups(t *testing.T) {
	s := newPlace(t, "directory").open(t, "")
	c := openChain(t, s)
	sealDays(t, c, 0, 3)
	writeRollups(t, s, 5, 11)
	other := strings.Replace((partition{testTopic, testID, 1}).rollupsPath(), testTopic, testTopic+"-of-others", 1) + "/" + offsetName(5)
	if err := s.Archive().WriteBeside(t.Context(), "test", other, []byte("counted")); err != nil {
		t.Fatal(err)
	}
	retain(t, c, dayOf(1000), days(1))
	if names := namesIn(t, s, rollupsDir); len(names) != 1 || names[0] != other {
		t.Errorf("left: %v", names)
	}
}
