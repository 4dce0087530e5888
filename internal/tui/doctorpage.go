package tui

import (
	"fmt"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

// checkGroups is the order in which `mesh doctor` names its groups; others follow as they come.
var checkGroups = []string{"config", "key", "system", "network", "peers", "replication", "kubernetes", "observability"}

// checkWords are the outcomes as `mesh doctor` writes them.
var checkWords = map[mesh.CheckStatus]string{mesh.CheckOK: "ok", mesh.CheckWarn: "warn", mesh.CheckFail: "FAIL", mesh.CheckSkip: "skip"}

func checkTone(s mesh.CheckStatus) tone {
	switch s {
	case mesh.CheckOK:
		return ok
	case mesh.CheckWarn:
		return warn
	case mesh.CheckFail:
		return bad
	}
	return unknown
}

// doctorLine is one line of the page.
type doctorLine struct {
	word     string // an outcome, or cause: and next:
	wordAt   int
	wordTone tone
	text     string
	at       int // column of text
	tone     tone
}

// Columns at which outcomes, messages and what stands after cause: begin.
const (
	checkWordAt    = 4
	checkMessageAt = 10
	checkCauseAt   = 17
)

// doctorLines sorts what was found out into groups, for a page of the given width. What is longer goes on in
// the line below: here every word counts.
func doctorLines(results []mesh.CheckResult, width int) []doctorLine {
	order := slices.Clone(checkGroups)
	groups := map[string][]mesh.CheckResult{}
	for _, r := range results {
		if !slices.Contains(order, r.Group) {
			order = append(order, r.Group)
		}
		groups[r.Group] = append(groups[r.Group], r)
	}
	var lines []doctorLine
	for _, name := range order {
		if len(groups[name]) == 0 {
			continue
		}
		lines = append(lines, doctorLine{text: readable.Text(name), at: 2, tone: strong})
		for _, r := range groups[name] {
			lines = append(lines, checkLines(r, width)...)
		}
	}
	return lines
}

func checkLines(r mesh.CheckResult, width int) []doctorLine {
	word, known := checkWords[r.Status]
	if !known {
		word = string(r.Status)
	}
	t := plain
	if r.Status == mesh.CheckSkip {
		t = dim
	}
	var lines []doctorLine
	add := func(first doctorLine, text string, at int) {
		first.at = at
		for i, part := range strings.Split(ansi.Wrap(readable.Text(text), max(width-at, 8), ""), "\n") {
			if i > 0 {
				first.word = ""
			}
			first.text = part
			lines = append(lines, first)
		}
	}
	add(doctorLine{word: word, wordAt: checkWordAt, wordTone: checkTone(r.Status), tone: t}, r.Message, checkMessageAt)
	if r.Status != mesh.CheckWarn && r.Status != mesh.CheckFail {
		return lines
	}
	if r.Cause != "" {
		add(doctorLine{word: "cause:", wordAt: checkMessageAt}, r.Cause, checkCauseAt)
	}
	for i, next := range r.Next {
		line := doctorLine{wordAt: checkMessageAt}
		if i == 0 {
			line.word = "next:"
		}
		add(line, next, checkCauseAt)
	}
	if r.ID != "" {
		add(doctorLine{word: "docs:", wordAt: checkMessageAt, tone: dim}, "mesh help "+r.ID, checkCauseAt)
	}
	return lines
}

// drawDoctor draws what the checks found out so far, by group, and the sum at the bottom.
func drawDoctor(c *canvas, s *state, o doctorOptions) {
	if len(o.results) == 0 {
		switch {
		case o.err != nil:
			drawProblem(c, "the checks cannot run", o.err, "mesh doctor")
		case o.running:
			drawNote(c, "checking")
		default:
			drawNote(c, "no check ran: press d")
		}
		return
	}
	lines := doctorLines(o.results, c.width)
	from, to := o.list.fit(len(lines), c.height-2)
	for i := from; i < to; i++ {
		y, line := i-from, lines[i]
		if i == o.list.cursor {
			c.put(0, y, ">", strong)
		}
		c.text(line.wordAt, y, line.at-line.wordAt-1, line.word, line.wordTone)
		c.text(line.at, y, c.width-line.at, shorten(line.text, c.width-line.at), line.tone)
	}
	x := 2
	if o.running {
		x += c.text(x, c.height-1, c.width-x, "checking: ", plain)
	}
	x += drawSum(c, x, c.height-1, o.results)
	if o.err != nil {
		c.text(x, c.height-1, c.width-x, "; it ended early: "+o.err.Error(), bad)
		return
	}
	drawPosition(c.part(rect{x + 2, 0, c.width - x - 2, c.height}), c.height-1, "lines", from, to, len(lines))
}

// drawSum draws 41 ok, 1 warn, 1 fail, 6 skipped, and returns how long it is.
func drawSum(c *canvas, x, y int, results []mesh.CheckResult) int {
	count := map[mesh.CheckStatus]int{}
	for _, r := range results {
		count[r.Status]++
	}
	start := x
	for i, part := range []struct {
		status mesh.CheckStatus
		word   string
	}{{mesh.CheckOK, "ok"}, {mesh.CheckWarn, "warn"}, {mesh.CheckFail, "fail"}, {mesh.CheckSkip, "skipped"}} {
		if i > 0 {
			x += c.text(x, y, c.width-x, ", ", plain)
		}
		t := plain
		if count[part.status] > 0 && part.status != mesh.CheckOK {
			t = checkTone(part.status)
		}
		x += c.text(x, y, c.width-x, fmt.Sprintf("%d %s", count[part.status], part.word), t)
	}
	return x - start
}
