package main

import (
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// vectorKeys are the public keys of the first three test vectors of RFC 8032, with their peer ids.
var vectorKeys = [3]string{testPublic, otherPublic, "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"}

// sampleNode is zone east on a Kubernetes cluster, with a healthy peer and a slow one, one that is late and one that is gone.
func sampleNode(t *testing.T) *fakeNode {
	t.Helper()
	const day = 24 * time.Hour
	f := newFakeNode(t)
	began := time.Date(2026, 11, 19, 9, 58, 2, 0, time.UTC)
	f.status.PublicKey, f.status.UptimeSeconds, f.status.Incarnation, f.status.LeaseHeld = vectorKeys[0], 273600, &began, ptr(true)
	f.status.Peers = mesh.PeerCounts{Total: 4, Ready: 2, NotReady: 1, Unavailable: 1}
	f.status.Replication = append(f.status.Replication, mesh.Replication{Zone: "north", Announced: 3, Applied: 3})
	f.status.Resources = mesh.Resources{Live: 57, Tombstones: 2, Kinds: 1, Namespaces: 1}
	f.status.Cluster = mesh.ClusterStatus{Kind: "kubernetes", Location: "kind-east", Connected: true, Version: "v1.34.1",
		LastWrite: before(2 * time.Second), ConflictsLastHour: ptr(0), Problems: []mesh.Problem{}}
	peer := func(zone mesh.Zone, key, address, version string, state mesh.PeerState, since, seen, age time.Duration, rtt, lag float64) mesh.Peer {
		p := mesh.Peer{Name: string(zone), Zone: zone, State: state, Since: before(since), PublicKey: key, PeerID: peerIDOf(key), Endpoints: []string{address},
			LastSeen: before(seen), Version: &version, FirstSeen: before(age), Reasons: []string{}, ZoneKeys: []mesh.ZoneKey{}}
		if rtt > 0 {
			p.Address, p.Transport, p.RTTSeconds, p.LagOperations, p.LagSeconds = &address, ptr("quic"), &rtt, ptr(uint64(lag)), ptr(0.0)
		}
		return p
	}
	f.peers = []mesh.Peer{
		peer("lab", seedKey(4).Public().String(), "192.0.2.44:9102", "0.4.0", mesh.Unavailable, 9*time.Minute, 9*time.Minute, 12*day, 0, 0),
		peer("north", vectorKeys[2], "198.51.100.7:9102", "0.4.0", mesh.Ready, 3*day, 2*time.Second, 3*day, 0.041, 0),
		peer("south", seedKey(3).Public().String(), "south.example:9102", "0.3.9", mesh.NotReady, 14*time.Second, 14*time.Second, 26*time.Hour, 0.23, 12),
		peer("west", vectorKeys[1], "203.0.113.20:9102", "0.4.0", mesh.Ready, 3*day, time.Second, 3*day, 0.018, 0),
	}
	f.logs = []mesh.LogStatus{
		{Name: "east", Zone: "east", PublicKey: vectorKeys[0], Incarnation: *before(3 * day), Height: ptr(uint32(1842)), Applied: ptr(uint32(1842)), Snapshot: ptr(uint32(1800)),
			Operations: 43, Bytes: 212 << 10, State: "OK", Updated: before(time.Second)},
		{Name: "south", Zone: "south", PublicKey: seedKey(3).Public().String(), Incarnation: *before(26 * time.Hour), Height: ptr(uint32(405)), Applied: ptr(uint32(400)), Lag: 12,
			Snapshot: ptr(uint32(384)), Operations: 22, Bytes: 91 << 10, State: "Behind", Updated: before(14 * time.Second)},
	}
	return f
}

// What people see first, letter for letter.
func TestSamples(t *testing.T) {
	t.Parallel()
	dir := serveFake(t, sampleNode(t))
	for line, want := range map[string]string{
		"status": `zone         east           12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV
network      default        udp/9102 quic, tcp/9102, http/3000
version      0.4.0          up 3d4h, incarnation 2026-11-19T09:58:02Z, lease held
peers        2/4 ready      south not ready (14s), lab unavailable (9m)
replication  behind         south 12 ops, 3.1s; others in sync
resources    57 live        2 tombstones, 0 contested, 0 deletes held; 1 kind in 1 namespace
kubernetes   connected      v1.34.1, last write 2s ago, 0 conflicts in 1h
health       1 fail 1 warn  run: mesh doctor
`,
		"peers": `NAME    STATE         ADDRESS              RTT     LAG   SEEN   VERSION   AGE
north   Ready         198.51.100.7:9102    41ms    0     2s     0.4.0     3d
west    Ready         203.0.113.20:9102    18ms    0     1s     0.4.0     3d
south   NotReady      south.example:9102   230ms   12    14s    0.3.9     26h
lab     Unavailable   192.0.2.44:9102      -       -     9m     0.4.0     12d
`,
		"log ls": `NAME    HEIGHT   APPLIED   LAG   SNAPSHOT   OPS   SIZE    STATE    UPDATED   AGE
east    1842     1842      0     1800       43    212Ki   OK       1s        3d
south   405      400       12    384        22    91Ki    Behind   14s       26h
`,
	} {
		te := inspectEnv(t)
		if code := te.mesh(t, append(strings.Fields(line), "--data-dir", dir)...); code != 0 || !strings.HasPrefix(te.stdout.String(), want) {
			t.Errorf("mesh %s = %d %s\n%s\nwant it to begin with\n%s", line, code, te.stderr.String(), te.stdout.String(), want)
		}
	}
	transcript(t, "samples", dir, "status", "peers", "peers -o wide", "log ls", "log ls -o wide", "status --color=always", "peers --color=always", "log ls --color=always", "peers nobody --color=always")
}

// On a terminal that is too narrow only addresses give way.
func TestSamplesOnANarrowTerminal(t *testing.T) {
	t.Parallel()
	dir := serveFake(t, sampleNode(t))
	var told strings.Builder
	for _, width := range []int{80, 76, 72, 40} {
		te := inspectEnv(t)
		te.isTerminal = func(s any) bool { return s == te.env.stdout }
		te.width = func(any) int { return width }
		te.vars["NO_COLOR"] = "1"
		code := te.mesh(t, "peers", "--data-dir", dir)
		te.tell(&told, "mesh peers", code)
		for line := range strings.Lines(te.stdout.String()) {
			if n := len(strings.TrimSuffix(line, "\n")); width >= 72 && n > width {
				t.Errorf("on %d columns a line has %d: %s", width, n, line)
			}
		}
	}
	golden(t, "samples-narrow", told.String())
}
