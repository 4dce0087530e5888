package tui

import "math"

// bars are the levels of a sparkline, the lowest first. The lowest stands for nothing at all, so that anything
// more than nothing is seen.
var bars = [...]string{"_", ".", "-", "=", "+", "*", "#"}

// drawSparkline draws one cell per sample, the newest in the last of width columns; of more samples the newest.
// scale is the value of the highest bar, which stands for everything above too. NaN is no data and stays empty.
// toneOf says how a sample looks; nil: plain.
func drawSparkline(c *canvas, x, y, width int, samples []float64, scale float64, toneOf func(float64) tone) {
	samples = samples[max(len(samples)-max(width, 0), 0):]
	x += width - len(samples)
	for i, v := range samples {
		if math.IsNaN(v) {
			continue
		}
		t := plain
		if toneOf != nil {
			t = toneOf(v)
		}
		c.glyph(x+i, y, bars[barOf(v, scale)], t, asBar)
	}
}

// barOf returns the level of a sample.
func barOf(v, scale float64) int {
	const top = len(bars) - 1
	switch {
	case v <= 0:
		return 0
	case v >= scale:
		return top
	}
	return min(1+int(v/scale*float64(top)), top)
}

// scaleFor returns the scale for samples up to highest: least times the smallest power of two that holds it. So
// it is a round number, and changes seldom while the samples move.
func scaleFor(highest, least float64) float64 {
	for least < highest && least < math.MaxFloat64/2 {
		least *= 2
	}
	return least
}

// drawScale explains the bars in at most width columns: low _ . - = + * # high.
func drawScale(c *canvas, x, y, width int) {
	end := x + width
	put := func(text string) {
		x += c.text(x, y, max(end-x, 0), text, plain)
	}
	put("low")
	for _, bar := range bars {
		if x+1 < end {
			c.glyph(x+1, y, bar, plain, asBar)
		}
		x += 2
	}
	put(" high")
}
