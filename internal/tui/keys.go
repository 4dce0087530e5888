package tui

import (
	"fmt"
	"slices"
	"strings"
)

// This file holds the one table of keys. It decides what a key does, what the footer and the help offer, and what
// docs/keys.md says.

// action is what a key does.
type action uint8

const (
	noAction action = iota
	nextPane
	previousPane
	toView // the view of the digit that was typed
	moveDown
	moveUp
	pageDown
	pageUp
	moveTop
	moveBottom
	openSelected
	goBack
	editFilter
	changeSort
	reverseSort
	togglePause
	toggleWide
	changeMap
	centerMap
	changeLagUnit
	runDoctor
	showEvents
	showResources
	copyID
	changeTheme
	reconnectNow
	toggleHelp
	quit
	suspend
	changeNamespace
	toggleHidden
	toggleFollow
	changeVerbosity
)

// place is where something can be done, a set.
type place uint16

const (
	inTopology place = 1 << iota
	inPeers
	inLag
	inEvents
	inDetail
	inResources
	inLog
	onPeer    // the page of a peer
	onContent // the page of an object
	onDoctor  // the page of the checks

	anywhere = place(1<<16 - 1)
	onPages  = onPeer | onContent | onDoctor
	inViews  = anywhere &^ onPages
	peerRows = inPeers | inTopology | inLag | inDetail // they share the selected peer
	inTables = inPeers | inResources | inLog
)

// placeNames are the headings of the help.
var placeNames = map[place]string{inTopology: "topology", inPeers: "peers", inLag: "lag", inEvents: "events", inDetail: "detail",
	inResources: "resources", inLog: "log", onPeer: "peer page", onContent: "object", onDoctor: "doctor"}

// binding is one line of the table.
type binding struct {
	keys  []string // as bubbletea names them
	shown string   // as people read them
	help  string
	where place
	does  action
	// own says that the key belongs to where, and stands in the help of THIS PANE; others stand in EVERYWHERE.
	own    bool
	footer string // the word in the footer; empty: not there
	rank   int    // which goes last when the footer has no room: 1
}

// bindings is the table, in the order of the footer and the help.
var bindings = []binding{
	{keys: []string{"tab"}, shown: "Tab", help: "next pane, S-Tab", where: inViews, does: nextPane, footer: "pane", rank: 5},
	{keys: []string{"shift+tab"}, where: inViews, does: previousPane},
	{keys: []string{"1", "2", "3", "4", "5"}, shown: "1-5", help: "view", where: anywhere, does: toView, footer: "view", rank: 11},
	{keys: []string{"j", "down"}, shown: "j/k", help: "move, or arrows", where: anywhere, does: moveDown, footer: "move", rank: 3, own: true},
	{keys: []string{"k", "up"}, where: anywhere, does: moveUp, own: true},
	{keys: []string{"pgdown", "ctrl+f"}, shown: "PgDn", help: "page, PgUp", where: anywhere, does: pageDown, own: true},
	{keys: []string{"pgup", "ctrl+b"}, where: anywhere, does: pageUp, own: true},
	{keys: []string{"enter"}, shown: "Enter", help: "open peer", where: peerRows, does: openSelected, own: true, footer: "open", rank: 4},
	{keys: []string{"enter"}, shown: "Enter", help: "merged YAML", where: inResources, does: openSelected, own: true, footer: "open", rank: 4},
	{keys: []string{"enter"}, shown: "Enter", help: "open peer/object", where: inEvents, does: openSelected, own: true, footer: "open", rank: 4},
	{keys: []string{"enter"}, shown: "Enter", help: "open its peer", where: inLog, does: openSelected, own: true, footer: "open", rank: 4},
	{keys: []string{"esc"}, shown: "Esc", help: "back, clear filter", where: anywhere, does: goBack, footer: "back", rank: 14},
	{keys: []string{"/"}, shown: "/", help: "filter, Esc clear", where: inViews, does: editFilter, footer: "filter", rank: 6},
	{keys: []string{"s"}, shown: "s / S", help: "sort / reverse", where: inTables, does: changeSort, own: true, footer: "sort", rank: 7},
	{keys: []string{"S"}, where: inTables, does: reverseSort, own: true},
	{keys: []string{"w"}, shown: "w", help: "wide columns", where: inPeers, does: toggleWide, own: true},
	{keys: []string{"e"}, shown: "e / o", help: "its events /\nits resources", where: peerRows | onPeer, does: showEvents, own: true},
	{keys: []string{"e"}, shown: "e / o", help: "its events /\nits resources", where: inResources | inLog | inEvents, does: showEvents, own: true},
	{keys: []string{"o"}, where: peerRows | onPeer | inResources | inLog | inEvents, does: showResources, own: true},
	{keys: []string{"p", " "}, shown: "p", help: "pause, or Space", where: anywhere, does: togglePause, footer: "pause", rank: 8},
	{keys: []string{"r"}, shown: "r", help: "reconnect now", where: anywhere &^ onDoctor, does: reconnectNow},
	{keys: []string{"r"}, shown: "r", help: "check again", where: onDoctor, does: runDoctor, own: true, footer: "again", rank: 4},
	{keys: []string{"m"}, shown: "m", help: "graph or tables", where: inTopology, does: changeMap, own: true, footer: "map", rank: 10},
	{keys: []string{"c"}, shown: "c", help: "center on it", where: inTopology, does: centerMap, own: true},
	{keys: []string{"l"}, shown: "l", help: "ops / seconds", where: inLag, does: changeLagUnit, own: true},
	{keys: []string{"n"}, shown: "n", help: "next namespace", where: inResources, does: changeNamespace, own: true},
	{keys: []string{"F"}, shown: "F", help: "follow newest", where: inEvents, does: toggleFollow, own: true},
	{keys: []string{"v"}, shown: "v", help: "verbosity", where: inEvents, does: changeVerbosity, own: true},
	{keys: []string{"d"}, shown: "d", help: "doctor", where: anywhere &^ onDoctor, does: runDoctor, footer: "doctor", rank: 9},
	{keys: []string{"t"}, shown: "t", help: "theme", where: anywhere, does: changeTheme, footer: "theme", rank: 13},
	{keys: []string{"y"}, shown: "y", help: "copy peer id", where: peerRows | onPeer, does: copyID, own: true, footer: "copy", rank: 12},
	{keys: []string{"y"}, shown: "y", help: "copy name", where: inResources | onContent, does: copyID, own: true, footer: "copy", rank: 12},
	{keys: []string{"y"}, shown: "y", help: "copy log id", where: inLog, does: copyID, own: true, footer: "copy", rank: 12},
	{keys: []string{"y"}, shown: "y", help: "copy line", where: inEvents, does: copyID, own: true, footer: "copy", rank: 12},
	{keys: []string{"g", "home"}, shown: "g / G", help: "top / bottom", where: anywhere, does: moveTop, own: true},
	{keys: []string{"G", "end"}, where: anywhere, does: moveBottom, own: true},
	{keys: []string{"x"}, shown: "x", help: "show strangers", where: inPeers, does: toggleHidden, own: true},
	{keys: []string{"x"}, shown: "x", help: "show tombstones", where: inResources, does: toggleHidden, own: true},
	{keys: []string{"?"}, shown: "?", help: "help", where: anywhere, does: toggleHelp, footer: "help", rank: 2},
	{keys: []string{"q", "ctrl+c"}, shown: "q", help: "quit, or Ctrl-C", where: anywhere, does: quit, footer: "quit", rank: 1},
	{keys: []string{"ctrl+z"}, shown: "Ctrl-Z", help: "suspend", where: anywhere, does: suspend},
}

// bindingFor returns what a key does in the focused place, or else in one that is seen; nil: nothing.
func bindingFor(key string, focus, seen place) *binding {
	for _, where := range []place{focus, seen} {
		for i := range bindings {
			if b := &bindings[i]; b.where&where != 0 && slices.Contains(b.keys, key) {
				return b
			}
		}
	}
	return nil
}

// keyHelp is a line of the help.
type keyHelp struct{ keys, text string }

// helpFor returns the keys of the focused place, and those that work everywhere.
func helpFor(focus place) (own, everywhere []keyHelp) {
	for _, b := range bindings {
		switch {
		case b.shown == "" || b.where&focus == 0:
		case b.own:
			own = append(own, keyHelp{b.shown, b.help})
		default:
			everywhere = append(everywhere, keyHelp{b.shown, b.help})
		}
	}
	return own, everywhere
}

// footerFor returns the footer's text for a place and what is seen beside it, at most width columns: in the order
// of the table, and the least needed left out. Without others it offers no way to the next pane.
func footerFor(focus, seen place, width int) string {
	var all []binding
	named := map[string]bool{}
	for _, where := range []place{focus, seen} {
		for _, b := range bindings {
			if b.does == nextPane && focus == seen {
				continue
			}
			if b.footer != "" && b.where&where != 0 && !named[b.shown] {
				named[b.shown] = true
				all = append(all, b)
			}
		}
	}
	order := func(b binding) int {
		return slices.IndexFunc(bindings, func(o binding) bool { return o.shown == b.shown && o.footer == b.footer })
	}
	slices.SortStableFunc(all, func(a, b binding) int { return order(a) - order(b) })
	for gap := "   "; len(all) > 0; gap = "  " {
		words := make([]string, len(all))
		for i, b := range all {
			key, _, _ := strings.Cut(b.shown, " / ")
			words[i] = key + " " + b.footer
		}
		text := " " + strings.Join(words, gap)
		if len(text) <= width {
			return text
		}
		if gap == "   " {
			continue
		}
		worst := 0
		for i := range all {
			if all[i].rank > all[worst].rank {
				worst = i
			}
		}
		all = slices.Delete(all, worst, worst+1)
	}
	return ""
}

// KeysPage is the page docs/keys.md, made of the table.
func KeysPage() string {
	var b strings.Builder
	b.WriteString("# Keys of `mesh tui`\n\n" +
		"This page is made from the table that decides what a key does; `?` shows the keys of the pane with the focus.\n" +
		"The screen only looks: where something could be done, it shows the command to run.\n\n" +
		"## Everywhere\n\n| key | does |\n|---|---|\n")
	row := func(bs binding) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", bs.shown, strings.ReplaceAll(bs.help, "\n", " "))
	}
	for _, bs := range bindings {
		if bs.shown != "" && (!bs.own || bs.where == anywhere) {
			row(bs)
		}
	}
	for p := inTopology; p <= onDoctor; p <<= 1 {
		own := slices.DeleteFunc(slices.Clone(bindings), func(bs binding) bool {
			return bs.shown == "" || !bs.own || bs.where == anywhere || bs.where&p == 0
		})
		if len(own) == 0 {
			continue
		}
		name := placeNames[p]
		fmt.Fprintf(&b, "\n## %s\n\n| key | does |\n|---|---|\n", strings.ToUpper(name[:1])+name[1:])
		for _, bs := range own {
			row(bs)
		}
	}
	b.WriteString("\nA key of a pane that is seen works also while another one has the focus, if that has no use for it.\n" +
		"\n## Filter\n\n" + filterHelp)
	return b.String()
}

const filterHelp = "`/` starts to write a filter, Enter keeps it, Esc clears it. Words are joined by and; `!` before a word, or `!=`, negates it;\n" +
	"commas separate alternatives. A word that says nothing about a kind of rows, such as `lag>` about events, leaves\n" +
	"them alone.\n\n" +
	"| word | keeps |\n|---|---|\n" +
	"| `zone=south` | what is about this zone or peer: peers, events, objects it owns, logs |\n" +
	"| `state=NotReady` | peers, objects or logs in this state |\n" +
	"| `kind=peer` | events of this kind (peer, link, sync, apply, merge, snap, kube, log, join), or objects of this kind |\n" +
	"| `version=0.4` | peers whose version begins so |\n" +
	"| `lag>50` | peers and logs that are more than 50 operations behind |\n" +
	"| `rtt>150` | peers whose round trip takes more than 150 ms |\n" +
	"| `text` | rows in which the text occurs, in upper or lower case |\n"
