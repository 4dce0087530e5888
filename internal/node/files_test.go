package node

import (
	"slices"
	"sync/atomic"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
)

// A process that may open no more files is told once, shown while it is so, and told again when it is over.
func TestFilesGone(t *testing.T) {
	a := newMember(t, 1)
	var gone atomic.Bool
	gone.Store(true)
	a.cfg.FilesGone = gone.Load
	a.start()
	shown := func() bool {
		s, err := a.node.Status(t.Context())
		return err == nil && slices.ContainsFunc(s.Findings, func(f mesh.Finding) bool { return f.ID == "system.files" && f.Status == "fail" })
	}
	until(t, "it is shown", shown)
	gone.Store(false)
	until(t, "it is over", func() bool { return !shown() })
}
