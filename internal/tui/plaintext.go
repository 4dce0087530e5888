package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

// Pauses between attempts to reach the node.
const (
	firstRetry = time.Second
	lastRetry  = 15 * time.Second
)

// runPlain watches without a screen: it appends the status and the peers, then a row for each peer that changed
// and a line for each notice. It moves no cursor and uses no colours, so it suits terminals that know neither,
// and files. It returns when ctx ends, a recording is over, or the output is gone.
func runPlain(ctx context.Context, cfg Config) error {
	p := &plainText{out: cfg.Output, peers: map[string]mesh.Peer{}}
	if !cfg.Recorded {
		p.printf("connecting to %s\n", readable.Text(cfg.Source.Target()))
	}
	for pause := firstRetry; ; pause = min(2*pause, lastRetry) {
		told := false
		err := cfg.Source.Watch(ctx, func(f mesh.Frame) {
			told = true
			p.frame(f)
		})
		switch {
		case p.err != nil:
			return p.err
		case cfg.Recorded && errors.Is(err, io.EOF):
			return nil
		case ctx.Err() != nil:
			return nil // who watched has seen enough
		case cfg.Recorded:
			return err
		}
		if told {
			pause = firstRetry
		}
		p.printf("lost %s: %s; again in %s\n", readable.Text(cfg.Source.Target()), reasonOf(err), pause)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// reasonOf is why a connection ended, on one line.
func reasonOf(err error) string {
	if err == nil || errors.Is(err, io.EOF) {
		return "it closed the connection"
	}
	return readable.Text(strings.ReplaceAll(err.Error(), "\n", ": "))
}

// plainText is what was printed so far.
type plainText struct {
	out    io.Writer
	err    error // the first one of out
	status *mesh.Status
	block  bool // the status was printed since the connection was made
	peers  map[string]mesh.Peer
	notice uint64 // the newest that was printed
}

func (p *plainText) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format, args...)
	}
}

// frame prints what a frame changed.
func (p *plainText) frame(f mesh.Frame) {
	if f.Status != nil {
		p.status = f.Status
	}
	if f.Whole {
		p.block = false
	}
	changed := p.changed(f.Peers)
	if !p.block && p.status != nil {
		p.block = true
		p.printf("%s", statusBlock(p.status, f.Time))
		if len(p.peers) == 0 {
			p.printf("no peers yet; invite one: mesh invite --zone NAME\n")
		} else {
			p.printf("%s\n", plainRow(plainTitles))
		}
		changed = slices.SortedFunc(maps.Values(p.peers), comparePeers)
	}
	for _, peer := range changed {
		p.printf("%s\n", plainRow(peerCells(peer, f.Time)))
	}
	for _, n := range f.Notices {
		// After a new connection the newest come again, unless the node has started anew.
		if f.Whole && n.ID <= p.notice && len(f.Notices) > 0 && f.Notices[len(f.Notices)-1].ID >= p.notice {
			continue
		}
		p.notice = n.ID
		if n.Level != mesh.LevelDebug {
			p.printf("%s\n", noticeLine(n))
		}
	}
}

// changed takes in what a frame says about peers, and returns those that look different now, in order. What changes
// with every heartbeat is no change.
func (p *plainText) changed(d *mesh.Delta[mesh.Peer]) []mesh.Peer {
	if d == nil {
		return nil
	}
	before := p.peers
	if d.Whole {
		p.peers = map[string]mesh.Peer{}
	}
	var out []mesh.Peer
	for _, peer := range d.Items {
		if last, known := before[peer.PublicKey]; !known || lasting(last) != lasting(peer) {
			out = append(out, peer)
		}
		p.peers[peer.PublicKey] = peer
	}
	for _, key := range d.Removed {
		if peer, known := p.peers[key]; known {
			delete(p.peers, key)
			p.printf("%s is no peer any more\n", readable.Text(peer.Name))
		}
	}
	slices.SortFunc(out, comparePeers)
	return out
}

// lasting is of a peer what its row shows and what doesn't change with every heartbeat.
func lasting(p mesh.Peer) string {
	p.RTTSeconds, p.LastSeen, p.FirstSeen = nil, nil, nil
	return strings.Join(peerCells(p, time.Time{}), "\n")
}

// comparePeers is the order of `mesh peers`.
func comparePeers(a, b mesh.Peer) int { return comparePeerStates(&peer{Peer: a}, &peer{Peer: b}) }

// plainTitles are the columns of `mesh peers`.
var plainTitles = []string{"NAME", "STATE", "ADDRESS", "RTT", "LAG", "SEEN", "VERSION", "AGE"}

// plainWidths are fixed, since nobody knows which rows are to come.
// With usual names and IPv4 addresses a row has 79 columns; a longer cell moves those behind it.
var plainWidths = []int{8, 11, 17, 5, 3, 4, 7, 0}

func plainRow(cells []string) string {
	var b strings.Builder
	for i, text := range cells {
		if i == len(cells)-1 {
			b.WriteString(readable.Text(text))
			break
		}
		fmt.Fprintf(&b, "%-*s   ", plainWidths[i], readable.Text(text))
	}
	return b.String()
}

func peerCells(p mesh.Peer, now time.Time) []string {
	cells := []string{p.Name, string(p.State), (&peer{Peer: p}).address(), noValue, noValue, sinceText(now, p.LastSeen), noValue,
		sinceText(now, p.FirstSeen)}
	if p.RTTSeconds != nil {
		cells[3] = rttText(*p.RTTSeconds)
	}
	if p.LagOperations != nil {
		cells[4] = fmt.Sprint(*p.LagOperations)
	}
	if p.Version != nil {
		cells[6] = *p.Version
	}
	return cells
}

// noticeLine is a notice as the events view shows it.
func noticeLine(n mesh.Notice) string {
	flag := " "
	switch n.Level {
	case mesh.LevelWarn:
		flag = "!"
	case mesh.LevelBad:
		flag = "x"
	}
	return fmt.Sprintf("%s  %-5s %s  %-8s %s", n.Time.UTC().Format("15:04:05"), readable.Text(string(n.Kind)), flag,
		readable.Text(string(n.Zone)), noticeWords(&n))
}
