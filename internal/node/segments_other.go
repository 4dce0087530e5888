//go:build !linux

package node

import "github.com/libp2p/go-libp2p/p2p/transport/tcp"

// shortSegments changes nothing: how long segments are is left to the system.
func shortSegments() tcp.Option { return func(*tcp.TcpTransport) error { return nil } }
