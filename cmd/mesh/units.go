package main

import (
	"fmt"
	"math"
	"time"

	"dcp.hiro.io/mesh/internal/readable"
)

// since is ago of a time that may be missing.
func (e *env) since(t *time.Time) string {
	if t == nil {
		return noValue
	}
	return readable.Span(e.now().Sub(*t))
}

// millis prints seconds as a round trip is said: 0.4ms, 18ms, 1.2s.
func millis(seconds *float64) string {
	if seconds == nil {
		return noValue
	}
	ms := *seconds * 1000
	switch {
	case ms < 0.95:
		return fmt.Sprintf("%.1fms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0fms", ms)
	}
	return fmt.Sprintf("%.1fs", *seconds)
}

// binary prints a number of bytes as Kubernetes does: 512, 91Ki, 1.5Mi.
func binary(n uint64) string {
	const step = 1024
	if n < step {
		return fmt.Sprint(n)
	}
	v, unit := float64(n)/step, 0
	for v >= step && unit < len("KMGTPE")-1 {
		v /= step
		unit++
	}
	text := fmt.Sprintf("%.1f", v)
	if v >= 10 || v == math.Trunc(v) {
		text = fmt.Sprintf("%.0f", v)
	}
	return text + "KMGTPE"[unit:unit+1] + "i"
}

// rfc3339 prints a moment in UTC, to the second.
func rfc3339(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
