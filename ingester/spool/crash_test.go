package spool

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/queue"
	"github.com/logpipeline/logpipeline/ingester/record"
)

const (
	// childDir names the directory of the process that is going to be killed,
	// and childRound the round of the test.
	childDir   = "SPOOL_TEST_CHILD_DIR"
	childRound = "SPOOL_TEST_CHILD_ROUND"

	childWriters = 8
	crashRounds  = 6
)

// crashOptions make many segments and let most batches wait on the disk.
func crashOptions(dir string) Options {
	return Options{Dir: dir, MaxBytes: 256 << 20, segmentBytes: 64 << 10}
}

// runChild appends and delivers as fast as it can, and says on stdout what it
// has been promised, a line each:
//
//	appended ID         Append returned nil
//	assigned SEQ ID…    Assign returned nil; so all that was settled before is durable
//	settling SEQ ID…    Settle is going to be called
func runChild(dir string) {
	reg := prometheus.NewRegistry()
	q := queue.New(256<<10, reg)
	s, err := Open(crashOptions(dir), q, slog.New(slog.NewTextHandler(os.Stderr, nil)), reg)
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
	ctx := context.Background()
	go func() { _ = s.Run(ctx) }()
	for w := range childWriters {
		go childWriter(s, q, w)
	}
	childProducer(ctx, s, q)
}

func say(format string, args ...any) {
	_, _ = os.Stdout.WriteString(fmt.Sprintf(format, args...) + "\n")
}

// crashBatch is a batch whose records follow from its id.
func crashBatch(id string) *record.Batch {
	b := record.NewBatch(id)
	var body strings.Builder
	for i := range 1 + len(id)*7%13 {
		fmt.Fprintf(&body, `{"id":%q,"record":%d}`+"\n", id, i)
	}
	if err := record.ParseNDJSON(b, []byte(body.String()), record.Limits{MaxRecordBytes: 1 << 10, MaxDepth: 1}); err != nil {
		panic(err)
	}
	b.Received = received(len(id))
	return b
}

func childWriter(s *Spool, q *queue.Queue, writer int) {
	account := q.NewAccount()
	for n := 0; ; n++ {
		b := crashBatch(fmt.Sprintf("%s.%d.%d", os.Getenv(childRound), writer, n))
		b.Account, b.Reserved = account, b.Memory()
		for account.Reserve(b.Reserved) != nil {
			time.Sleep(time.Millisecond)
		}
		b.Leave()
		id := b.ID
		if err := s.Append(context.Background(), b); err != nil {
			say("failed %v", err)
			return
		}
		say("appended %s", id)
	}
}

// childProducer delivers what comes from the queue, several batches at a time,
// and leaves a record batch in doubt now and then.
func childProducer(ctx context.Context, s *Spool, q *queue.Queue) {
	for _, r := range s.Reopened() {
		line := fmt.Sprint("settling ", r.Assignment.Sequence)
		for _, b := range r.Batches {
			line += " " + b.ID
		}
		say("%s", line)
		s.Settle(r.Assignment)
		for _, b := range r.Batches {
			b.Complete(record.Outcome{})
			b.Free()
		}
	}
	sequence := rand.Int32()
	for {
		batches, err := q.Take(ctx, nil, 1+rand.IntN(200), 1<<20, 0, nil)
		if err != nil {
			say("failed %v", err)
			return
		}
		sequence++
		a := record.Assignment{Partition: sequence, Sequence: sequence, Time: time.Now()}
		line := fmt.Sprint(" ", sequence)
		for _, b := range batches {
			a.Sections = append(a.Sections, record.AssignedSection{Position: b.Position, From: b.FirstRecord, To: b.FirstRecord + b.Len()})
			line += " " + b.ID
		}
		if err := s.Assign(ctx, a); err != nil {
			say("failed %v", err)
			return
		}
		say("assigned%s", line)
		if rand.IntN(8) > 0 {
			say("settling%s", line)
			s.Settle(a)
		}
		for _, b := range batches {
			b.Complete(record.Outcome{})
			b.Free()
		}
	}
}

// promises is what the children were promised.
type promises struct {
	appended map[string]bool
	assigned map[string][]string // sequence -> ids; open for certain
	settling map[string][]string // settled, but perhaps not durably
	settled  map[string]bool     // ids, durably
}

func (p *promises) hear(t *testing.T, line string) {
	words := strings.Fields(line)
	switch {
	case len(words) == 2 && words[0] == "appended":
		p.appended[words[1]] = true
	case len(words) > 2 && words[0] == "assigned":
		p.assigned[words[1]] = words[2:]
		for sequence, ids := range p.settling {
			for _, id := range ids {
				p.settled[id] = true
			}
			delete(p.settling, sequence)
		}
	case len(words) > 2 && words[0] == "settling":
		p.settling[words[1]] = words[2:]
		delete(p.assigned, words[1])
	default:
		t.Errorf("the child says %q", line)
	}
}

func TestKilledUnderLoad(t *testing.T) {
	dir := t.TempDir()
	p := &promises{map[string]bool{}, map[string][]string{}, map[string][]string{}, map[string]bool{}}
	for round := range crashRounds {
		killChild(t, p, dir, round)
		sound(t, dir)
		p.check(t, dir)
	}
	t.Logf("%d batches appended, %d settled durably, %d record batches in doubt", len(p.appended), len(p.settled), len(p.assigned))
	if len(p.settled) == 0 || len(p.appended) < 100 {
		t.Error("the load was none")
	}
}

// killChild lets a process append and deliver for a while, and kills it.
func killChild(t *testing.T, p *promises, dir string, round int) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), childDir+"="+dir, fmt.Sprint(childRound, "=", round))
	child.Stderr = os.Stderr
	if testing.Verbose() {
		child.Stderr = io.Discard
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	var once sync.Once
	for n, last := 0, 100+rand.IntN(900); lines.Scan(); n++ {
		p.hear(t, lines.Text())
		if n >= last { // what is in the pipe is heard still
			once.Do(func() { _ = child.Process.Kill() })
		}
	}
	once.Do(func() { _ = child.Process.Kill() })
	_ = child.Wait() // killed
}

// check opens the spool and compares what comes from it with the promises.
func (p *promises) check(t *testing.T, dir string) {
	t.Helper()
	s := startWith(t, crashOptions(dir), 64<<20)
	defer s.stop()
	back := map[string]bool{}
	reopened := map[string]string{}
	come := func(b *record.Batch) {
		if back[b.ID] {
			t.Errorf("batch %s came twice", b.ID)
		}
		back[b.ID] = true
		if want := crashBatch(b.ID); !slices.Equal(see(want).Records, see(b).Records) || !want.Received.Equal(b.Received) {
			t.Errorf("batch %s is not what it was: %v", b.ID, see(b))
		}
	}
	for _, r := range s.reopened {
		var ids []string
		for _, b := range r.Batches {
			come(b)
			ids = append(ids, b.ID)
		}
		reopened[fmt.Sprint(r.Assignment.Sequence)] = strings.Join(ids, " ")
	}
	for sequence, ids := range p.assigned {
		if reopened[sequence] != strings.Join(ids, " ") {
			t.Errorf("record batch %s was %v, and is %q", sequence, ids, reopened[sequence])
		}
	}
	if err := s.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	rest, err := s.queue.TakeOlder(time.Now().Add(24*365*time.Hour), nil)
	if err != nil {
		t.Fatal(err)
	}
	last := map[string]int{}
	for _, b := range rest {
		come(b)
		var round, writer, n int
		if _, err := fmt.Sscanf(b.ID, "%d.%d.%d", &round, &writer, &n); err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprint(round, ".", writer)
		if before, known := last[key]; known && before > n {
			t.Errorf("batch %s came behind %d", b.ID, before)
		}
		last[key] = n
	}
	maybe := map[string]bool{}
	for _, ids := range p.settling {
		for _, id := range ids {
			maybe[id] = true
		}
	}
	for id := range p.appended {
		switch {
		case p.settled[id] && back[id]:
			t.Errorf("batch %s was settled, and came back", id)
		case !p.settled[id] && !maybe[id] && !back[id]:
			t.Errorf("batch %s was acknowledged, and is lost", id)
		}
	}
}
