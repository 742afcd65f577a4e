package mounted

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/logpipeline/logpipeline/test/await"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// join makes one text of all files, and refuses one that is "bad".
func join(files []File) (string, error) {
	var text strings.Builder
	for _, f := range files {
		if string(f.Content) == "bad" {
			return "", fmt.Errorf("parse %s: it is bad", f.Path)
		}
		fmt.Fprintf(&text, "%s=%s ", filepath.Base(f.Path), f.Content)
	}
	return text.String(), nil
}

// watched is a value that is kept up to date until the test ends.
type watched struct {
	*Watcher
	value    *Value[string]
	registry *prometheus.Registry
	log      *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// watchedAt opens paths and runs the watcher; before it runs, change may
// change it.
func watchedAt(t *testing.T, change func(*Watcher), paths ...string) *watched {
	t.Helper()
	in := &watched{registry: prometheus.NewPedanticRegistry(), log: &syncBuffer{}}
	in.Watcher = New(slog.New(slog.NewTextHandler(in.log, nil)), in.registry)
	var err error
	if in.value, err = Open(in.Watcher, "test", join, paths...); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(in.Watcher)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { in.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	return in
}

func (in *watched) waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("gave up waiting for %s; the value is %q, the log\n%s", what, in.value.Get(), in.log)
		}
	}
}

func (in *watched) waitForValue(t *testing.T, want string) {
	t.Helper()
	in.waitFor(t, fmt.Sprintf("the value %q", want), func() bool { return in.value.Get() == want })
}

func (in *watched) failures() float64 {
	return testutil.ToFloat64(in.metrics.failures.WithLabelValues("test"))
}

func TestOpenNamesWhatItCannotUse(t *testing.T) {
	mount := newVolume(t, map[string]string{"a": "bad"})
	w := New(slog.New(slog.DiscardHandler), prometheus.NewPedanticRegistry())
	for path, want := range map[string]string{
		mount.path("a"): "parse " + mount.path("a") + ": it is bad",
		mount.path("b"): "read " + mount.path("b") + ": no such file or directory",
	} {
		if _, err := Open(w, "tokens", join, path); err == nil || err.Error() != want {
			t.Errorf("Open(%q) = %v, want %q", path, err, want)
		}
	}
}

func TestVolumeIsReloaded(t *testing.T) {
	mount := newVolume(t, map[string]string{"a": "1", "b": "1"})
	in := watchedAt(t, nil, mount.dir)
	in.waitForValue(t, "a=1 b=1 ")
	mount.update(map[string]string{"a": "2", "b": "2"})
	in.waitForValue(t, "a=2 b=2 ")
	mount.update(map[string]string{"b": "3", "c": "3"})
	in.waitForValue(t, "b=3 c=3 ")
}

func TestFilesOfTwoDirectoriesAreReloaded(t *testing.T) {
	first, second := newVolume(t, map[string]string{"a": "1", "other": "x"}), newVolume(t, map[string]string{"b": "1"})
	in := watchedAt(t, nil, first.path("a"), second.path("b"))
	second.update(map[string]string{"b": "2"})
	in.waitForValue(t, "a=1 b=2 ")
	first.update(map[string]string{"a": "2"})
	in.waitForValue(t, "a=2 b=2 ")
}

func TestPlainFileIsReloaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("1")
	in := watchedAt(t, nil, path)
	write("2")
	in.waitForValue(t, "a=2 ")
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	write("3")
	in.waitForValue(t, "a=3 ")
}

func TestBadFilesLeaveTheLastGoodOnesInUse(t *testing.T) {
	mount := newVolume(t, map[string]string{"a": "1"})
	in := watchedAt(t, nil, mount.path("a"))
	mount.update(map[string]string{"a": "bad"})
	in.waitFor(t, "a failure", func() bool { return in.failures() > 0 })
	if got := in.value.Get(); got != "a=1 " {
		t.Errorf("the value is %q, want the last good one", got)
	}
	want := "parse " + mount.path("a") + ": it is bad"
	in.waitFor(t, fmt.Sprintf("%q in the log", want), func() bool { return strings.Contains(in.log.String(), want) })
	count := in.failures()
	mount.update(map[string]string{})
	in.waitFor(t, "a failure to read", func() bool { return in.failures() > count })
	mount.update(map[string]string{"a": "2"})
	in.waitForValue(t, "a=2 ")
}

// joinGood leaves out bad files, and no others.
func joinGood(files []File) (string, error) {
	var text strings.Builder
	var errs []error
	for _, f := range files {
		switch {
		case f.Err != nil:
			errs = append(errs, f.Err)
		case string(f.Content) == "bad":
			errs = append(errs, fmt.Errorf("parse %s: it is bad", f.Path))
		default:
			fmt.Fprintf(&text, "%s=%s ", filepath.Base(f.Path), f.Content)
		}
	}
	if len(errs) > 0 {
		return text.String(), &Partial{errs}
	}
	return text.String(), nil
}

func TestPartialValueIsUsedAndToldOf(t *testing.T) {
	mount := newVolume(t, map[string]string{"a": "1", "b": "bad"})
	var log bytes.Buffer
	w := New(slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewPedanticRegistry())
	value, err := Open(w, "test", joinGood, mount.dir)
	if !isPartial(err) || value.Get() != "a=1 " {
		t.Fatalf("Open = %q, %v", value.Get(), err)
	}
	message := func(name string) string { return "parse " + mount.path(name) + ": it is bad" }
	if strings.Count(log.String(), message("b")) != 1 {
		t.Errorf("the log is\n%s", &log)
	}
	failures := func() float64 { return testutil.ToFloat64(w.metrics.failures.WithLabelValues("test")) }
	mount.update(map[string]string{"c": "bad", "d": "2"})
	w.reload(t.Context())
	w.reload(t.Context())
	if value.Get() != "d=2 " || failures() != 2 || strings.Count(log.String(), message("c")) != 1 {
		t.Errorf("the value is %q after %v failures, the log\n%s", value.Get(), failures(), &log)
	}
	mount.update(map[string]string{"c": "3"})
	w.reload(t.Context())
	if value.Get() != "c=3 " || failures() != 2 {
		t.Errorf("the value is %q after %v failures", value.Get(), failures())
	}
}

// A directory that is a link into the volume, as that of a key with a slash,
// gives no notice when the volume changes.
func TestWhatGivesNoNoticeIsReadAgain(t *testing.T) {
	mount := newVolume(t, map[string]string{"a": "1"})
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(mount.path("..data"), link); err != nil {
		t.Fatal(err)
	}
	in := watchedAt(t, func(w *Watcher) { w.reread, w.settle = 10*time.Millisecond, time.Hour }, filepath.Join(link, "a"))
	mount.update(map[string]string{"a": "2"})
	in.waitForValue(t, "a=2 ")
}

func TestDirectoryThatIsReplacedIsWatchedAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	replace := func(text string) {
		t.Helper()
		err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, "a"), []byte(text), 0o600))
		if err != nil {
			t.Fatal(err)
		}
	}
	replace("1")
	in := watchedAt(t, func(w *Watcher) { w.reread = 10 * time.Millisecond }, dir)
	replace("2")
	in.waitForValue(t, "a=2 ")
	replace("3")
	in.waitForValue(t, "a=3 ")
}

func TestUnchangedFilesAreNotParsedAgain(t *testing.T) {
	mount := newVolume(t, map[string]string{"a": "1"})
	w := New(slog.New(slog.DiscardHandler), prometheus.NewPedanticRegistry())
	parsed := 0
	_, err := Open(w, "test", func([]File) (int, error) { parsed++; return parsed, nil }, mount.path("a"))
	if err != nil {
		t.Fatal(err)
	}
	mount.update(map[string]string{"a": "1"})
	w.reload(t.Context())
	if parsed != 1 {
		t.Errorf("parsed %d times", parsed)
	}
	w.reload(t.Context())
	mount.update(map[string]string{"a": "2"})
	w.reload(t.Context())
	if parsed != 2 {
		t.Errorf("parsed %d times after a change", parsed)
	}
}

func TestMetrics(t *testing.T) {
	mount := newVolume(t, map[string]string{"a": "1"})
	in := watchedAt(t, nil, mount.path("a"))
	mount.update(map[string]string{"a": "2"})
	in.waitForValue(t, "a=2 ")
	in.waitFor(t, "the count of the reload", func() bool { return testutil.ToFloat64(in.metrics.reloads.WithLabelValues("test")) == 1 })
	if last := testutil.ToFloat64(in.metrics.lastSuccess.WithLabelValues("test")); time.Since(time.Unix(int64(last), 0)) > time.Minute {
		t.Errorf("the last success was at %v", last)
	}
	problems, err := testutil.GatherAndLint(in.registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
	if n, err := testutil.GatherAndCount(in.registry); err != nil || n != 3 {
		t.Errorf("%d series, %v, want 3", n, err)
	}
}

// tried is a value whose changes stand a try, whose outcome the test decides.
func tried(t *testing.T, w *Watcher, mount *volume) (value *Value[string], outcome *atomic.Pointer[error], tries *atomic.Int32) {
	t.Helper()
	outcome, tries = &atomic.Pointer[error]{}, &atomic.Int32{}
	outcome.Store(new(error))
	value, err := OpenTried(w, "test", func(context.Context, []File) error {
		tries.Add(1)
		return *outcome.Load()
	}, join, mount.path("a"))
	if err != nil || tries.Load() != 0 {
		t.Fatalf("opened with %v after %d tries", err, tries.Load())
	}
	return value, outcome, tries
}

func TestChangesThatMustStandATry(t *testing.T) {
	mount := newVolume(t, map[string]string{"a": "1"})
	var log bytes.Buffer
	w := New(slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewPedanticRegistry())
	value, outcome, tries := tried(t, w, mount)
	reload := func(err error) (all bool) {
		outcome.Store(&err)
		log.Reset()
		return w.reload(t.Context())
	}
	undecided, refused := fmt.Errorf("nobody there: %w", ErrUndecided), errors.New("wrong password")
	mount.update(map[string]string{"a": "2"})
	for _, step := range []struct {
		outcome error
		logged  string // "" for nothing
	}{
		{undecided, "level=WARN msg=\"changed files could not be tried yet"},
		{undecided, ""},
		{refused, "level=ERROR msg=\"changed files can't be used"},
		{refused, ""},
		{undecided, "level=WARN msg=\"changed files could not be tried yet"},
	} {
		if reload(step.outcome) || value.Get() != "a=1 " {
			t.Errorf("after %v the value is %q", step.outcome, value.Get())
		}
		if !strings.Contains(log.String(), step.logged) || step.logged == "" && log.Len() > 0 {
			t.Errorf("after %v the log is %q, want %q", step.outcome, &log, step.logged)
		}
	}
	if !reload(nil) || value.Get() != "a=2 " || !strings.Contains(log.String(), "changed files are in use") {
		t.Errorf("the value is %q, the log %q", value.Get(), &log)
	}
	if failures := testutil.ToFloat64(w.metrics.failures.WithLabelValues("test")); failures != 5 || tries.Load() != 6 {
		t.Errorf("%v failures in %d tries", failures, tries.Load())
	}
	mount.update(map[string]string{"a": "3"})
	reload(undecided)
	mount.update(map[string]string{"a": "2"})
	if !reload(refused) || tries.Load() != 7 {
		t.Error("what is in use already was tried again")
	}
}

func TestWhatCannotBeUsedIsTriedAgainSoon(t *testing.T) {
	mount := newVolume(t, map[string]string{"a": "1"})
	w := New(slog.New(slog.DiscardHandler), prometheus.NewPedanticRegistry())
	w.reread, w.retry = time.Hour, time.Millisecond
	value, outcome, tries := tried(t, w, mount)
	outcome.Store(&ErrUndecided)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	defer func() { stop(); running.Wait() }()
	mount.update(map[string]string{"a": "2"})
	await.NoError(t, func() error {
		if n := tries.Load(); n < 10 {
			return fmt.Errorf("tried %d times", n)
		}
		return nil
	})
	outcome.Store(new(error))
	await.NoError(t, func() error {
		if got := value.Get(); got != "a=2 " {
			return fmt.Errorf("the value is %q", got)
		}
		return nil
	})
}

// Nobody waits for a try when the process ends, and what it came to is no news.
func TestEndOfRunEndsATry(t *testing.T) {
	mount := newVolume(t, map[string]string{"a": "1"})
	var log syncBuffer
	w := New(slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewPedanticRegistry())
	trying := make(chan struct{})
	_, err := OpenTried(w, "test", func(ctx context.Context, _ []File) error {
		close(trying)
		<-ctx.Done()
		return ctx.Err()
	}, join, mount.path("a"))
	if err != nil {
		t.Fatal(err)
	}
	mount.update(map[string]string{"a": "2"})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	<-trying
	stop()
	running.Wait()
	if log.String() != "" {
		t.Errorf("the log is %q", log.String())
	}
}
