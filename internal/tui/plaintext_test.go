package tui

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// The recording of the sample, told without a screen.
func TestPlainOverview(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	src := NewEnd("overview.sse", func() (io.ReadCloser, error) { return os.Open("testdata/overview.sse") })
	if err := runPlain(t.Context(), Config{Source: src, Output: &out, Recorded: true}); err != nil {
		t.Fatal(err)
	}
	golden(t, "plain", out.String())
}

// scripted is a Source whose connections are told one by one; each returns the frames and then its error.
type scripted struct {
	Source
	connections []connection
}

type connection struct {
	frames []mesh.Frame
	err    error
}

func (s *scripted) Target() string { return "unix:.mesh/api.sock" }

func (s *scripted) Watch(ctx context.Context, sink func(mesh.Frame)) error {
	if len(s.connections) == 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	now := s.connections[0]
	s.connections = s.connections[1:]
	for _, f := range now.frames {
		sink(f)
	}
	return now.err
}

func wholeFrame(at time.Time, notices []mesh.Notice, peers ...mesh.Peer) mesh.Frame {
	return mesh.Frame{Time: at, Whole: true, Status: &mesh.Status{Zone: "east", NetworkID: "default", Version: "0.4.0", PeerID: "12D3KooWQ"},
		Peers: &mesh.Delta[mesh.Peer]{Whole: true, Items: peers}, Notices: notices}
}

// A lost node is looked for again, with pauses that grow to 15 s and start anew once it was heard; what was told
// is not told twice.
func TestPlainReconnects(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("dial: connection\nrefused \x1b[2J")
		west := mesh.Peer{Name: "west", Zone: "west", State: mesh.Ready, PublicKey: "w"}
		lab := mesh.Peer{Name: "lab", Zone: "lab", State: mesh.Unavailable, PublicKey: "l"}
		rtt := 0.018
		measured := west
		measured.RTTSeconds = &rtt
		slow := west
		slow.State = mesh.NotReady
		notice := func(id uint64, level, text string) mesh.Notice {
			return mesh.Notice{ID: id, Time: graphTime, Kind: mesh.NoticePeer, Level: level, Zone: "west", Text: text}
		}
		src := &scripted{connections: []connection{
			{nil, refused}, {nil, refused}, {nil, refused}, {nil, refused}, {nil, refused}, {nil, refused},
			{[]mesh.Frame{
				wholeFrame(graphTime, []mesh.Notice{notice(1, mesh.LevelInfo, "one"), notice(2, mesh.LevelDebug, "debug")}, west),
				{Time: graphTime, Peers: &mesh.Delta[mesh.Peer]{Items: []mesh.Peer{measured}}},
				{Time: graphTime, Peers: &mesh.Delta[mesh.Peer]{Items: []mesh.Peer{slow, lab}}, Notices: []mesh.Notice{notice(3, mesh.LevelWarn, "three")}},
				{Time: graphTime, Peers: &mesh.Delta[mesh.Peer]{Removed: []string{"l", "nobody"}}},
			}, io.EOF},
			{[]mesh.Frame{wholeFrame(graphTime, []mesh.Notice{notice(1, mesh.LevelInfo, "one"), notice(3, mesh.LevelWarn, "three"), notice(4, mesh.LevelBad, "four")}, west)}, refused},
			{[]mesh.Frame{wholeFrame(graphTime, []mesh.Notice{notice(1, mesh.LevelInfo, "a new life")})}, io.EOF},
		}}
		var out strings.Builder
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := runPlain(ctx, Config{Source: src, Output: &out}); err != nil {
			t.Fatal(err)
		}
		golden(t, "plain_reconnects", out.String())
	})
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// Nobody reads any more, a damaged recording, and being interrupted.
func TestPlainEnds(t *testing.T) {
	t.Parallel()
	frames := []mesh.Frame{wholeFrame(graphTime, nil)}
	if err := runPlain(t.Context(), Config{Source: &scripted{connections: []connection{{frames, io.EOF}}}, Output: brokenPipe{}}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("runPlain into a closed pipe = %v, want %v", err, io.ErrClosedPipe)
	}
	damaged := errors.New("line 3: not a frame")
	if err := runPlain(t.Context(), Config{Source: &scripted{connections: []connection{{frames, damaged}}}, Output: io.Discard, Recorded: true}); !errors.Is(err, damaged) {
		t.Errorf("runPlain of a damaged recording = %v, want %v", err, damaged)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := runPlain(ctx, Config{Source: &scripted{}, Output: io.Discard}); err != nil {
		t.Errorf("runPlain interrupted = %v, want none", err)
	}
}
