package tui

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

// fact is a line about a peer: a name and what is so, or a heading without a name.
type fact struct {
	name, text string
	tone       tone
}

// drawDetail draws the selected peer: two lines, or as many facts as there is room for.
func (m *model) drawDetail(c *canvas, p placed) {
	q, found := m.peers.current()
	switch {
	case !found:
		c.text(1, 0, c.width-1, "no peer is selected", dim)
	case c.height < 5 || c.width < longDetail:
		m.drawShortDetail(c, p, q)
	default:
		left := 2
		if !p.full {
			left = 1
		}
		facts := append(m.peerFacts(q), fact{name: "Next", text: "Enter: full page    e: its events    o: its resources"})
		for y, f := range facts[:min(len(facts), c.height)] {
			drawFact(c, left, y, f)
		}
	}
}

// factName is the width of the names of facts.
const factName = 13

func drawFact(c *canvas, left, y int, f fact) {
	if f.text == "" {
		c.text(left, y, c.width-left, f.name, strong)
		return
	}
	c.text(left, y, factName, f.name, dim)
	x := left + factName
	c.text(x, y, c.width-x, shorten(readable.Text(f.text), c.width-x), f.tone)
}

// drawShortDetail draws two columns of two lines, or the left ones alone.
func (m *model) drawShortDetail(c *canvas, p placed, q *peer) {
	link := q.address()
	if q.Transport != nil {
		link += " " + linkWords(q)
	}
	log := "no log"
	if l := m.shown.logOf(q.PublicKey); l != nil {
		log = fmt.Sprintf("log %s/%s  snapshot %s", orNone(l.Applied), logHeight(l), orNone(l.Snapshot))
	}
	version, up := valueOrDash(q.Version), ""
	if q.Incarnation != nil {
		up = "  up " + readable.LongSpan(m.shown.now.Sub(*q.Incarnation))
	}
	who := readable.ShortID(q.PeerID) + "  " + versionWord(version) + up
	how := fmt.Sprintf("clock %s   tx %s  rx %s   key %s", offsetText(q.ClockOffsetSeconds), sizeText(q.TxBytes), sizeText(q.RxBytes),
		q.PublicKey[:min(len(q.PublicKey), 4)])
	split := c.width
	if p.rect.w >= twoColumns {
		split = p.rect.w * 3 / 8 // as the panes above, without the border
	}
	for y, texts := range [][2]string{{shortLink(link, split-1), who}, {log, how}} {
		if y >= c.height {
			return
		}
		c.text(1, y, split-1, shorten(readable.Text(texts[0]), split-1), plain)
		if split < c.width {
			x := split + 2
			c.text(x, y, c.width-x, shorten(readable.Text(texts[1]), c.width-x), plain)
		} else if y == 1 && c.height == 2 {
			used := len(texts[0]) + 4
			c.text(used, y, c.width-used, shorten(readable.Text(texts[1]), c.width-used), plain)
		}
	}
}

// shortLink cuts the address, not what follows it.
func shortLink(link string, room int) string {
	address, rest, found := strings.Cut(link, " ")
	if !found || len(link) <= room {
		return link
	}
	return shortenMiddle(address, max(room-len(rest)-1, 8)) + " " + rest
}

// linkWords says how a peer is connected: quic direct, relay.
func linkWords(q *peer) string {
	switch {
	case q.Transport == nil:
		return "not connected"
	case *q.Transport == "relay":
		return "relay"
	}
	return *q.Transport + " direct"
}

// logHeight is the highest number that anyone announced for a log.
func logHeight(l *mesh.LogStatus) string {
	switch {
	case l.Applied != nil && l.Lag > 0:
		return fmt.Sprint(uint64(*l.Applied) + l.Lag)
	case l.Height != nil:
		return fmt.Sprint(*l.Height)
	}
	return noValue
}

// peerFacts is what is known of a peer, the most important first.
func (m *model) peerFacts(q *peer) []fact {
	s := m.shown
	facts := []fact{{name: "Peer id", text: orDash(q.PeerID)}, {name: "Public key", text: orDash(q.PublicKey)}}
	state := string(q.State)
	if q.Since != nil {
		state += " since " + dateText(*q.Since) + " (" + readable.LongSpan(s.now.Sub(*q.Since)) + ")"
	}
	if n := q.recentChanges(s.now); n > 0 {
		state += ", " + readable.Count(n, "change") + " in 24h"
	}
	if len(q.Reasons) > 0 {
		state += ", " + strings.Join(q.Reasons, ", ")
	}
	facts = append(facts, fact{name: "State", text: state, tone: stateTone(q.State)})
	link := fact{name: "Link", text: m.linkFact(q)}
	if q.LossRatio != nil && *q.LossRatio > lossWarn {
		link.tone = warn
	}
	facts = append(facts, link, fact{name: "Log", text: m.logFact(q)})
	facts = append(facts, fact{name: "Traffic", text: m.trafficFact(q)})
	if s.status != nil {
		facts = append(facts, fact{name: "Owns", text: fmt.Sprintf("%d of %d resources", s.objects.owned[q.Zone], s.status.Resources.Live)})
		if s.status.Cluster.Kind == "kubernetes" {
			name := "meshpeer.dcp.hiro.io/peer-" + q.PublicKey[:min(len(q.PublicKey), 8)]
			if _, namespace, found := strings.Cut(m.cfg.Context, "/"); found {
				name += " in " + namespace
			}
			facts = append(facts, fact{name: "Kubernetes", text: name})
		}
	}
	return append(facts, fact{name: "Conditions", text: m.conditions(q)})
}

// recentChanges counts how often the state changed within a day, as far as it was watched.
func (p *peer) recentChanges(now time.Time) int {
	n := 0
	for i, c := range p.changes {
		if i > 0 && c.state != p.changes[i-1].state && now.Sub(c.at) < 24*time.Hour {
			n++
		}
	}
	return n
}

func (m *model) linkFact(q *peer) string {
	text := linkWords(q) + " " + q.address()
	if q.Transport == nil {
		text = "not connected, " + q.address()
		if q.LastError != "" {
			text = "not connected: " + q.LastError
		}
	}
	if q.RTTSeconds != nil {
		text += ", RTT " + rttText(*q.RTTSeconds)
		if _, p95, known := q.rtt.percentiles(); known {
			text += fmt.Sprintf(" (p95 %s)", strings.TrimSuffix(rttText(p95), "ms"))
		}
	}
	if q.LossRatio != nil {
		text += fmt.Sprintf(", loss %.1f%%", 100**q.LossRatio)
	}
	if q.ClockOffsetSeconds != nil {
		text += ", clock " + offsetText(q.ClockOffsetSeconds)
	}
	return text
}

func (m *model) logFact(q *peer) string {
	l := m.shown.logOf(q.PublicKey)
	if l == nil {
		return "none is known"
	}
	text := fmt.Sprintf("applied %s of %s, snapshot %s, incarnation %s", orNone(l.Applied), logHeight(l), orNone(l.Snapshot), dateText(l.Incarnation))
	if l.State != "OK" {
		text += ", " + l.State
	}
	return text
}

// trafficFact says how much went over the wire in all, and how many messages in the last minute.
func (m *model) trafficFact(q *peer) string {
	text := fmt.Sprintf("tx %s  rx %s", sizeText(q.TxBytes), sizeText(q.RxBytes))
	minute := func(s *series, now uint64) (uint64, bool) {
		then := s.at(m.shown.now.Unix() - 60)
		if !(then >= 0) || float64(now) < then { // NaN, or it counts anew
			return 0, false
		}
		return now - uint64(then), true
	}
	in, known := minute(&q.rx, q.RxMessages)
	out, also := minute(&q.tx, q.TxMessages)
	if known && also {
		text += fmt.Sprintf("  in %d msg/min  out %d msg/min", in, out)
	}
	return text
}

// conditions says of a peer what its Kubernetes object says.
func (m *model) conditions(q *peer) string {
	word := func(name string, b bool) string {
		if b {
			return name + "=True"
		}
		return name + "=False"
	}
	synced := "Synced=Unknown"
	if q.LagOperations != nil {
		synced = word("Synced", *q.LagOperations == 0)
	}
	// Nodes that cannot speak with each other don't connect: a link says that they can.
	compatible := "VersionCompatible=Unknown"
	if q.Transport != nil {
		compatible = "VersionCompatible=True"
	}
	return word("Ready", q.State == mesh.Ready) + " " + word("Connected", q.Transport != nil) + " " + synced + " " + compatible
}

// drawPeerPage draws everything about one peer, to be scrolled.
func (m *model) drawPeerPage(c *canvas, p *page) {
	q := m.shown.peer(p.key)
	if q == nil {
		drawNote(c, "this peer is gone: Esc goes back")
		return
	}
	facts := wrapFacts(m.pageFacts(q), c.width-2-factName)
	from, to := p.list.fit(len(facts), c.height)
	for i, f := range facts[from:to] {
		drawFact(c, 2, i, f)
		if from+i == p.list.cursor {
			c.put(0, i, ">", strong)
		}
	}
}

// wrapFacts breaks what is too long for a line between words.
func wrapFacts(facts []fact, room int) []fact {
	var out []fact
	for _, f := range facts {
		f.text = readable.Text(f.text)
		if room < 10 || ansi.StringWidth(f.text) <= room {
			out = append(out, f)
			continue
		}
		for _, line := range wrap(f.text, room) {
			out = append(out, fact{f.name, line, f.tone})
			f.name = ""
		}
	}
	return out
}

// eventsOfPeer is how many events the page of a peer shows.
const eventsOfPeer = 20

// pageFacts is everything about one peer.
func (m *model) pageFacts(q *peer) []fact {
	s := m.shown
	facts := append([]fact{{name: "Identity"}, {name: "Name", text: orDash(q.Name)}, {name: "Zone", text: orDash(string(q.Zone))}}, m.peerFacts(q)...)
	version := valueOrDash(q.Version)
	if s.status != nil {
		if skew := versionSkew(s.status.Version, q.Version); skew != "" {
			version += ", " + skew
		}
	}
	facts = append(facts, fact{name: "Version", text: version})
	facts = append(facts, fact{name: "Seen", text: fmt.Sprintf("%s ago, first %s ago", sinceText(s.now, q.LastSeen), sinceText(s.now, q.FirstSeen))})
	if a := q.Admission; a != nil {
		facts = append(facts, fact{name: "Admitted", text: admission(a)})
	}
	if q.DeletesHeld > 0 {
		facts = append(facts, fact{name: "Held", text: readable.Count(q.DeletesHeld, "delete") + " wait until somebody accepts them", tone: warn})
	}
	facts = append(facts, fact{}, fact{name: "Connection"})
	for i, e := range q.Endpoints {
		name := ""
		if i == 0 {
			name = "Endpoints"
		}
		facts = append(facts, fact{name: name, text: e})
	}
	if len(q.Endpoints) == 0 {
		facts = append(facts, fact{name: "Endpoints", text: "none are known: it has to connect to this node"})
	}
	for i, l := range q.Learnt {
		name := ""
		if i == 0 {
			name = "Learnt"
		}
		facts = append(facts, fact{name: name, text: l.Address + ", from " + l.From})
	}
	for i, a := range q.Attempts {
		f := fact{text: dateText(a.At) + "  " + a.Address + " by " + a.Transport + ": " + cmp.Or(a.Error, "it answered")}
		if i == 0 {
			f.name = "Tried"
		}
		if a.Error != "" {
			f.tone = warn
			if a.Since.Before(a.At) {
				f.text += ", as since " + dateText(a.Since)
			}
		}
		facts = append(facts, f)
	}
	if q.LastError != "" && len(q.Attempts) == 0 {
		facts = append(facts, fact{name: "Last answer", text: q.LastError, tone: warn})
	}
	for i := len(q.changes) - 1; i >= 0; i-- {
		name := ""
		if i == len(q.changes)-1 {
			name = "History"
		}
		via := "not connected"
		if v := q.changes[i].via; v != "" {
			via = "by " + v
		}
		facts = append(facts, fact{name: name, text: dateText(q.changes[i].at) + "  " + string(q.changes[i].state) + ", " + via, tone: plain})
	}
	facts = append(facts, fact{}, fact{name: fmt.Sprintf("Its last %d events", eventsOfPeer)})
	found := 0
	for i := len(s.notices) - 1; i >= 0 && found < eventsOfPeer; i-- {
		n := &s.notices[i]
		if string(n.Zone) != q.Name && (q.Zone == "" || n.Zone != q.Zone) {
			continue
		}
		found++
		mark, t := levelMark(n.Level)
		facts = append(facts, fact{name: clockText(s.now, n.Time), text: pad(string(n.Kind), 5) + " " + mark + " " + noticeWords(n), tone: t})
	}
	if found == 0 {
		facts = append(facts, fact{name: " ", text: "none since this node started"})
	}
	facts = append(facts, fact{}, fact{name: "Next"})
	for _, command := range nextCommands(q) {
		facts = append(facts, fact{name: " ", text: command})
	}
	return facts
}

// admission says who let a peer in, and when.
func admission(a *mesh.Admission) string {
	if a.By == nil {
		return "by this node's configuration"
	}
	who := readable.ShortID(*a.By)
	if a.ByZone != nil {
		who = string(*a.ByZone) + " (" + who + ")"
	}
	if a.At != nil {
		who += ", " + dateText(*a.At)
	}
	return "by " + who
}

// nextCommands are the commands that help with a peer. A name that a shell would read in another way is replaced
// by the beginning of the key, which is one too.
func nextCommands(q *peer) []string {
	name := q.Name
	if name == "" || strings.HasPrefix(name, "-") || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") != "" {
		name = q.PublicKey[:min(len(q.PublicKey), 12)]
	}
	commands := []string{"mesh peers describe " + name}
	if q.State == mesh.NotAdmitted {
		return []string{"mesh invite --for " + q.PublicKey}
	}
	if q.LagOperations != nil && *q.LagOperations > 0 {
		commands = append(commands, "mesh log show "+name)
	}
	if q.DeletesHeld > 0 {
		commands = append(commands, "mesh peers accept-deletes "+name)
	}
	if q.State != mesh.Ready {
		commands = append(commands, "mesh doctor --group peers", "on "+name+" run: mesh status")
	}
	if q.State == mesh.Unavailable {
		commands = append(commands, "gone for good? mesh peers remove "+name)
	}
	return commands
}
