package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dcp.hiro.io/mesh/internal/mesh"
)

func newPeersCmd(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "peers [NAME...]",
		Short: "List the other nodes",
		Example: "  mesh peers\n" +
			"  mesh peers west -o wide\n" +
			"  mesh peers --state NotReady,Unavailable\n" +
			"  mesh peers describe west",
		Long: "A NAME is a zone, the name in the first column, a peer id, or at least 6 hex digits that a public " +
			"key begins with. NotAdmitted is a node of the same network id that was seen on the local network (discovery.mdns) " +
			"and that this node does not talk to.",
		Annotations: map[string]string{annotationExits: "0 2 3 5 130"},
		Args:        takesArgs(0, -1),
	}
	v := &peersView{e: e}
	node := addNodeFlags(c)
	f := c.Flags()
	f.BoolVarP(&v.watch, "watch", "w", false, "go on printing a row per change")
	f.BoolVar(&v.noHeaders, "no-headers", false, "print no line of column names")
	f.StringSliceVar(&v.states, "state", nil, "only peers in this `STATE`; several with commas")
	f.Var(newChoice(&v.sortBy, peerOrders()...), "sort-by", "order by one `COLUMN`: "+orList(peerOrders()))
	_ = c.RegisterFlagCompletionFunc("sort-by", completeValues(peerOrders()...))
	_ = c.RegisterFlagCompletionFunc("state", completeValues(peerStates()...))
	v.format = addOutputFlag(c, formatText, formatWide, formatJSON, formatYAML, formatName)
	c.RunE = func(c *cobra.Command, args []string) error {
		for _, s := range v.states {
			if !slices.Contains(peerStates(), s) {
				return usageError(c, fmt.Sprintf("no peer state %q", s)+didYouMean(s, peerStates()), "states are "+strings.Join(peerStates(), ", "))
			}
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
		return nodeError(e, v.show(c.Context()))
	}
	c.AddCommand(newDescribePeerCmd(e), newAcceptDeletesCmd(e), newRemovePeerCmd(e))
	return c
}

func peerStates() []string {
	return []string{string(mesh.Ready), string(mesh.NotReady), string(mesh.Unknown), string(mesh.Unavailable), string(mesh.NotAdmitted)}
}

func peerOrders() []string {
	return []string{"name", "state", "address", "rtt", "lag", "seen", "version", "age"}
}

// peersView chooses peers and prints them.
type peersView struct {
	e         *env
	ask       func(context.Context) ([]mesh.Peer, error)
	names     []string
	commands  []string // of mesh peers, which a mistyped name may have meant
	states    []string
	sortBy    string
	noHeaders bool
	watch     bool
	format    *string
	widths    []int // of the table, kept over the rows of a watch
}

func (v *peersView) show(ctx context.Context) error {
	peers, err := v.choose(ctx)
	if err != nil {
		return err
	}
	if !v.watch || *v.format == formatText || *v.format == formatWide {
		if err := v.print(peers, v.noHeaders); err != nil {
			return err
		}
	}
	if !v.watch {
		return nil
	}
	last := map[string]string{}
	if *v.format == formatText || *v.format == formatWide {
		changed(last, peers)
	}
	for {
		if err := v.printChanges(changed(last, peers)); err != nil {
			return err
		}
		if err := sleep(ctx, pollEvery); err != nil {
			return err
		}
		if peers, err = v.choose(ctx); err != nil {
			return err
		}
	}
}

func (v *peersView) choose(ctx context.Context) ([]mesh.Peer, error) {
	peers, err := v.ask(ctx)
	if err != nil {
		return nil, err
	}
	if len(v.names) > 0 {
		var named []mesh.Peer
		for _, n := range v.names {
			p, err := findPeer(peers, n, v.commands...)
			if err != nil {
				return nil, err
			}
			named = append(named, p)
		}
		peers = named
	}
	peers = slices.DeleteFunc(peers, func(p mesh.Peer) bool {
		return len(v.states) > 0 && !slices.Contains(v.states, string(p.State))
	})
	sortPeers(v.e, peers, v.sortBy)
	return peers, nil
}

// changed returns the peers that look different from last, and remembers them. What time alone changes is no
// change.
func changed(last map[string]string, peers []mesh.Peer) []mesh.Peer {
	var out []mesh.Peer
	for _, p := range peers {
		s := p
		s.RTTSeconds, s.LagSeconds, s.LastSeen, s.ClockOffsetSeconds, s.TxBytes, s.RxBytes = nil, nil, nil, nil, 0, 0
		b, err := json.Marshal(s)
		if err != nil || last[p.PublicKey] == string(b) {
			continue
		}
		last[p.PublicKey] = string(b)
		out = append(out, p)
	}
	return out
}

func (v *peersView) printChanges(peers []mesh.Peer) error {
	if *v.format != formatJSON {
		if len(peers) == 0 {
			return nil
		}
		return v.print(peers, true)
	}
	for _, p := range peers {
		if err := v.e.printLine("Peer", p); err != nil {
			return err
		}
	}
	return nil
}

func (v *peersView) print(peers []mesh.Peer, noHeader bool) error {
	switch *v.format {
	case formatJSON, formatYAML:
		return v.e.printList(*v.format, "PeerList", peers)
	case formatName:
		for _, p := range peers {
			if err := v.e.printf("peer/%s\n", oneLine(p.Name)); err != nil {
				return err
			}
		}
		return nil
	}
	t := peerTable(v.e, peers, *v.format == formatWide)
	t.noHeader, t.keep = noHeader, &v.widths
	if err := v.e.printTable(t, "No peers found."); err != nil {
		return err
	}
	v.invite(peers)
	return nil
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
		{name: "RTT"}, {name: "LAG"}, {name: "SEEN"}, {name: "VERSION"}}}
	if wide {
		for _, name := range []string{"KEY", "TRANSPORT", "DELAY", "CLOCK", "TX", "RX", "PEER-ID"} {
			t.columns = append(t.columns, column{name: name})
		}
	}
	t.columns = append(t.columns, column{name: "AGE"})
	for _, p := range peers {
		row := []string{p.Name, string(p.State), peerAddress(p), millis(p.RTTSeconds), optional(p.LagOperations), e.since(p.LastSeen), orDash(p.Version)}
		if wide {
			row = append(row, shortID(p.PublicKey), orDash(p.Transport), seconds(p.LagSeconds), seconds(p.ClockOffsetSeconds),
				binary(p.TxBytes), binary(p.RxBytes), p.PeerID)
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

// sortPeers orders by a column, then by name; without one by state, worst last.
func sortPeers(e *env, peers []mesh.Peer, by string) {
	slices.SortStableFunc(peers, func(a, b mesh.Peer) int {
		var c int
		switch by {
		case "", "state":
			c = cmp.Compare(slices.Index(peerStates(), string(a.State)), slices.Index(peerStates(), string(b.State)))
		case "address":
			c = cmp.Compare(peerAddress(a), peerAddress(b))
		case "rtt":
			c = compareOptional(a.RTTSeconds, b.RTTSeconds)
		case "lag":
			c = compareOptional(a.LagOperations, b.LagOperations)
		case "seen":
			c = compareTimes(b.LastSeen, a.LastSeen)
		case "version":
			c = cmp.Compare(orDash(a.Version), orDash(b.Version))
		case "age":
			c = compareTimes(b.FirstSeen, a.FirstSeen)
		}
		return cmp.Or(c, cmp.Compare(a.Name, b.Name), cmp.Compare(a.PublicKey, b.PublicKey))
	})
}

// compareOptional orders what is missing last.
func compareOptional[T cmp.Ordered](a, b *T) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return cmp.Compare(*a, *b)
}

func compareTimes(a, b *time.Time) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	return a.Compare(*b)
}

// minHex is the least number of hex digits that may stand for a key.
const minHex = 6

// findPeer finds the one peer that a name means. Others are words that may have been meant instead.
func findPeer(peers []mesh.Peer, name string, others ...string) (mesh.Peer, error) {
	var found []mesh.Peer
	for _, p := range peers {
		prefix := len(name) >= minHex && strings.HasPrefix(p.PublicKey, strings.ToLower(name))
		if p.Name == name || string(p.Zone) == name || p.PeerID == name || "peer-"+p.PublicKey[:min(8, len(p.PublicKey))] == name || prefix {
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
		names = append(names, fmt.Sprintf("%s (%s)", p.Name, shortID(p.PublicKey)))
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
