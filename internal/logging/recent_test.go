package logging

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestRecentLinesAreThoseThatWereWritten(t *testing.T) {
	t.Parallel()
	filter, err := ParseFilter("INFO")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	logs := New(&out, Text, filter)
	log := logs.For(Net)
	log.Info("first", "peer", "west")
	log.Debug("kept out")
	log.Warn("second")
	if got := string(logs.Recent(time.Now())); got != out.String() || strings.Count(got, "\n") != 2 {
		t.Errorf("recent lines are\n%swant what was written:\n%s", got, out.String())
	}
	if got := logs.Recent(time.Now().Add(2 * recentAge)); len(got) > 0 {
		t.Errorf("two hours later there are still %q", got)
	}
}

func TestRecentIsBounded(t *testing.T) {
	t.Parallel()
	var r recent
	start := time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	line := bytes.Repeat([]byte("x"), 1024)
	for i := range 3 * recentBytes / len(line) {
		r.add(start.Add(time.Duration(i)*time.Millisecond), line)
	}
	if got := len(r.since(start)); got != recentBytes {
		t.Errorf("kept %d bytes, want %d", got, recentBytes)
	}
	r.add(start.Add(3*recentAge), []byte("late\n"))
	if got := r.since(start); string(got) != "late\n" || r.bytes != len(got) {
		t.Errorf("hours later %d bytes are kept, counted as %d; want the newest line alone", len(got), r.bytes)
	}
}

// Lines are added and read at once, as a node does both.
func TestRecentIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	filter, err := ParseFilter("=TRACE")
	if err != nil {
		t.Fatal(err)
	}
	logs := New(io.Discard, JSON, filter)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				logs.For(Mesh).LogAttrs(context.Background(), slog.LevelInfo, "line")
				if b := logs.Recent(time.Now()); len(b) == 0 || b[len(b)-1] != '\n' {
					t.Errorf("recent lines end with %q", b)
				}
			}
		})
	}
	wg.Wait()
}
