package node

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

func addrInfo(t *testing.T, k keys.Private, addrs ...string) peer.AddrInfo {
	t.Helper()
	info := peer.AddrInfo{ID: mustID(t, k)}
	for _, a := range addrs {
		info.Addrs = append(info.Addrs, ma.StringCast(a))
	}
	return info
}

// lanNode is a node that does not run, on networks of the test's choice.
func lanNode(t *testing.T, bind string, nodes ...Peer) *Node {
	t.Helper()
	m := newMember(t, 1)
	m.cfg.BindAddresses, m.cfg.Nodes = []string{bind}, nodes
	if err := m.cfg.prepare(); err != nil {
		t.Fatal(err)
	}
	n, err := newNode(m.cfg, newChains(m.key, m.zone(), m.store), nil)
	if err != nil {
		t.Fatal(err)
	}
	n.lan.prefixes = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("127.0.0.0/8"),
		netip.MustParsePrefix("2001:db8::/64")}
	return n
}

func TestFoundOnLAN(t *testing.T) {
	t.Parallel()
	member, stranger := testKey(2), testKey(3)
	n := lanNode(t, "0.0.0.0", Peer{Key: member.Public()})
	now := time.Now()
	n.cfg.Now = func() time.Time { return now }
	addrs := []string{"/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.2/udp/1/quic-v1", "/ip4/10.0.0.2/tcp/1", "/ip4/10.0.1.2/tcp/1",
		"/ip6/fe80::1/tcp/1", "/dns4/x.local/tcp/1", "/ip4/198.51.100.1/tcp/22", "/ip6/2001:db8::5/tcp/1", "/ip4/10.0.0.9/tcp/1/ws"}
	want := []string{"10.0.0.2:1", "[2001:db8::5]:1"}

	n.foundOnLAN(addrInfo(t, member, addrs...))
	if known := n.book.known(member.Public()); !slices.Equal(known, want) {
		t.Errorf("known of the member: %v, want %v", known, want)
	}
	if !n.peers.get(member.Public()).hasNews() {
		t.Error("the member is not dialled at once")
	}
	n.foundOnLAN(addrInfo(t, testKey(1), addrs...)) // ourselves
	if listed := n.neighbours(); len(listed) != 0 {
		t.Errorf("listed: %+v", listed)
	}

	n.foundOnLAN(addrInfo(t, stranger, addrs...))
	listed := n.neighbours()
	if len(listed) != 1 {
		t.Fatalf("listed: %+v", listed)
	}
	p := listed[0]
	if p.State != mesh.NotAdmitted || p.PublicKey != stranger.Public().String() || !slices.Equal(p.Endpoints, want) ||
		p.Name != "peer-"+p.PublicKey[:8] || p.FirstSeen == nil || !p.LastSeen.Equal(now) {
		t.Errorf("listed: %+v", p)
	}
	if known := n.book.known(stranger.Public()); known != nil || n.peers.get(stranger.Public()) != nil {
		t.Error("the stranger is in the address book or among the peers")
	}

	// It is heard again, then it goes.
	now = now.Add(lanGone - 1)
	n.foundOnLAN(addrInfo(t, stranger, addrs...))
	now = now.Add(lanGone - 1)
	if listed := n.neighbours(); len(listed) != 1 || listed[0].LastSeen.Equal(*listed[0].FirstSeen) {
		t.Errorf("heard again: %+v", listed)
	}
	now = now.Add(1)
	if listed := n.neighbours(); len(listed) != 0 {
		t.Errorf("long gone: %+v", listed)
	}
}

// One that was admitted meanwhile is a peer and no neighbour.
func TestAdmittedIsNoNeighbour(t *testing.T) {
	t.Parallel()
	n := lanNode(t, "0.0.0.0")
	n.foundOnLAN(addrInfo(t, testKey(2), "/ip4/10.0.0.2/tcp/1"))
	if len(n.neighbours()) != 1 {
		t.Fatal("it is not listed")
	}
	if err := n.addPeer(Peer{Key: testKey(2).Public()}); err != nil {
		t.Fatal(err)
	}
	if listed := n.neighbours(); len(listed) != 0 {
		t.Errorf("listed: %+v", listed)
	}
}

func TestLANIsBounded(t *testing.T) {
	t.Parallel()
	n := lanNode(t, "0.0.0.0", Peer{Key: testKey(250).Public()})
	now := time.Now()
	n.cfg.Now = func() time.Time { return now }
	for i := range byte(2 * maxNeighbours) {
		now = now.Add(time.Second)
		var addrs []string
		for j := range 3 * maxLANWays {
			addrs = append(addrs, fmt.Sprintf("/ip4/10.0.0.%d/tcp/%d", i+1, j+1))
		}
		n.foundOnLAN(addrInfo(t, testKey(i+2), addrs...))
		n.foundOnLAN(addrInfo(t, testKey(250), addrs...))
	}
	listed := n.neighbours()
	if len(listed) != maxNeighbours {
		t.Fatalf("%d neighbours are listed, want %d", len(listed), maxNeighbours)
	}
	for _, p := range listed {
		if len(p.Endpoints) > maxLANWays || now.Sub(*p.LastSeen) >= maxNeighbours*time.Second {
			t.Errorf("listed: %+v", p)
		}
	}
	if known := n.book.known(testKey(250).Public()); len(known) != maxLANWays {
		t.Errorf("known of a member: %v", known)
	}
}

func TestServiceNameHidesTheNetwork(t *testing.T) {
	t.Parallel()
	a, b := serviceName("secret-project"), serviceName("secret-project2")
	if a == b || strings.Contains(a, "secret") || !strings.HasPrefix(a, "_mesh-") || !strings.HasSuffix(a, "._udp") {
		t.Errorf("service names %s and %s", a, b)
	}
}
