package admin_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
)

// frames watches a node until the test ends; what comes is read from the channel.
func frames(t *testing.T, addr string) <-chan mesh.Frame {
	t.Helper()
	c := client(t, addr)
	ctx, cancel := context.WithCancel(t.Context())
	out := make(chan mesh.Frame, 1000)
	var wg sync.WaitGroup
	wg.Go(func() {
		err := c.Frames(ctx, func(f mesh.Frame) {
			select {
			case out <- f:
			case <-ctx.Done():
			}
		})
		if err == nil {
			t.Error("Frames = nil, want why it ended")
		}
		close(out)
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return out
}

// until reads frames until one is as wanted and returns it.
func until(t *testing.T, in <-chan mesh.Frame, want func(mesh.Frame) bool) mesh.Frame {
	t.Helper()
	late := time.After(30 * time.Second)
	for {
		select {
		case f, ok := <-in:
			if !ok {
				t.Fatal("the stream ended")
			}
			if want(f) {
				return f
			}
		case <-late:
			t.Fatal("the frame did not come in 30 s")
		}
	}
}

func anyFrame(mesh.Frame) bool { return true }

func TestTheFirstFrameIsWhole(t *testing.T) {
	var notices admin.Notices
	notices.Tell(mesh.Notice{Kind: mesh.NoticePeer, Level: mesh.LevelInfo, Zone: "west", Text: "Unknown -> Ready"})
	s, _ := serve(t, newFakeNode(t), func(c *admin.Config) { c.Notices = &notices })
	in := frames(t, "unix:"+s.Socket())

	f := until(t, in, anyFrame)
	switch {
	case !f.Whole, f.Status == nil, f.Status.Zone != "east":
		t.Errorf("first frame %+v, want a whole one of east", f)
	case f.Peers == nil || !f.Peers.Whole || len(f.Peers.Items) != 1:
		t.Errorf("peers %+v, want one", f.Peers)
	case f.Logs == nil || !f.Logs.Whole || len(f.Logs.Items) != 1:
		t.Errorf("logs %+v, want one", f.Logs)
	case f.Resources == nil || !f.Resources.Whole || len(f.Resources.Items) != 5:
		t.Errorf("resources %+v, want five", f.Resources)
	case f.Topology == nil || len(f.Topology.Links) != 1:
		t.Errorf("topology %+v, want one link", f.Topology)
	case len(f.Notices) != 1 || f.Notices[0].ID != 1 || f.Notices[0].Text != "Unknown -> Ready":
		t.Errorf("notices %+v, want one", f.Notices)
	}

	// While nothing changes a frame says only that.
	f = until(t, in, anyFrame)
	if f.Whole || f.Status != nil || f.Peers != nil || f.Logs != nil || f.Resources != nil || f.Topology != nil || f.Notices != nil || f.Time.IsZero() {
		t.Errorf("second frame %+v, want one with a time alone", f)
	}
	// What happens is told without waiting for the second to be over, and once.
	notices.Tell(mesh.Notice{Kind: mesh.NoticeLink, Level: mesh.LevelBad, Zone: "west", Text: "closed\x1b[31m"})
	f = until(t, in, func(f mesh.Frame) bool { return f.Notices != nil })
	if len(f.Notices) != 1 || f.Notices[0].ID != 2 || f.Notices[0].Text != "closed?[31m" {
		t.Errorf("notices %+v, want the second, without control characters", f.Notices)
	}
	f = until(t, in, anyFrame)
	if f.Notices != nil {
		t.Errorf("notices %+v, want none: they were told", f.Notices)
	}
}
