package httpapi

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/logpipeline/logpipeline/ingester/config"
)

const (
	// paceGrace is how long a body may take before its rate counts.
	paceGrace = 5 * time.Second
	// paceStep is by how much a deadline has to move before it is set anew,
	// so that a body of many small pieces doesn't cost a timer for each.
	paceStep = 250 * time.Millisecond
)

// paced is a body that has to keep coming: after the grace time every byte has
// to be there when the minimum rate says so, and the whole of it in any case
// after its time-out. The connection's deadline is pushed on as bytes arrive.
// net/http lifts it where the body ends.
type paced struct {
	body     io.Reader
	control  *http.ResponseController
	chunked  bool
	rate     int64 // bytes per second; 0 for any
	timeout  time.Duration
	began    time.Time
	read     int64
	deadline time.Duration // since began, as set
}

func (p *paced) start(r *http.Request, control *http.ResponseController, limits config.RequestLimits) {
	*p = paced{
		body:    r.Body,
		control: control,
		chunked: r.ContentLength < 0,
		rate:    int64(limits.MinBodyBytesPerSecond),
		timeout: time.Duration(limits.BodyTimeoutSeconds) * time.Second,
		began:   time.Now(),
	}
	p.setDeadline(p.allowed())
}

// Read reads some of the body. Its error is os.ErrDeadlineExceeded where it
// comes too slowly.
func (p *paced) Read(b []byte) (int, error) {
	if p.chunked && p.rate > 0 {
		b = b[:min(len(b), p.piece())]
	}
	n, err := p.body.Read(b)
	p.read += int64(n)
	if allowed := p.allowed(); err == nil && (allowed-p.deadline >= paceStep || allowed == p.timeout && p.deadline < allowed) {
		p.setDeadline(allowed)
	}
	return n, err
}

// piece is half of what comes until the deadline at the minimum rate, in bytes.
// net/http returns from reading a chunk only with all that was asked for, so
// that asking for more would hide that bytes arrive.
func (p *paced) piece() int {
	left := p.deadline - time.Since(p.began)
	return max(1, int(left.Seconds()*float64(p.rate)/2))
}

// allowed is when the next byte has to be there, since the beginning.
func (p *paced) allowed() time.Duration {
	if p.rate == 0 {
		return p.timeout
	}
	// A step more than the rate says, since the deadline lags by up to one.
	earned := time.Duration(float64(p.read) / float64(p.rate) * float64(time.Second))
	return min(p.timeout, paceGrace+paceStep+earned)
}

// setDeadline has no effect where the response is written to something other
// than a connection, as in some tests; nothing is lost there.
func (p *paced) setDeadline(d time.Duration) {
	p.deadline = d
	_ = p.control.SetReadDeadline(p.began.Add(d))
}

// spent says how long the body was waited for, and by which limit.
func (p *paced) spent() string {
	if p.deadline < p.timeout {
		return fmt.Sprintf("%v, but requestLimits.minBodyBytesPerSecond = %d after the first %v", time.Since(p.began).Round(time.Millisecond), p.rate, paceGrace)
	}
	return fmt.Sprintf("requestLimits.bodyTimeoutSeconds = %v", p.timeout.Seconds())
}
