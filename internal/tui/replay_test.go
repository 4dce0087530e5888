package tui

import (
	"os"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
)

// overview returns the frames of testdata/overview.sse: ten minutes of zone east, which end at
// 2026-11-22T14:03:22Z.
func overview(t testing.TB) []mesh.Frame {
	t.Helper()
	f, err := os.Open("testdata/overview.sse")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var frames []mesh.Frame
	if err := ReadRecording(f, func(f mesh.Frame) error { frames = append(frames, f); return nil }); err != nil {
		t.Fatal(err)
	}
	return frames
}
