package e2e_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"dcp.hiro.io/mesh/internal/meshtest/terminaltest"
)

// screenOf opens a terminal in which mesh tui watches a node. Its exit code is shown when it ends.
func screenOf(t *testing.T, z *zone, o terminaltest.Options, flags string) *terminaltest.Terminal {
	t.Helper()
	o.Dir = z.dir // its config is found there
	o.Env = append(o.Env, "HOME="+z.dir)
	term := terminaltest.Start(t, o)
	term.Run(fmt.Sprintf("%s tui %s; echo EXIT $?", z.program, flags))
	return term
}

// twoZones starts two nodes; the second has an object.
func twoZones(t *testing.T) (east, west *zone) {
	t.Helper()
	all := zones(t, "east west")
	startAll(t, all...)
	all[1].write("shop.yaml", manifest("shop", "1"))
	want := model{}
	want.set("west", "shop", "1")
	equal(t, want, all...)
	return all[0], all[1]
}

// TestTUI looks at a node from many terminals at once.
func TestTUI(t *testing.T) {
	t.Parallel()
	if terminaltest.Missing(t) {
		return
	}
	east, _ := twoZones(t)
	for name, look := range map[string]func(*testing.T, *zone){
		"keys": tuiKeys, "resize": tuiResize, "killed": tuiKilled, "suspended": tuiSuspended, "colours": tuiColours,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			look(t, east)
		})
	}
}

// tuiKeys sits before the screen for a while: every view, keys, the filter, help, pause.
func tuiKeys(t *testing.T, east *zone) {
	term := screenOf(t, east, terminaltest.Options{}, "--ascii")
	screen := term.AwaitText("MESH east", "[+] LIVE", "1:Overview*", "+- Topology", "+- Peers 1", "+- Events", "q quit", "> west", "Ready")
	if len(strings.Split(strings.TrimSuffix(screen, "\n"), "\n")) != 24 {
		t.Errorf("the screen is not filled:\n%s", screen)
	}
	if wide := widest(screen); wide > 80 {
		t.Errorf("a line of %d columns:\n%s", wide, screen)
	}
	for key, want := range map[string]string{"2": "2:Peers*", "3": "3:Resources*", "4": "4:Log*", "5": "5:Events*"} {
		term.Type(key)
		term.AwaitText(want)
	}
	term.Type("3")
	term.AwaitText("3:Resources*", "shop", "west")
	term.Press("Enter")
	term.AwaitText("kind: ConfigMap", "name: shop")
	term.Press("Escape")
	// Until it is, what is typed next makes one key of both.
	term.Await("the object is closed", func(s string) bool { return !strings.Contains(s, "kind: ConfigMap") })
	term.AwaitText("3:Resources*")
	term.Type("?")
	term.AwaitText("+- Help", "EVERYWHERE", "LEGEND")
	term.Press("Escape")
	term.Await("the help is closed", func(s string) bool { return !strings.Contains(s, "+- Help") })
	term.Type("2")
	term.AwaitText("2:Peers*")
	term.Type("/zone=nobody")
	term.Press("Enter")
	term.AwaitText("filter: zone=nobody")
	term.Type("/")
	term.Press("Escape")
	term.AwaitText("filter: (none)", "west")
	term.Type("p")
	term.AwaitText("PAUSED")
	term.Type("p")
	term.AwaitText("[+] LIVE")
	term.Press("F12", "Left", "M-x") // what means nothing does nothing
	term.Type("q")
	if code := term.AwaitExit(); code != "0" {
		t.Errorf("exit code %s after q", code)
	}
	if wrong := term.Restored(); wrong != nil {
		t.Errorf("the terminal was left with %q", wrong)
	}
}

// widest is the width of the widest line of an ASCII screen.
func widest(screen string) (w int) {
	for line := range strings.Lines(screen) {
		w = max(w, len(strings.TrimRight(line, "\n")))
	}
	return w
}

// tuiResize changes the size of the screen while it is looked at. What was chosen stays.
func tuiResize(t *testing.T, east *zone) {
	term := screenOf(t, east, terminaltest.Options{Width: 60, Height: 16}, "--ascii --view peers")
	term.AwaitText("MESH east", "2:Peers*", "west")
	term.Type("/state=Ready")
	term.Press("Enter")
	for _, size := range [][2]int{{160, 48}, {80, 24}, {60, 16}, {140, 40}, {45, 10}, {160, 48}} {
		term.Resize(size[0], size[1])
		term.Await(fmt.Sprintf("%d columns are filled", size[0]), func(s string) bool {
			lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
			return len(lines) == size[1] && strings.Contains(s, "west") && (size[0] < 60 || widest(s) == size[0]) &&
				(size[0] < 80 || strings.Contains(s, "filter: state=Ready"))
		})
	}
	term.Resize(28, 7)
	term.AwaitText("terminal too small", "28x7", "30x8")
	term.Resize(80, 24)
	term.AwaitText("2:Peers*", "filter: state=Ready", "west")
	term.Press("C-c")
	if code := term.AwaitExit(); code != "0" {
		t.Errorf("exit code %s after Ctrl-C", code)
	}
	if wrong := term.Restored(); wrong != nil {
		t.Errorf("the terminal was left with %q", wrong)
	}
}

// tuiKilled ends the program from outside. The terminal is as it was before, even after kill -9.
func tuiKilled(t *testing.T, east *zone) {
	for _, tt := range []struct {
		signal syscall.Signal
		code   string
	}{{syscall.SIGTERM, "130"}, {syscall.SIGINT, "130"}, {syscall.SIGHUP, "130"}, {syscall.SIGKILL, "137"}} {
		t.Run(tt.signal.String(), func(t *testing.T) {
			t.Parallel()
			term := screenOf(t, east, terminaltest.Options{}, "--mouse")
			term.AwaitText("MESH east", "LIVE")
			if got := term.Value("#{alternate_on} #{cursor_flag}"); got != "1 0" {
				t.Errorf("alternate screen and cursor are %s while it runs", got)
			}
			pid, err := term.Foreground()
			if err != nil || pid == 0 {
				t.Fatalf("process %d is in front, %v", pid, err)
			}
			must(t, syscall.Kill(pid, tt.signal))
			term.Await("the usual screen is back", func(string) bool { return term.Value("#{alternate_on} #{cursor_flag}") == "0 1" })
			term.Press("Enter") // a shell may have written its prompt on the screen that is gone
			if tt.signal != syscall.SIGKILL {
				if code := term.AwaitExit(); code != tt.code {
					t.Errorf("exit code %s, want %s", code, tt.code)
				}
			}
			term.Run("echo EXIT and $((1+1))")
			term.AwaitText("and 2")
			if wrong := term.Restored(); wrong != nil {
				t.Errorf("the terminal was left with %q", wrong)
			}
		})
	}
}

// tuiSuspended stops the program with Ctrl-Z and takes it to the front again.
func tuiSuspended(t *testing.T, east *zone) {
	term := screenOf(t, east, terminaltest.Options{}, "")
	term.AwaitText("MESH east", "LIVE")
	term.Press("C-z")
	term.AwaitText("Stopped")
	if wrong := term.Restored(); wrong != nil {
		t.Errorf("the terminal was left with %q", wrong)
	}
	term.Resize(100, 30)
	term.Run("fg; echo EXIT $?")
	term.Await("it is there again, in the new size", func(s string) bool {
		return strings.Contains(s, "MESH east") && strings.Count(s, "\n") == 30
	})
	term.AwaitText("LIVE")
	term.Type("q")
	if code := term.AwaitExit(); code != "0" {
		t.Errorf("exit code %s after q", code)
	}
	if wrong := term.Restored(); wrong != nil {
		t.Errorf("the terminal was left with %q", wrong)
	}
}

// TestTUIStale loses the node and finds it again.
func TestTUIStale(t *testing.T) {
	t.Parallel()
	if terminaltest.Missing(t) {
		return
	}
	east, _ := twoZones(t)
	term := screenOf(t, east, terminaltest.Options{}, "--ascii")
	term.AwaitText("MESH east", "[+] LIVE", "> west")
	must(t, east.kill())
	term.AwaitText("[x] STALE", "west") // what was known last stays
	east.start()
	term.Type("r") // rather than wait for the next attempt
	term.AwaitText("[+] LIVE", "west", "Ready")
	east.stop()
	term.AwaitText("[x] STALE")
	term.Type("q")
	if code := term.AwaitExit(); code != "0" {
		t.Errorf("exit code %s after q", code)
	}
}

// TestTUIConnecting starts before the node does.
func TestTUIConnecting(t *testing.T) {
	t.Parallel()
	if terminaltest.Missing(t) {
		return
	}
	east := newZone(t, "east")
	term := screenOf(t, east, terminaltest.Options{}, "--ascii")
	term.AwaitText("[ ] CONNECTING", "attempt", "no node runs")
	east.start()
	term.AwaitText("[+] LIVE", "MESH east", "No peers yet", "mesh invite")
	term.Type("q")
	if code := term.AwaitExit(); code != "0" {
		t.Errorf("exit code %s after q", code)
	}
}

// tuiColours looks at what is sent to terminals of several kinds.
func tuiColours(t *testing.T, east *zone) {
	colour := regexp.MustCompile(`\x1b\[[0-9;]*\b(3[0-7]|38|9[0-7])\b[0-9;]*m`)
	any := regexp.MustCompile(`\x1b\[[0-9;]*m`)
	for _, tt := range []struct {
		name, flags string
		env         []string
		colour      *regexp.Regexp // sent; nil: no style at all
		ascii       bool
	}{
		{name: "true colours", env: []string{"COLORTERM=truecolor"}, colour: regexp.MustCompile(`38;2;86;1(79|80);233`)},
		{name: "256 colours", colour: regexp.MustCompile(`38;5;74`)},
		{name: "16 colours", env: []string{"TERM=xterm"}, colour: regexp.MustCompile(`\[[0-9;]*36m`)},
		{name: "light", flags: "--theme light", env: []string{"COLORTERM=truecolor"}, colour: regexp.MustCompile(`38;2;0;80;200`)},
		{name: "CI does not matter", env: []string{"CI=true"}, colour: regexp.MustCompile(`38;5;74`)},
		{name: "NO_COLOR", env: []string{"NO_COLOR=1"}},
		{name: "never", flags: "--color=never"},
		{name: "mono", flags: "--theme mono"},
		{name: "no UTF-8", env: []string{"LC_ALL=POSIX"}, colour: colour, ascii: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			term := terminaltest.Start(t, terminaltest.Options{Dir: east.dir, Env: append(tt.env, "HOME="+east.dir)})
			if len(tt.env) > 0 && strings.HasPrefix(tt.env[0], "TERM=") {
				term.Run("export " + tt.env[0]) // tmux has its own
			}
			term.Run("clear")
			term.Record()
			term.Run(fmt.Sprintf("%s tui %s; echo EXIT $?", east.program, tt.flags))
			screen := term.AwaitText("MESH east", "LIVE", "west", "Ready")
			sent := term.AwaitSent("Ready")
			if tt.colour == nil && any.Match(sent) {
				t.Errorf("styled by %q", any.FindAll(sent, 5))
			}
			if tt.colour != nil && !tt.colour.Match(sent) {
				t.Errorf("no %s among %q", tt.colour, colour.FindAll(sent, 20))
			}
			if ascii := strings.Contains(screen, "+- Peers"); ascii != tt.ascii || ascii == strings.Contains(screen, "─") {
				t.Errorf("drawn in ASCII: %t\n%s", ascii, screen)
			}
			term.Type("q")
			if code := term.AwaitExit(); code != "0" {
				t.Errorf("exit code %s", code)
			}
		})
	}
}

// TestTUIPlain appends lines where nothing can be drawn, and moves nothing.
func TestTUIPlain(t *testing.T) {
	t.Parallel()
	if terminaltest.Missing(t) {
		return
	}
	east, west := twoZones(t)
	term := terminaltest.Start(t, terminaltest.Options{Dir: east.dir, Env: []string{"HOME=" + east.dir}})
	term.Run("export TERM=dumb; bind 'set enable-bracketed-paste off'; clear")
	term.Record()
	term.Run(fmt.Sprintf("%s tui; echo EXIT $?", east.program))
	term.AwaitText("zone", "east", "west", "Ready")
	must(t, west.kill())
	term.AwaitText("NotReady")
	sent := string(term.AwaitSent("NotReady"))
	_, printed, typed := strings.Cut(sent, "EXIT $?")
	if !typed || !strings.Contains(printed, "NotReady") || strings.Contains(printed, "\x1b") {
		t.Errorf("sent %q", sent)
	}
	term.Press("C-c")
	if code := term.AwaitExit(); code != "130" {
		t.Errorf("exit code %s after Ctrl-C", code)
	}
}

// TestTUIReplay plays a recording of a node that is no more.
func TestTUIReplay(t *testing.T) {
	t.Parallel()
	if terminaltest.Missing(t) {
		return
	}
	east, _ := twoZones(t)
	recording := filepath.Join(east.dir, "x.sse")
	must(t, record(east, recording, 3))
	must(t, east.kill())
	term := screenOf(t, east, terminaltest.Options{}, "--ascii --replay x.sse")
	term.AwaitText("MESH east", "> west", "Ready")
	term.Type("q")
	if code := term.AwaitExit(); code != "0" {
		t.Errorf("exit code %s after q", code)
	}
}

// TestPeersWatchQuits ends mesh peers -w with one key.
func TestPeersWatchQuits(t *testing.T) {
	t.Parallel()
	if terminaltest.Missing(t) {
		return
	}
	east, west := twoZones(t)
	term := terminaltest.Start(t, terminaltest.Options{Dir: east.dir, Env: []string{"HOME=" + east.dir}})
	term.Run(east.program + " peers -w; echo EXIT $?")
	term.AwaitText("NAME", "west", "Ready")
	must(t, west.kill())
	term.AwaitText("NotReady")
	term.Type("q")
	if code := term.AwaitExit(); code != "0" {
		t.Errorf("exit code %s after q", code)
	}
	if wrong := term.Restored(); wrong != nil {
		t.Errorf("the terminal was left with %q", wrong)
	}
}
