package journal

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// entriesOf is where the entries of a file begin, and where the last one ends.
func entriesOf(t testing.TB, path string, number uint64) (at []int64) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := newReader(strings.NewReader(string(content)), number, int64(len(content)))
	for next := int64(fileHeaderSize); ; {
		at = append(at, next)
		if next == r.end {
			return at
		}
		e, err := r.headerAt(next)
		if err != nil {
			t.Fatal(err)
		}
		next += e.size()
	}
}

// journalFile is the number-th file of a journal that is not running.
type journalFile struct {
	t    *testing.T
	path string
	at   []int64
}

func (f journalFile) flip(at int64) {
	f.t.Helper()
	content, err := os.ReadFile(f.path)
	if err != nil {
		f.t.Fatal(err)
	}
	content[at] ^= 1
	if err := os.WriteFile(f.path, content, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f journalFile) truncate(size int64) {
	f.t.Helper()
	if err := os.Truncate(f.path, size); err != nil {
		f.t.Fatal(err)
	}
}

func (f journalFile) append(content string) {
	f.t.Helper()
	file, err := os.OpenFile(f.path, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = file.WriteString(content)
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

const perBatch = 2 // records of the batches in these tests

func TestDamage(t *testing.T) {
	end := func(f journalFile) int64 { return f.at[len(f.at)-1] }
	last := func(f journalFile) int64 { return f.at[len(f.at)-2] }
	for name, tc := range map[string]struct {
		// harm harms a journal of 12 batches, in three files of 4 each.
		harm func(first, middle, last journalFile)
		lost []int // batches
		gaps [][2]int64
		// aside are the stretches that are kept.
		aside int
		skips int64 // offsets that are lost beyond those of the batches
	}{
		"nothing":                              {harm: func(_, _, _ journalFile) {}},
		"torn in the last entry's lines":       {harm: func(_, _, f journalFile) { f.truncate(last(f) + headerSize + 5) }, lost: []int{11}},
		"torn in the last entry's header":      {harm: func(_, _, f journalFile) { f.truncate(last(f) + 7) }, lost: []int{11}},
		"torn before the last entry":           {harm: func(_, _, f journalFile) { f.truncate(last(f)) }, lost: []int{11}},
		"zeros behind the end":                 {harm: func(_, _, f journalFile) { f.append(strings.Repeat("\x00", 5000)) }},
		"the begin of an entry behind the end": {harm: func(_, _, f journalFile) { f.append(string(magic[:]) + "\x01\x00\x00") }},
		"a file without a header at the end": {harm: func(_, _, f journalFile) {
			create(f.t, filePath(filepath.Dir(f.path), 4), "lpjour")
		}},
		"a flipped byte in the lines": {
			harm: func(_, f, _ journalFile) { f.flip(f.at[1] + headerSize + 3) },
			lost: []int{5}, gaps: [][2]int64{{10, 12}}, aside: 1,
		},
		"a flipped byte in a header": {
			harm: func(_, f, _ journalFile) { f.flip(f.at[1] + 9) },
			lost: []int{5}, gaps: [][2]int64{{10, 12}}, aside: 1,
		},
		"a flipped byte in the magic of the first": {
			harm: func(f, _, _ journalFile) { f.flip(f.at[0] + 1) },
			lost: []int{0}, gaps: [][2]int64{{0, 2}}, aside: 1,
		},
		"a flipped byte in the last of a file": {
			harm: func(_, f, _ journalFile) { f.flip(last(f) + 9) },
			lost: []int{7}, gaps: [][2]int64{{14, 16}}, aside: 1,
		},
		"a flipped byte in the lines of the last": {
			harm: func(_, _, f journalFile) { f.flip(end(f) - 20) },
			lost: []int{11}, gaps: [][2]int64{{22, 24}}, aside: 1,
		},
		"a flipped byte in the header of the last": {
			harm: func(_, _, f journalFile) { f.flip(last(f) + 9) },
			lost: []int{11}, gaps: [][2]int64{{22, 23}}, aside: 1, skips: -1, // one offset stands for them
		},
		"a flipped byte in the header of a file": {
			harm: func(_, f, _ journalFile) { f.flip(26) }, aside: 1,
		},
		"a flipped byte in the header of the first file": {
			harm: func(f, _, _ journalFile) { f.flip(26) }, aside: 1,
		},
		"a flipped byte in the header of the last file": {
			harm: func(_, _, f journalFile) { f.flip(26) }, aside: 1,
		},
		"a file of zeros": {
			harm: func(_, f, _ journalFile) { f.truncate(0); f.truncate(end(f)) },
			lost: []int{4, 5, 6, 7}, gaps: [][2]int64{{8, 16}}, aside: 2, // its header, and the rest
		},
		"a file that is gone": {
			harm: func(_, f, _ journalFile) { remove(f.t, f.path) },
			lost: []int{4, 5, 6, 7}, gaps: [][2]int64{{8, 16}},
		},
		"two places": {
			harm: func(f, _, l journalFile) { f.flip(f.at[0] + headerSize); l.flip(l.at[2] + headerSize) },
			lost: []int{0, 10}, gaps: [][2]int64{{0, 2}, {20, 22}}, aside: 2,
		},
		"a stretch with the magic of an entry": {
			harm: func(_, f, _ journalFile) {
				f.flip(f.at[1])
				f.overwrite(f.at[1]+headerSize+10, string(magic[:]))
			},
			lost: []int{5}, gaps: [][2]int64{{10, 12}}, aside: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := settings(t)
			s.fileBytes = fileHeaderSize + 400
			harmed := s.fill(t, 12)
			tc.harm(harmed[0], harmed[1], harmed[2])

			r := s.start(t, true)
			next := int64(12*perBatch) + tc.skips
			if n := len(tc.lost); n > 0 && tc.gaps == nil {
				next -= int64(n * perBatch) // cut off, as if it had never been
			}
			o := r.post(12, perBatch)
			if o.Err != nil || o.Placements[0].FirstOffset != next {
				t.Errorf("the next batch: %+v, want it at offset %d", o, next)
			}
			r.stop()

			var want []string
			for n := range 13 {
				if !slices.Contains(tc.lost, n) {
					want = append(want, linesFrom(n, n+1, perBatch)...)
				}
			}
			got, gaps := s.stored(t)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.gaps, gaps); diff != "" {
				t.Errorf("gaps (-want +got):\n%s", diff)
			}
			kept, err := filepath.Glob(filepath.Join(s.journalDir, corruptDir, "*.reason"))
			if err != nil || len(kept) != tc.aside {
				t.Errorf("set aside: %v, %v; want %d", kept, err, tc.aside)
			}
		})
	}
}

// fill has a journal take so many batches, and stores none. It returns the files.
func (s setting) fill(t *testing.T, batches int) (files []journalFile) {
	t.Helper()
	r := s.start(t, false)
	r.take(0, batches, perBatch)
	r.crash()
	for _, f := range r.files {
		files = append(files, journalFile{t, f.path, entriesOf(t, f.path, f.number)})
	}
	return files
}

func (f journalFile) overwrite(at int64, content string) {
	f.t.Helper()
	file, err := os.OpenFile(f.path, os.O_WRONLY, 0)
	if err == nil {
		_, err = file.WriteAt([]byte(content), at)
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

func create(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// A crash while a group is written leaves any part of it. What was synced
// before is there, and of the group what is whole, entry by entry.
func TestTornAnywhere(t *testing.T) {
	content := written(t, 6)
	path := filepath.Join(t.TempDir(), "file")
	create(t, path, string(content))
	at := entriesOf(t, path, 1)
	offsets := []int64{0}
	for _, b := range batchesOf(t, 6) {
		offsets = append(offsets, offsets[len(offsets)-1]+int64(b.Len()))
	}
	for cut := at[2]; cut <= at[6]; cut++ {
		for _, rest := range []string{"", strings.Repeat("\x00", 300)} {
			create(t, path, string(content[:cut])+rest)
			whole, _ := slices.BinarySearchFunc(at, cut+1, func(a, b int64) int { return int(a - b) })
			want := scanned{next: offsets[whole-1], size: at[whole-1], entries: true, doubtful: rest != "" || cut > at[whole-1]}
			got, err := scan(&file{number: 1, path: path, size: cut + int64(len(rest))}, 0)
			if err != nil {
				t.Fatal(err)
			}
			if rest != "" && cut > at[whole-1] {
				// Cut within an entry and filled up with zeros, the entry may have
				// its length, and nothing of it is called torn then: its offsets
				// are kept free.
				if got.next < want.next || got.size < want.size {
					t.Fatalf("cut at %d, then zeros: %+v, want at least %+v", cut, got, want)
				}
				continue
			}
			if got != want {
				t.Fatalf("cut at %d: %+v, want %+v", cut, got, want)
			}
		}
	}
}

// What is damaged while it waits is found when it is read.
func TestDamageThatComesLater(t *testing.T) {
	s := settings(t)
	s.fileBytes = fileHeaderSize + 400
	harmed := s.fill(t, 12)
	r := s.open(t)
	harmed[2].flip(harmed[2].at[3] + headerSize) // of the last entry
	if err := r.storer.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.queue.Close()
	r.Run(t.Context())
	if err := r.storer.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, gaps := s.stored(t)
	if diff := cmp.Diff(linesFrom(0, 11, perBatch), got); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][2]int64{{22, 24}}, gaps); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	for name, want := range map[string]float64{
		"logpipeline_journal_lost_offsets_total":  2,
		"logpipeline_journal_damaged_bytes_total": float64(harmed[2].at[4] - harmed[2].at[3]),
		"logpipeline_journal_unsealed_records":    0,
	} {
		if got := r.metric(name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// A journal whose folder is gone, or that is older than the chain, goes on
// where the chain ends.
func TestJournalBehindItsChain(t *testing.T) {
	s := settings(t)
	r := s.start(t, false)
	r.take(0, 4, 2)
	r.crash()
	old := filepath.Join(t.TempDir(), "old")
	if err := os.CopyFS(old, os.DirFS(s.journalDir)); err != nil {
		t.Fatal(err)
	}
	r = s.start(t, true)
	r.take(4, 8, 2)
	r.stop()
	if err := os.RemoveAll(s.journalDir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(old, s.journalDir); err != nil {
		t.Fatal(err)
	}
	r = s.start(t, true)
	r.take(8, 10, 2)
	r.stop()
	s.checkStored(t, linesFrom(0, 10, 2))
}

func TestOpenRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		harm func(dir string) error
		want string
	}{
		"a file of a newer release": {func(dir string) error {
			h := fileHeader{number: 1}.encode()
			h[8]++
			h = append(h[:12], appendChecksum(h[:12])...)
			return os.WriteFile(filePath(dir, 1), h, 0o600)
		}, "has format version 2, but this release reads versions up to 1"},
		"a damaged id": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, idName), []byte("x"), 0o600)
		}, "write into it the topic id that ingester chain show prints"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := tc.harm(dir); err != nil {
				t.Fatal(err)
			}
			_, err := Open(Options{Dir: dir, MaxBytes: 1 << 20}, nil, quiet(), nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}
