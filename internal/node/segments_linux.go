package node

import (
	"net"
	"syscall"

	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
)

// maxSegment is the longest TCP segment of our connections, in bytes, IP and TCP headers apart: it fits into the 1,200
// bytes that lead through any tunnel. Where longer packets are lost on the way and nobody says so, a connection would be
// made, and stand still with the first long message. TCP is what a link falls back to there: QUIC gives up at once, for
// its first packet is longer than that.
const maxSegment = 1140

// shortSegments has TCP connections that we open carry short segments, in both directions: what we say when we connect
// binds the other side too.
func shortSegments() tcp.Option {
	d := &net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		if err := c.Control(func(fd uintptr) {
			failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, maxSegment)
		}); err != nil {
			return err
		}
		return failed
	}}
	return tcp.WithDialerForAddr(func(ma.Multiaddr) (tcp.ContextDialer, error) { return d, nil })
}
