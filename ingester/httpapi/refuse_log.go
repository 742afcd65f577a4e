package httpapi

import (
	"log/slog"
	"net/http"
	"sync"
	"time"
)

const (
	// refusalLogInterval is how often a refusal for the same reason is logged,
	// at most.
	refusalLogInterval = 10 * time.Second
	// refusalDetailBytes bounds what is logged of a problem's detail.
	refusalDetailBytes = 256
)

// refusalLog says who is refused, and why: now and then, for a client that is
// refused may come back at once. It remembers reasons, of which there are few,
// and no clients.
type refusalLog struct {
	logger *slog.Logger

	mu      sync.Mutex
	reasons map[string]*refusals
}

// refusals are those for one reason.
type refusals struct {
	logged   time.Time
	unlogged int // since then
}

func newRefusalLog(logger *slog.Logger) *refusalLog {
	return &refusalLog{logger: logger, reasons: map[string]*refusals{}}
}

// note logs the refusal of a request, or counts it for the next time.
func (l *refusalLog) note(r *http.Request, p *problem, client string) {
	since, due := l.due(p.kind.name, time.Now())
	if !due {
		return
	}
	attributes := []any{"reason", p.kind.name, "remote", r.RemoteAddr, "detail", shorten(p.Detail, refusalDetailBytes)}
	if client != "" {
		attributes = append(attributes, "client", client)
	}
	if since > 0 {
		attributes = append(attributes, "notLoggedSince", since)
	}
	l.logger.InfoContext(r.Context(), "request refused", attributes...)
}

// due reports whether a refusal is to be logged now, and how many for the same
// reason were not since one was.
func (l *refusalLog) due(reason string, now time.Time) (unlogged int, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.reasons[reason]
	if known == nil {
		l.reasons[reason] = &refusals{logged: now}
		return 0, true
	}
	if now.Sub(known.logged) < refusalLogInterval {
		known.unlogged++
		return 0, false
	}
	unlogged = known.unlogged
	*known = refusals{logged: now}
	return unlogged, true
}
