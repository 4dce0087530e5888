package main

import (
	"testing"
)

// Not even killing the demo leaves a node behind.
func TestDemoKilled(t *testing.T) {
	t.Parallel()
	dir, out := t.TempDir(), &lockedBuffer{}
	cmd := demoProcess(t, dir, out)
	if left := processesOf(t, dir); len(left) != len(demoZones()) {
		t.Errorf("the nodes are %q", left)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	eventually(t, "its nodes end with it", func() bool { return len(processesOf(t, dir)) == 0 })
}
