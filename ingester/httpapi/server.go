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

	// What a connection of HTTP/2 may hold: requests at a time, and bytes of
	// bodies that nobody has read yet, of all its requests and of each.
	// Those bytes are not reserved, so they are few.
	maxStreams             = 128
	receiveConnectionBytes = 64 << 10
	receiveStreamBytes     = 64 << 10
)

// NewServer returns a server for the handler. It speaks HTTP/1.1 and HTTP/2,
// the latter over TLS, or at once where the client knows that it may. It gives
// each connection its account in the queue, and bounds the header in bytes (431
// beyond it) and time, the idle time of a connection, and the time to write a
// response. The body's time is bounded by the handler, the number of
// connections by Limit. Its owner listens, serves and shuts down.
func NewServer(handler *Handler, logger *slog.Logger) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	bodyTimeout := time.Duration(handler.options.Limits.BodyTimeoutSeconds) * time.Second
	return &http.Server{
		Handler:           handler,
		Protocols:         &protocols,
		ConnContext:       withAccount(handler.queue),
		ConnState:         noteIdle,
		ReadHeaderTimeout: headerTimeout,
		WriteTimeout:      bodyTimeout + handler.options.AcknowledgeTimeout + writeMargin,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxStreams,
			MaxReceiveBufferPerConnection: receiveConnectionBytes,
			MaxReceiveBufferPerStream:     receiveStreamBytes,
		},
	}
}
