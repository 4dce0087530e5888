package tui

import (
	"io"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"
)

// theme decides how a canvas looks on a terminal: which colours its tones get, and whether lines, marks and
// bars are drawn with more than ASCII. A theme without colours prints no escape sequences at all, neither bold
// nor reverse: the focus is a frame of = there.
//
// What the terminal can do is told to it and never asked of the terminal, so equal themes print equal bytes.
type theme struct {
	look    string // dark, light or mono
	profile termenv.Profile
	unicode bool
	styles  [dim + 1]style
}

// style is what stands before and after the cells of a tone.
type style struct{ before, after string }

// The themes by name.
const (
	themeAuto  = "auto"
	themeDark  = "dark"
	themeLight = "light"
	themeMono  = "mono"
)

// newTheme makes a theme for a terminal with the colours of profile. mono has none whatever the profile is.
func newTheme(look string, profile termenv.Profile, unicode bool) theme {
	th := theme{look: look, profile: profile, unicode: unicode}
	if look == themeMono || profile == termenv.Ascii {
		th.look = themeMono
		return th
	}
	p := darkPalette
	if look == themeLight {
		p = lightPalette
	}
	r := lipgloss.NewRenderer(io.Discard)
	r.SetColorProfile(profile) // otherwise it looks for a terminal itself
	r.SetHasDarkBackground(look != themeLight)
	s := r.NewStyle()
	// Of 16 colours red is often the darkest on black.
	badStyle := s.Foreground(p.bad).Bold(profile == termenv.ANSI)
	for t, made := range map[tone]lipgloss.Style{
		ok: s.Foreground(p.ok), warn: s.Foreground(p.warn), bad: badStyle, unknown: s.Foreground(p.unknown),
		strong: s.Bold(true), dim: s.Faint(true),
	} {
		// Rendering one letter shows what stands around any text; to render each run of cells would measure and
		// align it again and again.
		before, after, _ := strings.Cut(made.Render("x"), "x")
		th.styles[t] = style{before, after}
	}
	return th
}

// chooseTheme makes the theme that a configuration asks for.
func chooseTheme(cfg Config) theme {
	getenv := cfg.Getenv
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	profile := termenv.Ascii
	if cfg.Color {
		profile = colours(getenv)
	}
	look := cfg.Theme
	if look != themeDark && look != themeLight && look != themeMono {
		look = themeDark
		if lightBackground(getenv("COLORFGBG")) {
			look = themeLight
		}
	}
	return newTheme(look, profile, !cfg.ASCII)
}

// name returns dark, light or mono.
func (th theme) name() string { return th.look }

// next returns the theme that follows: dark, light, mono. Without colours it is mono for ever.
func (th theme) next() theme {
	following := map[string]string{themeDark: themeLight, themeLight: themeMono, themeMono: themeDark}
	return newTheme(following[th.look], th.profile, th.unicode)
}

// print returns the canvas as text for the terminal: lines joined by \n, each of the canvas's full width.
func (th theme) print(c *canvas) string {
	var b strings.Builder
	b.Grow(c.width*c.height*2 + 64*c.height)
	for y := range c.height {
		if y > 0 {
			b.WriteByte('\n')
		}
		run := plain // styles end with their line, so that a terminal can redraw single lines
		for x, p := range c.row(y) {
			if p.tone != run {
				b.WriteString(th.style(run).after)
				b.WriteString(th.style(p.tone).before)
				run = p.tone
			}
			b.WriteString(th.glyph(c, x, y, p))
		}
		b.WriteString(th.style(run).after)
	}
	return b.String()
}

func (th theme) style(t tone) style {
	if int(t) >= len(th.styles) {
		return style{}
	}
	return th.styles[t]
}
