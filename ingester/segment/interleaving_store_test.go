package segment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math/rand/v2"
)

var (
	errCrashed = errors.New("the process has crashed")
	errFault   = errors.New("fault")
)

// world lets actors take turns, one request to the store each, in a random
// order that its seed repeats. What runs between two requests, runs alone.
type world struct {
	random *rand.Rand
	actors []*actor
	late   []func() // requests that have failed, and will be done all the same
	counts map[string]int
}

// actor runs one function in a goroutine of its own.
type actor struct {
	turn, parked chan struct{}
	asleep       int // turns of others before it goes on
	done         bool
}

func newWorld(seed uint64) *world {
	return &world{random: rand.New(rand.NewPCG(seed, 1)), counts: map[string]int{}}
}

func (w *world) start(run func(*actor)) {
	a := &actor{turn: make(chan struct{}), parked: make(chan struct{})}
	w.actors = append(w.actors, a)
	go func() {
		<-a.turn
		run(a)
		a.done = true
		a.parked <- struct{}{}
	}()
}

// yield ends the actor's turn.
func (a *actor) yield() {
	a.parked <- struct{}{}
	<-a.turn
}

// run gives turns until all actors are done.
func (w *world) run() {
	for {
		var ready, sleeping []*actor
		for _, a := range w.actors {
			switch {
			case a.done:
			case a.asleep > 0:
				a.asleep--
				sleeping = append(sleeping, a)
			default:
				ready = append(ready, a)
			}
		}
		if len(ready)+len(sleeping) == 0 {
			return
		}
		if w.one(40) {
			w.catchUp()
		}
		if len(ready) == 0 {
			continue
		}
		a := ready[w.random.IntN(len(ready))]
		if w.one(200) {
			a.asleep = w.random.IntN(600)
			continue
		}
		a.turn <- struct{}{}
		<-a.parked
	}
}

func (w *world) one(in int) bool { return w.random.IntN(in) == 0 }

// catchUp does what is late, in any order.
func (w *world) catchUp() {
	late := w.late
	w.late = nil
	w.random.Shuffle(len(late), func(i, j int) { late[i], late[j] = late[j], late[i] })
	for _, do := range late {
		do()
	}
}

// process is a store as one process uses it: each request is a turn, and may
// be the one at which the process crashes or the store fails.
type process struct {
	store
	world   *world
	actor   *actor
	odds    int // one request in so many is hit; 0 is none
	crashed bool
}

// request does what is asked, or not, and tells the truth about it, or not.
// late is what may happen to a request that was given up; nil if nothing.
func (p *process) request(name string, do func() error, late func()) error {
	if p.crashed {
		return errCrashed
	}
	p.actor.yield()
	odds := p.odds
	if name == "open" || name == "list" {
		odds *= 8 // there are many more of them
	}
	if odds == 0 || !p.world.one(odds) {
		return do()
	}
	faults := []string{"crash before", "crash after", "fault before", "fault after"}
	if late != nil {
		faults = append(faults, "late", "crash, and late")
	}
	fault := faults[p.world.random.IntN(len(faults))]
	p.world.counts[fault+" "+name]++
	switch fault {
	case "crash after", "fault after":
		_ = do() // nobody is told
	case "late", "crash, and late":
		p.world.late = append(p.world.late, late)
	}
	if p.crashed = fault[0] == 'c'; p.crashed {
		return errCrashed
	}
	return fmt.Errorf("%s %s: %w", fault, name, errFault)
}

func (p *process) open(ctx context.Context, name string) (r io.ReadCloser, err error) {
	err = p.request("open", func() (err error) {
		r, err = p.store.open(ctx, name)
		return err
	}, nil)
	if err != nil && r != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, err
}

func (p *process) list(ctx context.Context, folder, prefix string) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		if err := p.request("list", func() error { return nil }, nil); err != nil {
			yield(entry{}, err)
			return
		}
		for e, err := range p.store.list(ctx, folder, prefix) {
			p.actor.yield()
			if !yield(e, err) {
				return
			}
		}
	}
}

func (p *process) create(ctx context.Context, staged, name string, content []byte) error {
	var exists error
	err := p.request("create", func() error {
		err := p.store.create(ctx, staged, name, content)
		if errors.Is(err, fs.ErrExist) {
			exists = err
		}
		return err
	}, func() { _ = p.store.create(ctx, staged+".late", name, content) })
	if errors.Is(err, errFault) && p.world.one(2) {
		// As after a retransmission: the name was taken, or is now by us.
		if _, there := readFile(ctx, p.store, name); there == nil {
			return fmt.Errorf("%w: %w", fs.ErrExist, err)
		}
	}
	return errors.Join(err, exists)
}

func (p *process) replace(ctx context.Context, staged, name string, content []byte) error {
	replace := func() error { return p.store.replace(ctx, staged, name, content) }
	return p.request("replace", replace, func() { _ = replace() })
}

func (p *process) remove(ctx context.Context, name string) error {
	remove := func() error { return p.store.remove(ctx, name) }
	return p.request("remove", remove, func() { _ = remove() })
}

// publish in a bucket takes two requests.
func (p *process) publish(ctx context.Context, chain string, link Link) error {
	if b, ok := p.store.(*bucket); ok && link.Records > 0 && p.world.one(3) {
		copied := func() error { return b.objects.Copy(ctx, link.DataPath, link.Staged, nil) }
		if err := p.request("copy", copied, nil); errors.Is(err, errFault) || errors.Is(err, errCrashed) {
			return err
		}
	}
	return p.request("publish", func() error { return p.store.publish(ctx, chain, link) }, nil)
}

func (p *process) stage(name string) (data stagedData, err error) {
	err = p.request("stage", func() (err error) {
		data, err = p.store.stage(name)
		return err
	}, nil)
	if err != nil && data != nil {
		return nil, errors.Join(err, data.drop())
	}
	if err != nil {
		return nil, err
	}
	return &processData{data, p}, nil
}

type processData struct {
	stagedData
	process *process
}

func (d *processData) finish(ctx context.Context) error {
	return d.process.request("finish", func() error { return d.stagedData.finish(ctx) }, nil)
}
