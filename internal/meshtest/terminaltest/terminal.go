// Package terminaltest gives tests a real terminal: a shell in tmux, whose screen is read, whose keyboard is typed on
// and whose size is changed as a person would.
//
// Each terminal has a tmux server of its own, on a socket in the test's folder, with no configuration but the one
// here. It ends with the test, and whatever runs in it.
package terminaltest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// patience is far beyond what anything here takes on a machine that does much else.
	patience = 2 * time.Minute
	tick     = 20 * time.Millisecond
)

// Prompt is what the shell says when it waits for a command.
const Prompt = "ready> "

// Options say what a terminal is like.
type Options struct {
	Width, Height int      // 0: 80 and 24
	Dir           string   // where the shell is; empty: where the test is
	Env           []string // NAME=value, in addition to and instead of what the test itself has
}

// Terminal is a shell in a terminal. It is used by one goroutine.
type Terminal struct {
	t      testing.TB
	socket string
	raw    string // file with every byte that was sent to the terminal; empty: none is written
}

// Missing reports whether there are no terminals on this machine, and says so.
func Missing(t testing.TB) bool {
	t.Helper()
	for _, name := range []string{"tmux", "bash"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Logf("NOT RUN: %s in a terminal: there is no %s here", t.Name(), name)
			return true
		}
	}
	return false
}

// Start opens a terminal with a shell that waits for commands.
func Start(t testing.TB, o Options) *Terminal {
	t.Helper()
	// A path of a socket is short, and that of a test's folder may be long.
	dir, err := os.MkdirTemp("", "term")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	conf := filepath.Join(dir, "conf")
	must(t, os.WriteFile(conf, []byte(`
set -g status off
set -g default-terminal screen-256color
set -sa terminal-overrides ",*:Tc"
set -s escape-time 0
set -g remain-on-exit on
set -g history-limit 10000
`), 0o600))
	term := &Terminal{t: t, socket: filepath.Join(dir, "tmux")}
	if o.Width == 0 {
		o.Width, o.Height = 80, 24
	}
	cmd := exec.Command("tmux", "-S", term.socket, "-f", conf, "new-session", "-d", "-x", strconv.Itoa(o.Width), "-y", strconv.Itoa(o.Height),
		"PS1='"+Prompt+"' exec bash --norc --noprofile -i") // a shell that is not interactive drops PS1
	cmd.Dir = o.Dir
	cmd.Env = append(os.Environ(), "TMUX=", "HISTFILE=", "NO_COLOR=", "COLORTERM=", "COLORFGBG=", "CLICOLOR_FORCE=",
		"LC_ALL=C.UTF-8", "MESH_NODE=")
	cmd.Env = append(cmd.Env, o.Env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v\n%s", err, out)
	}
	t.Cleanup(term.close)
	term.Await("the shell waits", func(screen string) bool { return strings.Contains(screen, strings.TrimSpace(Prompt)) })
	return term
}

func (m *Terminal) close() {
	if m.t.Failed() {
		screen, err := m.tmux("capture-pane", "-p")
		m.t.Logf("the terminal shows (%v)\n%s", err, screen)
	}
	_, _ = m.tmux("kill-server") // it may be gone
}

// tmux runs one of its commands.
func (m *Terminal) tmux(args ...string) (string, error) {
	cmd := exec.Command("tmux", append([]string{"-S", m.socket}, args...)...)
	cmd.Env = append(os.Environ(), "TMUX=", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("tmux %s: %w: %s", args[0], err, out)
	}
	return string(out), nil
}

func (m *Terminal) must(args ...string) string {
	m.t.Helper()
	out, err := m.tmux(args...)
	must(m.t, err)
	return out
}

// Type types text as it is.
func (m *Terminal) Type(text string) {
	m.t.Helper()
	m.must("send-keys", "-l", text)
}

// Press presses keys by tmux's names for them, such as Enter, Escape, Tab, BTab, Up, PageDown, C-c.
func (m *Terminal) Press(keys ...string) {
	m.t.Helper()
	m.must(append([]string{"send-keys"}, keys...)...)
}

// Run types a command and Enter.
func (m *Terminal) Run(command string) {
	m.t.Helper()
	m.Type(command)
	m.Press("Enter")
}

// Resize changes the size.
func (m *Terminal) Resize(width, height int) {
	m.t.Helper()
	m.must("resize-window", "-x", strconv.Itoa(width), "-y", strconv.Itoa(height))
}

// Screen is what is shown, a line per row, without trailing spaces.
func (m *Terminal) Screen() string {
	m.t.Helper()
	return m.must("capture-pane", "-p")
}

// Styled is the screen with the sequences of its colours.
func (m *Terminal) Styled() string {
	m.t.Helper()
	return m.must("capture-pane", "-p", "-e")
}

// Await looks at the screen until it is as wanted, and returns it.
func (m *Terminal) Await(what string, wanted func(screen string) bool) string {
	m.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(tick) {
		screen, err := m.tmux("capture-pane", "-p")
		switch {
		case err == nil && wanted(screen):
			return screen
		case time.Now().After(deadline):
			m.t.Fatalf("not within %s: %s (%v); the terminal shows\n%s", patience, what, err, screen)
		}
	}
}

// AwaitText looks at the screen until all of these texts are on it, and returns it.
func (m *Terminal) AwaitText(texts ...string) string {
	m.t.Helper()
	return m.Await(fmt.Sprintf("the screen shows %q", texts), func(screen string) bool {
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				return false
			}
		}
		return true
	})
}

// AwaitExit waits for the shell's own prompt after a command that Run started with "; echo EXIT $?" behind it, and
// returns what was printed for the exit code.
func (m *Terminal) AwaitExit() string {
	m.t.Helper()
	screen := m.Await("the command has ended", func(screen string) bool { return exitLine(screen) != "" })
	return exitLine(screen)
}

// exitLine finds the code in the last line that AwaitExit waits for. A line that begins with the end of the command
// as it was typed, where a narrow terminal broke it, has no number.
func exitLine(screen string) (code string) {
	for line := range strings.Lines(screen) {
		if after, ok := strings.CutPrefix(line, "EXIT "); ok {
			if _, err := strconv.ParseUint(strings.TrimSpace(after), 10, 8); err == nil {
				code = strings.TrimSpace(after)
			}
		}
	}
	return code
}

// Value asks tmux about the terminal by one of its formats, such as #{pane_pid}.
func (m *Terminal) Value(format string) string {
	m.t.Helper()
	return strings.TrimSpace(m.must("display-message", "-p", format))
}

// Foreground is the process that the terminal belongs to at the moment; 0 while that is the shell.
func (m *Terminal) Foreground() (pid int, err error) {
	shell := m.Value("#{pane_pid}")
	stat, err := os.ReadFile("/proc/" + shell + "/stat")
	if err != nil {
		return 0, err
	}
	// After the name in brackets: state, ppid, pgrp, session, tty_nr, tpgid.
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 6 {
		return 0, errors.New("/proc tells nothing of the shell")
	}
	if fields[5] == shell {
		return 0, nil
	}
	return strconv.Atoi(fields[5])
}

// Restored returns what is not as it has to be where nothing draws on the screen: the screen is the usual one, the
// cursor is visible, lines are edited by the terminal and echoed, the mouse is nobody's. Empty: nothing.
func (m *Terminal) Restored() (wrong []string) {
	m.t.Helper()
	for format, want := range map[string]string{"alternate_on": "0", "cursor_flag": "1", "mouse_any_flag": "0"} {
		if got := m.Value("#{" + format + "}"); got != want {
			wrong = append(wrong, fmt.Sprintf("%s is %s", format, got))
		}
	}
	// bash turns echo and line editing off while it edits a line itself, so another process looks, in its place.
	const file = "stty.now"
	dir := filepath.Dir(m.socket)
	name := filepath.Join(dir, file)
	_ = os.Remove(name) // there may be none yet
	m.Run("clear; stty -a > " + name + ".new; mv " + name + ".new " + name)
	var modes []byte
	for deadline := time.Now().Add(patience); ; time.Sleep(tick) {
		b, err := os.ReadFile(name)
		if err == nil {
			modes = b
			break
		}
		if time.Now().After(deadline) {
			return append(wrong, "the shell runs no commands")
		}
	}
	for _, mode := range []string{"echo", "icanon", "isig", "icrnl", "opost"} {
		if !strings.Contains(" "+strings.NewReplacer(";", " ", "\n", " ").Replace(string(modes)), " "+mode+" ") {
			wrong = append(wrong, "-"+mode)
		}
	}
	return wrong
}

// Record writes down every byte that is sent to the terminal from now on.
func (m *Terminal) Record() {
	m.t.Helper()
	m.raw = filepath.Join(filepath.Dir(m.socket), "raw")
	m.must("pipe-pane", "cat > "+m.raw)
}

// Sent is what was sent to the terminal since Record.
func (m *Terminal) Sent() []byte {
	m.t.Helper()
	b, err := os.ReadFile(m.raw)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		m.t.Fatal(err)
	}
	return b
}

// AwaitSent waits until a text is among what was sent since Record: it takes a moment until it is written down.
func (m *Terminal) AwaitSent(text string) []byte {
	m.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(tick) {
		if sent := m.Sent(); bytes.Contains(sent, []byte(text)) {
			return sent
		} else if time.Now().After(deadline) {
			m.t.Fatalf("not within %s: %q among what was sent: %q", patience, text, sent)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
