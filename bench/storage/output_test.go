package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func TestOutputCountsWhatIsAdded(t *testing.T) {
	root := filepath.Join(t.TempDir(), "segments")
	o := newOutput(root, "ab")
	expect := func(want int64) {
		t.Helper()
		for _, counter := range []*output{o, newOutput(root, "ab")} {
			if got, err := counter.count(); got != want || err != nil {
				t.Errorf("%d records, %v; want %d", got, err, want)
			}
		}
	}
	expect(0)
	if err := os.MkdirAll(filepath.Join(root, "hour=12"), 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(root, "hour=12", "a"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, step := range []struct {
		added string
		want  int64
	}{{"xab-a", 1}, {"b-ab", 3}, {"", 3}, {"a", 3}, {"b", 4}} {
		if _, err := file.WriteString(step.added); err != nil {
			t.Fatal(err)
		}
		expect(step.want)
	}
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "b.zst"), encoder.EncodeAll([]byte("abab"), nil), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(6)
}
