package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

var clock = time.Date(2026, 11, 22, 14, 3, 22, 0, time.UTC)

func ptr[T any](v T) *T { return &v }

func ago(d time.Duration) *time.Time { return ptr(clock.Add(-d)) }

// line is a result as people are told it.
func lines(all []mesh.CheckResult) string {
	var b strings.Builder
	for _, x := range all {
		fmt.Fprintf(&b, "%s %s", x.Status, x.Message)
		if x.Subject != "" {
			fmt.Fprintf(&b, " {%s}", x.Subject)
		}
		if x.Cause != "" {
			fmt.Fprintf(&b, " < %s", x.Cause)
		}
		if len(x.Next) > 0 {
			fmt.Fprintf(&b, " > %s", strings.Join(x.Next, " | "))
		}
		b.WriteByte('\n')
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// healthy is a node of three that is well.
func healthy() Node {
	peer := func(zone string) mesh.Peer {
		return mesh.Peer{Name: zone, Zone: mesh.Zone(zone), State: mesh.Ready, PublicKey: zone + "-key", Endpoints: []string{zone + ".example:9102"},
			ClockOffsetSeconds: ptr(0.004), Version: ptr("0.4.0"), Reasons: []string{}}
	}
	return Node{
		Now: clock,
		Status: mesh.Status{Zone: "east", PublicKey: "east-key", Version: "0.4.0", UptimeSeconds: 3600, Ready: true, InSync: true,
			Replication: []mesh.Replication{{Zone: "west", Announced: 9, Applied: 9}, {Zone: "south", Announced: 4, Applied: 4}},
			Resources:   mesh.Resources{Live: 57},
			Cluster:     mesh.ClusterStatus{Kind: "kubernetes", Location: "kind-east", Connected: true}},
		Peers: []mesh.Peer{peer("west"), peer("south")},
		Logs: []mesh.LogStatus{
			{Name: "east", Zone: "east", PublicKey: "east-key", Height: ptr(uint32(1842)), Snapshot: ptr(uint32(1800)), State: "OK", Updated: ago(time.Second)},
			{Name: "west", Zone: "west", PublicKey: "west-key", Height: ptr(uint32(8)), State: "OK", Updated: ago(time.Hour)}},
		Losses:         map[string]Loss{"west-key": {Sent: 1000, Lost: 3, Packets: true}, "south-key": {Sent: 100, Lost: 0}},
		Refused:        map[string]uint64{"malformed": 0, "duplicate_link": 7},
		KubeWrites:     100,
		SnapshotMaxLog: 256, SnapshotInterval: 5 * time.Minute, SnapshotAt: ago(4 * time.Minute),
	}
}

func TestNodeChecks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		id, name string
		change   func(*Node)
		want     string
	}{
		{"network.node", "well", nil, "ok a node of zone east answers: version 0.4.0, up 60m"},
		{"network.node", "stands by", func(n *Node) { n.Status.Lease = &mesh.LeaseStatus{State: "Standby"} }, "ok a node of zone east answers and stands by"},

		{"peers.reachable", "well", nil, "ok 2 peers are Ready"},
		{"peers.reachable", "alone", func(n *Node) { n.Peers = nil }, "skip no other node is known"},
		{"peers.reachable", "seen on the LAN only", func(n *Node) { n.Peers = []mesh.Peer{{State: mesh.NotAdmitted}} }, "skip no other node is known"},
		{"peers.reachable", "away", func(n *Node) {
			n.Peers[0].State, n.Peers[0].Since, n.Peers[0].Reasons = mesh.NotReady, ago(14*time.Second), []string{"HeartbeatsMissed", "New"}
			n.Peers[1].State, n.Peers[1].Since, n.Peers[1].LastError = mesh.Unavailable, ago(9*time.Minute), "dial 192.0.2.44:9102: connection timed out (quic and tcp)"
		}, "fail south has been unavailable for 9m {south} < dial 192.0.2.44:9102: connection timed out (quic and tcp) > on south run: mesh status | gone for good? mesh peers remove south\n" +
			"warn west has not been ready for 14s {west} < its heartbeats stay away; New > mesh peers describe west"},
		{"peers.reachable", "unknown", func(n *Node) {
			n.Peers = n.Peers[:1]
			n.Peers[0].State, n.Peers[0].Endpoints = mesh.Unknown, nil
		}, "warn west was not heard since this node started {west} < no endpoint of it is known: it has to dial this node > mesh peers describe west"},

		{"peers.version", "well", nil, "ok 2 peers are of version 0.4"},
		{"peers.version", "patches", func(n *Node) { n.Peers[0].Version = ptr("0.4.7") }, "ok 2 peers are of version 0.4"},
		{"peers.version", "skew", func(n *Node) { n.Peers[0].Version = ptr("0.3.9") }, "warn west runs version 0.3.9, this node 0.4.0 {west} < one of the two was not upgraded > mesh peers -o wide"},
		{"peers.version", "built by hand", func(n *Node) { n.Peers[0].Version = ptr("dev") }, "warn west runs version dev, this node 0.4.0 {west} < one of the two was not upgraded > mesh peers -o wide"},
		{"peers.version", "not told", func(n *Node) { n.Peers[0].Version, n.Peers[1].Version = nil, nil }, "skip no peer has told its version yet"},
		{"peers.version", "alone", func(n *Node) { n.Peers = nil }, "skip no other node is known"},

		{"peers.loss", "well", nil, "ok 2 links lose less than 2 %"},
		{"peers.loss", "some", func(n *Node) { n.Losses["west-key"] = Loss{Sent: 1000, Lost: 40, Packets: true} },
			"warn the link to west loses 4 % {west} < 40 of the last 1000 packets had to be sent again > look at the way between the two, such as: ping, mtr | mesh peers describe west"},
		{"peers.loss", "much", func(n *Node) { n.Losses["south-key"] = Loss{Sent: 100, Lost: 30} },
			"fail the link to south loses 30 % {south} < 30 of the last 100 probes were not answered in time > look at the way between the two, such as: ping, mtr | mesh peers describe south"},
		{"peers.loss", "too little to tell", func(n *Node) { n.Losses = map[string]Loss{"west-key": {Sent: 10, Lost: 9}} }, "skip no link has sent enough yet to be judged"},

		{"peers.lag", "well", nil, "ok no zone is behind by more than 10s"},
		{"peers.lag", "a moment", func(n *Node) { n.Status.Replication[0].LagOperations, n.Status.Replication[0].LagSeconds = 12, 3.1 }, "ok no zone is behind by more than 10s"},
		{"peers.lag", "slow", func(n *Node) { n.Status.Replication[0].LagOperations, n.Status.Replication[0].LagSeconds = 12, 31 },
			"warn west: 12 operations behind for 31s {west} < they were announced and did not arrive > mesh log ls | mesh doctor --group network"},
		{"peers.lag", "stalled", func(n *Node) { n.Status.Replication[0].LagOperations, n.Status.Replication[0].LagSeconds = 1, 300 },
			"fail west: 1 operation behind for 5m {west} < they were announced and did not arrive > mesh log ls | mesh doctor --group network"},
		{"peers.lag", "of one that is away", func(n *Node) {
			n.Peers[0].State = mesh.Unavailable
			n.Status.Replication[0].LagOperations, n.Status.Replication[0].LagSeconds = 1, 3000
		}, "warn west: 1 operation behind for 50m {west} < the zone is not reachable, and no other node sent them > mesh log ls | mesh doctor --group network"},
		{"peers.lag", "nothing known", func(n *Node) { n.Status.Replication = nil }, "skip nothing of another zone is known yet"},

		{"system.clock", "well", nil, "ok 2 clocks agree within 2s"},
		{"system.clock", "ours", func(n *Node) { n.Peers[0].ClockOffsetSeconds, n.Peers[1].ClockOffsetSeconds = ptr(-601.0), ptr(-599.0) },
			"fail this machine's clock is 10m ahead < compared with those of 2 peers > timedatectl status | start a time service here, such as chrony"},
		{"system.clock", "theirs", func(n *Node) { n.Peers[0].ClockOffsetSeconds = ptr(3.25) },
			"warn the clock of west is 3.2s ahead {west} < compared with that of this machine > on west run: timedatectl status"},
		{"system.clock", "centuries ahead", func(n *Node) { n.Peers[0].ClockOffsetSeconds = ptr(1e18) },
			"fail this machine's clock is 106751d behind < compared with those of 2 peers > timedatectl status | start a time service here, such as chrony"},
		{"system.clock", "not compared", func(n *Node) { n.Peers[0].ClockOffsetSeconds, n.Peers[1].State = nil, mesh.NotReady }, "skip no clock was compared with yet"},

		{"log.stuck", "well", nil, "ok 2 logs: none stands still"},
		{"log.stuck", "stuck", func(n *Node) {
			n.Logs[1].Lag, n.Logs[1].State = 12, "Behind"
			n.Status.Replication[0].LagSeconds = 180
		}, "fail the log of west stands still, 12 operations behind {west} < its newest operation arrived 60m ago > mesh log ls | mesh log verify west"},
		{"log.stuck", "behind for a moment", func(n *Node) { n.Logs[1].Lag = 12; n.Status.Replication[0].LagSeconds = 3 }, "ok 2 logs: none stands still"},
		{"log.stuck", "behind and moving", func(n *Node) {
			n.Logs[1].Lag, n.Logs[1].Updated = 12, ago(time.Second)
			n.Status.Replication[0].LagSeconds = 180
		}, "ok 2 logs: none stands still"},
		{"log.stuck", "nobody there to send it", func(n *Node) {
			n.Logs[1].Lag = 12
			n.Status.Replication[0].LagSeconds = 180
			n.Peers[0].State, n.Peers[1].State = mesh.Unavailable, mesh.NotReady
		}, "ok 2 logs: none stands still"},
		{"log.stuck", "no logs", func(n *Node) { n.Logs = nil }, "skip there are no logs yet"},

		{"log.signature", "well", nil, "ok nothing was refused as forged or malformed"},
		{"log.signature", "forged", func(n *Node) { n.Refused["malformed"], n.Refused["signature_mismatch"] = 2, 1 },
			"warn 3 messages were refused as forged or malformed since this node started < 2 malformed, 1 signature mismatch > mesh log verify | mesh peers -o wide"},
		{"log.signature", "unknown", func(n *Node) { n.Refused = nil }, "skip what was refused is not known here"},

		{"log.snapshot", "well", nil, "ok the newest snapshot of this zone's log is at 1800, 4m old"},
		{"log.snapshot", "too many operations", func(n *Node) { n.Logs[0].Snapshot = ptr(uint32(100)) },
			"warn 1742 operations of this zone's log follow the newest snapshot {east} < one is due after 256 > look for errors in the log of the node | mesh log ls"},
		{"log.snapshot", "overdue", func(n *Node) { n.SnapshotAt, n.Logs[0].Updated = ago(time.Hour), ago(10*time.Minute) },
			"warn the snapshot of this zone's log is overdue, 60m old {east} < operations came after it, the last 10m ago > look for errors in the log of the node | mesh log ls"},
		{"log.snapshot", "quiet since", func(n *Node) { n.SnapshotAt, n.Logs[0].Updated = ago(24*time.Hour), ago(24*time.Hour-time.Second) },
			"ok the newest snapshot of this zone's log is at 1800, 24h old"},
		{"log.snapshot", "none yet", func(n *Node) { n.Logs[0].Snapshot, n.Logs[0].Height, n.SnapshotAt = nil, ptr(uint32(9)), nil },
			"ok this zone's log is too young for a snapshot: 10 operations"},
		{"log.snapshot", "nothing signed", func(n *Node) { n.Logs = n.Logs[1:] }, "skip this node has signed nothing yet"},

		{"cluster.connected", "well", nil, "ok kubernetes kind-east is read as a whole"},
		{"cluster.connected", "none", func(n *Node) { n.Status.Cluster.Kind = "none" }, "skip no cluster is configured"},
		{"cluster.connected", "away", func(n *Node) { n.Status.Cluster.Connected = false },
			"fail kubernetes kind-east: cannot be read, or not wholly {kubernetes kind-east} < nothing that is missing in it counts as deleted > mesh status"},
		{"cluster.problems", "well", nil, "ok no object of the cluster has a problem"},
		{"cluster.problems", "some", func(n *Node) {
			n.Status.Cluster.Problems = []mesh.Problem{{File: "local/app.yaml", Line: 7, Reason: "Invalid", Text: "did not find expected key"}, {Object: "Secret/a/b", Reason: "ApplyRejected", Text: "no"}, {Reason: "Forbidden", Text: "watch"}}
		}, "warn local/app.yaml:7: Invalid {local/app.yaml:7} < did not find expected key > mesh status\nwarn Secret/a/b: ApplyRejected {Secret/a/b} < no > mesh status\nwarn Forbidden < watch > mesh status"},
		{"cluster.problems", "none", func(n *Node) { n.Status.Cluster.Kind = "" }, "skip no cluster is configured"},
		{"kubernetes.conflicts", "well", nil, "ok 0 conflicts among 100 writes since this node started"},
		{"kubernetes.conflicts", "by chance", func(n *Node) { n.KubeConflicts = 9 }, "ok 9 conflicts among 100 writes since this node started"},
		{"kubernetes.conflicts", "many", func(n *Node) { n.KubeConflicts = 11 },
			"warn many writes had to be made anew because the object had changed meanwhile < 11 conflicts among 100 writes since this node started > find who else writes these objects: mesh status"},
		{"kubernetes.conflicts", "a fight", func(n *Node) { n.Status.Cluster.Problems = []mesh.Problem{{Reason: "Contested"}} },
			"warn 1 replica is altered by somebody else again and again < 0 conflicts among 100 writes since this node started > mesh status"},
		{"kubernetes.conflicts", "a folder", func(n *Node) { n.Status.Cluster.Kind = "folder" }, "skip no cluster of Kubernetes is configured"},

		{"key.instance", "well", nil, "ok one process uses each key"},
		{"key.instance", "ours", func(n *Node) {
			n.Status.Findings = []mesh.Finding{{ID: "key.instance", Status: "fail", Text: "another live instance uses this node's key", Next: "stop one of the two"}}
		}, "fail another live instance uses this node's key > stop one of the two"},
		{"key.instance", "a peer's", func(n *Node) { n.Peers[1].Reasons = []string{"TwoInstances"} },
			"fail south: two live processes use its key {south} < one was copied from the other, with its key > stop one of the two nodes with key south-key"},
		{"deletes.held", "well", nil, "ok no deletion is held back"},
		{"deletes.held", "held", func(n *Node) {
			n.Status.Findings = []mesh.Finding{{ID: "log.fork", Status: "fail", Subject: "x"}, {ID: "deletes.held", Status: "fail", Subject: "west", Text: "2 deletions are held", Next: "mesh peers accept-deletes west"}}
		}, "fail west: 2 deletions are held {west} > mesh peers accept-deletes west"},
		{"start.compared", "waits", func(n *Node) {
			n.Status.Findings = []mesh.Finding{{ID: "start.compared", Status: "warn", Text: "changes made here are recorded and not announced yet"}}
		}, "warn changes made here are recorded and not announced yet"},
		{"resources.contested", "stands by", func(n *Node) { n.Status.Lease = &mesh.LeaseStatus{State: "Waiting"} }, "skip this process stands by and works on nothing"},
	} {
		t.Run(tt.id+" "+tt.name, func(t *testing.T) {
			n := healthy()
			if tt.change != nil {
				tt.change(&n)
			}
			s := OfNode(func(context.Context) (Node, error) { return n, nil })
			if got := lines(s[tt.id](context.Background())); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// All that a healthy node is asked about is well, each check has its ok, and every check of the suite has a page.
func TestHealthyNode(t *testing.T) {
	t.Parallel()
	loads := 0
	s := OfNode(func(context.Context) (Node, error) { loads++; return healthy(), nil })
	for id, look := range s {
		if _, ok := Find(id); !ok {
			t.Errorf("%s has no page", id)
		}
		if got := look(context.Background()); len(got) != 1 || got[0].Status != mesh.CheckOK || got[0].Message == "" {
			t.Errorf("%s: %s", id, lines(got))
		}
	}
	if loads != 1 {
		t.Errorf("the node was asked %d times", loads)
	}
	silent := OfNode(func(context.Context) (Node, error) { return Node{}, errors.New("its loop did not answer within 4s") })
	if got := lines(silent["network.node"](context.Background())); got != "fail the node runs and doesn't tell how it is doing < its loop did not answer within 4s > mesh status" {
		t.Error(got)
	}
	if got := lines(silent["peers.lag"](context.Background())); got != "skip the node doesn't tell: its loop did not answer within 4s" {
		t.Error(got)
	}
}
