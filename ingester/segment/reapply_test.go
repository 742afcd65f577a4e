package segment

import (
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/logpipeline/logpipeline/ingester/config"
)

// TestDeletedAndAppliedAgain is the table of docs/storage.md, row by row: 10
// records were stored from offset 5 on, then the pipeline was deleted; Kafka's
// log begins at offset 9 by then, or at 0 where the topic is a new one.
func TestDeletedAndAppliedAgain(t *testing.T) {
	for name, row := range map[string]struct {
		topicKept, dataKept bool
		begins              int64 // of a chain that begins anew
		next                int64
		reason              string
		records             int64 // proven afterwards, with 2 more
	}{
		"topic kept, data kept":       {true, true, 9, 15, "", 12},
		"topic kept, data deleted":    {true, false, 9, 9, "", 2},
		"topic deleted, data kept":    {false, true, 0, 0, "TopicRecreated", 10},
		"topic deleted, data deleted": {false, false, 0, 0, "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			inEachPlace(t, func(t *testing.T, p place) {
				s := p.open(t, config.CompressionZstd)
				c := openChain(t, s)
				appendRecords(t, c, 10)
				seal(t, c)
				if !row.dataKept {
					for _, folder := range []string{chainDir, segmentsDir, stagingDir} {
						for _, name := range namesIn(t, s, folder) {
							if err := s.files.remove(t.Context(), name); err != nil {
								t.Fatal(err)
							}
						}
					}
					if d, ok := s.files.(*directory); ok {
						if err := os.RemoveAll(filepath.Join(d.root, chainDir)); err != nil {
							t.Fatal(err)
						}
					}
				}
				id := testID
				if !row.topicKept {
					id = "of-the-topic-made-anew"
				}
				s = p.open(t, "")
				c, err := s.Open(t.Context(), testTopic, id, 0, beginAt(row.begins))
				var stop *StopError
				if errors.As(err, &stop) && stop.Reason == row.reason {
					err = nil
				} else if err == nil {
					if c.NextOffset() != row.next {
						t.Errorf("next offset is %d, want %d", c.NextOffset(), row.next)
					}
					appendRecords(t, c, 2)
					seal(t, c)
				}
				if err != nil {
					t.Fatal(err)
				}
				if report := expectProblemsIn(t, s); report.Records != row.records {
					t.Errorf("%d records, want %d", report.Records, row.records)
				}
			})
		})
	}
}

// copyFolder is cp -r.
func copyFolder(t *testing.T, from *Store, to, folder string) {
	t.Helper()
	for _, name := range namesIn(t, from, folder) {
		r, err := from.files.open(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		target := filepath.Join(to, name)
		if err := errors.Join(err, r.Close(), os.MkdirAll(filepath.Dir(target), 0o755), os.WriteFile(target, content, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBackupOfALivingStore copies chain, staging and segments, in this order,
// while a writer goes on between any two of its steps.
func TestBackupOfALivingStore(t *testing.T) {
	for _, p := range places(t)[:2] {
		t.Run(p.name, func(t *testing.T) {
			for meanwhile := range 4 {
				s := newPlace(t, p.name).open(t, config.CompressionNone)
				c := openChain(t, s)
				appendRecords(t, c, 2)
				seal(t, c)
				appendRecords(t, c, 3)
				steps := c.sealing()
				run := func(steps []step) {
					for _, step := range steps {
						if err := step.run(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
				}
				run(steps[:meanwhile])
				backup := t.TempDir()
				copyFolder(t, s, backup, chainDir)
				run(steps[meanwhile:])
				c.advance(t.Context())
				copyFolder(t, s, backup, stagingDir)
				appendRecords(t, c, 1) // at 10
				seal(t, c)
				copyFolder(t, s, backup, segmentsDir)

				restored := openDirectory(t, backup)
				c = openChain(t, restored)
				if next := c.NextOffset(); next != 7 && next != 10 {
					t.Fatalf("next offset is %d, want 7 or 10", next)
				}
				// From Kafka again, cut at other places.
				appendRecords(t, c, int(12-c.NextOffset()))
				seal(t, c)
				report, err := Verification{FixOrphans: true}.run(t.Context(), restored.files)
				if err != nil {
					t.Fatal(err)
				}
				expectReport(t, report)
				expectExactIn(t, restored, 12)
			}
		})
	}
}

// TestRestoredFromAnOlderBackup: Kafka still has what the backup lacks, or it
// has a part of it, and the rest is recorded as lost.
func TestRestoredFromAnOlderBackup(t *testing.T) {
	for name, logBegins := range map[string]int64{"Kafka has the rest": 6, "Kafka has a part": 9} {
		t.Run(name, func(t *testing.T) {
			s := openDirectory(t, t.TempDir())
			c := openChain(t, s)
			appendRecords(t, c, 2)
			seal(t, c)
			backup := t.TempDir()
			for _, folder := range []string{chainDir, stagingDir, segmentsDir} {
				copyFolder(t, s, backup, folder)
			}
			appendRecords(t, c, 5)
			seal(t, c)

			restored := openDirectory(t, backup)
			c = openChain(t, restored)
			if logBegins > c.NextOffset() {
				recordGap(t, c, logBegins)
			}
			appendRecords(t, c, int(12-c.NextOffset()))
			seal(t, c)
			report := expectProblemsIn(t, restored)
			if want := max(0, logBegins-7); report.GapOffsets != want || report.Records != 7-want {
				t.Errorf("%d offsets in gaps and %d records, want %d and %d", report.GapOffsets, report.Records, want, 7-want)
			}
			var names []string
			for _, name := range namesIn(t, restored, segmentsDir) {
				names = append(names, path.Base(name))
			}
			if diff := cmp.Diff(2, len(names)); diff != "" {
				t.Errorf("files %v (-want +got):\n%s", names, diff)
			}
		})
	}
}
