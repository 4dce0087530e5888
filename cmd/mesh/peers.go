package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

func newPeersCmd(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "peers [NAME...]",
		Short: "List the other nodes",
		Example: "  mesh peers\n" +
			"  mesh peers west -o wide\n" +
			"  mesh peers --state NotReady,Unavailable --watch\n" +
			"  mesh peers -o custom-columns=NAME:.name,RTT:.rttSeconds --sort-by .rttSeconds",
		Long: "A NAME is a zone, the name in the first column, a peer id, or at least 6 hex digits that a public " +
			"key begins with. NotAdmitted is a node of the same network id that was seen on the local network (discovery.mdns) " +
			"and that this node does not talk to. --watch prints the table and then a row per change; on a terminal q ends it.",
		Annotations: map[string]string{annotationExits: "0 2 3 5 130"},
		Args:        takesArgs(0, -1),
	}
	v := &peersView{e: e, peers: listPrinter[mesh.Peer]{e: e, kind: "Peer", prefix: "peer", none: "No peers found.", orders: peerOrders(), usual: usualPeers}}
	v.peers.name = func(p mesh.Peer) string { return p.Name }
	node := addNodeFlags(c)
	node.addAllNamespaces(c)
	v.peers.table = func(peers []mesh.Peer, wide bool) table { return inNamespaces(node, peerTable(e, peers, wide), peers) }
	v.peers.path = func(p mesh.Peer) string { return p.Object }
	f := c.Flags()
	f.BoolVarP(&v.watch, "watch", "w", false, "go on printing a row per change")
	f.BoolVar(&v.watchOnly, "watch-only", false, "print changes only, not what is there now")
	f.StringSliceVar(&v.states, "state", nil, "only peers in this `STATE`; several with commas")
	_ = c.RegisterFlagCompletionFunc("state", completeListed(peerStates()...))
	v.peers.addFlags(c)
	c.ValidArgsFunction = node.complete(e, listPeers)
	c.RunE = func(c *cobra.Command, args []string) error {
		for _, s := range v.states {
			if !slices.Contains(peerStates(), s) {
				return usageError(c, fmt.Sprintf("no peer state %q", s)+didYouMean(s, peerStates()), "states are "+strings.Join(peerStates(), ", "))
			}
		}
		if err := v.peers.prepare(c); err != nil {
			return err
		}
		client, err := node.client(e)
		if err != nil {
			return err
		}
		defer client.Close()
		v.names, v.ask = args, client.Peers
		for _, sub := range c.Commands() {
			v.commands = append(v.commands, sub.Name())
		}
		return nodeError(e, v.show(c))
	}
	c.AddCommand(newDescribePeerCmd(e), newAcceptDeletesCmd(e), newRemovePeerCmd(e))
	return c
}

func peerStates() []string {
	return []string{string(mesh.Ready), string(mesh.NotReady), string(mesh.Unknown), string(mesh.Unavailable), string(mesh.NotAdmitted)}
}

// usualPeers orders by state, worst last, then by name.
func usualPeers(a, b mesh.Peer) int {
	return cmp.Or(byState(a, b), cmp.Compare(a.Name, b.Name), cmp.Compare(a.PublicKey, b.PublicKey))
}

func byState(a, b mesh.Peer) int {
	return cmp.Compare(slices.Index(peerStates(), string(a.State)), slices.Index(peerStates(), string(b.State)))
}

// peerOrders are the columns to sort by.
func peerOrders() []order[mesh.Peer] {
	return []order[mesh.Peer]{
		{"name", by(func(p mesh.Peer) string { return p.Name })},
		{"state", byState},
		{"address", byText(peerAddress)},
		{"rtt", byOptional(func(p mesh.Peer) *float64 { return p.RTTSeconds })},
		{"lag", byOptional(func(p mesh.Peer) *uint64 { return p.LagOperations })},
		{"seen", byTime(func(p mesh.Peer) *time.Time { return p.LastSeen })},
		{"version", byText(func(p mesh.Peer) string { return orDash(p.Version) })},
		{"age", byTime(func(p mesh.Peer) *time.Time { return p.FirstSeen })},
	}
}

// peersView chooses peers and prints them.
type peersView struct {
	e         *env
	ask       func(context.Context) ([]mesh.Peer, error)
	names     []string
	commands  []string // of mesh peers, which a mistyped name may have meant
	states    []string
	watch     bool
	watchOnly bool // changes alone; implies watch
	peers     listPrinter[mesh.Peer]
}

func (v *peersView) show(c *cobra.Command) error {
	ctx := c.Context()
	peers, err := v.choose(ctx, true)
	if err != nil {
		return err
	}
	if !v.watch && !v.watchOnly {
		if err := v.peers.list(peers, len(v.names) == 1); err != nil {
			return err
		}
		if v.peers.isTable() {
			v.invite(peers)
		}
		return nil
	}
	return v.e.untilQuit(ctx, v.peers.isTable() && !c.Flags().Changed("output"), func(ctx context.Context) error { return v.follow(ctx, peers) })
}

// follow prints the peers, then each again that changed, until ctx ends.
func (v *peersView) follow(ctx context.Context, peers []mesh.Peer) error {
	last := map[string]mesh.Peer{}
	now := changed(last, peers)
	if !v.watchOnly {
		if err := v.peers.changes(now); err != nil {
			return err
		}
		if len(now) == 0 {
			v.e.note("%s", v.peers.none)
		}
	}
	for {
		if err := sleep(ctx, pollEvery); err != nil {
			return err
		}
		peers, err := v.choose(ctx, false)
		if err != nil {
			return err
		}
		if err := v.peers.changes(changed(last, peers)); err != nil {
			return err
		}
		for _, p := range vanished(last, peers) {
			v.e.note("%s is no peer any more, or not one of those that were asked for", oneLine(p.Name))
		}
	}
}

// choose asks for the peers, and keeps those that were asked for. A name that nobody has is a mistake where strict is
// set; while peers are watched one may go.
func (v *peersView) choose(ctx context.Context, strict bool) ([]mesh.Peer, error) {
	peers, err := v.ask(ctx)
	if err != nil {
		return nil, err
	}
	if len(v.names) > 0 {
		var named []mesh.Peer
		for _, n := range v.names {
			switch p, err := findPeer(peers, n, v.commands...); {
			case err == nil:
				named = append(named, p)
			case strict:
				return nil, err
			}
		}
		peers = named
	}
	return slices.DeleteFunc(peers, func(p mesh.Peer) bool {
		return len(v.states) > 0 && !slices.Contains(v.states, string(p.State))
	}), nil
}

// changed returns the peers that look different from last, and remembers them. What time alone changes is no
// change.
func changed(last map[string]mesh.Peer, peers []mesh.Peer) []mesh.Peer {
	var out []mesh.Peer
	for _, p := range peers {
		before, known := last[p.Namespace+p.PublicKey]
		last[p.Namespace+p.PublicKey] = p
		if !known || !reflect.DeepEqual(lasting(before), lasting(p)) {
			out = append(out, p)
		}
	}
	return out
}

// lasting is a peer without what changes all the time.
func lasting(p mesh.Peer) mesh.Peer {
	p.RTTSeconds, p.RTTP95Seconds, p.LossRatio, p.LagSeconds, p.LastSeen, p.ClockOffsetSeconds = nil, nil, nil, nil, nil, nil
	p.TxBytes, p.RxBytes, p.TxMessages, p.RxMessages = 0, 0, 0, 0
	p.Learnt, p.Attempts = nil, nil // and no row shows them
	return p
}

// vanished returns what was known in last and is not among the peers any more, and forgets it.
func vanished(last map[string]mesh.Peer, peers []mesh.Peer) []mesh.Peer {
	var out []mesh.Peer
	for key, p := range last {
		if !slices.ContainsFunc(peers, func(q mesh.Peer) bool { return q.Namespace+q.PublicKey == key }) {
			delete(last, key)
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b mesh.Peer) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// maxInvited bounds the nodes of the local network that a command is printed for: anybody there can make more.
const maxInvited = 4

// invite tells how those would be admitted that are only seen.
func (v *peersView) invite(peers []mesh.Peer) {
	n := 0
	for _, p := range peers {
		if p.State != mesh.NotAdmitted {
			continue
		}
		switch n++; {
		case n > maxInvited:
		case slices.Contains(p.Reasons, endRemoved):
			v.e.note("%s is on the local network; its key was removed from the mesh and is never admitted again", oneLine(p.Name))
		case slices.Contains(p.Reasons, endHandedOver):
			v.e.note("%s is on the local network with a key that handed its zone over to another one, and is never admitted again", oneLine(p.Name))
		default:
			v.e.note("%s is on the local network and is not admitted. If you know it: mesh invite --for %s", oneLine(p.Name), p.PublicKey)
		}
	}
	if n > maxInvited {
		v.e.note("%d more are on the local network: mesh peers --state %s -o wide", n-maxInvited, mesh.NotAdmitted)
	}
}

func peerTable(e *env, peers []mesh.Peer, wide bool) table {
	t := table{columns: []column{{name: "NAME"}, {name: "STATE", style: stateStyle}, {name: "ADDRESS", shrink: true},
		{name: "RTT", style: rttStyle}, {name: "LAG", style: lagStyle}, {name: "SEEN"}, {name: "VERSION"}}}
	if wide {
		t.columns = append(t.columns, column{name: "KEY"}, column{name: "TRANSPORT"}, column{name: "DELAY", style: delayStyle},
			column{name: "CLOCK"}, column{name: "TX"}, column{name: "RX"}, column{name: "PEER-ID"})
	}
	t.columns = append(t.columns, column{name: "AGE"})
	for _, p := range peers {
		row := []string{p.Name, string(p.State), peerAddress(p), millis(p.RTTSeconds), optional(p.LagOperations), e.since(p.LastSeen), orDash(p.Version)}
		if wide {
			row = append(row, readable.ShortID(p.PublicKey), orDash(p.Transport), seconds(p.LagSeconds), seconds(p.ClockOffsetSeconds),
				traffic(p, p.TxBytes), traffic(p, p.RxBytes), p.PeerID)
		}
		t.rows = append(t.rows, append(row, e.since(p.FirstSeen)))
	}
	return t
}

// peerAddress is where the peer is connected, or else where it is configured to be.
func peerAddress(p mesh.Peer) string {
	if p.Address != nil {
		return *p.Address
	}
	if len(p.Endpoints) > 0 {
		return p.Endpoints[0]
	}
	return noValue
}

func orDash(s *string) string {
	if s == nil {
		return noValue
	}
	return *s
}

func optional[T any](v *T) string {
	if v == nil {
		return noValue
	}
	return fmt.Sprint(*v)
}

// seconds prints a span that may be below zero, to a millisecond.
func seconds(s *float64) string {
	if s == nil {
		return noValue
	}
	millis := int64(math.Round(*s * 1000)) // a whole number, so that no -0 is printed
	return strconv.FormatFloat(float64(millis)/1000, 'f', -1, 64) + "s"
}

func sortPeers(peers []mesh.Peer) { slices.SortStableFunc(peers, usualPeers) }

// minHex is the least number of hex digits that may stand for a key.
const minHex = 6

// findPeer finds the one peer that a name means. Others are words that may have been meant instead.
func findPeer(peers []mesh.Peer, name string, others ...string) (mesh.Peer, error) {
	var found []mesh.Peer
	for _, p := range peers {
		prefix := len(name) >= minHex && strings.HasPrefix(p.PublicKey, strings.ToLower(name))
		if p.Name == name || string(p.Zone) == name || p.PeerID == name || "peer-"+p.PublicKey[:min(8, len(p.PublicKey))] == name || isObject(p, name) || prefix {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		var names []string
		for _, p := range peers {
			names = append(names, p.Name)
		}
		what := fmt.Sprintf("no peer %q", name) + didYouMean(name, slices.Concat(names, others))
		return mesh.Peer{}, &cliError{Code: "MESH-2102", What: what, Cause: "known peers: " + nameList(names), Next: []string{"mesh peers -o wide"}}
	}
	var names []string
	for _, p := range found {
		names = append(names, fmt.Sprintf("%s (%s)", p.Name, readable.ShortID(p.PublicKey)))
	}
	return mesh.Peer{}, &cliError{Code: "MESH-2102", What: fmt.Sprintf("%q may be %s", name, orList(names)),
		Cause: "more than one peer fits", Next: []string{"the same command with a longer part of the key"}}
}

func nameList(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
