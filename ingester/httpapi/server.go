package httpapi

import (
	"log/slog"
	"net/http"
	"time"
)

const (
	headerTimeout  = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
	// writeMargin is what a response may take beyond the longest time that
	// a request may take to get one.
	writeMargin = 10 * time.Second
)

// NewServer returns a server for the handler that bounds the header in bytes
// (431 beyond it) and time, the idle time of a connection, and the time to
// write a response. The body's time is bounded by Handler. Its owner listens,
// serves and shuts down.
func NewServer(handler http.Handler, options Options, logger *slog.Logger) *http.Server {
	options = options.withDefaults()
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		WriteTimeout:      options.BodyTimeout + options.AcknowledgeTimeout + writeMargin,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}
