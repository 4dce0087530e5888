package tui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

// piece is a part of a line. Where there is no room the one with the highest rank goes first; 0 stays.
type piece struct {
	text  string
	short string // in place of text, if that helps; empty: none
	tone  tone
	mark  string // before the text, in brackets; empty: none
	rank  int
}

func (p piece) width() int {
	w := ansi.StringWidth(p.text)
	if p.mark != "" {
		w += len("[+] ")
	}
	return w
}

// drawPieces draws pieces from x on and returns where they end.
func drawPieces(c *canvas, x, y, gap int, pieces []piece) int {
	for i, p := range pieces {
		if i > 0 {
			x += gap
		}
		if p.mark != "" {
			drawBracket(c, x, y, p.mark, p.tone)
			x += len("[+] ")
		}
		x += c.text(x, y, c.width-x, p.text, p.tone)
	}
	return x
}

// drawBracket draws a state in brackets.
func drawBracket(c *canvas, x, y int, mark string, t tone) {
	c.put(x, y, "[", t)
	c.glyph(x+1, y, mark, t, asMark)
	c.put(x+2, y, "]", t)
}

// drawSides draws a line with a left and a right part; the right one ends two columns before the border. What is
// least needed of both is shortened or left out where there is no room.
func drawSides(c *canvas, y int, left, right []piece, leftGap, rightGap int) {
	const margin, between = 2, 3
	for linesWidth(left, leftGap)+between+linesWidth(right, rightGap) > c.width-1-margin && giveWay(&left, &right) {
	}
	end := drawPieces(c, 1, y, leftGap, left)
	drawPieces(c, max(c.width-margin-linesWidth(right, rightGap), end+1), y, rightGap, right)
}

func linesWidth(pieces []piece, gap int) int {
	sum := gap * max(len(pieces)-1, 0)
	for _, p := range pieces {
		sum += p.width()
	}
	return sum
}

// giveWay shortens or drops the least needed piece of both sides; of equal ones those that can be shortened come
// first. false: there is none.
func giveWay(left, right *[]piece) bool {
	var worst *[]piece
	at, most := 0, 1
	for _, side := range []*[]piece{left, right} {
		for i, p := range *side {
			need := 2 * p.rank
			if p.short != "" {
				need++
			}
			if need > most {
				worst, at, most = side, i, need
			}
		}
	}
	if worst == nil {
		return false
	}
	pieces := slices.Clone(*worst)
	if p := &pieces[at]; p.short != "" {
		p.text, p.short = p.short, ""
	} else {
		pieces = slices.Delete(pieces, at, at+1)
	}
	*worst = pieces
	return true
}

// drawHeader draws who is watched and how it goes, and the views.
func (m *model) drawHeader(c *canvas) {
	s := m.shown
	left := []piece{{text: "MESH " + shorten(readable.Text(string(s.zone())), 24), tone: strong}}
	right := []piece{m.connectionPiece()}
	gap := 3
	if s.known() {
		st := s.status
		full := c.width >= fullWidth
		if full {
			left = append(left, piece{text: readable.ShortID(st.PeerID), rank: 9})
		}
		left = append(left, piece{text: "net=" + shorten(readable.Text(string(st.NetworkID)), 20), rank: 5},
			piece{text: versionWord(shorten(readable.Text(st.Version), 16)), rank: 6})
		ops, seconds := worstLag(st)
		lag := piece{text: fmt.Sprintf("lag %d ops", ops), tone: lagTone(float64(ops), seconds), rank: 3}
		peers := piece{text: fmt.Sprintf("peers %d/%d", st.Peers.Ready, st.Peers.Total), rank: 2}
		if full {
			left = append(left, piece{text: "up " + readable.LongSpan(m.uptime()), rank: 7})
			peers.short, peers.text = peers.text, peers.text+" ready"
			lag.short, lag.text = lag.text, fmt.Sprintf("%s / %s", lag.text, secondsText(seconds))
		}
		right = append(right, peers, lag)
		if full {
			right = append(right, piece{text: fmt.Sprintf("resources %d", st.Resources.Live), rank: 8})
			if st.LeaseHeld != nil {
				lease := piece{text: "lease held", rank: 10}
				if !*st.LeaseHeld {
					lease = piece{text: "lease not held", tone: warn, rank: 10}
				}
				right = append(right, lease)
			}
		}
	}
	drawSides(c, 0, left, right, 2, gap)
	if c.height > 1 {
		m.drawViews(c)
	}
}

// worstLag sums up how far this node is behind: all operations, and the longest time.
func worstLag(s *mesh.Status) (operations uint64, seconds float64) {
	for _, r := range s.Replication {
		operations += r.LagOperations
		seconds = max(seconds, r.LagSeconds)
	}
	return operations, seconds
}

// connectionPiece says how the connection is.
func (m *model) connectionPiece() piece {
	clock := clockOnly(m.shown)
	switch {
	case m.paused():
		return piece{mark: "=", text: fmt.Sprintf("PAUSED +%d events", m.live.noticed-m.pausedAt), tone: warn}
	case m.conn.phase == over:
		return piece{mark: "=", text: "END " + clock, tone: warn}
	case !m.shown.known() && m.conn.phase == connected:
		return piece{mark: " ", text: "CONNECTING", tone: unknown}
	case !m.shown.known():
		return piece{mark: " ", text: "CONNECTING " + m.attempt(), short: "CONNECTING", tone: unknown, rank: 1}
	case m.conn.phase != connected:
		return piece{mark: "x", text: "STALE " + readable.Span(m.silence()), tone: bad}
	case m.silence() > slowAfter && !m.cfg.Recorded:
		return piece{mark: "!", text: "SLOW " + clock + " (" + readable.Span(m.silence()) + " ago)", short: "SLOW " + readable.Span(m.silence()), tone: warn}
	}
	p := piece{mark: "+", text: "LIVE " + clock, tone: ok}
	if m.width >= fullWidth {
		p.text, p.short = fmt.Sprintf("LIVE %s (%s ago)", clock, readable.Span(m.silence())), p.text
	}
	return p
}

// attempt says how the connection is tried: attempt 3, next in 4s.
func (m *model) attempt() string {
	text := "attempt " + strconv.Itoa(max(m.conn.attempt, 1))
	if m.conn.phase == waiting {
		left := m.conn.next.Sub(m.cfg.Now())
		text += fmt.Sprintf(", next in %ds", int(max(left.Seconds()+0.999, 0)))
	}
	return text
}

// clockOnly is the node's clock when it said something last.
func clockOnly(s *state) string {
	if s.frame.IsZero() {
		return "--:--:--"
	}
	return s.frame.UTC().Format("15:04:05")
}

// drawViews draws the second line: the views, and what is shown of them.
func (m *model) drawViews(c *canvas) {
	var left []piece
	for v, name := range viewNames {
		p := piece{text: fmt.Sprintf("%d:%s", v+1, name), short: strconv.Itoa(v + 1), rank: 4}
		if viewID(v) == m.view {
			p.text += "*"
			p.tone, p.rank, p.short = strong, 0, ""
		}
		left = append(left, p)
	}
	filter := piece{text: "filter: " + m.filter.text}
	switch {
	case m.typing:
		filter = piece{text: "filter: " + m.typed + "_", tone: strong}
	case m.filter.text == "":
		filter = piece{text: "filter: (none)", rank: 5}
	}
	if room := c.width - len(" 1  2  3:Resources*  4  5   "+"  "); ansi.StringWidth(filter.text) > room { // its end is what is being typed
		filter.text = "filter: .." + ansi.TruncateLeft(filter.text, ansi.StringWidth(filter.text)-room+len("filter: .."), "")
	}
	right := []piece{filter}
	gap := 2
	if c.width >= fullWidth {
		gap = 3
		right = append(right, piece{text: "sort: " + m.sortName(), rank: 7}, piece{text: "theme: " + m.theme.name(), rank: 8})
		if m.cfg.Context != "" {
			right = append(right, piece{text: "ctx: " + shorten(readable.Text(m.cfg.Context), 40), rank: 9})
		}
	}
	drawSides(c, 1, left, right, gap, 3)
}

// sortName is the order of the table with the focus.
func (m *model) sortName() string {
	focus, _ := m.focus()
	name, reversed := peerOrders[m.peerOrder].name, m.peerReverse
	switch focus {
	case inResources:
		name, reversed = resourceOrders[m.resourceOrder].name, m.resourceReverse
	case inLog:
		name, reversed = logOrders[m.logOrder].name, m.logReverse
	case inEvents:
		name, reversed = "time", false
	}
	if reversed {
		name += ", reversed"
	}
	return name
}

// drawFooter draws the keys.
func (m *model) drawFooter(c *canvas) {
	if m.typing {
		c.text(0, 0, c.width, shorten(" Enter keep   Esc clear   zone= state= kind= version= lag>N rtt>MS text, ! negates", c.width), dim)
		return
	}
	focus, seen := m.focus()
	c.text(0, 0, c.width, footerFor(focus, seen, c.width), dim)
}

// findingWords is the newest thing that somebody should know.
func (m *model) findingWords() (text string, t tone) {
	s := m.shown
	if s.status == nil || len(s.status.Findings) == 0 {
		return "", plain
	}
	best := -1
	var bestSince int64
	for i, f := range s.status.Findings {
		// A finding about no peer has no time: a failure of the node itself comes first, a warning last.
		since := int64(0)
		if p := s.peerOf(f.Subject); p != nil && p.Since != nil {
			since = p.Since.Unix()
		} else if f.Status == string(mesh.CheckFail) && p == nil {
			since = 1 << 62
		}
		if best < 0 || since > bestSince {
			best, bestSince = i, since
		}
	}
	f := s.status.Findings[best]
	t = warn
	if f.Status == string(mesh.CheckFail) {
		t = bad
	}
	text = findingWords(f)
	if p := s.peerOf(f.Subject); p != nil && p.LagOperations != nil && *p.LagOperations > 0 && f.ID == "replication.lag" {
		since := ""
		if at := strings.Index(f.Text, "since "); at >= 0 {
			since = " " + f.Text[at:]
		}
		word := "ops"
		if c := m.width; c >= fullWidth {
			word = "operations"
		}
		text = fmt.Sprintf("%s is %d %s (%s) behind%s", f.Subject, *p.LagOperations, word, secondsText(optionalFloat(p.LagSeconds)), since)
		if skew := versionSkew(s.status.Version, p.Version); skew != "" && m.width >= fullWidth {
			text += "; its version " + *p.Version + " is " + skew
		}
	}
	return text, t
}

// findingWords is a finding as a sentence about its subject.
func findingWords(f mesh.Finding) string {
	switch {
	case f.Subject == "":
		return f.Text
	case strings.HasPrefix(f.Text, "is "):
		return f.Subject + " " + f.Text
	case strings.HasPrefix(f.Text, "unavailable "), strings.HasPrefix(f.Text, "behind "):
		return f.Subject + " is " + f.Text
	}
	return f.Subject + ": " + f.Text
}

// versionWord writes a release as v0.4.0, and a build that is none as it is called.
func versionWord(v string) string {
	if v != "" && v[0] >= '0' && v[0] <= '9' {
		return "v" + v
	}
	return v
}

// versionSkew says how far a version is behind: one minor behind; empty if it is not, or not known.
func versionSkew(own string, other *string) string {
	var a, b [2]int
	if other == nil || !majorMinor(own, &a) || !majorMinor(*other, &b) || a[0] != b[0] || b[1] >= a[1] {
		return ""
	}
	if n := a[1] - b[1]; n > 1 {
		return fmt.Sprintf("%d minors behind", n)
	}
	return "one minor behind"
}

func majorMinor(v string, out *[2]int) bool {
	parts := strings.SplitN(strings.TrimPrefix(v, "v"), ".", 3)
	if len(parts) < 2 {
		return false
	}
	for i := range out {
		n, err := strconv.Atoi(parts[i])
		if err != nil || n < 0 {
			return false
		}
		out[i] = n
	}
	return true
}

// drawFindings draws what the last key said, what is wrong with the connection, or what the node found out.
func (m *model) drawFindings(c *canvas) {
	mark, text, t := "!", "", warn
	switch {
	case m.note != "":
		mark, text, t = " ", m.note, plain
	case m.shown.known() && (m.conn.phase == waiting || m.conn.phase == trying):
		mark, t = "x", bad
		text = "lost " + m.cfg.Source.Target() + ", " + m.attempt()
		if m.conn.err != nil {
			text = "lost, " + m.attempt() + ": " + oneLine(m.conn.err)
		}
	case m.conn.phase == over && m.conn.err != nil:
		mark, text, t = "x", "the recording is broken: "+oneLine(m.conn.err), bad
	default:
		if text, t = m.findingWords(); text == "" {
			return
		}
		const doctor = ". Press d for doctor."
		if len(text)+len(doctor)+3 <= c.width {
			text = strings.TrimSuffix(text, ".") + doctor
		}
	}
	c.put(1, 0, mark, t)
	c.text(3, 0, c.width-3, shorten(readable.Text(text), c.width-4), plain)
}

// oneLine is an error on one line.
func oneLine(err error) string {
	return strings.Join(strings.Fields(readable.Text(strings.ReplaceAll(err.Error(), "\n", "; "))), " ")
}
