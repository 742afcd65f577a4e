package queue

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// drainTest is a queue of 1600 bytes in which one account holds 800, put, and
// others what a test adds.
type drainTest struct {
	*Queue
	account record.Account
}

func newDrainTest(t *testing.T) drainTest {
	q := New(1600, prometheus.NewRegistry())
	d := drainTest{q, q.NewAccount()}
	for range 80 {
		d.putTen(t)
	}
	takeAll(t, q)
	return d
}

func (d drainTest) putTen(t *testing.T) {
	t.Helper()
	if err := d.account.Reserve(10); err != nil {
		t.Fatal(err)
	}
	putReserved(d.Queue, d.account)
}

// turnOver releases and puts again 10 bytes, so many times a second.
func (d drainTest) turnOver(t *testing.T, times int, seconds int) {
	for range times * seconds {
		time.Sleep(time.Second / time.Duration(times))
		d.account.Release(10)
		d.putTen(t)
		takeAll(t, d.Queue)
	}
}

func TestRetryAfterFollowsTheDrainRate(t *testing.T) {
	tests := []struct {
		name   string
		happen func(t *testing.T, d drainTest)
		bytes  int64
		least  time.Duration
		most   time.Duration
	}{
		{
			name: "there is room", bytes: 700,
			happen: func(t *testing.T, d drainTest) {},
			least:  time.Second, most: time.Second,
		},
		{
			name: "it has just begun", bytes: 900,
			happen: func(t *testing.T, d drainTest) { time.Sleep(400 * time.Millisecond) },
			least:  time.Second, most: time.Second,
		},
		{
			name: "nothing has ever been released", bytes: 900,
			happen: func(t *testing.T, d drainTest) { time.Sleep(time.Second) },
			least:  time.Minute, most: time.Minute,
		},
		{
			name: "at 50 bytes a second, 400 are missing", bytes: 1200,
			happen: func(t *testing.T, d drainTest) { d.turnOver(t, 5, 30) },
			least:  7900 * time.Millisecond, most: 8100 * time.Millisecond,
		},
		{
			name: "after a first second at that rate", bytes: 1200,
			happen: func(t *testing.T, d drainTest) { d.turnOver(t, 5, 1) },
			least:  7500 * time.Millisecond, most: 8100 * time.Millisecond,
		},
		{
			name: "at 1000 bytes a second", bytes: 1200,
			happen: func(t *testing.T, d drainTest) { d.turnOver(t, 100, 30) },
			least:  time.Second, most: time.Second,
		},
		{
			name: "at 10 bytes a second, after many at 1000", bytes: 1200,
			happen: func(t *testing.T, d drainTest) { d.turnOver(t, 100, 30); d.turnOver(t, 1, 60) },
			least:  30 * time.Second, most: 41 * time.Second,
		},
		{
			name: "at 5 bytes a second", bytes: 1200,
			happen: func(t *testing.T, d drainTest) {
				for range 20 {
					time.Sleep(time.Second)
					d.turnOver(t, 1, 1)
				}
			},
			least: time.Minute, most: time.Minute,
		},
		{
			name: "nothing for a minute, after many at 50 a second", bytes: 1200,
			happen: func(t *testing.T, d drainTest) { d.turnOver(t, 5, 30); time.Sleep(time.Minute) },
			least:  time.Minute, most: time.Minute,
		},
		{
			name: "a quiet hour does not count", bytes: 1200,
			happen: func(t *testing.T, d drainTest) {
				d.turnOver(t, 5, 30)
				d.account.Release(800)
				time.Sleep(time.Hour)
				for range 80 {
					d.putTen(t)
				}
			},
			least: time.Second, most: 8 * time.Second, // the 800 at once count for their rate
		},
		{
			name: "a sixteenth of the queue should be free", bytes: 1,
			happen: func(t *testing.T, d drainTest) {
				d.turnOver(t, 5, 30)
				if err := d.NewAccount().Reserve(799); err != nil {
					t.Error(err)
				}
			},
			least: 1900 * time.Millisecond, most: 2100 * time.Millisecond, // 99 bytes of 100
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDrainTest(t)
				tt.happen(t, d)
				if got := d.RetryAfter(tt.bytes); got < tt.least || got > tt.most {
					t.Errorf("retry after %v, want %v to %v", got, tt.least, tt.most)
				}
			})
		})
	}
}
