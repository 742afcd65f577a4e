package kill

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/segment/s3server"
)

// store is where the consumers store.
type store struct {
	root string // the folder in which its files or objects are found
	url  string // of the object store; "" of a directory
	own  string // holds a folder for each consumer, beside an object store
}

func newStore(t *testing.T, kind string, server *s3server.Server) store {
	t.Helper()
	if kind == "directory" {
		return store{root: t.TempDir()}
	}
	const prefix = "kill"
	return store{root: filepath.Join(server.Dir, s3server.Bucket, prefix), url: server.URL(prefix), own: t.TempDir()}
}

// configure has a consumer store here.
func (s store) configure(cfg *config.Config, seat int) {
	cfg.DataDir = s.root
	if s.url != "" {
		cfg.ObjectStore.URL = s.url
		cfg.DataDir = filepath.Join(s.own, strconv.Itoa(seat))
	}
}

// verify has the program prove that what is stored has no gap and no double.
func (s store) verify(t *testing.T, program string, produced [partitions]int) {
	t.Helper()
	location := []string{"--data-dir", s.root}
	if s.url != "" {
		location = []string{"--object-store", s.url}
	}
	output, err := exec.CommandContext(t.Context(), program, append([]string{"verify", "--no-gaps", "-o", "json"}, location...)...).Output()
	var report struct {
		Complete          bool
		Records, Segments int
		Problems          []struct{ Path, Problem string }
	}
	if parsed := json.Unmarshal(output, &report); parsed != nil {
		t.Errorf("verify: %v (%v)", parsed, err)
		return
	}
	if err != nil || !report.Complete || report.Records != sum(produced) {
		t.Errorf("verify: %v; complete: %t, %d of %d records, problems %v", err, report.Complete, report.Records, sum(produced), report.Problems)
		return
	}
	t.Logf("verified: %d records in %d segments", report.Records, report.Segments)
}
