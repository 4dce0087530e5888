package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/tui"
)

// onScreen tells the story while the screen shows the node of east live, with what the story does among its
// events. When the user leaves, or a step fails, it prints the story as it is told without a screen.
func (d *demo) onScreen(ctx context.Context) error {
	terminal := d.e
	var told bytes.Buffer // the story's own, until it has ended
	aside := *terminal
	aside.stdout = &told
	aside.flags.color = "never"
	if terminal.coloured(terminal.stdout) {
		aside.flags.color = "always"
	}
	d.e, d.screen = &aside, &demoSource{e: terminal, addr: d.node("east").api(), shown: map[uint64]uint64{}}

	watched, leave := context.WithCancel(ctx)
	defer leave()
	ended := make(chan error, 1)
	go func() {
		err := d.tell(watched)
		if err != nil {
			leave() // there is nothing left to look at
		} else {
			d.goOn(watched)
		}
		ended <- err
	}()
	cfg := terminal.tuiConfig(tuiOptions{view: tui.Views()[0], theme: tui.Themes()[0], refresh: time.Second})
	cfg.Source = d.screen
	crashed := terminal.screen(watched, cfg)
	left := watched.Err() == nil // rather than failed, or interrupted
	leave()
	err := <-ended
	d.e, d.screen = terminal, nil
	if werr := terminal.write(told.Bytes()); werr != nil {
		return werr
	}
	switch {
	case d.failed:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case crashed != nil && left:
		return crashed
	case err != nil:
		return terminal.printf("\n  left before the end\n")
	}
	return nil
}

// goOn tells on the screen what to try with the nodes, and of those that end, until ctx ends.
func (d *demo) goOn(ctx context.Context) {
	// The newest stands first on the screen, so these are read in the order in which they are typed.
	d.screen.say(mesh.LevelInfo, d.program()+" status --node "+d.node("west").relAPI())
	d.screen.say(mesh.LevelInfo, "$EDITOR east/manifests/local/cut.yaml")
	d.screen.say(mesh.LevelInfo, "cd "+shellQuote(d.dir))
	d.screen.say(mesh.LevelInfo, "the story is told; the nodes go on until you press q. Try in another terminal:")
	ended := d.endings()
	for {
		select {
		case n := <-ended:
			d.screen.say(mesh.LevelWarn, fmt.Sprintf("%s has ended (%s)", n.zone, n.fate()))
			d.screen.say(mesh.LevelInfo, "start it again with: "+d.program()+" run -c "+filepath.Join(string(n.zone), configName))
		case <-ctx.Done():
			return
		}
	}
}

// endings tells of every node that ends from now on, once.
func (d *demo) endings() <-chan *demoNode {
	ended := make(chan *demoNode, len(d.nodes)) // closed by nobody: room for one message of each
	for _, n := range d.nodes {
		go func() { <-n.ended; ended <- n }() // every process ends with the demo, so this does
	}
	return ended
}

// demoSource is a node of the demo as the screen watches it, with the demo's own lines among its notices.
type demoSource struct {
	e    *env
	addr string

	mu    sync.Mutex        // held while the screen takes a frame, so that frames come one after the other
	sink  func(mesh.Frame)  // of the Watch under way; nil: there is none
	lines []mesh.Notice     // of the demo
	last  uint64            // the newest id given
	shown map[uint64]uint64 // the node's ids as they are shown
}

// say tells a line of the story.
func (s *demoSource) say(level, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	n := mesh.Notice{ID: s.last, Time: s.e.now(), Kind: mesh.NoticeDemo, Level: level, Text: text}
	s.lines = append(s.lines, n)
	if s.sink != nil {
		s.sink(mesh.Frame{Time: n.Time, Notices: []mesh.Notice{n}})
	}
}

// Target names the node.
func (s *demoSource) Target() string { return s.addr }

// Watch hands on what the node tells. The node is started at the same time as the screen, so it is given a moment.
func (s *demoSource) Watch(ctx context.Context, sink func(mesh.Frame)) error {
	defer func() {
		s.mu.Lock()
		s.sink = nil
		s.mu.Unlock()
	}()
	deadline := time.Now().Add(defaultTimeout)
	for {
		err := s.ask(func(n nodeSource) error {
			return n.Watch(ctx, func(f mesh.Frame) { s.hand(sink, f) })
		})
		if ctx.Err() != nil || s.begun() || time.Now().After(deadline) {
			return err
		}
		if err := sleep(ctx, askEvery); err != nil {
			return err
		}
	}
}

// begun reports whether the node has told anything to the Watch under way.
func (s *demoSource) begun() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sink != nil
}

// hand gives a frame of the node to the screen, with ids that rise together with those of the story.
func (s *demoSource) hand(sink func(mesh.Frame), f mesh.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sink = sink
	notices := make([]mesh.Notice, 0, len(f.Notices))
	for _, n := range f.Notices {
		id, known := s.shown[n.ID]
		if !known {
			s.last++
			id = s.last
			s.shown[n.ID] = id
		}
		n.ID = id
		notices = append(notices, n)
	}
	if f.Whole {
		notices = append(notices, s.lines...)
		slices.SortFunc(notices, func(a, b mesh.Notice) int { return cmp.Compare(a.ID, b.ID) })
	}
	f.Notices = notices
	sink(f)
}

// ask puts a question to the node.
func (s *demoSource) ask(question func(nodeSource) error) error {
	c, err := admin.NewClient(s.addr, defaultTimeout)
	if err != nil {
		return err
	}
	defer c.Close()
	return question(nodeSource{s.e, c})
}

// Content asks the node.
func (s *demoSource) Content(ctx context.Context, object string) (content mesh.Content, err error) {
	err = s.ask(func(n nodeSource) (err error) { content, err = n.Content(ctx, object); return err })
	return content, err
}

// Operations asks the node.
func (s *demoSource) Operations(ctx context.Context, zone mesh.Zone, limit int) (ops []mesh.LogOperation, err error) {
	err = s.ask(func(n nodeSource) (err error) { ops, err = n.Operations(ctx, zone, limit); return err })
	return ops, err
}

// Doctor asks the node.
func (s *demoSource) Doctor(ctx context.Context, sink func(mesh.CheckResult)) error {
	return s.ask(func(n nodeSource) error { return n.Doctor(ctx, sink) })
}
