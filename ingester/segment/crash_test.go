package segment

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestWriterDiesAtEveryStepOfSealing lets a writer die after each of its
// steps, and another one go on: it stores what had not been sealed once more,
// as fetching again from Kafka does.
func TestWriterDiesAtEveryStepOfSealing(t *testing.T) {
	steps := len((&Chain{pending: &pending{}}).sealing())
	for survived := range steps + 1 {
		t.Run(fmt.Sprintf("after %d steps", survived), func(t *testing.T) {
			dir := t.TempDir()
			d := openDirectory(t, dir)
			dying := openChain(t, d)
			appendRecords(t, dying, 4)
			seal(t, dying)
			appendRecords(t, dying, 3)
			for _, s := range dying.sealing()[:survived] {
				if err := s.run(t.Context()); err != nil {
					t.Fatalf("%s: %v", s.name, err)
				}
			}
			isSealed := survived >= 2
			if isSealed {
				expectExact(t, dir, 12) // also while publishing is left to the next one
			} else {
				expectExact(t, dir, 9)
			}
			next := openChain(t, openDirectory(t, dir))
			if want := map[bool]int64{false: 9, true: 12}[isSealed]; next.NextOffset() != want {
				t.Fatalf("next offset is %d, want %d", next.NextOffset(), want)
			}
			appendRecords(t, next, 2)
			seal(t, next)
			expectExact(t, dir, next.NextOffset())
			openChain(t, d)
			if left := files(t, filepath.Join(dir, stagingDir)); len(left) > 0 {
				t.Errorf("left in staging: %v", left)
			}
		})
	}
}

func TestTornStagedFileIsNeverSeen(t *testing.T) {
	dir := t.TempDir()
	d := openDirectory(t, dir)
	dead := openChain(t, d)
	appendRecords(t, dead, 100_000)
	if err := os.Truncate(dead.pending.data.(*stagedFile).Name(), 12_345); err != nil {
		t.Fatal(err)
	}
	c := openChain(t, d)
	appendRecords(t, c, 2)
	seal(t, c)
	expectExact(t, dir, 7)
	if left := files(t, filepath.Join(dir, stagingDir)); len(left) != 1 {
		t.Errorf("staging has %v, want the file of the writer that may live", left)
	}
	openChain(t, d) // now its place is taken
	if left := files(t, filepath.Join(dir, stagingDir)); len(left) != 0 {
		t.Errorf("left in staging: %v", left)
	}
}

func TestLoserGoesOnFromTheWinnersEnd(t *testing.T) {
	dir := t.TempDir()
	d := openDirectory(t, dir)
	loser, winner := openChain(t, d), openChain(t, d)
	appendRecords(t, loser, 3)
	appendRecords(t, winner, 2)
	seal(t, winner)
	appendRecords(t, winner, 5)
	seal(t, winner)
	if sealed, err := loser.Seal(t.Context()); sealed || err != nil {
		t.Fatalf("loser: sealed %v, error %v", sealed, err)
	}
	if loser.NextOffset() != 12 {
		t.Fatalf("loser's next offset is %d, want 12", loser.NextOffset())
	}
	appendRecords(t, loser, 1)
	seal(t, loser)
	expectExact(t, dir, 13)
	if left := files(t, filepath.Join(dir, stagingDir)); len(left) != 0 {
		t.Errorf("left in staging: %v", left)
	}
	if lost := testutil.ToFloat64(d.metrics.racesLost); lost != 1 {
		t.Errorf("%v races lost, want 1", lost)
	}
}

// TestTwoWritersRace lets writers with directories of their own (as processes
// have) store the same partition at once, in segments of random sizes, dying
// now and then, while a verifier looks on.
func TestTwoWritersRace(t *testing.T) {
	dir := t.TempDir()
	const end = 3000
	ctx, stopVerifying := context.WithCancel(t.Context())
	var writers, verifier sync.WaitGroup
	for i, compression := range []config.Compression{config.CompressionGzip, config.CompressionZstd} {
		d := openCompressed(t, dir, compression)
		random := rand.New(rand.NewPCG(uint64(i), 7))
		writers.Go(func() { race(t, d, random, end) })
	}
	verifier.Go(func() { verifyUntil(ctx, t, dir) })
	writers.Wait()
	stopVerifying()
	verifier.Wait()
	expectExact(t, dir, end)
}

// race stores up to offset end, or gives up at the first error.
func race(t *testing.T, d *Store, random *rand.Rand, end int64) {
	for {
		c, err := d.Open(t.Context(), testTopic, testID, 0, beginAt(5))
		if err != nil {
			t.Error(err)
			return
		}
		for random.IntN(10) > 0 { // else: dies, with what it has staged
			if c.NextOffset() == end {
				return
			}
			n := min(1+random.Int64N(40), end-c.NextOffset())
			if err := c.Append(numbered(c.NextOffset(), int(n), noon)); err != nil {
				t.Error(err)
				return
			}
			if _, err := c.Seal(t.Context()); random.IntN(3) > 0 && err != nil {
				t.Error(err)
				return
			}
		}
	}
}

func verifyUntil(ctx context.Context, t *testing.T, dir string) {
	for ctx.Err() == nil {
		report, err := Verify(ctx, dir)
		noneYet := len(report.Chains) == 0
		if err == nil && !report.Complete && !noneYet {
			t.Errorf("false alarm: %v", report.Problems)
			return
		}
	}
}

func TestLinkCreatedButReportedAsFailed(t *testing.T) {
	for name, failure := range map[string]error{
		"exists, after a retransmission": syscall.EEXIST,
		"input/output error":             syscall.EIO,
		"no space":                       syscall.ENOSPC,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := openDirectory(t, dir)
			c := openChain(t, d)
			appendRecords(t, c, 2)
			d.files.(*directory).link = func(file, name string) error { return errors.Join(os.Link(file, name), failure) }
			seal(t, c)
			d.files.(*directory).link = os.Link
			appendRecords(t, c, 2)
			seal(t, c)
			expectExact(t, dir, 9)
		})
	}
}

func TestLinkNotCreated(t *testing.T) {
	for name, test := range map[string]struct {
		failure error
		left    int // files in staging: kept where the link may yet appear
	}{
		"no answer":  {syscall.EIO, 1},
		"disk full":  {syscall.ENOSPC, 0},
		"read-only":  {syscall.EROFS, 0},
		"no such id": {syscall.EACCES, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := openDirectory(t, dir)
			c := openChain(t, d)
			appendRecords(t, c, 2)
			d.files.(*directory).link = func(string, string) error { return test.failure }
			if _, err := c.Seal(t.Context()); !errors.Is(err, test.failure) {
				t.Fatalf("error is %v, want %v", err, test.failure)
			}
			if err := c.Append(numbered(7, 1, noon)); err == nil {
				t.Error("a chain that failed took records")
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			if left := files(t, filepath.Join(dir, stagingDir)); len(left) != test.left {
				t.Errorf("left in staging: %v, want %d", left, test.left)
			}
			d.files.(*directory).link = os.Link
			c = openChain(t, d)
			appendRecords(t, c, 2)
			seal(t, c)
			expectExact(t, dir, 7)
		})
	}
}

func TestDiskFullWhileWriting(t *testing.T) {
	dir := t.TempDir()
	d := openDirectory(t, dir)
	c := openChain(t, d)
	appendRecords(t, c, 1)
	if err := c.pending.data.(*stagedFile).Close(); err != nil { // every write fails from here on
		t.Fatal(err)
	}
	lines, span := numbered(6, 100_000, noon)
	if err := c.Append(lines, span); err == nil {
		t.Fatal("appended to a file that takes no writes")
	}
	if _, err := c.Seal(t.Context()); err == nil {
		t.Fatal("sealed a file that took no writes")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = openChain(t, d)
	if c.NextOffset() != 5 {
		t.Fatalf("next offset is %d, want 5", c.NextOffset())
	}
	appendRecords(t, c, 2)
	seal(t, c)
	expectExact(t, dir, 7)
}

func TestSealAfterTheContextEndedLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	c := openChain(t, openDirectory(t, dir))
	appendRecords(t, c, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Seal(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if left := files(t, filepath.Join(dir, stagingDir)); len(left) != 0 {
		t.Errorf("left in staging: %v", left)
	}
}

func TestPublishingGoesByTheLinkAlone(t *testing.T) {
	for name, occupy := range map[string]func(staged, final string) error{
		"another file is in the place":        func(_, final string) error { return os.WriteFile(final, []byte("{}\n"), 0o644) },
		"a crash left both names of the file": os.Link,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := openDirectory(t, dir)
			c := openChain(t, d)
			appendRecords(t, c, 2)
			final := filepath.Join(dir, "segments/dt=2026-11-23/hour=12/orders-0-00000000000000000005.ndjson")
			for _, s := range c.sealing()[:2] { // up to "create link"
				if err := s.run(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(os.MkdirAll(filepath.Dir(final), 0o755), occupy(filepath.Join(dir, c.pending.link.Staged), final)); err != nil {
				t.Fatal(err)
			}
			openChain(t, d)
			expectExact(t, dir, 7)
			if left := files(t, filepath.Join(dir, stagingDir)); len(left) != 0 {
				t.Errorf("left in staging: %v", left)
			}
		})
	}
}

func TestMissingDataDoesNotKeepTheChainFromGrowing(t *testing.T) {
	dir := t.TempDir()
	d := openDirectory(t, dir)
	c := openChain(t, d)
	appendRecords(t, c, 2)
	seal(t, c)
	data := "segments/dt=2026-11-23/hour=12/orders-0-00000000000000000005.ndjson"
	if err := os.Remove(filepath.Join(dir, data)); err != nil {
		t.Fatal(err)
	}
	c = openChain(t, d)
	appendRecords(t, c, 2)
	seal(t, c)
	expectProblems(t, dir, data+": data is missing")
	if missing := testutil.ToFloat64(d.metrics.missing); missing != 1 {
		t.Errorf("%v missing, want 1", missing)
	}
}

func TestStoreThatCannotExcludeIsRefused(t *testing.T) {
	for name, link := range map[string]func(file, name string) error{
		"both contenders succeed": func(file, name string) error {
			if err := os.Link(file, name); errors.Is(err, os.ErrExist) {
				return nil
			} else {
				return err
			}
		},
		"replaces":        os.Rename,
		"no links at all": func(string, string) error { return syscall.EPERM },
		"loser gets another error": func(file, name string) error {
			if err := os.Link(file, name); err != nil {
				return syscall.EIO
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := &directory{root: t.TempDir(), link: link}
			err := d.prepare()
			if !errors.Is(err, ErrExclusiveCreateUnsupported) || !strings.Contains(err.Error(), "ExclusiveCreateUnsupported") {
				t.Errorf("error is %v", err)
			}
			if left := files(t, filepath.Join(d.root, stagingDir)); len(left) != 0 {
				t.Errorf("left in staging: %v", left)
			}
		})
	}
}
