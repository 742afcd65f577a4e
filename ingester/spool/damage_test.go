package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logpipeline/logpipeline/ingester/durable"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// template is a stopped spool of three segments: 12 batches of 4 records, of
// which 1 and 2 are settled, and 4 is assigned.
func template(t *testing.T) (dir string, files []string) {
	t.Helper()
	dir = t.TempDir()
	options := small(dir)
	options.segmentBytes = 1<<10 + 16
	s := start(t, options)
	s.append(4, 0, 1, 2)
	b := s.take(3)
	s.deliver(b[1:]...)
	s.flushed()
	s.append(4, 3, 4)
	s.assign(s.assignmentOf(s.take(2)[1:]...))
	s.append(4, numbersFrom(5, 12)...)
	s.stop()
	files = segmentFiles(t, dir)
	if len(files) != 3 {
		t.Fatalf("%d segments, want 3", len(files))
	}
	return dir, files
}

func copyOf(t *testing.T, dir string) string {
	t.Helper()
	target := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(target, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return target
}

// layout is what stands where in a segment.
func layout(t *testing.T, path string, number uint64) (entries []found) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	r := newReader(f, number, info.Size())
	for at := int64(fileHeaderSize); at < r.end; {
		e, next, err := r.next(at)
		if err != nil {
			t.Fatal(err)
		}
		entries, at = append(entries, e), next
	}
	return entries
}

// delivered opens the spool and returns which test batches come from it, first
// those that are reopened.
func delivered(t *testing.T, dir string) (numbers []int, log string) {
	t.Helper()
	s := start(t, small(dir))
	defer s.stop()
	var all []*record.Batch
	for _, r := range s.reopened {
		all = append(all, r.Batches...)
	}
	if err := s.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	rest, err := s.queue.TakeOlder(received(1000), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range append(all, rest...) {
		var n int
		if _, err := fmt.Sscanf(b.ID, "batch-%d", &n); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(seenOf(t, n, 4, 0, 4), see(b)); diff != "" {
			t.Errorf("batch %d (-want +got):\n%s", n, diff)
		}
		numbers = append(numbers, n)
	}
	return numbers, s.said.String()
}

func setAsideFiles(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, corruptDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// undamaged is what the template delivers; 4 is reopened.
var undamaged = []int{4, 0, 3, 5, 6, 7, 8, 9, 10, 11}

func TestDamage(t *testing.T) {
	write := func(path string, change func([]byte) []byte) error {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, change(content), 0o600)
	}
	flip := func(at int64) func([]byte) []byte {
		return func(b []byte) []byte { b[at] ^= 0x10; return b }
	}
	dir, files := template(t)
	first, second, third := layout(t, files[0], 1), layout(t, files[1], 2), layout(t, files[2], 3)
	entryOf := func(entries []found, k kind, n int) found {
		for _, e := range entries {
			if e.kind == k {
				if n == 0 {
					return e
				}
				n--
			}
		}
		t.Fatalf("the template has no such entry of kind %d", k)
		return found{}
	}
	batch0, settle12, assign4, last := first[0], entryOf(first, kindSettle, 0), entryOf(second, kindAssign, 0), third[len(third)-1]
	inSecond := slices.IndexFunc(second, func(e found) bool { return e.kind == kindData && e.position == 7 })
	batch6 := second[inSecond]

	for name, test := range map[string]struct {
		damage  func(dir string, files []string) error
		want    []int
		log     string // of what is said
		corrupt int    // entries, 0: nothing is damaged
	}{
		"none": {func(string, []string) error { return nil }, undamaged, "", 0},
		"a record": {func(_ string, f []string) error { return write(f[1], flip(batch6.at+batch6.size()-20)) },
			[]int{4, 0, 3, 5, 7, 8, 9, 10, 11}, "the checksum of the entry is wrong; the batch at position 7 is lost", 1},
		"the meta of a batch": {func(_ string, f []string) error { return write(f[1], flip(batch6.at+headerSize+3)) },
			[]int{4, 0, 3, 5, 7, 8, 9, 10, 11}, "the batch at position 7 is lost", 1},
		"the trailer of a batch": {func(_ string, f []string) error { return write(f[1], flip(batch6.at+batch6.size()-1)) },
			[]int{4, 0, 3, 5, 7, 8, 9, 10, 11}, "the batch at position 7 is lost", 1},
		"the magic of a batch": {func(_ string, f []string) error { return write(f[1], flip(batch6.at)) },
			[]int{4, 0, 3, 5, 7, 8, 9, 10, 11}, "no entry begins here; the batch at position 7 is lost", 1},
		"the length of a batch": {func(_ string, f []string) error { return write(f[1], flip(batch6.at+12)) },
			[]int{4, 0, 3, 5, 7, 8, 9, 10, 11}, "the checksum of the entry's header is wrong; the batch at position 7 is lost", 1},
		"the first batch": {func(_ string, f []string) error { return write(f[0], flip(batch0.at+40)) },
			[]int{4, 3, 5, 6, 7, 8, 9, 10, 11}, "the batch at position 1 is lost", 1},
		"two batches in a row": {func(_ string, f []string) error {
			return write(f[1], func(b []byte) []byte { clear(b[batch6.at-10 : batch6.at+10]); return b })
		}, []int{4, 0, 3, 7, 8, 9, 10, 11}, "the 2 batches at positions 6 to 7 are lost", 2},
		"a settle entry": {func(_ string, f []string) error { return write(f[0], flip(settle12.at+headerSize)) },
			// Its assignment is open again, and goes out under the numbers that it had.
			[]int{1, 2, 4, 0, 3, 5, 6, 7, 8, 9, 10, 11}, "the checksum of the entry is wrong", 1},
		"an assign entry": {func(_ string, f []string) error { return write(f[1], flip(assign4.at+headerSize)) },
			[]int{0, 3, 4, 5, 6, 7, 8, 9, 10, 11}, "the checksum of the entry is wrong", 1},
		"the last entry, whole": {func(_ string, f []string) error { return write(f[2], flip(last.at+headerSize+9)) },
			[]int{4, 0, 3, 5, 6, 7, 8, 9, 10}, "the checksum of the entry is wrong", 1},
		"the header of a segment": {func(_ string, f []string) error { return write(f[1], flip(30)) },
			undamaged, "bytes 0 to 52: the segment's header is damaged", 1},
		"the header of the first segment": {func(_ string, f []string) error { return write(f[0], flip(3)) },
			undamaged, "bytes 0 to 52: the segment's header is damaged", 1},
		"the version of the last segment": {func(_ string, f []string) error { return write(f[2], flip(8)) },
			undamaged, "bytes 0 to 52: the segment's header is damaged", 1},
		"a segment is another's": {func(_ string, f []string) error {
			return write(f[1], func([]byte) []byte { b, _ := os.ReadFile(f[0]); return b })
		}, []int{0, 3, 9, 10, 11}, "positions 5 to 9 are lost", 5},
		"a segment is missing": {func(_ string, f []string) error { return os.Remove(f[1]) },
			[]int{0, 3, 9, 10, 11}, "segments 2 to 2, which came next, are missing; the 5 batches at positions 5 to 9 are lost", 5},
		"the first segment is missing": {func(_ string, f []string) error { return os.Remove(f[0]) },
			[]int{4, 5, 6, 7, 8, 9, 10, 11}, "", 0}, // as if it were done
		"a segment is empty": {func(_ string, f []string) error { return os.Truncate(f[1], 0) },
			[]int{0, 3, 9, 10, 11}, "positions 5 to 9 are lost", 5},
		"a segment has only its header": {func(_ string, f []string) error { return os.Truncate(f[1], fileHeaderSize) },
			[]int{0, 3, 9, 10, 11}, "of its", 5},
		"a segment is cut inside of a batch": {func(_ string, f []string) error { return os.Truncate(f[1], batch6.at+50) },
			[]int{4, 0, 3, 5, 9, 10, 11}, "positions 7 to 9 are lost", 3},
		"a segment is cut between two batches": {func(_ string, f []string) error { return os.Truncate(f[1], batch6.at) },
			[]int{4, 0, 3, 5, 9, 10, 11}, "the file was cut", 3},
		"what stands behind the end of a segment is void": {func(_ string, f []string) error {
			return write(f[1], func(b []byte) []byte { return append(b, b[batch6.at:]...) })
		}, undamaged, "", 0},
		"the last segment is empty": {func(_ string, f []string) error {
			return os.WriteFile(segmentPath(filepath.Dir(f[0]), 4), nil, 0o600)
		}, undamaged, "", 0},
		"the last segment has half a header": {func(_ string, f []string) error {
			return os.WriteFile(segmentPath(filepath.Dir(f[0]), 4), fileHeader{number: 4}.encode()[:20], 0o600)
		}, undamaged, "", 0},
		"the last segment is zeros": {func(_ string, f []string) error {
			return os.WriteFile(segmentPath(filepath.Dir(f[0]), 4), make([]byte, 3*durable.PageSize+7), 0o600)
		}, undamaged, "", 0},
		"zeros behind the last entry": {func(_ string, f []string) error {
			return write(f[2], func(b []byte) []byte { return append(b, make([]byte, 2*durable.PageSize+3)...) })
		}, undamaged, "was not written completely", 0},
		"nonsense behind the last entry": {func(_ string, f []string) error {
			return write(f[2], func(b []byte) []byte { return append(b, bytes.Repeat([]byte("no entry "), 1000)...) })
		}, undamaged, "no entry begins here", 1},
		"a batch stands twice": {func(_ string, f []string) error {
			return write(f[2], func(b []byte) []byte { return append(b, b[third[0].at:third[0].at+third[0].size()]...) })
		}, undamaged, "stands where that at 13 is due", 1},
		"a stale temporary file": {func(dir string, _ []string) error {
			return os.WriteFile(filepath.Join(dir, "00000000000000000002.segment.tmp"), []byte("half"), 0o600)
		}, undamaged, "", 0},
		"files that aren't the spool's": {func(dir string, _ []string) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600), os.WriteFile(filepath.Join(dir, "7.segment"), nil, 0o600), os.Mkdir(filepath.Join(dir, "lost+found"), 0o700))
		}, undamaged, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyOf(t, dir)
			if err := test.damage(dir, segmentFiles(t, dir)); err != nil {
				t.Fatal(err)
			}
			repaired := copyOf(t, dir)
			got, log := delivered(t, dir)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("delivered (-want +got):\n%s", diff)
			}
			if !strings.Contains(log, test.log) {
				t.Errorf("log has no %q: %s", test.log, log)
			}
			if kept := setAsideFiles(t, dir); len(kept) > 0 != (test.corrupt > 0) {
				t.Errorf("set aside: %v", kept)
			}
			again, _ := delivered(t, dir)
			if diff := cmp.Diff(test.want, again); diff != "" {
				t.Errorf("delivered after another start (-want +got):\n%s", diff)
			}
			expectRepaired(t, repaired, test.want)
		})
	}
}

func TestDamageIsCounted(t *testing.T) {
	dir, files := template(t)
	if err := os.Remove(files[1]); err != nil {
		t.Fatal(err)
	}
	s := start(t, small(dir))
	if got := testutil.ToFloat64(s.metrics.corrupt); got != 5 {
		t.Errorf("%v corrupt entries", got)
	}
}

// expectRepaired repairs a spool and checks that it is sound then and delivers
// the same.
func expectRepaired(t *testing.T, dir string, want []int) {
	t.Helper()
	var said bytes.Buffer
	if err := Repair(dir, &said); err != nil {
		t.Fatal(err)
	}
	report := sound(t, dir)
	if report.Interrupted != "" {
		t.Errorf("after the repair: %+v", report)
	}
	said.Reset()
	if err := Repair(dir, &said); err != nil || said.String() != "everything else can be read, and stays as it is\n" {
		t.Errorf("another repair: %v, %s", err, said.String())
	}
	got, log := delivered(t, dir)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("delivered after the repair (-want +got):\n%s", diff)
	}
	if strings.Contains(log, "ERROR") {
		t.Errorf("after the repair: %s", log)
	}
}

func TestTornTailAtEveryByte(t *testing.T) {
	dir, files := template(t)
	last := layout(t, files[2], 3)
	at, size := last[len(last)-1].at, last[len(last)-1].size()
	for length := range size {
		if err := os.Truncate(files[2], at+size); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(files[2])
		if err != nil {
			t.Fatal(err)
		}
		torn := content[:at+length]
		v := surveyOf(t, dir, files[2], torn)
		if got := v.next; got != 12 || len(v.segments[2].damages) > 0 || (v.tail == nil) != (length == 0) {
			t.Fatalf("torn after %d bytes: next position %d, tail %v, damages %v", length, got, v.tail, v.segments[2].damages)
		}
		if length%40 == 1 {
			copied := copyOf(t, dir)
			if err := os.WriteFile(segmentFiles(t, copied)[2], torn, 0o600); err != nil {
				t.Fatal(err)
			}
			if got, _ := delivered(t, copied); !slices.Equal(got, undamaged[:len(undamaged)-1]) {
				t.Fatalf("torn after %d bytes: delivered %v", length, got)
			}
			sound(t, copied)
		}
	}
}

// surveyOf surveys the spool with another content of one of its files.
func surveyOf(t *testing.T, dir, file string, content []byte) *survey {
	t.Helper()
	original, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := takeSurvey(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, original, 0o600); err != nil {
		t.Fatal(err)
	}
	return v
}

// Every single byte of a segment is flipped in turn: never is more lost than
// the entry that it belongs to, and never is the damage overlooked.
func TestFlippedByteAnywhere(t *testing.T) {
	dir, files := template(t)
	content, err := os.ReadFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	batches := 0
	for _, e := range layout(t, files[1], 2) {
		if e.kind == kindData {
			batches++
		}
	}
	for at := range content {
		damaged := bytes.Clone(content)
		damaged[at] ^= 1 << (at % 8)
		v := surveyOf(t, dir, files[1], damaged)
		s := v.segments[1]
		left, lost := 0, uint64(0)
		for _, one := range s.data {
			left += int(one.to - one.from)
		}
		for _, d := range s.damages {
			lost += d.lost.to - d.lost.from
			if int64(at) < d.from || int64(at) >= d.to {
				t.Errorf("byte %d flipped: damage at %d to %d", at, d.from, d.to)
			}
		}
		if len(s.damages) != 1 || v.next != 13 || left+int(lost) != batches || lost > 1 {
			t.Fatalf("byte %d flipped: %d damages, %d of %d batches left, %d lost", at, len(s.damages), left, batches, lost)
		}
	}
}
