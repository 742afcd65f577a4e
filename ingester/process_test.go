package ingester

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
	"go.uber.org/goleak"
)

// serveFile makes the test binary an ingester with that configuration, which
// can be killed as a process is.
const serveFile = "LOGPIPELINE_TEST_SERVE"

func TestMain(m *testing.M) {
	if file := os.Getenv(serveFile); file != "" {
		if err := serveUntilTold(file); err != nil {
			fmt.Fprintln(os.Stderr, "failed:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func serveUntilTold(file string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg, err := config.ReadFile(file, config.Default())
	if err != nil {
		return err
	}
	return Run(ctx, config.RoleServe, cfg, "test", slog.New(slog.NewTextHandler(os.Stderr, nil)))
}

// process is an ingester in a process of its own.
type subprocess struct {
	cfg  config.Config
	cmd  *exec.Cmd
	log  *bytes.Buffer // to be read once it has ended
	done chan struct{}
	err  error
}

// launch starts a process, which is killed at the latest when the test ends.
func launch(t *testing.T, cfg config.Config) *subprocess {
	t.Helper()
	document, err := cfg.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, document, 0o600); err != nil {
		t.Fatal(err)
	}
	p := &subprocess{cfg: cfg, cmd: exec.Command(os.Args[0]), log: &bytes.Buffer{}, done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), serveFile+"="+file)
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		p.kill()
		if log := p.log.String(); t.Failed() || strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic") {
			t.Errorf("the process said:\n%s", log)
		}
	})
	eventually(t, "ready", func() bool { return p.isReady() || p.ended() })
	if p.ended() {
		t.Fatal("the process ended at once")
	}
	return p
}

func (p *subprocess) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *subprocess) isReady() bool {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	response, err := client.Get("http://" + p.cfg.AdminListen + "/readyz")
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// kill is kill -9.
func (p *subprocess) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop is SIGTERM. It returns how the process ended, which it has to within
// the bound.
func (p *subprocess) stop(t *testing.T, within time.Duration) error {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(within):
		t.Fatalf("did not stop within %v", within)
	}
	return p.err
}

// attempt is a request and what its client knows of it.
type attempt struct {
	lines   []string
	status  int // 0: no answer
	receipt struct {
		Batch      string
		Type       string
		Placements []record.Placement
	}
	refused bool // the connection was: nobody has seen the request
}

// load is clients that send as fast as they can, each record under an id of
// its own.
type load struct {
	name    string
	client  *http.Client
	url     string
	prepare func(*http.Request) // may be nil

	mu       sync.Mutex
	attempts []*attempt
	taken    atomic.Int64 // records that were acknowledged
	enough   atomic.Bool
	senders  sync.WaitGroup
}

func startLoad(t *testing.T, name, url string, senders int) *load {
	t.Helper()
	l := &load{name: name, url: url, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: senders}}}
	l.start(t, senders)
	return l
}

func (l *load) start(t *testing.T, senders int) {
	t.Cleanup(l.stop)
	for sender := range senders {
		l.senders.Go(func() {
			for n := 0; !l.enough.Load(); n++ {
				if a := l.send(sender, n); a.status >= 400 || a.status == 0 {
					time.Sleep(10 * time.Millisecond) // not to spin; nothing waits for it
				}
			}
		})
	}
}

// stop returns when every request is answered.
func (l *load) stop() {
	l.enough.Store(true)
	l.senders.Wait()
	l.client.CloseIdleConnections()
}

func (l *load) send(sender, n int) *attempt {
	a := &attempt{}
	for i := range 1 + n%40 {
		a.lines = append(a.lines, fmt.Sprintf(`{"id":"%s-%d-%d-%d","key":"k%d"}`, l.name, sender, n, i, (n+i)%30))
	}
	l.mu.Lock()
	l.attempts = append(l.attempts, a)
	l.mu.Unlock()
	request, err := http.NewRequest(http.MethodPost, l.url, strings.NewReader(strings.Join(a.lines, "\n")))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Content-Type", "application/x-ndjson")
	if l.prepare != nil {
		l.prepare(request)
	}
	response, err := l.client.Do(request)
	if err != nil {
		a.refused = strings.Contains(err.Error(), "connection refused")
		return a
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || json.Unmarshal(body, &a.receipt) != nil {
		return a
	}
	a.status = response.StatusCode
	if a.status < 300 {
		l.taken.Add(int64(len(a.lines)))
	}
	return a
}

// awaitMore waits until so many more records were acknowledged.
func (l *load) awaitMore(t *testing.T, records int64) {
	t.Helper()
	want := l.taken.Load() + records
	eventually(t, fmt.Sprintf("%d more records acknowledged", records), func() bool { return l.taken.Load() >= want })
}

// statuses counts the answers.
func (l *load) statuses() map[int]int {
	counts := map[int]int{}
	for _, a := range l.attempts {
		counts[a.status]++
	}
	return counts
}
