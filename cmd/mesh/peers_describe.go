package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

func newDescribePeerCmd(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:         "describe NAME",
		Short:       "Explain the state of one peer",
		Example:     "  mesh peers describe west\n  mesh peers describe 3d4017 -o yaml",
		Annotations: map[string]string{annotationExits: "0 2 3 5"},
		Args:        takesArgs(1, 1),
	}
	node := addNodeFlags(c)
	c.ValidArgsFunction = only(1, node.complete(e, listPeers))
	format := addOutputFlag(c, formatText, formatJSON, formatYAML)
	c.RunE = func(c *cobra.Command, args []string) error {
		client, err := node.client(e)
		if err != nil {
			return err
		}
		defer client.Close()
		peers, err := client.Peers(c.Context())
		if err != nil {
			return nodeError(e, err)
		}
		p, err := findPeer(peers, args[0])
		if err != nil {
			return err
		}
		if *format != formatText {
			return e.printValue(*format, "Peer", p)
		}
		return e.printf("%s", describePeer(e, p))
	}
	return c
}

// describePeer is everything about one peer, a line each: what was tried, what answered, since when.
func describePeer(e *env, p mesh.Peer) string {
	var b strings.Builder
	line := func(name, value string) { fmt.Fprintf(&b, "%-12s %s\n", name, oneLine(value)) }
	state := e.paint(e.stdout, string(p.State), stateStyle(string(p.State)))
	fmt.Fprintf(&b, "%-12s %s\n", "name", oneLine(p.Name))
	fmt.Fprintf(&b, "%-12s %s%s\n", "state", state, sinceWords(e, p))
	line("reasons", orNone(strings.Join(p.Reasons, ", ")))
	line("zone", orNone(string(p.Zone)))
	line("public key", p.PublicKey)
	line("peer id", p.PeerID)
	line("admitted", admittedBy(p))
	for i, k := range p.ZoneKeys {
		name := ""
		if i == 0 {
			name = "zone's keys"
		}
		line(name, tenure(k))
	}
	line("endpoints", orNone(strings.Join(p.Endpoints, ", ")))
	if len(p.Learnt) > 0 {
		line("learnt", learntWays(p))
	}
	line("connected", connection(p))
	for i, a := range p.Attempts {
		name := ""
		if i == 0 {
			name = "tried"
		}
		line(name, attempt(e, a))
	}
	line("last error", orNone(p.LastError))
	line("seen", fmt.Sprintf("%s ago, first %s ago", e.since(p.LastSeen), e.since(p.FirstSeen)))
	line("lag", fmt.Sprintf("%s operations, %s", optional(p.LagOperations), seconds(p.LagSeconds)))
	line("clock", seconds(p.ClockOffsetSeconds))
	line("traffic", fmt.Sprintf("%s sent, %s received", traffic(p, p.TxBytes), traffic(p, p.RxBytes)))
	version := orDash(p.Version)
	if p.Incarnation != nil {
		version += ", incarnation " + rfc3339(*p.Incarnation)
	}
	line("version", version)
	if p.DeletesHeld > 0 {
		line("held", readable.Count(p.DeletesHeld, "delete")+"; see them: "+e.asCalled("mesh peers accept-deletes "+p.Name))
	}
	return b.String()
}

// admittedBy says who let the peer in, and when.
func admittedBy(p mesh.Peer) string {
	a := p.Admission
	switch {
	case a == nil:
		return noValue
	case a.By == nil:
		return "by this node's configuration"
	}
	who := readable.ShortID(*a.By)
	if a.ByZone != nil {
		who = fmt.Sprintf("%s (%s)", *a.ByZone, who)
	}
	if a.At != nil {
		who += ", " + rfc3339(*a.At)
	}
	return "by " + who
}

// tenure is one key in the history of a zone.
func tenure(k mesh.ZoneKey) string {
	s := readable.ShortID(k.PublicKey)
	if k.Generation > 0 {
		s += fmt.Sprintf(", by hand-over %d", k.Generation)
	}
	if k.Since != nil {
		s += " since " + rfc3339(*k.Since)
	}
	switch k.Ended {
	case endRemoved:
		s += "; removed"
	case endHandedOver:
		s += "; handed over"
	default:
		return s
	}
	if k.Until != nil {
		s += " " + rfc3339(*k.Until)
	}
	if k.EndedBy != nil {
		s += " by " + readable.ShortID(*k.EndedBy)
	}
	return s
}

func sinceWords(e *env, p mesh.Peer) string {
	if p.Since == nil {
		return ""
	}
	return fmt.Sprintf(" for %s, since %s", e.since(p.Since), rfc3339(*p.Since))
}

func connection(p mesh.Peer) string {
	if p.Address == nil {
		return noValue
	}
	s := *p.Address
	if p.Transport != nil {
		s += " by " + *p.Transport
	}
	if p.RTTSeconds != nil {
		s += ", round trip " + millis(p.RTTSeconds)
	}
	if p.RTTP95Seconds != nil {
		s += fmt.Sprintf(" (95%% within %s)", millis(p.RTTP95Seconds))
	}
	if p.LossRatio != nil {
		s += fmt.Sprintf(", %.0f%% lost", *p.LossRatio*100)
	}
	return s
}

// learntWays lists where the peer is said to be, and who says so.
func learntWays(p mesh.Peer) string {
	words := map[string]string{"peer": "it says so", "lan": "local network", "stored": "known before"}
	var out []string
	for _, l := range p.Learnt {
		who := words[l.From]
		if l.Worked != nil {
			who = "worked"
		}
		out = append(out, fmt.Sprintf("%s (%s)", l.Address, who))
	}
	return strings.Join(out, ", ")
}

// attempt is one try to reach the peer: where, how, what came of it, and since when that is so.
func attempt(e *env, a mesh.DialAttempt) string {
	s := a.Address
	if a.Transport != "" {
		s += " by " + a.Transport
	}
	if a.Since.Before(a.At) {
		s += fmt.Sprintf(" for %s, last", e.since(&a.Since))
	}
	if a.Error == "" {
		a.Error = "it answered"
	}
	return fmt.Sprintf("%s %s ago: %s", s, e.since(&a.At), a.Error)
}
