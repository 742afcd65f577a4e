package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/logpipeline/logpipeline/bench/process"
)

// watch samples the resident memory of a process.
type watch struct {
	phase, ever atomic.Int64 // highest, bytes
}

func (w *watch) run(ctx context.Context, p *process.Process) {
	for ; ctx.Err() == nil && !p.Exited(); time.Sleep(20 * time.Millisecond) {
		memory, err := p.Memory()
		if err != nil {
			return // it has ended: stopping it will say so
		}
		w.phase.Store(max(w.phase.Load(), memory.Resident))
		w.ever.Store(max(w.ever.Load(), memory.Peak))
	}
}

// restart forgets the highest of the phase before.
func (w *watch) restart() { w.phase.Store(0) }

// highest is that of the phase, in bytes.
func (w *watch) highest() int64 { return w.phase.Load() }

func (w *watch) check(bound int64) error {
	if ever := w.ever.Load(); ever > bound || ever == 0 {
		return fmt.Errorf("resident memory was %d MiB, the bound is %d MiB", ever>>20, bound>>20)
	}
	return nil
}
