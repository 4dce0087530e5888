package doctor

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"

	"dcp.hiro.io/mesh/internal/mesh"
)

// Endpoint is one way to a peer, and how dialling it went.
type Endpoint struct {
	Peer       string // its name
	At         string // host:port
	Configured bool   // an operator wrote it; else the peer or an earlier run told of it
	Linked     bool   // the peer is connected, by whichever way
	Resolve    string // why its name has no address; empty: it has one, or is one
	QUIC, TCP  Answer
	Cause      string // why nothing answered, in a sentence
}

func (e Endpoint) answered() bool { return e.QUIC == Answered || e.TCP == Answered }

// untried reports whether it has an address, and there was no time to dial it.
func (e Endpoint) untried() bool { return e.Resolve == "" && e.QUIC == Untried && e.TCP == Untried }

// Answer is how dialling by one transport went.
type Answer string

// The answers.
const (
	Untried  Answer = ""
	Answered Answer = "answered" // and proved the key that was expected, if keys were looked at
	Silent   Answer = "silent"   // nothing came back
	Refused  Answer = "refused"  // nobody listens
	Other    Answer = "other"    // something else went wrong
)

// Endpoints is what was dialled, those of one peer side by side.
type Endpoints struct {
	Tried []Endpoint
	Left  int // how many peers were left out, because there are too many
}

// OfNetwork holds the checks of the ways to the peers. dial tries them, once in a run.
func OfNetwork(dial func(context.Context) (Endpoints, error)) Suite {
	var (
		once sync.Once
		all  Endpoints
		err  error
	)
	s := Suite{}
	for id, look := range map[string]func(Endpoints) []mesh.CheckResult{
		"network.dns": Endpoints.names, "network.dial": Endpoints.answers, "network.quic": Endpoints.quic, "network.tcp": Endpoints.tcp,
	} {
		s[id] = func(ctx context.Context) []mesh.CheckResult {
			once.Do(func() { all, err = dial(ctx) })
			switch {
			case err != nil:
				return []mesh.CheckResult{Warn("", "the endpoints could not be dialled", err.Error(), "mesh doctor --group network")}
			case len(all.Tried) == 0:
				return Skip("no endpoint of another node is known")
			}
			return look(all)
		}
	}
	return s
}

// names tells of endpoints whose names don't resolve.
func (e Endpoints) names() []mesh.CheckResult {
	var bad []mesh.CheckResult
	names, untried := 0, 0
	for _, x := range e.Tried {
		host, _, err := net.SplitHostPort(x.At)
		if err != nil || net.ParseIP(strings.SplitN(host, "%", 2)[0]) != nil {
			continue
		}
		if x.untried() {
			untried++
			continue
		}
		if names++; x.Resolve == "" {
			continue
		}
		r := Fail(x.Peer, x.At+": "+x.Resolve, "it is an endpoint of "+x.Peer, "getent hosts "+host, "correct the endpoint under nodes in the config")
		if x.Linked {
			r.Status = mesh.CheckWarn
		}
		bad = append(bad, r)
	}
	switch {
	case len(bad) > 0:
		return bad
	case names == 0 && untried > 0:
		return noTime(untried)
	case names == 0:
		return Skip("no endpoint is a name")
	}
	well := allOf(names, "name resolves", "names resolve")
	if untried > 0 {
		well += fmt.Sprintf("; there was no time for %d more", untried)
	}
	return OK("%s", well)
}

// answers tells of peers that cannot be dialled, and of configured endpoints that don't answer. What a peer told of
// itself is often an address that means nothing here: it counts only when nothing else of that peer answers.
func (e Endpoints) answers() []mesh.CheckResult {
	reached := map[string]bool{}
	for _, x := range e.Tried {
		reached[x.Peer] = reached[x.Peer] || x.answered()
	}
	var bad []mesh.CheckResult
	answer, untried := 0, 0
	for _, x := range e.Tried {
		if x.answered() {
			answer++
		}
		if x.untried() {
			untried++
			continue
		}
		if x.answered() || reached[x.Peer] && !x.Configured || x.Resolve != "" && x.Cause == "" {
			continue
		}
		r := Fail(x.Peer, fmt.Sprintf("%s does not answer at %s", x.Peer, x.At), x.Cause, "on "+x.Peer+" run: mesh status")
		if x.TCP == Silent {
			r.Next = append(r.Next, "allow UDP and TCP "+port(x.At)+" to "+x.Peer)
		}
		switch {
		case x.Linked:
			r.Status = mesh.CheckWarn
			r.Cause = strings.TrimSuffix(r.Cause, ".") + "; it is connected another way"
		case reached[x.Peer]:
			r.Status = mesh.CheckWarn
		}
		bad = append(bad, r)
	}
	switch {
	case len(bad) > 0:
		return bad
	case answer == 0 && untried > 0:
		return noTime(untried)
	case answer == 0:
		return Skip("no endpoint has an address")
	}
	well := allOf(answer, "endpoint answers", "endpoints answer")
	if untried > 0 {
		well += fmt.Sprintf("; there was no time for %d more", untried)
	}
	if e.Left > 0 {
		well += fmt.Sprintf("; %s left out", allOf(e.Left, "more peer was", "more peers were"))
	}
	return OK("%s", well)
}

// noTime is what is told where nothing was tried.
func noTime(n int) []mesh.CheckResult {
	return []mesh.CheckResult{Warn("", "the endpoints were not looked at", fmt.Sprintf("there was no time for %s", allOf(n, "endpoint", "endpoints")), "mesh doctor --group network")}
}

func (e Endpoints) quic() []mesh.CheckResult {
	return e.by("quic", "UDP", func(x Endpoint) (this, other Answer) { return x.QUIC, x.TCP })
}

func (e Endpoints) tcp() []mesh.CheckResult {
	return e.by("tcp", "TCP", func(x Endpoint) (this, other Answer) { return x.TCP, x.QUIC })
}

// by tells of endpoints that answer by the other transport only.
func (e Endpoints) by(transport, kind string, of func(Endpoint) (this, other Answer)) []mesh.CheckResult {
	var bad []mesh.CheckResult
	answer := 0
	for _, x := range e.Tried {
		this, other := of(x)
		switch {
		case this == Answered:
			answer++
			continue
		case this == Untried || other != Answered:
			continue
		}
		only := map[string]string{"quic": "tcp", "tcp": "quic"}[transport]
		cause := fmt.Sprintf("no %s reply; %s %s is probably blocked on the way", strings.ToUpper(transport), kind, port(x.At))
		if this == Refused {
			cause = fmt.Sprintf("%s %s is refused: it is not forwarded to the node", kind, port(x.At))
		}
		bad = append(bad, Warn(x.Peer, fmt.Sprintf("%s answers by %s only", x.At, only), cause,
			fmt.Sprintf("allow %s %s to %s, then: mesh doctor --group network", kind, port(x.At), x.Peer)))
	}
	switch {
	case len(bad) > 0:
		return bad
	case answer == 0:
		return Skip("no endpoint answers")
	}
	return OK("%s by %s", allOf(answer, "endpoint answers", "endpoints answer"), transport)
}

func port(hostport string) string {
	_, p, err := net.SplitHostPort(hostport)
	if err != nil {
		return "of the endpoint"
	}
	return p
}

// DialBack is what one peer says about dialling this node.
type DialBack struct {
	Peer  string
	Err   string // why it didn't say; empty: it did
	Tried []BackTry
}

// BackTry is one endpoint of this node, as a peer sees it.
type BackTry struct {
	At        string
	QUIC, TCP Answer
}

// OfOutside holds the check of whether peers reach this node. ask asks some of them. inbound are those that have dialled
// this node by themselves, which proves it too.
func OfOutside(ask func(context.Context) (said []DialBack, inbound []string, err error)) Suite {
	return Suite{"network.outside": func(ctx context.Context) []mesh.CheckResult {
		said, inbound, err := ask(ctx)
		if err != nil {
			return []mesh.CheckResult{Warn("", "no peer could be asked to dial this node", err.Error(), "mesh doctor --group network")}
		}
		return outside(said, inbound)
	}}
}

func outside(said []DialBack, inbound []string) []mesh.CheckResult {
	var reach, unable []string
	var failed []DialBack
	for _, d := range said {
		var at []string
		for _, t := range d.Tried {
			switch {
			case t.QUIC == Answered && t.TCP == Answered:
				at = append(at, t.At)
			case t.QUIC == Answered:
				at = append(at, t.At+" by quic only")
			case t.TCP == Answered:
				at = append(at, t.At+" by tcp only")
			}
		}
		switch {
		case d.Err != "":
			unable = append(unable, d.Peer+": "+d.Err)
		case len(at) > 0:
			reach = append(reach, d.Peer+" reaches it at "+strings.Join(at, ", "))
		default:
			failed = append(failed, d)
		}
	}
	next := []string{"forward UDP and TCP of the port to this machine", "set advertise to the address that others see"}
	switch {
	case len(reach) > 0 && len(failed) == 0:
		return OK("%s", strings.Join(reach, "; "))
	case len(failed) > 0:
		var bad []mesh.CheckResult
		for _, d := range failed {
			x := Warn(d.Peer, d.Peer+" cannot dial this node", backCause(d), next...)
			bad = append(bad, x)
		}
		return bad
	case len(inbound) > 0:
		return OK("%s dialled this node", strings.Join(inbound, ", "))
	case len(unable) > 0:
		return []mesh.CheckResult{Warn("", "no peer could tell whether it reaches this node", strings.Join(unable, "; "), "mesh peers -o wide")}
	}
	return Skip("no peer is connected that could be asked")
}

// backCause says what a peer tried.
func backCause(d DialBack) string {
	if len(d.Tried) == 0 {
		return "it knows no endpoint of this node"
	}
	var out []string
	for _, t := range d.Tried {
		why := "no answer: a firewall or a NAT without forwarding"
		if t.QUIC == Refused || t.TCP == Refused {
			why = "refused: the port is not forwarded to this node"
		}
		out = append(out, t.At+": "+why)
	}
	return strings.Join(out, "; ")
}

// Ports says which ports were asked for, and which are bound; 0: any was asked for, or none is bound.
type Ports struct {
	Peers, PeersBound int // UDP and TCP
	HTTP, HTTPBound   int
}

// Check tells whether the ports are those that were asked for.
func (p Ports) Check() []mesh.CheckResult {
	var bad []mesh.CheckResult
	if p.PeersBound == 0 {
		return Skip("this process doesn't listen for peers")
	}
	if p.Peers != 0 && p.Peers != p.PeersBound {
		bad = append(bad, Fail("", fmt.Sprintf("udp/%d and tcp/%d are bound instead of %d", p.PeersBound, p.PeersBound, p.Peers),
			fmt.Sprintf("port %d was taken when the node started; peers look for it there", p.Peers), "ss -lntup sport = :"+strconv.Itoa(p.Peers), "when it is free, start the node again"))
	}
	if p.HTTP != 0 && p.HTTP != p.HTTPBound {
		bad = append(bad, Fail("", fmt.Sprintf("http is served at port %d instead of %d", p.HTTPBound, p.HTTP),
			fmt.Sprintf("port %d was taken when the node started; probes and Prometheus look for it there", p.HTTP), "ss -lntp sport = :"+strconv.Itoa(p.HTTP), "when it is free, start the node again"))
	}
	if len(bad) > 0 {
		return bad
	}
	if p.Peers == 0 {
		return OK("udp/%d and tcp/%d are bound", p.PeersBound, p.PeersBound)
	}
	return OK("udp/%d and tcp/%d are bound as configured", p.PeersBound, p.PeersBound)
}
