package node

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	cmgr "github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/x/rate"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

const (
	// maxConns bounds connections in all: two for each of the largest mesh's zones.
	maxConns = 2048
	// maxPeerStreams bounds the streams that one peer may have open here, over all its connections.
	maxPeerStreams = 64
	// libp2pMemory and libp2pFiles scale libp2p's own limits: room for hundreds of peers on a small machine.
	libp2pMemory = 1 << 30
	libp2pFiles  = 4096
	// Dialling a host that doesn't answer costs this long; every retry pays it.
	dialTimeout      = 10 * time.Second
	dialTimeoutLocal = 3 * time.Second
)

// listen binds every address. When the port is taken it fails if it must be that port, otherwise it takes a
// free one and says so through moved.
func listen(h host.Host, cfg *Config, moved func(got int, err error)) error {
	const tries = 5 // a port that freePort found may be taken by others before we bind it
	port, chosen := cfg.Port, cfg.Port != 0
	var first error
	for i := range tries {
		if !chosen || i > 0 {
			var err error
			if port, err = freePort(firstIP(cfg.BindAddresses)); err != nil {
				return fmt.Errorf("listen: %w", err)
			}
		}
		err := inUse(cfg.BindAddresses, port)
		if err == nil {
			err = bind(h, listenAddrs(cfg.BindAddresses, port))
		}
		if err == nil {
			if chosen && i > 0 {
				moved(port, first)
			}
			return nil
		}
		if first == nil {
			first = err
		}
		if chosen && cfg.StrictPort {
			break
		}
	}
	return fmt.Errorf("listen on port %d: %w", cfg.Port, first)
}

func firstIP(ips []string) string {
	if len(ips) == 0 {
		return ""
	}
	return ips[0]
}

// bind listens on all addresses or on none. libp2p is content with one of several.
func bind(h host.Host, want []string) error {
	addrs := make([]ma.Multiaddr, len(want))
	for i, w := range want {
		var err error
		if addrs[i], err = ma.NewMultiaddr(w); err != nil {
			return err
		}
	}
	err := h.Network().Listen(addrs...)
	if err == nil {
		if err = allBound(h, addrs); err == nil {
			return nil
		}
	}
	if s, ok := h.Network().(*swarm.Swarm); ok {
		s.ListenClose(h.Network().ListenAddresses()...)
	}
	return err
}

// newHost builds a host that does not listen yet, so that all its handlers stand before anyone connects.
func newHost(cfg *Config, g *gater) (host.Host, error) {
	key, err := hostKey(cfg.Key)
	if err != nil {
		return nil, err
	}
	limits := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&limits)
	conf := rcmgr.PartialLimitConfig{
		System: rcmgr.ResourceLimits{Conns: maxConns, ConnsInbound: maxConns, ConnsOutbound: maxConns},
		// Without a key, or without a protocol, yet: these places are shared by all, so that a few who take all that
		// one may have must not fill them.
		Transient: rcmgr.ResourceLimits{Conns: 768, ConnsInbound: 512, ConnsOutbound: 256, Streams: 1536, StreamsInbound: 1024},
		// A peer has a handful of streams: sync, gossip, identify and an exchange or two.
		PeerDefault: rcmgr.ResourceLimits{Streams: 3 * maxPeerStreams, StreamsInbound: maxPeerStreams, StreamsOutbound: 2 * maxPeerStreams},
	}.Build(limits.Scale(libp2pMemory, libp2pFiles))
	// By default a remote address (IPv6: /56) may hold 8 connections and open one every five seconds: too
	// tight for several nodes behind one NAT or on one pod network. The total bounds them instead.
	rmOpts := []rcmgr.Option{
		rcmgr.WithNetworkPrefixLimit(
			[]rcmgr.NetworkPrefixLimit{{Network: netip.MustParsePrefix("0.0.0.0/0"), ConnCount: maxConns}},
			[]rcmgr.NetworkPrefixLimit{{Network: netip.MustParsePrefix("::/0"), ConnCount: maxConns}}),
		rcmgr.WithConnRateLimiters(&rate.Limiter{GlobalLimit: rate.Limit{RPS: 100, Burst: 500}}),
	}
	if cfg.Registerer == nil {
		rmOpts = append(rmOpts, rcmgr.WithMetricsDisabled())
	}
	rm, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(conf), rmOpts...)
	if err != nil {
		return nil, err
	}
	cm, err := cmgr.NewConnManager(maxConns*3/4, maxConns, cmgr.WithGracePeriod(30*time.Second))
	if err != nil {
		return nil, errors.Join(err, rm.Close())
	}
	// TCP only. Whoever is silent on a link is found by its probes; this is for connections without one, and mustn't end a
	// link whose answers wait behind megabytes on a slow line.
	ym := *yamux.DefaultTransport.Config()
	ym.KeepAliveInterval, ym.ConnectionWriteTimeout = 15*time.Second, writeTimeout
	opts := []libp2p.Option{
		libp2p.Identity(key),
		libp2p.NoListenAddrs,
		libp2p.Transport(quic.NewTransport),
		libp2p.Transport(tcp.NewTCPTransport, tcp.DisableReuseport(), shortSegments()), // or a second node shares our port unseen
		libp2p.Security(noise.ID, noise.New),                                           // for TCP; QUIC has its own
		libp2p.Muxer(yamux.ID, (*yamux.Transport)(&ym)),
		libp2p.ResourceManager(rm),
		libp2p.ConnectionManager(cm),
		libp2p.ConnectionGater(g),
		libp2p.UserAgent("mesh/" + cfg.Version),
		libp2p.Ping(false), // probes go over the long stream
		libp2p.DisableRelay(),
		libp2p.DisableIdentifyAddressDiscovery(),
		// Peers dial the endpoints they were told of and nothing else: what we listen on may lead around the way
		// that was configured, or to somebody else in another network.
		libp2p.AddrsFactory(func([]ma.Multiaddr) []ma.Multiaddr { return nil }),
		libp2p.UDPBlackHoleSuccessCounter(nil), // a few failures must not end dialling QUIC in a small mesh
		libp2p.IPv6BlackHoleSuccessCounter(nil),
		libp2p.SwarmOpts(swarm.WithDialTimeout(dialTimeout), swarm.WithDialTimeoutLocal(dialTimeoutLocal)),
	}
	if cfg.Registerer != nil {
		opts = append(opts, libp2p.PrometheusRegisterer(cfg.Registerer))
	} else {
		opts = append(opts, libp2p.DisableMetrics())
	}
	return libp2p.New(opts...)
}

// allBound checks that every address was really bound. Where a machine has no IPv6 the unspecified IPv6
// address may be missing, as long as the IPv4 one was asked for as well: nobody named it.
func allBound(h host.Host, want []ma.Multiaddr) error {
	have := h.Network().ListenAddresses()
	unnamed := slices.ContainsFunc(want, func(w ma.Multiaddr) bool { return strings.HasPrefix(w.String(), "/ip4/0.0.0.0/") })
	for _, w := range want {
		if slices.ContainsFunc(have, w.Equal) || unnamed && strings.HasPrefix(w.String(), "/ip6/::/") && !hasIPv6() {
			continue
		}
		return fmt.Errorf("%s cannot be bound: %w", w, whyUnbound(w))
	}
	return nil
}

// whyUnbound asks the system once more, for libp2p keeps to itself why an address is missing.
func whyUnbound(a ma.Multiaddr) error {
	network, at, err := manet.DialArgs(a)
	if err != nil {
		return err
	}
	var c io.Closer
	if strings.HasPrefix(network, "udp") {
		c, err = net.ListenPacket(network, at)
	} else {
		c, err = net.Listen(network, at)
	}
	if err != nil {
		return err
	}
	_ = c.Close() // nobody talked to it
	return errors.New("it was in use a moment ago")
}

// boundPort is the port number that the host listens on.
func boundPort(h host.Host) int {
	for _, a := range h.Network().ListenAddresses() {
		if v, err := a.ValueForProtocol(ma.P_TCP); err == nil {
			if n, err := strconv.Atoi(v); err == nil {
				return n
			}
		}
	}
	return 0
}
