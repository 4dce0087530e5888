package admin

import (
	"context"
	"net"
	"net/http"
)

// MaxConnections is how many connections each of a Server's listeners has.
const MaxConnections = maxConnections

// Seats is the ConnState of a server with so many connections.
func Seats(ctx context.Context, most int) func(net.Conn, http.ConnState) {
	return newSeats(most).follow(ctx)
}
