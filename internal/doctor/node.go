package doctor

import (
	"context"
	"sync"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

// Node is what a running node tells about itself, at one moment.
type Node struct {
	Now    time.Time // of the node
	Status mesh.Status
	Peers  []mesh.Peer // those that are merely seen on the local network may be among them
	Logs   []mesh.LogStatus
	Losses map[string]Loss // by public key of the peer; one that is missing was not measured

	// Refused counts what was refused from outside since the start, by the reasons of mesh_refused_total.
	Refused map[string]uint64
	// KubeWrites and KubeConflicts count changes sent to the API server since the start, and those among them that had to
	// be made anew because the object had changed meanwhile.
	KubeWrites, KubeConflicts uint64

	SnapshotMaxLog   uint64        // operations after which a snapshot of the own log is due
	SnapshotInterval time.Duration // after which one is due if something changed
	SnapshotAt       *time.Time    // when the own log's newest snapshot was begun; nil: there is none
}

// Loss is what was lost of late on the link to a peer.
type Loss struct {
	Sent, Lost uint64
	Packets    bool // packets of QUIC; else probes
}

// share is the lost part, 0 to 1.
func (l Loss) share() float64 {
	if l.Sent == 0 {
		return 0
	}
	return min(float64(l.Lost)/float64(l.Sent), 1)
}

// OfNode holds the checks of what a running node tells. load asks it, once in a run; its error is why it doesn't answer,
// in a sentence.
func OfNode(load func(context.Context) (Node, error)) Suite {
	var (
		once sync.Once
		node Node
		err  error
	)
	loaded := func(ctx context.Context) (*Node, error) {
		once.Do(func() { node, err = load(ctx) })
		return &node, err
	}
	s := Suite{theNode: func(ctx context.Context) []mesh.CheckResult {
		n, err := loaded(ctx)
		if err != nil {
			return []mesh.CheckResult{Fail("", "the node runs and doesn't tell how it is doing", err.Error(), "mesh status")}
		}
		return n.answers()
	}}
	for id, look := range map[string]func(*Node) []mesh.CheckResult{
		"system.clock":    (*Node).clock,
		"peers.reachable": (*Node).reachable, "peers.version": (*Node).version, "peers.loss": (*Node).loss, "peers.lag": (*Node).lag,
		"log.stuck": (*Node).stuck, "log.signature": (*Node).signatures, "log.snapshot": (*Node).snapshot,
		"cluster.connected": (*Node).connected, "cluster.problems": (*Node).problems,
		"kubernetes.conflicts": (*Node).conflicts,
		"key.instance":         (*Node).instance,
		"key.removed":          found("key.removed", "this node's key belongs to the mesh"),
		"zone.conflict":        found("zone.conflict", "every zone has one key"),
		"zone.binding":         found("zone.binding", "every key has one zone"),
		"peers.removal":        found("peers.removal", "no removal waits"),
		"nodes.removed":        found("nodes.removed", "no removed key is admitted here"),
		"nodes.diverging":      found("nodes.diverging", "zones are bound here as everywhere"),
		"start.compared":       (*Node).compared,
		"log.fork":             found("log.fork", "no log has two histories"),
		"deletes.held":         found("deletes.held", "no deletion is held back"),
		"resources.contested":  found("resources.contested", "no object is claimed by two zones"),
		"resources.rejected":   found("resources.rejected", "every object could be written here"),
		"cluster.witness":      found("cluster.witness", "the cluster is the one it was"),
	} {
		s[id] = func(ctx context.Context) []mesh.CheckResult {
			n, err := loaded(ctx)
			switch {
			case err != nil: // with --skip network.node
				return Skip("the node doesn't tell: " + err.Error())
			case n.standsBy():
				return Skip("this process stands by and works on nothing")
			}
			return look(n)
		}
	}
	return s
}

// standsBy reports whether the process leaves the work to another one of its zone.
func (n *Node) standsBy() bool {
	l := n.Status.Lease
	return l != nil && (l.State == "Standby" || l.State == "Waiting")
}

func (n *Node) answers() []mesh.CheckResult {
	s := n.Status
	if n.standsBy() {
		return OK("a node of zone %s answers and stands by", s.Zone)
	}
	up := time.Duration(s.UptimeSeconds * float64(time.Second))
	return OK("a node of zone %s answers: version %s, up %s", s.Zone, s.Version, readable.Span(up))
}

// found looks for what the node itself reports under the id of the check.
func found(id, well string) func(*Node) []mesh.CheckResult {
	return func(n *Node) []mesh.CheckResult {
		if bad := n.findings(id); len(bad) > 0 {
			return bad
		}
		return OK("%s", well)
	}
}

// findings turns what the node reports under an id into results.
func (n *Node) findings(id string) (out []mesh.CheckResult) {
	for _, f := range n.Status.Findings {
		if f.ID != id {
			continue
		}
		x := mesh.CheckResult{Subject: f.Subject, Status: mesh.CheckWarn, Message: f.Text}
		if f.Status == "fail" {
			x.Status = mesh.CheckFail
		}
		if f.Subject != "" {
			x.Message = f.Subject + ": " + f.Text
		}
		if f.Next != "" {
			x.Next = []string{f.Next}
		}
		out = append(out, x)
	}
	return out
}

// instance looks at this key and at those of the peers: whoever is linked to both of two processes sees them.
func (n *Node) instance() []mesh.CheckResult {
	bad := n.findings("key.instance")
	for _, p := range n.members() {
		for _, r := range p.Reasons {
			if r == "TwoInstances" {
				bad = append(bad, Fail(p.Name, p.Name+": two live processes use its key", "one was copied from the other, with its key",
					"stop one of the two nodes with key "+p.PublicKey))
			}
		}
	}
	if len(bad) > 0 {
		return bad
	}
	return OK("one process uses each key")
}

func (n *Node) compared() []mesh.CheckResult {
	if bad := n.findings("start.compared"); len(bad) > 0 {
		return bad
	}
	return OK("this node was compared with the others")
}

// members are the peers that are admitted.
func (n *Node) members() []mesh.Peer {
	out := make([]mesh.Peer, 0, len(n.Peers))
	for _, p := range n.Peers {
		if p.State != mesh.NotAdmitted {
			out = append(out, p)
		}
	}
	return out
}

// ofZone returns the peer that speaks for a zone; nil: none is known.
func (n *Node) ofZone(z mesh.Zone) *mesh.Peer {
	for i := range n.Peers {
		if p := &n.Peers[i]; p.Zone == z && p.State != mesh.NotAdmitted {
			return p
		}
	}
	return nil
}

// anyReady reports whether some peer is there to get operations from.
func (n *Node) anyReady() bool {
	for _, p := range n.Peers {
		if p.State == mesh.Ready {
			return true
		}
	}
	return false
}
