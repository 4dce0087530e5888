package tui

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/muesli/termenv"
)

// swatch draws everything that a theme may replace, beside the same characters as text.
func swatch() *canvas {
	c := newCanvas(44, 12)
	for _, x := range []int{0, 20, 43} {
		for y := range 8 {
			c.glyph(x, y, "|", plain, asFrame)
		}
	}
	for _, y := range []int{0, 4, 7} {
		for x := range 44 {
			c.glyph(x, y, "-", plain, asFrame)
		}
	}
	for x := 1; x < 20; x++ {
		c.glyph(x, 0, "-", strong, asFrame)
	}
	for _, x := range []int{0, 20, 43} {
		for _, y := range []int{0, 4, 7} {
			c.glyph(x, y, "+", plain, asFrame)
		}
	}
	c.text(3, 0, 10, " Title ", strong)
	for i, s := range []string{"_", ".", "-", "=", "+", "*", "#"} {
		c.glyph(2+i, 1, s, plain, asBar)
		c.text(2+i, 2, 1, s, plain)
	}
	for i, s := range []string{"-", "|", "/", "\\", ":", ".", "~", "x"} {
		c.glyph(22+i, 1, s, warn, asLink)
		c.text(22+i, 2, 1, s, warn)
	}
	for i, m := range []string{"+", "!", "?", "x", " ", "="} {
		c.put(2+3*i, 5, "[", ok)
		c.glyph(3+3*i, 5, m, ok, asMark)
		c.put(4+3*i, 5, "]", ok)
		c.text(2+3*i, 6, 3, "["+m+"]", ok)
	}
	for i, s := range []string{"plain", "ok", "warn", "bad", "unknown", "strong", "dim"} {
		c.text(6*i, 9, 7, s, tone(i))
	}
	c.text(0, 11, 44, "wide: 日本語, combined: e\u0301, steering: \x1b[31m\u202e", plain)
	return c
}

// The escape sequences of every theme are in golden files; ESC stands as \e.
func TestThemes(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, th := range []struct {
		name  string
		theme theme
	}{
		{"mono, ASCII", newTheme(themeMono, termenv.TrueColor, false)},
		{"mono, Unicode", newTheme(themeMono, termenv.TrueColor, true)},
		{"dark, 16 colours, ASCII", newTheme(themeDark, termenv.ANSI, false)},
		{"dark, 256 colours, Unicode", newTheme(themeDark, termenv.ANSI256, true)},
		{"dark, true colours, Unicode", newTheme(themeDark, termenv.TrueColor, true)},
		{"light, 16 colours, Unicode", newTheme(themeLight, termenv.ANSI, true)},
		{"light, 256 colours, ASCII", newTheme(themeLight, termenv.ANSI256, false)},
		{"light, true colours, Unicode", newTheme(themeLight, termenv.TrueColor, true)},
	} {
		b.WriteString("# " + th.name + "\n" + strings.ReplaceAll(th.theme.print(swatch()), "\x1b", `\e`) + "\n\n")
	}
	golden(t, "themes", b.String())
}

// Whatever a theme does, each line keeps the width that was drawn, and its styles end with it.
func TestThemesKeepWidth(t *testing.T) {
	t.Parallel()
	for _, look := range []string{themeDark, themeLight, themeMono} {
		for _, profile := range []termenv.Profile{termenv.TrueColor, termenv.ANSI256, termenv.ANSI, termenv.Ascii} {
			for _, unicode := range []bool{false, true} {
				th := newTheme(look, profile, unicode)
				out := th.print(swatch())
				for i, line := range strings.Split(out, "\n") {
					if w := ansi.StringWidth(line); w != 44 {
						t.Errorf("%s, profile %d, unicode %v: line %d is %d columns wide, want 44: %q", look, profile, unicode, i, w, line)
					}
					if at := strings.LastIndex(line, "\x1b["); at >= 0 && !strings.HasPrefix(line[at:], "\x1b[0m") {
						t.Errorf("%s, profile %d: a style goes on after line %d: %q", look, profile, i, line)
					}
				}
				if colourless := !strings.Contains(out, "\x1b"); colourless != (th.name() == themeMono) {
					t.Errorf("%s, profile %d: printed without styles: %v, but its name is %s", look, profile, colourless, th.name())
				}
			}
		}
	}
}

func TestChooseTheme(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		cfg     Config
		env     map[string]string
		look    string
		profile termenv.Profile
		unicode bool
	}{
		{"nothing said", Config{}, nil, themeMono, termenv.Ascii, true},
		{"colours", Config{Color: true, Theme: themeAuto}, map[string]string{"TERM": "xterm-256color"}, themeDark, termenv.ANSI256, true},
		{"true colours", Config{Color: true}, map[string]string{"TERM": "xterm-256color", "COLORTERM": "truecolor"}, themeDark, termenv.TrueColor, true},
		{"a terminal nobody knows", Config{Color: true}, map[string]string{"TERM": "screen"}, themeDark, termenv.ANSI, true},
		{"CI is a terminal if it says so", Config{Color: true}, map[string]string{"TERM": "xterm", "CI": "true"}, themeDark, termenv.ANSI, true},
		{"dumb", Config{Color: true}, map[string]string{"TERM": "dumb"}, themeMono, termenv.Ascii, true},
		{"light background", Config{Color: true, ASCII: true}, map[string]string{"TERM": "xterm", "COLORFGBG": "0;default;15"}, themeLight, termenv.ANSI, false},
		{"dark background", Config{Color: true}, map[string]string{"TERM": "xterm", "COLORFGBG": "15;0"}, themeDark, termenv.ANSI, true},
		{"dark grey background", Config{Color: true}, map[string]string{"TERM": "xterm", "COLORFGBG": "15;8"}, themeDark, termenv.ANSI, true},
		{"said beats background", Config{Color: true, Theme: themeDark}, map[string]string{"TERM": "xterm", "COLORFGBG": "0;15"}, themeDark, termenv.ANSI, true},
		{"mono with colours", Config{Color: true, Theme: themeMono}, map[string]string{"TERM": "xterm"}, themeMono, termenv.ANSI, true},
		{"dark without colours", Config{Theme: themeDark}, map[string]string{"TERM": "xterm"}, themeMono, termenv.Ascii, true},
	} {
		tt.cfg.Getenv = func(key string) string { return tt.env[key] }
		got := chooseTheme(tt.cfg)
		if got.name() != tt.look || got.profile != tt.profile || got.unicode != tt.unicode {
			t.Errorf("%s: chooseTheme = %s, profile %d, unicode %v, want %s, %d, %v",
				tt.name, got.name(), got.profile, got.unicode, tt.look, tt.profile, tt.unicode)
		}
	}
}

func TestNextTheme(t *testing.T) {
	t.Parallel()
	th := newTheme(themeDark, termenv.ANSI, true)
	for _, want := range []string{themeLight, themeMono, themeDark} {
		if th = th.next(); th.name() != want {
			t.Fatalf("next = %s, want %s", th.name(), want)
		}
	}
	if got := newTheme(themeDark, termenv.Ascii, true).next().name(); got != themeMono {
		t.Errorf("next without colours = %s, want %s", got, themeMono)
	}
}

func BenchmarkPrint(b *testing.B) {
	c := newCanvas(160, 48)
	for y := range c.height {
		for x := range c.width {
			c.glyph(x, y, "-", tone(x/3%7), role(x/3%5))
		}
	}
	th := newTheme(themeDark, termenv.TrueColor, true)
	b.ReportAllocs()
	for b.Loop() {
		th.print(c)
	}
}
