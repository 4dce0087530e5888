package meshpeer_test

import (
	"runtime"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
)

// No goroutine of a keeper or a recorder outlives its Run. The test runs alone, so that others' don't confuse it.
func TestNothingOutlivesRun(t *testing.T) {
	s := server(t)
	f := start(t, s, s.Namespace(t), s.Token)
	f.set(peerOf(key("west"), mesh.Ready))
	f.wants(key("west"), "Ready", "True/Connected")
	f.stop()
	eventually(t, func() string {
		b := make([]byte, 4<<20)
		stacks := string(b[:runtime.Stack(b, true)])
		for _, g := range strings.Split(stacks, "\n\n") {
			if strings.Contains(g, "meshpeer.(*Keeper)") || strings.Contains(g, "meshpeer.(*Recorder)") ||
				strings.Contains(g, "watch.(*StreamWatcher)") {
				return g
			}
		}
		return ""
	})
}
