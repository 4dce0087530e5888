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
	help  string   // short, for the columns of the help; \n breaks it
	page  string   // for docs/keys.md, if help is too short for it
	where place
	does  action
	// own says that the key belongs to where, and stands in the help of THIS PANE; others stand in EVERYWHERE.
	own    bool
	footer string // the word in the footer; empty: not there
	rank   int    // which goes last when the footer has no room: 1
}

// bindings is the table, in the order of the footer and the help.
var bindings = []binding{
	{keys: []string{"tab"}, shown: "Tab", where: inViews, does: nextPane, footer: "pane", rank: 5,
		help: "next pane, S-Tab", page: "next pane; Shift-Tab: the one before"},
	{keys: []string{"shift+tab"}, where: inViews, does: previousPane},
	{keys: []string{"1", "2", "3", "4", "5"}, shown: "1-5", where: anywhere, does: toView, footer: "view", rank: 11,
		help: "view", page: "overview, peers, resources, log, events"},
	{keys: []string{"j", "down"}, shown: "j/k", where: anywhere, does: moveDown, footer: "move", rank: 3, own: true,
		help: "move, or arrows", page: "move down and up, like the arrow keys"},
	{keys: []string{"k", "up"}, where: anywhere, does: moveUp, own: true},
	{keys: []string{"pgdown", "ctrl+f"}, shown: "PgDn", where: anywhere, does: pageDown, own: true,
		help: "page, PgUp", page: "a page down; PgUp: up"},
	{keys: []string{"pgup", "ctrl+b"}, where: anywhere, does: pageUp, own: true},
	{keys: []string{"enter"}, shown: "Enter", where: peerRows, does: openSelected, own: true, footer: "open", rank: 4,
		help: "open peer", page: "everything about the peer: identity, connection, history, events, what to run next"},
	{keys: []string{"enter"}, shown: "Enter", where: inResources, does: openSelected, own: true, footer: "open", rank: 4,
		help: "merged YAML", page: "the object as the mesh holds it, as YAML; Secrets redacted"},
	{keys: []string{"enter"}, shown: "Enter", where: inEvents, does: openSelected, own: true, footer: "open", rank: 4,
		help: "open peer/object", page: "the peer or the object that the event is about"},
	{keys: []string{"enter"}, shown: "Enter", where: inLog, does: openSelected, own: true, footer: "open", rank: 4,
		help: "open its peer"},
	{keys: []string{"esc"}, shown: "Esc", where: anywhere, does: goBack, footer: "back", rank: 14,
		help: "back, clear filter", page: "close the page on top, else clear the filter, else back to the overview"},
	{keys: []string{"/"}, shown: "/", where: inViews, does: editFilter, footer: "filter", rank: 6,
		help: "filter, Esc clear", page: "write a filter, see below"},
	{keys: []string{"s"}, shown: "s / S", where: inTables, does: changeSort, own: true, footer: "sort", rank: 7,
		help: "sort / reverse", page: "sort by the next column / in the other direction"},
	{keys: []string{"S"}, where: inTables, does: reverseSort, own: true},
	{keys: []string{"w"}, shown: "w", where: inPeers, does: toggleWide, own: true,
		help: "wide columns", page: "more columns: KEY, TRANSPORT, CLOCK, TX, RX, as far as there is room"},
	{keys: []string{"e"}, shown: "e / o", where: peerRows | onPeer, does: showEvents, own: true,
		help: "its events /\nits resources", page: "the events about it / the objects it owns, by a filter"},
	{keys: []string{"e"}, shown: "e / o", where: inResources | inLog | inEvents, does: showEvents, own: true,
		help: "its events /\nits resources", page: "the events about it / the objects it owns, by a filter"},
	{keys: []string{"o"}, where: peerRows | onPeer | inResources | inLog | inEvents, does: showResources, own: true},
	{keys: []string{"p", " "}, shown: "p", where: anywhere, does: togglePause, footer: "pause", rank: 8,
		help: "pause, or Space", page: "pause: the picture stands still while data keeps arriving; also Space"},
	{keys: []string{"r"}, shown: "r", where: anywhere &^ onDoctor, does: reconnectNow,
		help: "reconnect now", page: "try to connect now; at the end of a recording play it again"},
	{keys: []string{"r"}, shown: "r", where: onDoctor, does: runDoctor, own: true, footer: "again", rank: 4,
		help: "check again"},
	{keys: []string{"m"}, shown: "m", where: inTopology, does: changeMap, own: true, footer: "map", rank: 10,
		help: "graph or tables", page: "the links as a graph, a matrix or a list"},
	{keys: []string{"c"}, shown: "c", where: inTopology, does: centerMap, own: true,
		help: "center on it", page: "put the selected peer into the middle, or this node again"},
	{keys: []string{"l"}, shown: "l", where: inLag, does: changeLagUnit, own: true,
		help: "ops / seconds", page: "lag in operations or in seconds"},
	{keys: []string{"n"}, shown: "n", where: inResources, does: changeNamespace, own: true,
		help: "next namespace", page: "the objects of one namespace after the other, then of all"},
	{keys: []string{"F"}, shown: "F", where: inEvents, does: toggleFollow, own: true,
		help: "follow newest", page: "stay with the newest event as more come, or not"},
	{keys: []string{"v"}, shown: "v", where: inEvents, does: changeVerbosity, own: true,
		help: "verbosity", page: "the least level of events that are shown: info, debug, bad, warn"},
	{keys: []string{"d"}, shown: "d", where: anywhere &^ onDoctor, does: runDoctor, footer: "doctor", rank: 9,
		help: "doctor", page: "run the checks of `mesh doctor` on the node"},
	{keys: []string{"t"}, shown: "t", where: anywhere, does: changeTheme, footer: "theme", rank: 13,
		help: "theme", page: "dark, light, mono"},
	{keys: []string{"y"}, shown: "y", where: peerRows | onPeer, does: copyID, own: true, footer: "copy", rank: 12,
		help: "copy peer id", page: "copy the peer id into the clipboard of the terminal (OSC 52)"},
	{keys: []string{"y"}, shown: "y", where: inResources | onContent, does: copyID, own: true, footer: "copy", rank: 12,
		help: "copy name"},
	{keys: []string{"y"}, shown: "y", where: inLog, does: copyID, own: true, footer: "copy", rank: 12,
		help: "copy log id"},
	{keys: []string{"y"}, shown: "y", where: inEvents, does: copyID, own: true, footer: "copy", rank: 12,
		help: "copy line"},
	{keys: []string{"g", "home"}, shown: "g / G", where: anywhere, does: moveTop, own: true,
		help: "top / bottom", page: "to the top / bottom; also Home and End"},
	{keys: []string{"G", "end"}, where: anywhere, does: moveBottom, own: true},
	{keys: []string{"x"}, shown: "x", where: inPeers, does: toggleHidden, own: true,
		help: "show strangers", page: "show nodes of the local network that nobody admitted"},
	{keys: []string{"x"}, shown: "x", where: inResources, does: toggleHidden, own: true,
		help: "show tombstones"},
	{keys: []string{"?"}, shown: "?", where: anywhere, does: toggleHelp, footer: "help", rank: 2,
		help: "help", page: "the keys of this pane"},
	{keys: []string{"q", "ctrl+c"}, shown: "q", where: anywhere, does: quit, footer: "quit", rank: 1,
		help: "quit, or Ctrl-C", page: "quit; also Ctrl-C"},
	{keys: []string{"ctrl+z"}, shown: "Ctrl-Z", where: anywhere, does: suspend,
		help: "suspend", page: "suspend; `fg` brings it back"},
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

// keysText is the page docs/keys.md, made of the table.
func keysText() string {
	var b strings.Builder
	b.WriteString("# Keys of `mesh tui`\n\n" +
		"This page is made from the table that decides what a key does; `?` shows the keys of the pane with the focus.\n" +
		"The screen only looks: where something could be done, it shows the command to run.\n\n" +
		"## Everywhere\n\n| key | does |\n|---|---|\n")
	row := func(bs binding) {
		text := bs.page
		if text == "" {
			text = strings.ReplaceAll(bs.help, "\n", " ")
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", bs.shown, text)
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
