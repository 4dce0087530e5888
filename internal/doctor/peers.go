package doctor

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

// Limits of what is well between nodes.
const (
	clockOff = 2 * time.Second // as the alert MeshClockOffset

	lossWarn  = 0.02 // of what was sent
	lossFail  = 0.20
	lossLeast = 50 // packets or probes: of fewer nothing can be said

	lagWarn = 10 * time.Second
	lagFail = 5 * time.Minute // as the alert MeshReplicationStalled
)

const noPeers = "no other node is known"

// reachable tells of every peer that is not Ready.
func (n *Node) reachable() []mesh.CheckResult {
	members := n.members()
	if len(members) == 0 {
		return Skip(noPeers)
	}
	var bad []mesh.CheckResult
	for _, p := range members {
		if p.State != mesh.Ready {
			bad = append(bad, n.away(p))
		}
	}
	if len(bad) == 0 {
		return OK("%s", allOf(len(members), "peer is Ready", "peers are Ready"))
	}
	slices.SortStableFunc(bad, func(a, b mesh.CheckResult) int { return severity(b.Status) - severity(a.Status) })
	return bad
}

func (n *Node) away(p mesh.Peer) mesh.CheckResult {
	for_ := ""
	if p.Since != nil {
		for_ = " for " + readable.Span(n.Now.Sub(*p.Since))
	}
	x := Warn(p.Name, p.Name+" has not been ready"+for_, awayCause(p), "mesh peers describe "+p.Name)
	switch p.State {
	case mesh.Unavailable:
		x.Status, x.Message = mesh.CheckFail, p.Name+" has been unavailable"+for_
		x.Next = []string{"on " + p.Name + " run: mesh status", "gone for good? mesh peers remove " + p.Name}
	case mesh.Unknown:
		x.Message = p.Name + " was not heard since this node started"
	}
	return x
}

// awayCause is what answered the last dial, else what the state rests on.
func awayCause(p mesh.Peer) string {
	switch {
	case p.LastError != "":
		return p.LastError
	case len(p.Endpoints) == 0:
		return "no endpoint of it is known: it has to dial this node"
	}
	words := map[string]string{
		"ConnectionClosed": "its connection was closed", "Goodbye": "it said that it stops", "ProbesMissed": "it doesn't answer on its connection",
		"HeartbeatsMissed": "its heartbeats stay away", "NeverHeard": "nothing was heard of it in this run", "TimedOut": "nothing was heard of it for too long",
		"NotHeardYet": "nothing was heard of it in this run",
	}
	var out []string
	for _, r := range p.Reasons {
		out = append(out, cmp.Or(words[r], r))
	}
	return strings.Join(out, "; ")
}

// version compares versions by their first two numbers: patches change nothing between nodes.
func (n *Node) version() []mesh.CheckResult {
	members := n.members()
	if len(members) == 0 {
		return Skip(noPeers)
	}
	var bad []mesh.CheckResult
	known := 0
	for _, p := range members {
		if p.Version == nil {
			continue
		}
		if known++; line(*p.Version) != line(n.Status.Version) {
			bad = append(bad, Warn(p.Name, fmt.Sprintf("%s runs version %s, this node %s", p.Name, *p.Version, n.Status.Version),
				"one of the two was not upgraded", "mesh peers -o wide"))
		}
	}
	switch {
	case len(bad) > 0:
		return bad
	case known == 0:
		return Skip("no peer has told its version yet")
	}
	return OK("%s of version %s", allOf(known, "peer is", "peers are"), line(n.Status.Version))
}

// line is MAJOR.MINOR of a version, or the version itself where it isn't one.
func line(version string) string {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 3 {
		return version
	}
	return parts[0] + "." + parts[1]
}

func (n *Node) loss() []mesh.CheckResult {
	var bad []mesh.CheckResult
	measured := 0
	for _, p := range n.members() {
		l, ok := n.Losses[p.PublicKey]
		if !ok || l.Sent < lossLeast {
			continue
		}
		measured++
		what := "probes were not answered in time"
		if l.Packets {
			what = "packets had to be sent again"
		}
		x := Warn(p.Name, fmt.Sprintf("the link to %s loses %.0f %%", p.Name, 100*l.share()), fmt.Sprintf("%d of the last %d %s", l.Lost, l.Sent, what),
			"look at the way between the two, such as: ping, mtr", "mesh peers describe "+p.Name)
		switch {
		case l.share() < lossWarn:
			continue
		case l.share() >= lossFail:
			x.Status = mesh.CheckFail
		}
		bad = append(bad, x)
	}
	switch {
	case len(bad) > 0:
		return bad
	case measured == 0:
		return Skip("no link has sent enough yet to be judged")
	}
	return OK("%s less than %.0f %%", allOf(measured, "link loses", "links lose"), 100*lossWarn)
}

// lag tells of zones of which more is announced than applied.
func (n *Node) lag() []mesh.CheckResult {
	var bad []mesh.CheckResult
	for _, r := range n.Status.Replication {
		late := time.Duration(r.LagSeconds * float64(time.Second))
		if r.LagOperations == 0 || late < lagWarn {
			continue
		}
		x := Warn(string(r.Zone), fmt.Sprintf("%s: %s behind for %s", r.Zone, readable.Count(r.LagOperations, "operation"), readable.Span(late)), "they were announced and did not arrive",
			"mesh log ls", "mesh doctor --group network")
		if p := n.ofZone(r.Zone); p == nil || p.State != mesh.Ready {
			x.Cause = "the zone is not reachable, and no other node sent them"
		} else if late >= lagFail {
			x.Status = mesh.CheckFail
		}
		bad = append(bad, x)
	}
	if len(bad) > 0 {
		return bad
	}
	if len(n.Status.Replication) == 0 {
		return Skip("nothing of another zone is known yet")
	}
	return OK("no zone is behind by more than %s", readable.Span(lagWarn))
}

// clock judges this machine's clock by most of the others, and theirs by this one.
func (n *Node) clock() []mesh.CheckResult {
	var offsets []float64 // how much their clocks are ahead of ours
	var off []mesh.Peer
	for _, p := range n.members() {
		o := p.ClockOffsetSeconds
		if o == nil || p.State != mesh.Ready {
			continue
		}
		offsets = append(offsets, *o)
		if math.Abs(*o) > clockOff.Seconds() {
			off = append(off, p)
		}
	}
	if len(offsets) == 0 {
		return Skip("no clock was compared with yet")
	}
	slices.Sort(offsets)
	median := offsets[len(offsets)/2]
	if len(offsets)%2 == 0 {
		median = (median + offsets[len(offsets)/2-1]) / 2
	}
	if len(offsets) > 1 && math.Abs(median) > clockOff.Seconds() {
		return []mesh.CheckResult{Fail("", "this machine's clock is "+ahead(-median), fmt.Sprintf("compared with those of %s", readable.Count(len(offsets), "peer")),
			"timedatectl status", "start a time service here, such as chrony")}
	}
	var bad []mesh.CheckResult
	for _, p := range off {
		bad = append(bad, Warn(p.Name, "the clock of "+p.Name+" is "+ahead(*p.ClockOffsetSeconds), "compared with that of this machine",
			"on "+p.Name+" run: timedatectl status"))
	}
	if len(bad) > 0 {
		return bad
	}
	return OK("%s within %s", allOf(len(offsets), "clock agrees", "clocks agree"), readable.Span(clockOff))
}

// ahead says by how much a clock is wrong.
func ahead(seconds float64) string {
	word := "ahead"
	if seconds < 0 {
		word = "behind"
	}
	by := math.Abs(seconds)
	if by < 120 {
		return fmt.Sprintf("%.1fs %s", by, word)
	}
	if by > maxSeconds {
		by = maxSeconds
	}
	return readable.Span(time.Duration(by)*time.Second) + " " + word
}

// maxSeconds is the longest time that a Duration holds, about 292 years.
const maxSeconds = float64(math.MaxInt64 / int64(time.Second))

// allOf counts things that are all alike.
func allOf(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}
