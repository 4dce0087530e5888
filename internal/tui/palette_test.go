package tui

import (
	"math"
	"strconv"
	"testing"

	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"
)

// rgb is a colour in linear light, 0 to 1.
type rgb [3]float64

// parseColour reads #RRGGBB.
func parseColour(t *testing.T, hex string) (c rgb) {
	t.Helper()
	for i := range c {
		n, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		if v := float64(n) / 255; v <= 0.04045 {
			c[i] = v / 12.92
		} else {
			c[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return c
}

func (c rgb) times(m [3][3]float64) (out rgb) {
	for i := range out {
		for j := range c {
			out[i] += m[i][j] * c[j]
		}
		out[i] = min(max(out[i], 0), 1)
	}
	return out
}

// luminance is that of WCAG 2.
func (c rgb) luminance() float64 { return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2] }

func contrast(a, b rgb) float64 {
	return (max(a.luminance(), b.luminance()) + 0.05) / (min(a.luminance(), b.luminance()) + 0.05)
}

// lab is CIE L*a*b* under D65.
func (c rgb) lab() [3]float64 {
	xyz := [3]float64{
		(0.4124564*c[0] + 0.3575761*c[1] + 0.1804375*c[2]) / 0.95047,
		0.2126729*c[0] + 0.7151522*c[1] + 0.0721750*c[2],
		(0.0193339*c[0] + 0.1191920*c[1] + 0.9503041*c[2]) / 1.08883,
	}
	for i, v := range xyz {
		if v > 216.0/24389 {
			xyz[i] = math.Cbrt(v)
		} else {
			xyz[i] = (24389.0/27*v + 16) / 116
		}
	}
	return [3]float64{116*xyz[1] - 16, 500 * (xyz[0] - xyz[1]), 200 * (xyz[1] - xyz[2])}
}

// distance is CIE76.
func distance(a, b rgb) float64 {
	l, m := a.lab(), b.lab()
	return math.Sqrt((l[0]-m[0])*(l[0]-m[0]) + (l[1]-m[1])*(l[1]-m[1]) + (l[2]-m[2])*(l[2]-m[2]))
}

// eyes are ways to see, by the matrices of Machado, Oliveira and Fernandes (2009) for a cone that is missing.
var eyes = map[string][3][3]float64{
	"all cones":    {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
	"protanopia":   {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
	"deuteranopia": {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
	"tritanopia":   {{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900}},
}

// TestPalette measures that states can be read, and told apart by colour however one sees.
func TestPalette(t *testing.T) {
	t.Parallel()
	black, white := rgb{}, rgb{1, 1, 1}
	for _, p := range []struct {
		palette    palette
		background rgb
	}{{darkPalette, black}, {lightPalette, white}} {
		for depth, limit := range map[string]float64{"true": 25, "256": 15} {
			named := map[string]lipgloss.CompleteColor{
				"ok": p.palette.ok, "warn": p.palette.warn, "bad": p.palette.bad, "unknown": p.palette.unknown}
			colour := map[string]rgb{}
			for name, c := range named {
				hex := c.TrueColor
				if depth == "256" {
					n, err := strconv.Atoi(c.ANSI256)
					if err != nil {
						t.Fatal(err)
					}
					hex = termenv.ConvertToRGB(termenv.ANSI256Color(n)).Hex()
				}
				colour[name] = parseColour(t, hex)
				if got := contrast(colour[name], p.background); got < 4.5 {
					t.Errorf("%s %s colours: contrast of %s = %.2f, want at least 4.5", p.palette.name, depth, name, got)
				}
			}
			closest := math.Inf(1)
			for eye, m := range eyes {
				for a := range colour {
					for b := range colour {
						if a >= b {
							continue
						}
						got := distance(colour[a].times(m), colour[b].times(m))
						closest = min(closest, got)
						if got < limit {
							t.Errorf("%s, %s colours, seen with %s: %s and %s are %.1f apart, want at least %v",
								p.palette.name, depth, eye, a, b, got, limit)
						}
					}
				}
			}
			t.Logf("%s, %s colours: closest are %.1f apart", p.palette.name, depth, closest)
		}
	}
}
