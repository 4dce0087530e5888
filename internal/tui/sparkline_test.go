package tui

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/muesli/termenv"
)

func TestSparkline(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	c := newCanvas(30, 8)
	drawSparkline(c, 0, 0, 18, []float64{0, 0, 0, 1, 2, 5, 8, 11, 14, 16, 20, nan, nan, 0, 0.1}, 16, nil)
	drawSparkline(c, 0, 1, 18, []float64{0, 2, 3, 5, 7, 5, 3, 2, 0, 2, 5, 7, 9, 11, 12, 12, 12, 12, 12}, 16, func(v float64) tone { return lagTone(v, 0) })
	drawSparkline(c, 0, 2, 5, []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 10, nil)
	drawSparkline(c, 0, 3, 18, nil, 16, nil)
	drawSparkline(c, 0, 4, 18, []float64{-1, math.Inf(1), math.Inf(-1), 1}, 0, nil)
	drawScale(c, 0, 5, 30)
	drawScale(c, 0, 6, 12)
	drawScale(c, 28, 7, 12)
	th := newTheme(themeMono, termenv.Ascii, true)
	golden(t, "sparkline", framed(c)+"\n"+th.print(c))
}

// Every value has a bar, and a higher one never a lower bar.
func TestBarOf(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	values := []float64{math.Inf(-1), -1, 0, math.SmallestNonzeroFloat64, 1, math.MaxFloat64, math.Inf(1)}
	for range 1000 {
		values = append(values, (random.Float64()-0.3)*math.Pow(10, float64(random.IntN(20)-8)))
	}
	for _, scale := range []float64{0, 1e-300, 1, 16, 1e300, math.Inf(1)} {
		for _, a := range values {
			low := barOf(a, scale)
			if low < 0 || low >= len(bars) || (low == 0) != (a <= 0) {
				t.Fatalf("barOf(%g, %g) = %d", a, scale, low)
			}
			for _, b := range values[:50] {
				if b > a && barOf(b, scale) < low {
					t.Fatalf("barOf(%g, %g) = %d, but of %g it is %d", a, scale, low, b, barOf(b, scale))
				}
			}
		}
	}
}

func TestScaleFor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ highest, least, want float64 }{
		{0, 16, 16}, {12, 16, 16}, {16, 16, 16}, {17, 16, 32}, {1000, 16, 1024}, {0.3, 1, 1}, {3.1, 1, 4}, {math.NaN(), 16, 16},
	} {
		if got := scaleFor(tt.highest, tt.least); got != tt.want {
			t.Errorf("scaleFor(%g, %g) = %g, want %g", tt.highest, tt.least, got, tt.want)
		}
	}
	if got := scaleFor(math.Inf(1), 1); math.IsInf(got, 1) || math.IsNaN(got) {
		t.Errorf("scaleFor(infinite, 1) = %g", got)
	}
}

func TestSparklineStaysInside(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		samples := make([]float64, random.IntN(80))
		for i := range samples {
			samples[i] = random.NormFloat64() * 20
		}
		c := newCanvas(40, 1)
		x, width := random.IntN(60)-10, random.IntN(60)-10
		drawSparkline(c, x, 0, width, samples, 16, nil)
		drawScale(c, x, 0, width)
		for i, r := range c.lines()[0] {
			if r != ' ' && (i < x || i >= x+width) {
				t.Fatalf("drawn in column %d of %q, want columns %d to %d", i, c.lines()[0], x, x+width)
			}
		}
	}
	if s := strings.TrimSpace(newCanvas(4, 1).lines()[0]); s != "" {
		t.Fatal("a new canvas is empty")
	}
}
