package segment

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/logpipeline/logpipeline/ingester/config"
)

// tablesOf returns the cells of the tables of a section of docs/storage.md, by
// the first cell of their header.
func tablesOf(t *testing.T, section string) map[string][][]string {
	t.Helper()
	document, err := os.ReadFile("../../docs/storage.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(document), "\n## "+section+"\n")
	if !found {
		t.Fatalf("there is no section %q", section)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	tables, header := map[string][][]string{}, ""
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		switch {
		case !strings.HasPrefix(line, "|"):
			header = ""
		case header == "":
			header = cells[0]
		case !strings.HasPrefix(line, "|---"):
			tables[header] = append(tables[header], cells)
		}
	}
	return tables
}

const again = "Deleted, and applied again"

// TestDeletedAndAppliedAgain is the first table, row by row: 10 records were
// stored from offset 5 on, then the pipeline was deleted; Kafka's log begins at
// offset 9 by then, or at 0 where the topic is a new one.
func TestDeletedAndAppliedAgain(t *testing.T) {
	rows := map[[2]string]struct {
		begins  int64 // of a chain that begins anew
		next    int64
		reason  string
		records int64 // proven afterwards, with 2 more
	}{
		{"kept", "kept"}:         {9, 15, "", 12},
		{"kept", "deleted"}:      {9, 9, "", 2},
		{"made anew", "kept"}:    {0, 0, "TopicRecreated", 10},
		{"made anew", "deleted"}: {0, 0, "", 2},
	}
	documented := tablesOf(t, again)["topic"]
	if len(documented) != len(rows) {
		t.Fatalf("%d rows are documented, and %d tested", len(documented), len(rows))
	}
	for _, cells := range documented {
		topic, data := cells[0], cells[1]
		row, known := rows[[2]string{topic, data}]
		if !known {
			t.Fatalf("no test for %q", cells)
		}
		if row.reason != "" && !strings.Contains(cells[2], row.reason) {
			t.Errorf("%q does not name %s", cells[2], row.reason)
		}
		t.Run("topic "+topic+", data "+data, func(t *testing.T) {
			inEachPlace(t, func(t *testing.T, p place) {
				s := storeTen(t, p)
				if data == "deleted" {
					deleteData(t, s, chainDir, segmentsDir, stagingDir)
				}
				s = p.open(t, "")
				expectNext(t, s, topic, row.begins, row.next, row.reason)
				if report := expectProblemsIn(t, s); report.Records != row.records {
					t.Errorf("%d records, want %d", report.Records, row.records)
				}
			})
		})
	}
}

// TestPoliciesOfTopicAndVolume does to topic and data what each row of the
// second table says, and finds what it leads to.
func TestPoliciesOfTopicAndVolume(t *testing.T) {
	storages := map[string]struct {
		data  string
		place string
		// apply returns where the data is when the pipeline is applied again.
		apply func(t *testing.T, p place, before *Store) *Store
	}{
		"a claim that stays": {"kept", "directory", func(t *testing.T, p place, _ *Store) *Store { return p.open(t, "") }},
		"a claim that is deleted; its volume has the reclaim policy `Retain`": {"kept", "directory", func(t *testing.T, _ place, before *Store) *Store {
			mounted := filepath.Join(t.TempDir(), "elsewhere")
			if err := os.Rename(before.files.(*directory).root, mounted); err != nil {
				t.Fatal(err)
			}
			return openDirectory(t, mounted)
		}},
		"a claim that is deleted; its volume has the reclaim policy `Delete`": {"deleted", "directory", func(t *testing.T, p place, before *Store) *Store {
			if err := os.RemoveAll(before.files.(*directory).root); err != nil {
				t.Fatal(err)
			}
			return p.open(t, "")
		}},
		"ephemeral":       {"deleted", "directory", func(t *testing.T, _ place, _ *Store) *Store { return openDirectory(t, t.TempDir()) }},
		"an object store": {"kept", "S3", func(t *testing.T, p place, _ *Store) *Store { return p.open(t, "") }},
		"an object store whose objects somebody deletes": {"deleted", "S3", func(t *testing.T, p place, before *Store) *Store {
			deleteData(t, before, chainDir, segmentsDir, stagingDir)
			return p.open(t, "")
		}},
	}
	documented := tablesOf(t, again)["policy of the topic"]
	if len(documented) != 2*len(storages) {
		t.Fatalf("%d rows are documented, want one of each topic for %d storages", len(documented), len(storages))
	}
	outcomes := map[[2]string]struct {
		begins, next int64
		reason       string
	}{
		{"kept", "kept"}: {9, 15, ""}, {"kept", "deleted"}: {9, 9, ""}, {"made anew", "kept"}: {0, 0, "TopicRecreated"}, {"made anew", "deleted"}: {0, 0, ""},
	}
	for _, cells := range documented {
		name, _, _ := strings.Cut(cells[1], ", and is bound")
		name, _, _ = strings.Cut(strings.SplitN(name, ", or a life", 2)[0], ":")
		storage, known := storages[name]
		if !known {
			t.Fatalf("no test for %q", cells[1])
		}
		t.Run(cells[2]+", "+name, func(t *testing.T) {
			if cells[3] != storage.data {
				t.Fatalf("data is documented to be %s, and is %s", cells[3], storage.data)
			}
			p := newPlace(t, storage.place)
			s := storage.apply(t, p, storeTen(t, p))
			want := outcomes[[2]string{cells[2], cells[3]}]
			expectNext(t, s, cells[2], want.begins, want.next, want.reason)
			expectProblemsIn(t, s)
		})
	}
}

// storeTen stores the offsets 5 to 14.
func storeTen(t *testing.T, p place) *Store {
	t.Helper()
	s := p.open(t, config.CompressionZstd)
	c := openChain(t, s)
	appendRecords(t, c, 10)
	seal(t, c)
	return s
}

func deleteData(t *testing.T, s *Store, folders ...string) {
	t.Helper()
	for _, folder := range folders {
		for _, name := range namesIn(t, s, folder) {
			removeFrom(t, s, name)
		}
		if d, ok := s.files.(*directory); ok {
			if err := os.RemoveAll(filepath.Join(d.root, folder)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// expectNext opens the chain of a topic that was kept, or made anew, and stores
// 2 records, unless there is a reason to stop.
func expectNext(t *testing.T, s *Store, topic string, begins, next int64, reason string) {
	t.Helper()
	id := map[string]string{"kept": testID, "made anew": "of-the-topic-made-anew"}[topic]
	c, err := s.Open(t.Context(), testTopic, id, 0, beginAt(begins))
	var stop *StopError
	if reason != "" {
		if !errors.As(err, &stop) || stop.Reason != reason {
			t.Errorf("error is %v, want %s", err, reason)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if c.NextOffset() != next {
		t.Errorf("next offset is %d, want %d", c.NextOffset(), next)
	}
	appendRecords(t, c, 2)
	seal(t, c)
}

// TestOldChainIsMovedAway, as the documentation advises when the topic is
// another one: both chains are proven then.
func TestOldChainIsMovedAway(t *testing.T) {
	dir, old := t.TempDir(), t.TempDir()
	c := openChain(t, openDirectory(t, dir))
	appendRecords(t, c, 10)
	seal(t, c)
	expectNext(t, openDirectory(t, dir), "made anew", 0, 0, "TopicRecreated")
	for _, folder := range []string{chainDir, segmentsDir} {
		if err := os.Rename(filepath.Join(dir, folder), filepath.Join(old, folder)); err != nil {
			t.Fatal(err)
		}
	}
	expectNext(t, openDirectory(t, dir), "made anew", 0, 0, "")
	if report := expectProblems(t, dir); report.Records != 2 {
		t.Errorf("%d records of the new topic, want 2", report.Records)
	}
	expectExact(t, old, 15)
}

// TestAPartOfTheDataIsDeleted: the chain decides.
func TestAPartOfTheDataIsDeleted(t *testing.T) {
	inEachPlace(t, func(t *testing.T, p place) {
		s := storeTen(t, p)
		data := namesIn(t, s, segmentsDir)[0]
		deleteData(t, s, segmentsDir)
		s = p.open(t, "")
		expectNext(t, s, "kept", 9, 15, "")
		expectProblemsIn(t, s, data+": data is missing")

		s = p.open(t, "")
		deleteData(t, s, chainDir)
		s = p.open(t, "")
		expectNext(t, s, "kept", 9, 9, "")
		left := strings.Replace(namesIn(t, s, segmentsDir)[0], offsetName(9), offsetName(15), 1)
		expectProblemsIn(t, s, left+": no link names it")
		c := openChain(t, s)
		appendRecords(t, c, 10)
		seal(t, c)
		report, err := Verification{FixOrphans: true}.run(t.Context(), s.files)
		if err != nil {
			t.Fatal(err)
		}
		expectReport(t, report)
		if report.Records != 12 || len(report.OrphansRemoved) != 1 {
			t.Errorf("%d records, and %v removed", report.Records, report.OrphansRemoved)
		}
	})
}
