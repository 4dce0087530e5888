package tui

import (
	"context"
	"errors"
	"io"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"dcp.hiro.io/mesh/internal/mesh"
)

// slowAfter is how old data may be: a node says something every second.
const slowAfter = 3 * time.Second

// operationsShown is how many operations of a log are asked for.
const operationsShown = 200

// Messages.
type (
	ticked      struct{}
	contentCame struct {
		object  string
		content mesh.Content
		err     error
	}
	operationsCame struct {
		log        string // its id
		operations []mesh.LogOperation
		err        error
	}
	checksCame struct {
		run    int
		result mesh.CheckResult
		next   tea.Cmd // waits for the next one
	}
	checksEnded struct {
		run int
		err error
	}
)

// phase is how the connection to the node is.
type phase uint8

const (
	trying  phase = iota // not connected: an attempt is under way
	waiting              // not connected: the next attempt comes
	connected
	over // a recording is at its end
)

// contact is what is known of the way to the node.
type contact struct {
	phase   phase
	attempt int
	next    time.Time // of the next attempt, while waiting
	err     error     // why there is none
	heard   time.Time // when the newest frame came, by the clock of this machine
}

// page is what covers the views, until Esc.
type page struct {
	kind   place
	list   *list
	key    string // the peer's or the object's
	object contentOptions
}

// doctorRun is the newest run of the checks.
type doctorRun struct {
	number  int
	results []mesh.CheckResult
	running bool
	started time.Time
	err     error
	cancel  context.CancelFunc
}

// model is the whole screen: what is known, what is looked at, and the screen as it was drawn last. Its Update does
// no I/O and reads no clock but that of Config.
type model struct {
	cfg      Config
	ctx      context.Context // of what is asked from the source
	watch    *watcher
	copy     func(string) tea.Cmd // puts a text into the clipboard; nil: there is none
	commands *commands

	theme         theme
	width, height int
	live, shown   *state // the same, unless paused
	conn          contact
	pausedAt      uint64 // notices seen when it was paused
	hasFocus      map[viewID]place
	view          viewID
	pages         []page

	peers       table[*peer]
	peerOrder   int
	peerReverse bool
	strangers   bool // nodes that nobody admitted are shown
	wide        bool

	topology     topologyMode
	centered     bool
	linkList     list
	lagInSeconds bool

	events    table[*mesh.Notice]
	verbosity int
	follow    bool

	resources       table[*mesh.Resource]
	resourceOrder   int
	resourceReverse bool
	tombstones      bool
	namespace       string

	logs       table[*mesh.LogStatus]
	logOrder   int
	logReverse bool
	operations struct {
		log     string // whose they are
		asked   made   // what was asked for last
		rows    []mesh.LogOperation
		loading bool
		err     error
	}

	doctor doctorRun

	filter   filter
	typing   bool
	typed    string
	help     bool
	helpList list
	note     string // what the last key had to say, until the next one

	canvas *canvas
	screen string
	stale  bool // the screen has to be drawn anew

	crash *crashed
}

// newModel makes the screen before anything is known.
func newModel(ctx context.Context, cfg Config, w *watcher) *model {
	m := &model{cfg: cfg, ctx: ctx, watch: w, theme: chooseTheme(cfg), live: newState(), follow: true, commands: &commands{},
		hasFocus: map[viewID]place{}, stale: true}
	m.shown = m.live
	m.peers.id = func(p *peer) string { return p.PublicKey }
	m.events.id = func(n *mesh.Notice) string { return noticeID(n) }
	m.resources.id = func(r *mesh.Resource) string { return r.Object }
	m.logs.id = func(l *mesh.LogStatus) string { return l.PublicKey + "/" + l.LogID }
	m.view, _ = viewNamed(cfg.View)
	return m
}

// Init starts the clock and the watch.
func (m *model) Init() tea.Cmd { return tea.Batch(m.tick(), m.guard(m.watch.next)) }

// tick lets the ages go on. Unlike tea.Tick it doesn't outlive the screen.
func (m *model) tick() tea.Cmd {
	return m.guard(func() tea.Msg {
		timer := time.NewTimer(m.cfg.Refresh)
		defer timer.Stop()
		select {
		case <-m.ctx.Done():
			return nil
		case <-timer.C:
			return ticked{}
		}
	})
}

// commands counts what runs beside the screen, so that Run can wait for it. Its methods are safe for concurrent use.
type commands struct {
	mu      sync.Mutex
	over    bool
	running sync.WaitGroup
}

// begin counts one more; false: it is too late to begin.
func (c *commands) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		c.running.Add(1)
	}
	return !c.over
}

// Wait lets none begin any more and waits for those that run.
func (c *commands) Wait() {
	c.mu.Lock()
	c.over = true
	c.mu.Unlock()
	c.running.Wait()
}

// guard turns a panic of a command into a message, so that the terminal is restored before it is told.
func (m *model) guard(cmd tea.Cmd) tea.Cmd {
	return func() (msg tea.Msg) {
		if !m.commands.begin() {
			return nil
		}
		defer m.commands.running.Done()
		defer func() {
			if p := recover(); p != nil {
				msg = crashed{p, debug.Stack()}
			}
		}()
		return cmd()
	}
}

// Update takes in a message. A panic ends the program in an orderly way; Run tells about it.
func (m *model) Update(msg tea.Msg) (_ tea.Model, cmd tea.Cmd) {
	defer func() {
		if p := recover(); p != nil {
			m.crash = &crashed{p, debug.Stack()}
			cmd = tea.Quit
		}
	}()
	if m.crash != nil {
		return m, tea.Quit
	}
	return m, m.update(msg)
}

func (m *model) update(msg tea.Msg) tea.Cmd {
	m.stale = true
	switch msg := msg.(type) {
	case crashed:
		m.crash = &msg
		return tea.Quit
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyMsg:
		return m.keys(msg)
	case tea.MouseMsg:
		return m.mouse(msg)
	case ticked:
		m.age()
		return m.tick()
	case connecting:
		m.conn.attempt = msg.attempt
		m.conn.phase = trying
		return m.guard(m.watch.next)
	case arrived:
		m.arrive(msg.frames)
		return tea.Batch(m.guard(m.watch.next), m.askForOperations())
	case lost:
		m.conn.phase, m.conn.err = waiting, msg.err
		m.conn.next = m.cfg.Now().Add(msg.pause)
		return m.guard(m.watch.next)
	case ended:
		m.conn.phase, m.conn.err = over, nil
		if !errors.Is(msg.err, io.EOF) {
			m.conn.err = msg.err
		}
		return m.guard(m.watch.next)
	case contentCame:
		for i := range m.pages {
			if p := &m.pages[i]; p.kind == onContent && p.key == msg.object {
				p.object.loading, p.object.err, p.object.zone = false, msg.err, msg.content.Zone
				if msg.err == nil {
					p.object.lines = contentLines(msg.content)
				}
			}
		}
	case operationsCame:
		m.operations.loading = false
		m.operations.log, m.operations.rows, m.operations.err = msg.log, msg.operations, msg.err
		return m.askForOperations()
	case checksCame:
		if msg.run == m.doctor.number && len(m.doctor.results) < maxChecks {
			m.doctor.results = append(m.doctor.results, msg.result)
		}
		return m.guard(msg.next)
	case checksEnded:
		if msg.run == m.doctor.number {
			m.doctor.running, m.doctor.err = false, msg.err
		}
	case noted:
		m.note = string(msg)
	}
	return nil
}

// maxChecks is how many results of checks are shown; a big mesh has some for each peer.
const maxChecks = 10_000

// noted is what a command has to say in the line of findings.
type noted string

// arrive folds frames into what is known.
func (m *model) arrive(frames []mesh.Frame) {
	for _, f := range frames {
		m.live.fold(f)
	}
	m.conn.phase, m.conn.err, m.conn.attempt = connected, nil, 0
	m.conn.heard = m.cfg.Now()
}

// age lets the time of what is shown go on.
func (m *model) age() {
	if m.conn.phase == over || m.conn.heard.IsZero() {
		return
	}
	m.live.tick(m.cfg.Now().Sub(m.conn.heard))
}

// paused reports whether the picture stands still.
func (m *model) paused() bool { return m.shown != m.live }

// silence is how long ago the newest frame came.
func (m *model) silence() time.Duration { return max(m.cfg.Now().Sub(m.conn.heard), 0) }

// View returns the screen. It is drawn anew only after something came in, and then it is the same text if no
// cell changed, so that nothing is written to the terminal.
func (m *model) View() (text string) {
	defer func() {
		if p := recover(); p != nil {
			// Told when the next message comes, which is the next tick at the latest.
			m.crash = &crashed{p, debug.Stack()}
			text = m.screen
		}
	}()
	if m.stale && m.crash == nil {
		m.stale = false
		if text := m.theme.print(m.draw()); text != m.screen {
			m.screen = text
		}
	}
	return m.screen
}

// viewNamed finds a view by its word, the overview if it is empty.
func viewNamed(name string) (viewID, bool) {
	for v, word := range viewNames {
		if strings.EqualFold(word, name) {
			return viewID(v), true
		}
	}
	return viewOverview, name == ""
}
