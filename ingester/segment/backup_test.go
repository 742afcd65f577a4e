package segment

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/logpipeline/logpipeline/ingester/config"
)

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

// TestCopyOfALivingDirectory is the documented cp, while a writer seals without
// a pause, and then a verify, and a writer on the copy.
func TestCopyOfALivingDirectory(t *testing.T) {
	for _, compression := range segmentCodecs {
		t.Run(string(compression), func(t *testing.T) {
			dir, backup := t.TempDir(), t.TempDir()
			c := openChain(t, openCompressed(t, dir, compression))
			for range 20 {
				appendRecords(t, c, 3)
				seal(t, c)
			}
			copied, written := make(chan struct{}), make(chan error)
			go func() {
				for {
					select {
					case <-copied:
						written <- nil
						return
					default:
					}
					lines, span := numbered(c.NextOffset(), 3, noon)
					err := c.Append(lines, span)
					if err == nil {
						_, err = c.Seal(t.Context())
					}
					if err != nil {
						written <- err
						return
					}
				}
			}()
			said, failure := exec.Command("cp", "-a", dir+"/"+chainDir, dir+"/"+stagingDir, dir+"/"+segmentsDir, backup).CombinedOutput()
			close(copied)
			if err := <-written; err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(said)) {
				if !strings.Contains(line, "/"+stagingDir+"/") || !strings.Contains(line, "No such file") {
					t.Fatalf("cp: %v: %s", failure, line)
				}
			}
			end := c.NextOffset()
			expectExact(t, dir, end)

			// Segments that came later are there, and their links are not; nor
			// need the links be that a hint, copied later, names.
			report, err := Verify(t.Context(), backup)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range report.Problems {
				if p.Problem != "no link names it" && !strings.HasPrefix(p.Problem, "the hint names a link that is not there") {
					t.Errorf("%s: %s", p.Path, p.Problem)
				}
			}
			c = openChain(t, openDirectory(t, backup))
			if c.NextOffset() < 65 || c.NextOffset() > end {
				t.Fatalf("the copy ends at %d, want between 65 and %d", c.NextOffset(), end)
			}
			appendRecords(t, c, int(end+5-c.NextOffset()))
			seal(t, c)
			if report, err = (Verification{FixOrphans: true}).Run(t.Context(), backup); err != nil {
				t.Fatal(err)
			}
			expectReport(t, report)
			expectExact(t, backup, end+5)
		})
	}
}

// TestCopyThatLacksALink: verify says so, and what is documented mends it.
func TestCopyThatLacksALink(t *testing.T) {
	dir := t.TempDir()
	c := openChain(t, openDirectory(t, dir))
	for range 5 {
		appendRecords(t, c, 2)
		seal(t, c)
	}
	link := func(base int64) string { return filepath.Join(dir, c.partition.linkPath(base)) }
	if err := os.Remove(link(9)); err != nil {
		t.Fatal(err)
	}
	expectProblems(t, dir, chainOf0+offsetName(11)+": leaves a gap: offsets 9 to 10", hour+"orders-0-"+offsetName(9)+".ndjson: no link names it")
	for _, name := range []string{link(11), link(13), filepath.Join(dir, chainOf0, headName), filepath.Join(dir, chainOf0, milestoneName)} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	c = openChain(t, openDirectory(t, dir))
	if c.NextOffset() != 9 {
		t.Fatalf("next offset is %d, want 9", c.NextOffset())
	}
	appendRecords(t, c, 11)
	seal(t, c)
	report, err := Verification{FixOrphans: true}.Run(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	expectReport(t, report)
	expectExact(t, dir, 20)
}
