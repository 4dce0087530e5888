package node

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	ma "github.com/multiformats/go-multiaddr"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/oplog"
)

// A peer record says where its author is reached. It is libp2p's signed envelope, so that whoever passes it on
// can change nothing about it. The number in it rises with every new one: an older record never takes the place
// of a newer one.
type peerRecord struct {
	key       keys.Public
	seq       uint64
	endpoints []string // host:port, at most maxOwnEndpoints
	raw       []byte   // as it is passed on; at most oplog.MaxRecord bytes
}

const (
	// maxRecordAddrs bounds the addresses in a record, maxOwnEndpoints the endpoints behind them: each stands
	// once for QUIC and once for TCP.
	maxRecordAddrs  = 16
	maxOwnEndpoints = maxRecordAddrs / 2
	// addressPoll is how often a node looks whether its own addresses changed.
	addressPoll = 30 * time.Second
)

var errRecord = errors.New("invalid peer record")

func badRecord(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errRecord, fmt.Sprintf(format, args...))
}

// sealRecord signs a record.
func sealRecord(k keys.Private, seq uint64, endpoints []string) (peerRecord, error) {
	r := peerRecord{key: k.Public(), seq: seq, endpoints: endpoints}
	id, err := peerIDOf(r.key)
	if err != nil {
		return r, err
	}
	signed := &peer.PeerRecord{PeerID: id, Seq: seq}
	for _, e := range endpoints {
		as, err := recordAddrs(e)
		if err != nil {
			return r, err
		}
		signed.Addrs = append(signed.Addrs, as...)
	}
	key, err := hostKey(k)
	if err != nil {
		return r, err
	}
	e, err := record.Seal(signed, key)
	if err != nil {
		return r, err
	}
	r.raw, err = e.Marshal()
	return r, err
}

// openRecord checks all that a record can be checked for by itself; errors are errRecord.
func openRecord(raw []byte) (peerRecord, error) {
	if len(raw) > oplog.MaxRecord {
		return peerRecord{}, badRecord("%d bytes, at most %d", len(raw), oplog.MaxRecord)
	}
	e, err := record.UnmarshalEnvelope(raw)
	if err != nil {
		return peerRecord{}, badRecord("%v", err)
	}
	if e.PublicKey.Type() != crypto.Ed25519 { // others are slow to verify
		return peerRecord{}, badRecord("signed with a key of type %s", e.PublicKey.Type())
	}
	id, err := peer.IDFromPublicKey(e.PublicKey)
	if err != nil {
		return peerRecord{}, badRecord("%v", err)
	}
	key, err := keyOf(id)
	if err != nil {
		return peerRecord{}, badRecord("%v", err)
	}
	signed := new(peer.PeerRecord)
	if e, err = record.ConsumeTypedEnvelope(raw, signed); err != nil {
		return peerRecord{}, badRecord("%v", err)
	}
	switch {
	case !bytes.Equal(e.PayloadType, peer.PeerRecordEnvelopePayloadType):
		return peerRecord{}, badRecord("it is something else, of type %x", e.PayloadType)
	case signed.PeerID != id:
		return peerRecord{}, badRecord("it is about another key than the one that signed it")
	case len(signed.Addrs) > maxRecordAddrs:
		return peerRecord{}, badRecord("%d addresses, at most %d", len(signed.Addrs), maxRecordAddrs)
	}
	r := peerRecord{key: key, seq: signed.Seq}
	for _, a := range signed.Addrs {
		at, err := endpointOf(a)
		if err != nil {
			return peerRecord{}, badRecord("%v", err)
		}
		if !slices.Contains(r.endpoints, at) {
			r.endpoints = append(r.endpoints, at)
		}
	}
	// Encoded again it carries nothing that isn't signed.
	if r.raw, err = e.Marshal(); err != nil || len(r.raw) > oplog.MaxRecord {
		return peerRecord{}, badRecord("it cannot be passed on")
	}
	return r, nil
}

// recordAddrs turns host:port into the two addresses that stand for it in a record.
func recordAddrs(hostport string) ([]ma.Multiaddr, error) {
	if _, err := dialAddrs(hostport); err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	head := "/dns/" + host
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip = ip.Unmap(); ip.Zone() != "" {
			return nil, fmt.Errorf("endpoint %q: an address of this machine's interface %s", hostport, ip.Zone())
		}
		head = "/ip6/" + ip.String()
		if ip.Is4() {
			head = "/ip4/" + ip.String()
		}
	}
	var out []ma.Multiaddr
	for _, tail := range []string{"/udp/" + port + "/quic-v1", "/tcp/" + port} {
		a, err := ma.NewMultiaddr(head + tail)
		if err != nil {
			return nil, fmt.Errorf("endpoint %q: %w", hostport, err)
		}
		out = append(out, a)
	}
	return out, nil
}

// endpointOf is the way back. It takes QUIC and TCP over an IP address or name, and nothing else.
func endpointOf(a ma.Multiaddr) (string, error) {
	codes := make([]int, 0, 3)
	ma.ForEach(a, func(c ma.Component) bool {
		codes = append(codes, c.Protocol().Code)
		return len(codes) <= 3
	})
	if len(codes) == 0 || !slices.Contains([]int{ma.P_IP4, ma.P_IP6, ma.P_DNS, ma.P_DNS4, ma.P_DNS6}, codes[0]) {
		return "", fmt.Errorf("address %s: no IP address or name", a)
	}
	if tail := codes[1:]; !slices.Equal(tail, []int{ma.P_TCP}) && !slices.Equal(tail, []int{ma.P_UDP, ma.P_QUIC_V1}) {
		return "", fmt.Errorf("address %s: neither QUIC nor TCP", a)
	}
	_, at := describeAddr(a)
	if _, err := dialAddrs(at); err != nil {
		return "", err
	}
	return at, nil
}

// Endpoints is where others reach this node, as far as it knows: what it was told to advertise, else its
// interfaces' addresses with the port that is bound. Addresses that only mean something on this machine are left
// out, unless it listens on nothing else. At most 8; none before the node is Ready.
func (n *Node) Endpoints() []string {
	if len(n.cfg.Advertise) > 0 {
		return slices.Clone(n.cfg.Advertise[:min(len(n.cfg.Advertise), maxOwnEndpoints)])
	}
	if n.Port() == 0 {
		return nil
	}
	addrs, err := n.host.Network().InterfaceListenAddresses()
	if err != nil {
		n.log.Warn("the addresses of this machine are not known", "err", err)
	}
	return ownEndpoints(addrs)
}

// ownEndpoints chooses what others can use of the addresses that are listened on, those on the internet first.
func ownEndpoints(listen []ma.Multiaddr) []string {
	var remote, local []netip.AddrPort
	for _, a := range listen {
		at, err := endpointOf(a)
		if err != nil {
			continue
		}
		ap, err := netip.ParseAddrPort(at)
		switch {
		case err != nil || ap.Addr().IsLinkLocalUnicast():
		case ap.Addr().IsLoopback():
			local = append(local, ap)
		default:
			remote = append(remote, ap)
		}
	}
	if len(remote) == 0 {
		remote = local
	}
	rank := func(a netip.Addr) int {
		switch {
		case a.IsPrivate():
			return 2
		case a.Is6(): // often there and often without a way
			return 1
		}
		return 0
	}
	slices.SortFunc(remote, func(a, b netip.AddrPort) int {
		return cmp.Or(cmp.Compare(rank(a.Addr()), rank(b.Addr())), a.Compare(b))
	})
	remote = slices.Compact(remote)
	var out []string
	for _, ap := range remote[:min(len(remote), maxOwnEndpoints)] {
		out = append(out, ap.String())
	}
	return out
}

// isLocal reports whether an endpoint is an address that leads nowhere but to the machine that uses it.
func isLocal(endpoint string) bool {
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || host == "localhost"
}

// ownRecord is what this node says about itself.
type ownRecord struct {
	mu  sync.Mutex
	now peerRecord // raw is nil before the node knows where it is reached
}

func (o *ownRecord) get() peerRecord {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.now
}

// sealOwn makes a new record if the endpoints differ from what the last one says, or if somebody holds one of
// ours with a number not below above: clocks go back, and a restart forgets the last number. It reports whether
// it did.
func (n *Node) sealOwn(endpoints []string, above uint64) bool {
	n.own.mu.Lock()
	defer n.own.mu.Unlock()
	old := n.own.now
	if old.raw != nil && slices.Equal(old.endpoints, endpoints) && above < old.seq {
		return false
	}
	if above == math.MaxUint64 || old.seq == math.MaxUint64 {
		return false // there is no number above it
	}
	seq := max(uint64(n.cfg.Now().UnixNano()), old.seq+1, above+1)
	r, err := sealRecord(n.cfg.Key, seq, endpoints)
	if err != nil {
		n.log.Error("others are not told where this node is reached", "err", err)
		return false
	}
	n.own.now = r
	return true
}

// watchAddresses keeps the own record and mDNS in step with the machine's addresses.
func (n *Node) watchAddresses(ctx context.Context) error {
	t := time.NewTicker(addressPoll)
	defer t.Stop()
	last := n.Endpoints()
	for {
		if n.cfg.Records && n.sealOwn(last, 0) {
			n.tellRecords()
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
		if now := n.Endpoints(); !slices.Equal(now, last) {
			n.log.Info("the addresses of this node changed", "endpoints", now)
			last = now
			n.lan.moved()
		}
	}
}
