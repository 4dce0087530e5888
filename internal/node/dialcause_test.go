package node

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
)

// What a dial ended with is told by endpoint and in words, however long libp2p's list of addresses is.
func TestDialErrorsInWords(t *testing.T) {
	t.Parallel()
	failed := func(addr string, cause error) swarm.TransportError {
		return swarm.TransportError{Address: ma.StringCast(addr), Cause: cause}
	}
	refused := errors.New("dial tcp4 192.0.2.1:9102: connect: connection refused")
	for _, tt := range []struct {
		failed []swarm.TransportError
		want   string
	}{
		{[]swarm.TransportError{failed("/ip4/192.0.2.1/tcp/9102", refused), failed("/ip4/192.0.2.1/udp/9102/quic-v1", context.DeadlineExceeded)},
			"192.0.2.1:9102: the connection was refused: no node listens there"},
		{[]swarm.TransportError{failed("/ip4/192.0.2.1/tcp/9102", swarm.ErrDialToSelf)},
			"192.0.2.1:9102: that is an address of this machine, and this node itself"},
		{[]swarm.TransportError{failed("/ip4/192.0.2.1/tcp/9102", refused), failed("/ip4/192.0.2.2/tcp/9102", refused), failed("/ip4/192.0.2.3/tcp/9102", errors.New("no route to host")),
			failed("/ip4/192.0.2.4/tcp/9102", refused), failed("/ip4/192.0.2.5/tcp/9102", refused)},
			"192.0.2.1:9102: the connection was refused: no node listens there; 192.0.2.2:9102: the connection was refused: no node listens there; " +
				"192.0.2.3:9102: there is no route to it from here; and 2 more"},
	} {
		err := fmt.Errorf("failed to dial: %w", &swarm.DialError{DialErrors: tt.failed})
		if got := describeDialError(err); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}
