package tui

// This file decides which panes are on the screen, and where. It knows sizes only.

// The least sizes.
const (
	leastWidth, leastHeight   = 30, 8   // below nothing is shown
	paneWidth, paneHeight     = 60, 16  // below one line per peer, without panes
	twoColumns                = 80      // from here on
	moreColumns               = 100     // from here on with ADDRESS, VERSION and DELAY
	fullWidth, fullHeight     = 140, 40 // from here on with the resources and all the explanations
	chromeTop, chromeBottom   = 2, 2    // header, findings and footer
	detailRows, detailRowsBig = 2, 11   // of the short and of the long form
	longDetail                = 60      // columns that the long form takes at least
)

// viewID is one of the five views.
type viewID uint8

const (
	viewOverview viewID = iota
	viewPeers
	viewResources
	viewLog
	viewEvents
	viewCount
)

// viewNames are the words of the header and of Config.View.
var viewNames = [viewCount]string{"Overview", "Peers", "Resources", "Log", "Events"}

// placed is a pane on the screen. Neighbours share their borders.
type placed struct {
	pane place
	rect rect // with its border
	page bool // it has the screen for itself
	full bool // there is room for explanations
	bare bool // it has no border
}

// arrange places the panes of a view on a screen; nil where it is too small.
func arrange(v viewID, width, height int) []placed {
	switch {
	case width < leastWidth || height < leastHeight:
		return nil
	case width < paneWidth || height < paneHeight:
		return []placed{{pane: mainPane(v), rect: rect{0, 1, width, height - 3}, page: true, bare: true}}
	}
	body := rect{0, chromeTop, width, height - chromeTop - chromeBottom}
	switch {
	case v != viewOverview:
		return []placed{{pane: mainPane(v), rect: body, page: true, full: width >= moreColumns}}
	case width >= fullWidth && height >= fullHeight:
		return arrangeFull(body)
	case width >= twoColumns:
		return arrangeTwo(body)
	}
	return arrangeOne(body)
}

// mainPane is what a view is about.
func mainPane(v viewID) place {
	return [viewCount]place{inPeers, inPeers, inResources, inLog, inEvents}[v]
}

// arrangeFull places three bands of two panes.
func arrangeFull(body rect) []placed {
	split := body.w*3/8 + 1
	rows := body.h - 4 // borders
	middle := detailRowsBig + max(rows-40, 0)/8
	lower := rows * 11 / 40
	upper := rows - middle - lower
	y1, y2 := body.y+upper+1, body.y+upper+middle+2
	var out []placed
	band := func(left, right place, y, rows int) {
		out = append(out, placed{pane: left, rect: rect{0, y, split + 1, rows + 2}, full: true},
			placed{pane: right, rect: rect{split, y, body.w - split, rows + 2}, full: true})
	}
	band(inTopology, inPeers, body.y, upper)
	band(inLag, inDetail, y1, middle)
	band(inResources, inEvents, y2, lower)
	return out
}

// arrangeTwo places two columns, and the detail below. Rows are given up in the order detail, lag, topology,
// events.
func arrangeTwo(body rect) []placed {
	split := body.w*3/8 + 1
	detail := 0
	switch rows := body.h - 4; {
	case rows >= 30 && body.w >= longDetail:
		detail = detailRowsBig - 1
	case rows >= 16:
		detail = detailRows
	}
	bottom := 0 // rows of the detail with its border
	if detail > 0 {
		bottom = detail + 1
	}
	rows := body.h - bottom - 3 // of the two bands above
	var upper int
	var out []placed
	switch {
	case rows >= 14:
		upper = rows * 8 / 14
		out = append(out, placed{pane: inTopology, rect: rect{0, body.y, split + 1, upper + 2}},
			placed{pane: inPeers, rect: rect{split, body.y, body.w - split, upper + 2}},
			placed{pane: inLag, rect: rect{0, body.y + upper + 1, split + 1, rows - upper + 2}})
	default: // the topology keeps its 8 rows by taking those of the lag
		upper = (rows + 1) / 2
		out = append(out, placed{pane: inTopology, rect: rect{0, body.y, split + 1, body.h - bottom}},
			placed{pane: inPeers, rect: rect{split, body.y, body.w - split, upper + 2}})
	}
	out = append(out, placed{pane: inEvents, rect: rect{split, body.y + upper + 1, body.w - split, rows - upper + 2}})
	if detail > 0 {
		out = append(out, placed{pane: inDetail, rect: rect{0, body.y + body.h - detail - 2, body.w, detail + 2}})
	}
	return out
}

// arrangeOne stacks panes over the whole width: as many as there is room for, the peers first.
func arrangeOne(body rect) []placed {
	type candidate struct {
		pane  place
		least int // rows
	}
	// In the order in which they get room.
	wanted := []candidate{{inPeers, 4}, {inEvents, 3}, {inTopology, 8}, {inLag, 4}, {inDetail, detailRows}}
	room := body.h - 1 // the border at the bottom
	rows := map[place]int{}
	for i, w := range wanted {
		if w.least+1 > room && i > 0 {
			break
		}
		rows[w.pane] = w.least
		room -= w.least + 1
	}
	// What is left goes to the peers and the events, by halves.
	if _, both := rows[inEvents]; both {
		rows[inEvents] += max(room, 0) / 2
		room -= max(room, 0) / 2
	}
	rows[inPeers] = max(rows[inPeers]+room, 1)
	var out []placed
	y := body.y
	for _, p := range []place{inTopology, inPeers, inLag, inEvents, inDetail} {
		if n, there := rows[p]; there {
			out = append(out, placed{pane: p, rect: rect{0, y, body.w, n + 2}})
			y += n + 1
		}
	}
	return out
}
