package httpapi

import (
	"context"
	"net"
	"net/http"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// accountKey finds the account of a connection in its context.
type accountKey struct{}

// withAccount gives each connection an account of its own, which the requests
// of the connection share: one after the other, and with HTTP/2 at once.
func withAccount(queue Queue) func(context.Context, net.Conn) context.Context {
	return func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, accountKey{}, queue.NewAccount())
	}
}

// accountOf returns the account of the connection that the request came by; nil
// where NewServer's server didn't accept it.
func accountOf(r *http.Request) record.Account {
	account, _ := r.Context().Value(accountKey{}).(record.Account)
	return account
}

// noteIdle tells a connection of Limit's when net/http has no use for it: as
// ingester/http1 does by itself for those that it serves.
func noteIdle(c net.Conn, state http.ConnState) {
	for {
		switch inner := c.(type) {
		case *limitedConn:
			switch state {
			case http.StateIdle:
				inner.Rest()
			case http.StateActive:
				inner.Resume()
			}
			return
		case interface{ NetConn() net.Conn }: // TLS, and what ingester/http1 hands over
			c = inner.NetConn()
		default:
			return
		}
	}
}
