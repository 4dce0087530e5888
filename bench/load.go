package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// moment is how busy the machine was.
type moment struct {
	at   time.Time
	load string  // of a minute, five and fifteen; empty: nobody knows
	busy float64 // processor seconds of all programs since the machine started
	ours float64 // those of the benchmarks that ended
}

// ticks is how many the kernel counts a second in /proc/stat, on every architecture.
const ticks = 100

// look asks the kernel. What it doesn't tell stays empty.
func look() moment {
	m := moment{at: time.Now()}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.load = strings.Join(strings.Fields(string(b))[:3], " ")
	}
	if b, err := os.ReadFile("/proc/stat"); err == nil {
		line, _, _ := strings.Cut(string(b), "\n")
		// After the name: user, nice, system, idle, iowait, irq, softirq, steal.
		for i, f := range strings.Fields(line)[1:] {
			if v, err := strconv.ParseFloat(f, 64); err == nil && i < 8 && i != 3 && i != 4 {
				m.busy += v / ticks
			}
		}
	}
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u) == nil {
		m.ours = time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
	}
	return m
}

// until says what else the machine did between two moments.
func (m moment) until(end moment) string {
	seconds := end.at.Sub(m.at).Seconds()
	text := fmt.Sprintf("%s on %d cores; it took %.0f s.", runtime.GOOS, runtime.NumCPU(), seconds)
	if m.load == "" || seconds <= 0 {
		return text + " How busy the machine was is not known."
	}
	others := max(0, (end.busy-m.busy)-(end.ours-m.ours)) / seconds / float64(runtime.NumCPU())
	text += fmt.Sprintf(" Load before: %s; after: %s. What was not the benchmarks' took %.0f %% of all cores.", m.load, end.load, 100*others)
	const quiet = 0.1 // what a system takes by itself, and processes that were killed and not waited for
	if others > quiet {
		text += " THE MACHINE WAS LOADED: absolute figures are worse than it can do, and ratios less certain."
	}
	return text
}
