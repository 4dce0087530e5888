package node

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/membership"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

// tell hands a notice to whoever keeps them. An empty zone stands for our own.
func (n *Node) tell(x mesh.Notice) {
	if n.cfg.Tell == nil {
		return
	}
	if x.Zone == "" {
		x.Zone = n.cfg.Zone
	}
	x.Time = n.cfg.Now()
	n.cfg.Tell(x)
}

// nameOf is under which name a peer stands in notices: its zone if that is known. It is called by the loop too, and
// waits for nobody for long.
func (n *Node) nameOf(k keys.Public) mesh.Zone {
	if k == n.self {
		return n.cfg.Zone
	}
	if p := n.peers.get(k); p != nil {
		if z := p.boundZone(); z != "" {
			return z
		}
		if z := p.saidZone(); z != "" {
			return z
		}
	}
	return mesh.Zone(peerName(k))
}

// tellDecision says what the replica decided. It is called by the loop.
func (n *Node) tellDecision(d replica.Decision) {
	if n.cfg.Tell == nil {
		return
	}
	as, known := decided[d.Reason]
	if !known {
		as = decision{mesh.NoticeLog, mesh.LevelDebug, string(d.Reason)}
	}
	x := mesh.Notice{Kind: as.kind, Level: as.level, Zone: d.Zone, Reason: string(d.Reason), Text: as.text}
	if d.Object != (mesh.ObjectKey{}) {
		x.Object = d.Object.String()
	}
	if d.Log != (mesh.LogKey{}) {
		x.Text += fmt.Sprintf(" (operation %d)", d.Seq)
	}
	if d.Detail != "" {
		x.Text += ": " + d.Detail
	}
	if x.Zone == "" {
		switch {
		case d.Log != (mesh.LogKey{}):
			x.Zone = n.nameOf(d.Log.Author)
		case !d.Peer.IsZero():
			x.Zone = n.nameOf(d.Peer)
		}
	}
	n.tell(x)
}

// tellWritten says that something was done to an object in the cluster. What could not be done is a decision.
func (n *Node) tellWritten(in replica.Written) {
	if in.Err != "" {
		return
	}
	x := mesh.Notice{Kind: mesh.NoticeApply, Level: mesh.LevelInfo, Zone: in.Write.Zone, Object: in.Write.Object.String()}
	switch in.Write.Kind {
	case replica.PutReplica, replica.YieldLocal:
		x.Reason, x.Text = "applied", fmt.Sprintf("version %d applied", in.Write.Version)
	case replica.RemoveReplica, replica.RemoveLocal:
		x.Reason, x.Text = "removed_here", "removed here"
	case replica.AdoptLocal:
		x.Reason, x.Text = "kept_here", "it is an object of this cluster's own now"
	default:
		return
	}
	n.tell(x)
}

// becauses says in words why a peer is in its state.
var becauses = map[membership.Reason]string{
	membership.NotHeardYet:      "nothing was heard of it yet",
	membership.Connected:        "connected",
	membership.HeartbeatsHeard:  "heard through others",
	membership.ConnectionClosed: "the connection is gone",
	membership.Goodbye:          "it said that it stops",
	membership.ProbesMissed:     "it does not answer probes",
	membership.HeartbeatsMissed: "heartbeats missed",
	membership.NeverHeard:       "not heard once",
}

// tellChange says that a peer changed its state.
func (n *Node) tellChange(c membership.Change) {
	level := mesh.LevelInfo
	switch c.To {
	case mesh.NotReady, mesh.Unknown:
		level = mesh.LevelWarn
	case mesh.Unavailable:
		level = mesh.LevelBad
	}
	text := fmt.Sprintf("%s -> %s", c.From, c.To)
	switch because := becauses[c.Reason]; {
	case c.Reason == membership.TimedOut:
		text += fmt.Sprintf(" after %.0fs", n.cfg.PeerUnavailableAfter.Seconds())
	case because != "":
		text += ": " + because
	}
	n.tell(mesh.Notice{Kind: mesh.NoticePeer, Level: level, Zone: n.nameOf(c.Key), Reason: string(c.Reason), Text: text})
}

// tellLinked says that a connection carries a link now.
func (n *Node) tellLinked(l *link) {
	transport, at := describeAddr(l.s.Conn().RemoteMultiaddr())
	n.tell(mesh.Notice{Kind: mesh.NoticeLink, Level: mesh.LevelInfo, Zone: n.nameOf(l.key()), Reason: "Opened", Text: at + " connected by " + transport})
}

// tellUnlinked says that a link ended, and why.
func (n *Node) tellUnlinked(l *link, err error) {
	if n.stopping.Load() {
		return
	}
	_, at := describeAddr(l.s.Conn().RemoteMultiaddr())
	level, cause := mesh.LevelInfo, ""
	switch {
	case errors.Is(err, errReplaced), refusedAsDuplicate(err):
		level, cause = mesh.LevelDebug, "another connection to it is kept"
	case errors.Is(err, errGoodbye):
		cause = "it stops"
	case errors.Is(err, errSilent):
		level, cause = mesh.LevelBad, errSilent.Error()
	case errors.Is(err, errStopped):
		cause = "this side ended it"
	case errors.Is(err, io.EOF), errors.Is(err, network.ErrReset):
		level, cause = mesh.LevelWarn, "the other side closed it"
	default:
		level, cause = mesh.LevelBad, describeDialError(err)
	}
	n.tell(mesh.Notice{Kind: mesh.NoticeLink, Level: level, Zone: n.nameOf(l.key()), Reason: "Closed", Text: at + " closed: " + cause})
}

// late is how this node follows one peer's log, as far as it is told.
type late struct {
	log   mesh.LogKey
	due   uint32    // what the peer had announced when this was looked at last
	since time.Time // we are behind, and that was told; zero: we are not
}

// watchLag tells when this node falls behind a zone and when it has caught up: what was announced a heartbeat ago should
// be held by now. It is called once per heartbeat.
func (n *Node) watchLag() {
	if n.cfg.Tell == nil {
		return
	}
	v := n.loop.view.Load()
	for _, p := range n.peers.all() {
		if x, ok := p.lagChange(n.cfg.Now(), n.cfg.Network, v); ok {
			x.Zone = n.nameOf(p.key)
			n.tell(x)
		}
	}
}

// lagChange compares what the peer announced with what is held.
func (p *peerEntry) lagChange(now time.Time, network mesh.NetworkID, v *view) (x mesh.Notice, changed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.beat
	if b == nil || b.Next == 0 {
		return x, false
	}
	key := mesh.LogKey{Author: p.key, Log: mesh.LogIDOf(network, b.Instance)}
	have, _ := v.find(key)
	before := p.late
	p.late.log, p.late.due = key, b.Next
	switch behind := have.Next < b.Next && !have.Frozen; {
	case !before.since.IsZero() && !behind:
		p.late.since = time.Time{}
		return mesh.Notice{Kind: mesh.NoticeSync, Level: mesh.LevelInfo, Reason: "CaughtUp",
			Text: fmt.Sprintf("caught up after %.0fs", now.Sub(before.since).Seconds())}, true
	case before.since.IsZero() && behind && before.log == key && have.Next < before.due:
		p.late.since = now
		text := fmt.Sprintf("%d operations behind", b.Next-have.Next)
		if b.Next-have.Next == 1 {
			text = "1 operation behind"
		}
		return mesh.Notice{Kind: mesh.NoticeSync, Level: mesh.LevelWarn, Reason: "Behind", Text: text}, true
	}
	return x, false
}
