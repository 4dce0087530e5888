package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"dcp.hiro.io/mesh/internal/keys"
)

// hostKey gives libp2p the key in its own form: seed, then public key.
func hostKey(k keys.Private) (crypto.PrivKey, error) {
	seed, pub := k.Seed(), k.Public()
	return crypto.UnmarshalEd25519PrivateKey(append(seed[:], pub[:]...))
}

// peerIDOf returns the libp2p id that contains a key.
func peerIDOf(k keys.Public) (peer.ID, error) { return peer.Decode(k.PeerID()) }

// keyOf returns the key inside a libp2p id.
func keyOf(id peer.ID) (keys.Public, error) { return keys.PublicFromPeerID(id.String()) }

// dialAddrs turns host:port into the QUIC and TCP addresses to dial. Names are resolved at every dial, not
// here. ma.NewMultiaddr doesn't validate names, so this does.
func dialAddrs(hostport string) ([]ma.Multiaddr, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, fmt.Errorf("endpoint %q: want host:port", hostport)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return nil, fmt.Errorf("endpoint %q: bad port", hostport)
	}
	heads, err := dialHeads(host)
	if err != nil {
		return nil, fmt.Errorf("endpoint %q: %w", hostport, err)
	}
	var out []ma.Multiaddr
	for _, h := range heads {
		for _, tail := range []string{"/udp/%d/quic-v1", "/tcp/%d"} {
			a, err := ma.NewMultiaddr(h + fmt.Sprintf(tail, n))
			if err != nil {
				return nil, fmt.Errorf("endpoint %q: %w", hostport, err)
			}
			out = append(out, a)
		}
	}
	return out, nil
}

func dialHeads(host string) ([]string, error) {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		if !isHostName(host) {
			return nil, errors.New("bad host name")
		}
		return []string{"/dns4/" + host, "/dns6/" + host}, nil
	}
	zone := ip.Zone()
	ip = ip.WithZone("").Unmap()
	switch {
	case ip.IsUnspecified() || ip.IsMulticast():
		return nil, errors.New("an address that cannot be dialled")
	case ip.Is4():
		return []string{"/ip4/" + ip.String()}, nil
	case zone != "":
		if !isHostName(zone) {
			return nil, errors.New("bad interface name")
		}
		return []string{"/ip6zone/" + zone + "/ip6/" + ip.String()}, nil
	}
	return []string{"/ip6/" + ip.String()}, nil
}

// isHostName accepts what DNS and interface names are made of, underscores included: cluster DNS has them.
func isHostName(s string) bool {
	if len(s) < 1 || len(s) > 253 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_') {
			return false
		}
	}
	return true
}

// onlyLoopback reports whether a node that listens on these addresses is reached from its own machine only.
func onlyLoopback(ips []string) bool {
	return len(ips) > 0 && !slices.ContainsFunc(ips, func(s string) bool {
		ip, err := netip.ParseAddr(s)
		return err != nil || !ip.Unmap().IsLoopback()
	})
}

// listenIPs lists the addresses to listen on; none means both families.
func listenIPs(ips []string) []string {
	if len(ips) == 0 {
		return []string{"0.0.0.0", "::"}
	}
	return ips
}

// listenAddrs lists the multiaddrs to listen on: QUIC and TCP for each IP.
func listenAddrs(ips []string, port int) []string {
	var out []string
	for _, ip := range listenIPs(ips) {
		family := "ip4"
		if strings.Contains(ip, ":") {
			family = "ip6"
		}
		out = append(out, fmt.Sprintf("/%s/%s/udp/%d/quic-v1", family, ip, port), fmt.Sprintf("/%s/%s/tcp/%d", family, ip, port))
	}
	return out
}

// inUse returns the error of a port that others have, on one of these addresses. libp2p would log one line for each of
// its own before it says so, and whatever else is wrong it finds itself.
func inUse(ips []string, port int) error {
	for _, ip := range listenIPs(ips) {
		family, at := "4", net.JoinHostPort(ip, strconv.Itoa(port))
		if strings.Contains(ip, ":") {
			family = "6"
		}
		l, err := net.Listen("tcp"+family, at)
		if err == nil {
			l.Close()
			var u net.PacketConn
			if u, err = net.ListenPacket("udp"+family, at); err == nil {
				u.Close()
			}
		}
		if errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
	}
	return nil
}

// freePort finds a port that is free for UDP and TCP on an address. Somebody else may take it before we do,
// so the caller tries again when binding fails.
func freePort(ip string) (int, error) {
	for range 20 {
		l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		u, err := net.ListenPacket("udp", net.JoinHostPort(ip, strconv.Itoa(port)))
		l.Close()
		if err == nil {
			u.Close()
			return port, nil
		}
	}
	return 0, errors.New("no port is free for both UDP and TCP")
}

// maxResolved bounds the addresses of one name that are dialled.
const maxResolved = 4

// lookup finds the addresses of a name.
type lookup func(ctx context.Context, name string) ([]netip.Addr, error)

func lookupName(ctx context.Context, name string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
}

// resolve turns host:port into what it stands for now.
func resolve(ctx context.Context, find lookup, hostport string) ([]netip.AddrPort, error) {
	if _, err := dialAddrs(hostport); err != nil { // checks it
		return nil, err
	}
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	ips := []netip.Addr{}
	if ip, err := netip.ParseAddr(host); err == nil {
		ips = append(ips, ip)
	} else if ips, err = find(ctx, host); err != nil {
		return nil, fmt.Errorf("endpoint %q: %w", hostport, err)
	}
	var out []netip.AddrPort
	for _, ip := range ips[:min(len(ips), maxResolved)] {
		out = append(out, netip.AddrPortFrom(ip.Unmap(), uint16(n)))
	}
	return out, nil
}

// addrPortOf is the IP address and port of a connection's end.
func addrPortOf(a ma.Multiaddr) (netip.AddrPort, bool) {
	_, at := describeAddr(a)
	ap, err := netip.ParseAddrPort(at)
	return ap, err == nil
}

// describeAddr is the way back, for people: quic or tcp, and host:port.
func describeAddr(a ma.Multiaddr) (transport, hostport string) {
	if a == nil {
		return "", ""
	}
	transport = "tcp"
	var host, port string
	ma.ForEach(a, func(c ma.Component) bool {
		switch c.Protocol().Code {
		case ma.P_IP4, ma.P_IP6, ma.P_DNS, ma.P_DNS4, ma.P_DNS6:
			host = c.Value()
		case ma.P_TCP:
			port = c.Value()
		case ma.P_UDP:
			transport, port = "quic", c.Value()
		}
		return true
	})
	if host == "" || port == "" {
		return transport, a.String()
	}
	return transport, net.JoinHostPort(host, port)
}

// hasIPv6 reports whether this machine can listen on IPv6 at all.
func hasIPv6() bool {
	l, err := net.Listen("tcp6", "[::]:0")
	if err != nil {
		return false
	}
	l.Close()
	return true
}
