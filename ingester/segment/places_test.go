package segment

import (
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/prometheus/client_golang/prometheus"
	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"
)

// place is an empty store, which every call of open opens as a process of its
// own would.
type place struct {
	name string
	open func(t testing.TB, compression config.Compression) *Store
}

// places are one of each kind.
func places(t testing.TB) []place {
	return []place{newPlace(t, "directory"), newPlace(t, "memory"), newPlace(t, "S3")}
}

func newPlace(t testing.TB, kind string) place {
	var open func(t testing.TB, compression config.Compression) *Store
	switch kind {
	case "directory":
		dir := t.TempDir()
		open = func(t testing.TB, compression config.Compression) *Store { return openCompressed(t, dir, compression) }
	case "memory":
		memory := memblob.OpenBucket(nil)
		open = func(t testing.TB, compression config.Compression) *Store { return openMemory(t, memory, compression) }
	case "S3":
		address := s3(t).URL(newPrefix())
		open = func(t testing.TB, compression config.Compression) *Store { return openS3(t, address, compression) }
	}
	return place{kind, open}
}

func openMemory(t testing.TB, objects *blob.Bucket, compression config.Compression) *Store {
	t.Helper()
	s, err := openObjectStore(t.Context(), objects, t.TempDir(), testConfig(compression), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openS3(t testing.TB, address string, compression config.Compression) *Store {
	t.Helper()
	s, err := OpenObjectStore(t.Context(), address, t.TempDir(), testConfig(compression), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.files.(*bucket).objects.Close() })
	return s
}

// inEachPlace runs a test once for each kind of store.
func inEachPlace(t *testing.T, test func(t *testing.T, p place)) {
	for _, p := range places(t) {
		t.Run(p.name, func(t *testing.T) { test(t, p) })
	}
}

// namesIn lists all names of a store below a folder, sorted.
func namesIn(t testing.TB, s *Store, folder string) []string {
	t.Helper()
	var names []string
	for e, err := range s.files.list(t.Context(), folder, "") {
		if err != nil {
			t.Fatal(err)
		}
		if name := path.Join(folder, e.name); e.folder {
			names = append(names, namesIn(t, s, name)...)
		} else {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// expectExactIn is expectExact for any store.
func expectExactIn(t testing.TB, s *Store, next int64) {
	t.Helper()
	var stored strings.Builder
	err := yieldRecords(t.Context(), s.files, testTopic, -1, func(line Line, err error) bool {
		stored.Write(line.Bytes)
		return err == nil
	})
	want, _ := numbered(5, int(next-5), noon)
	if diff := cmp.Diff(string(want), stored.String()); err != nil || diff != "" {
		t.Errorf("error %v, stored records (-want +got):\n%s", err, diff)
	}
	expectProblemsIn(t, s)
}

func expectProblemsIn(t testing.TB, s *Store, want ...string) Report {
	t.Helper()
	report, err := Verification{}.run(t.Context(), s.files)
	if err != nil {
		t.Fatal(err)
	}
	expectReport(t, report, want...)
	return report
}

// overwrite puts other content in the place of a file, as damage does.
func overwrite(t testing.TB, s *Store, name string, change func([]byte) []byte) {
	t.Helper()
	content, err := readFile(t.Context(), s.files, name)
	if err != nil {
		t.Fatal(err)
	}
	content = change(content)
	if d, ok := s.files.(*directory); ok {
		err = os.WriteFile(filepath.Join(d.root, name), content, 0o644)
	} else {
		err = s.files.replace(t.Context(), "", name, content)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }
