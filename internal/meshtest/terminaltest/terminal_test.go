package terminaltest

import (
	"fmt"
	"strings"
	"testing"
)

// The terminal does what a terminal does.
func TestTerminal(t *testing.T) {
	t.Parallel()
	if Missing(t) {
		return
	}
	term := Start(t, Options{Width: 50, Height: 10, Env: []string{"WORD=hello"}})
	term.Record()
	term.Run("echo $WORD $LINES $COLUMNS; (exit 7); echo EXIT $?")
	if code := term.AwaitExit(); code != "7" || !strings.Contains(term.Screen(), "\nhello 10 50\n") {
		t.Errorf("exit code %s", code)
	}
	term.AwaitSent("hello 10 50")
	if pid, err := term.Foreground(); pid != 0 || err != nil {
		t.Errorf("process %d is in front, %v", pid, err)
	}
	if wrong := term.Restored(); wrong != nil {
		t.Errorf("not as in the beginning: %q", wrong)
	}
	term.Resize(60, 12)
	term.Run("clear; sh -c 'stty size; exec cat'")
	term.AwaitText("12 60")
	if pid, err := term.Foreground(); pid == 0 || err != nil {
		t.Errorf("process %d is in front, %v", pid, err)
	}
	term.Press("C-c")
	term.AwaitText("^C\n" + strings.TrimSpace(Prompt))
	term.Run(`stty -echo; printf '\033[?1049h\033[?25l\033[31mred\033[0m'`)
	term.Await("the alternate screen", func(screen string) bool { return strings.Contains(screen, "red"+Prompt[:3]) })
	if got := term.Styled(); !strings.Contains(got, "\x1b[31mred") {
		t.Errorf("the screen is %q", got)
	}
	if wrong := fmt.Sprint(term.Restored()); wrong != "[alternate_on is 1 cursor_flag is 0 -echo]" && wrong != "[cursor_flag is 0 alternate_on is 1 -echo]" {
		t.Errorf("a terminal that is not restored is found %s", wrong)
	}
}
