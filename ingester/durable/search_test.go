package durable

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// reading reads a content whose page with that number the disk can't read.
func reading(content []byte, bad int64) Read {
	return func(at, n int64) ([]byte, error) {
		if at/PageSize == bad || (at+n-1)/PageSize == bad {
			return nil, errors.New("no")
		}
		return content[at : at+n], nil
	}
}

func TestFind(t *testing.T) {
	const size = 3*PageSize + 7
	magic := []byte("mgc!")
	for name, test := range map[string]struct {
		at      []int64 // where the magic stands
		bad     int64
		from    int64
		nothing int64 // where nothing begins all the same
		want    int64
	}{
		"at once":                {at: []int64{0}, bad: -1, nothing: -1, want: 0},
		"nowhere":                {bad: -1, nothing: -1, want: size},
		"across pages":           {at: []int64{PageSize - 2}, bad: -1, nothing: -1, want: PageSize - 2},
		"behind where it begins": {at: []int64{3, 900}, bad: -1, from: 4, nothing: -1, want: 900},
		"behind a false one":     {at: []int64{3, 900}, bad: -1, nothing: 3, want: 900},
		"behind a bad page":      {at: []int64{3, PageSize + 9}, bad: 0, nothing: -1, want: PageSize + 9},
		"in the last bytes":      {at: []int64{size - 4}, bad: -1, nothing: -1, want: size - 4},
	} {
		t.Run(name, func(t *testing.T) {
			content := make([]byte, size)
			for _, at := range test.at {
				copy(content[at:], magic)
			}
			got := Find(reading(content, test.bad), magic, test.from, size, func(at int64) bool { return at != test.nothing })
			if got != test.want {
				t.Errorf("found at %d, want %d", got, test.want)
			}
		})
	}
}

func TestIsZero(t *testing.T) {
	content := make([]byte, 2*PageSize+3)
	content[10] = 1
	for name, test := range map[string]struct {
		at, bad int64
		want    bool
	}{
		"all of it":       {0, -1, false},
		"behind the byte": {11, -1, true},
		"a bad page":      {11, 1, false},
		"nothing":         {int64(len(content)), -1, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := IsZero(reading(content, test.bad), test.at, int64(len(content))); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestNumbered(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{Numbered("", 7, ".x"), "7.x", "0000000000000000000a.x", Numbered("", 8, ".y")} {
		if err := os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte("."), 5), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(Numbered(dir, 9, ".x"), 0o700); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var numbers []uint64
	for _, f := range files {
		if number, ok := NumberOf(f, ".x"); ok {
			numbers = append(numbers, number)
		}
	}
	if len(numbers) != 1 || numbers[0] != 7 {
		t.Errorf("found %v, want 7 alone", numbers)
	}
	if err := os.Remove(Numbered(dir, 9, ".x")); err != nil {
		t.Fatal(err)
	}
	if size, err := FilesSize(dir); size != 20 || err != nil {
		t.Errorf("size %d (%v), want 20", size, err)
	}
	if size, err := FilesSize(filepath.Join(dir, "none")); size != 0 || err != nil {
		t.Errorf("size of nothing: %d (%v)", size, err)
	}
}
