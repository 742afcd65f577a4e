package main

import (
	"context"
	"errors"
	"os"
	"time"
)

// pollInterval is how exactly the end of a contender's work is found.
const pollInterval = 50 * time.Millisecond

// measure has a contender store its topic from the beginning, stops it and
// removes what it has written. A contender that stores less, or more, is no
// error but a result.
func (b *bench) measure(ctx context.Context, c contender) (result Result, err error) {
	subject, err := b.start(c)
	if err != nil {
		return Result{}, err
	}
	defer func() {
		if err == nil {
			err = os.RemoveAll(subject.Dir) // else its log stays
		}
	}()
	result, err = b.watch(ctx, subject)
	if err := errors.Join(err, subject.Stop(time.Minute), ctx.Err()); err != nil {
		return Result{}, err
	}
	// Counted anew, for stopping may have stored more.
	if result.StoredRecords, err = newOutput(c.output(subject.setting), c.record).count(); err != nil {
		return Result{}, err
	}
	if c.kind == ours {
		result.VerifiedRecords, err = subject.verify(ctx, b.binaries)
	}
	return result, err
}

// watch waits until everything is stored, or nothing more is for a while.
func (b *bench) watch(ctx context.Context, subject *running) (Result, error) {
	stored := newOutput(subject.output(subject.setting), subject.record)
	r := newResult(subject.contender, b.records)
	for before, last := int64(0), time.Now(); ; time.Sleep(pollInterval) {
		if subject.Exited() || ctx.Err() != nil {
			return r, ctx.Err() // stopping it says how it ended
		}
		now, err := stored.count()
		if err != nil {
			return r, err
		}
		at := time.Now()
		cpu, err := subject.CPU() // after the count: it must hold what the records have cost
		if err != nil {
			return r, err
		}
		if now > before {
			before, last = now, at
			r.took(cpu, at.Sub(subject.began))
		}
		if now >= int64(b.records) || time.Since(last) > b.patience {
			memory, err := subject.Memory()
			r.ResidentPeakMiB = memory.Peak >> 20
			return r, err
		}
	}
}
