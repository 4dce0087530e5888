package admin_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/leaktest"
	"dcp.hiro.io/mesh/internal/replica"
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
	s := serve(t, newFakeNode(t), func(c *admin.Config) { c.Notices = &notices })
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

// Of a hundred objects that change those are told, once; what is forgotten is removed; and when the node says that
// too much was, everything is told anew.
func TestObjectsAreFollowed(t *testing.T) {
	node := newFakeNode(t)
	var mu sync.Mutex
	var history []mesh.Resource // by revision
	var removed []mesh.ObjectKey
	whole := false
	node.changes = func(at replica.Cursor, limit int) (c replica.Changes) {
		mu.Lock()
		defer mu.Unlock()
		if whole {
			c.Whole, whole, at = true, false, replica.Cursor{}
		}
		c.Removed = removed[min(at.Forgotten, uint64(len(removed))):]
		c.Items = history[at.Changed:min(at.Changed+uint64(limit), uint64(len(history)))]
		c.Next = replica.Cursor{Changed: at.Changed + uint64(len(c.Items)), Forgotten: uint64(len(removed))}
		c.More = c.Next.Changed < uint64(len(history))
		return c
	}
	name := func(i int) mesh.ObjectKey {
		return mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: fmt.Sprintf("o%04d", i)}
	}
	change := func(from, to int, v mesh.Version) {
		for i := from; i < to; i++ {
			history = append(history, mesh.Resource{Object: name(i).String(), Owner: "east", State: "Live", Version: v})
		}
	}
	change(0, 1500, 1)
	s := serve(t, node, nil)
	in := frames(t, "unix:"+s.Socket())
	seen := map[string]mesh.Version{}
	next := func() (items int, removed []string, whole bool) {
		t.Helper()
		until(t, in, func(f mesh.Frame) bool {
			d := f.Resources
			if d == nil {
				return false
			}
			if d.Whole {
				whole = true
				clear(seen)
			}
			for _, r := range d.Items {
				seen[r.Object] = r.Version
			}
			for _, k := range d.Removed {
				delete(seen, k)
			}
			items, removed = items+len(d.Items), append(removed, d.Removed...)
			return len(d.Items) < 500 // else the rest comes in the next frame
		})
		return items, removed, whole
	}
	until(t, in, func(f mesh.Frame) bool {
		if f.Resources != nil {
			if len(f.Resources.Items) > 500 || f.Resources.Whole != (len(seen) == 0) {
				t.Errorf("%d objects in one frame, whole %v", len(f.Resources.Items), f.Resources.Whole)
			}
			for _, r := range f.Resources.Items {
				seen[r.Object] = r.Version
			}
		}
		return len(seen) == 1500
	})
	mu.Lock()
	change(0, 100, 2)
	change(0, 100, 3)   // what happened in between is not told
	change(200, 300, 1) // touched, and as before
	change(1500, 1501, 1)
	mu.Unlock()
	if n, gone, whole := next(); n != 101 || gone != nil || whole || seen[name(99).String()] != 3 {
		t.Errorf("%d changed, removed %v, whole %v", n, gone, whole)
	}
	mu.Lock()
	removed = append(removed, name(7), name(8), name(5000))
	change(8, 9, 4) // and there again
	mu.Unlock()
	if n, gone, whole := next(); n != 1 || !slices.Equal(gone, []string{name(7).String()}) || whole || seen[name(8).String()] != 4 {
		t.Errorf("%d changed, removed %v, whole %v", n, gone, whole)
	}
	mu.Lock()
	whole, history, removed = true, nil, nil
	change(0, 3, 9)
	mu.Unlock()
	if n, gone, whole := next(); n != 3 || gone != nil || !whole || len(seen) != 3 {
		t.Errorf("%d changed, removed %v, whole %v", n, gone, whole)
	}
}

// Who comes later is told all that is known, and the node is looked at once a second for all of them together. When
// the last one is gone nobody looks any more.
func TestManyWatchOneNode(t *testing.T) {
	node := newFakeNode(t)
	var looks atomic.Int64
	node.status = func(context.Context) (mesh.Status, error) {
		return mesh.Status{Zone: "east", UptimeSeconds: float64(looks.Add(1))}, nil // which is no change
	}
	s := serve(t, node, nil)
	watch := func() (<-chan mesh.Frame, func()) {
		c := client(t, "unix:"+s.Socket())
		ctx, cancel := context.WithCancel(t.Context())
		out := make(chan mesh.Frame, 100)
		var wg sync.WaitGroup
		wg.Go(func() {
			defer close(out)
			_ = c.Frames(ctx, func(f mesh.Frame) { // it ends with ctx, or because there is no room
				select {
				case out <- f:
				case <-ctx.Done(): // nobody reads on
				}
			})
		})
		return out, func() { cancel(); wg.Wait() }
	}
	var stops []func()
	begun := time.Now()
	for range admin.MaxStreams {
		in, stop := watch()
		stops = append(stops, stop)
		if f := until(t, in, anyFrame); !f.Whole || f.Status == nil || len(f.Peers.Items) != 1 {
			t.Fatalf("a watcher begins with %+v", f)
		}
		until(t, in, func(f mesh.Frame) bool { return !f.Whole && f.Status == nil })
	}
	if n, most := looks.Load(), int64(time.Since(begun)/time.Second)+2; n > most {
		t.Errorf("%d looks, at most %d are due", n, most)
	}
	// One too many is told to come back.
	c := client(t, "unix:"+s.Socket())
	if err := c.Frames(t.Context(), func(mesh.Frame) {}); code(err) != admin.CodeStarting {
		t.Errorf("a watcher beyond the limit: %v, want %s", err, admin.CodeStarting)
	}
	if _, err := c.Status(t.Context()); err != nil {
		t.Errorf("streams take the place of other requests: %v", err)
	}
	for _, stop := range stops {
		stop()
	}
	deadline := time.Now().Add(30 * time.Second)
	for { // the places of those that went are free in a moment
		in, stop := watch()
		_, ok := <-in
		stop()
		if ok {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no place is free although all are gone")
		}
	}
	rest := looks.Load()
	deadline = time.Now().Add(30 * time.Second)
	for quiet := time.Now(); time.Since(quiet) < 2500*time.Millisecond; time.Sleep(10 * time.Millisecond) {
		if n := looks.Load(); n != rest {
			rest, quiet = n, time.Now()
		}
		if time.Now().After(deadline) {
			t.Fatal("the node is looked at although nobody watches")
		}
	}
}

// Who doesn't read is dropped, and nobody else waits for that.
func TestSlowReaderIsDropped(t *testing.T) {
	var notices admin.Notices
	s := serve(t, newFakeNode(t), func(c *admin.Config) { c.Notices = &notices })
	conn, err := net.Dial("unix", s.Socket())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /api/v1/events HTTP/1.1\r\nHost: mesh\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	// Its first frame is read, so that it is told whatever comes from now on.
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	slow := bufio.NewReader(conn)
	for line := ""; !strings.HasPrefix(line, "data:"); {
		if line, err = slow.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	in := frames(t, "unix:"+s.Socket())
	until(t, in, anyFrame)
	text := strings.Repeat("x", 390)
	var told uint64
	// Ten megabytes, as fast as the hub takes them: more than waits for anybody. The other watcher gets all of it.
	for told < 26_000 {
		for range 1000 {
			notices.Tell(mesh.Notice{Kind: mesh.NoticeApply, Level: mesh.LevelInfo, Text: text})
			told++
		}
		until(t, in, func(f mesh.Frame) bool { return len(f.Notices) > 0 && f.Notices[len(f.Notices)-1].ID == told })
	}
	// What is in the socket's buffers may be read, and then it is over.
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, slow); err != nil {
		t.Errorf("after %d bytes: %v, want an end", n, err)
	}
}

// The stream ends when the server does, at once, and whoever comes back to the next one is told everything.
func TestStreamsEndWithTheServer(t *testing.T) {
	defer leaktest.None(t, goleak.IgnoreCurrent())
	dir, err := os.MkdirTemp("", "adm-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for range 2 {
		s, err := admin.New(admin.Config{HTTPAddress: "127.0.0.1", DataDir: dir, Registry: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Listen(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- s.Run(ctx) }()
		c, err := admin.NewClient("unix:"+s.Socket(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Frames(t.Context(), func(mesh.Frame) {}); code(err) != admin.CodeStarting {
			t.Errorf("before the start: %v, want %s", err, admin.CodeStarting)
		}
		s.Start(newFakeNode(t))
		in := make(chan mesh.Frame, 100)
		watched := make(chan error, 1)
		go func() { watched <- c.Frames(t.Context(), func(f mesh.Frame) { in <- f }) }()
		if f := until(t, in, anyFrame); !f.Whole {
			t.Errorf("first frame %+v, want a whole one", f)
		}
		cancel()
		if err := <-watched; !isUnreachable(err) {
			t.Errorf("Frames = %v, want that the node is gone", err)
		}
		if err := <-ran; err != nil {
			t.Errorf("Run = %v", err)
		}
		c.Close()
	}
}

func isUnreachable(err error) bool {
	var u *admin.UnreachableError
	return errors.As(err, &u)
}

// A node that can't be looked at is told from one that is gone.
func TestBusyNodeStillBeats(t *testing.T) {
	node := newFakeNode(t)
	node.status = func(ctx context.Context) (mesh.Status, error) {
		<-ctx.Done()
		return mesh.Status{}, ctx.Err()
	}
	s := serve(t, node, nil)
	in := frames(t, "unix:"+s.Socket())
	if f := until(t, in, anyFrame); !f.Whole || f.Status != nil || f.Peers != nil {
		t.Errorf("first frame %+v, want a whole one that says nothing", f)
	}
	for range 2 {
		if f := until(t, in, anyFrame); f.Time.IsZero() || f.Whole {
			t.Errorf("frame %+v, want one with a time", f)
		}
	}
}

func TestContentAndTopology(t *testing.T) {
	s := serve(t, newFakeNode(t), func(c *admin.Config) { c.APIListen = "127.0.0.1:0" })
	socket, tcp := client(t, "unix:"+s.Socket()), client(t, "http://"+s.APIAddr())
	ctx := t.Context()
	for _, tt := range []struct {
		c       *admin.Client
		key     mesh.ObjectKey
		zone    mesh.Zone
		secrets bool
		want    string
		code    string
	}{
		{socket, configKey, "", false, `{"data":{"a":"2"}}`, ""},
		{tcp, configKey, "east", false, `{"data":{"a":"2"}}`, ""},
		{socket, secretKey, "", false, `"<redacted 29 bytes>"`, ""},
		{socket, secretKey, "", true, `{"data":{"p":"aHVudGVyMg=="}}`, ""},
		{tcp, secretKey, "", false, `"<redacted 29 bytes>"`, ""},
		{tcp, secretKey, "", true, "", admin.CodeForbidden},
		{socket, configKey, "west", false, "", admin.CodeNotFound},
		{socket, mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: "none"}, "", false, "", admin.CodeNotFound},
		{socket, configKey, "No Zone", false, "", admin.CodeBadRequest},
	} {
		got, err := tt.c.Content(ctx, tt.key, tt.zone, tt.secrets)
		if string(got.Payload) != tt.want || code(err) != tt.code || err == nil && (got.Zone != "east" || got.Object != tt.key.String()) {
			t.Errorf("content of %s by %q, secrets %v: %s, %v", tt.key, tt.zone, tt.secrets, got.Payload, err)
		}
	}
	top, err := socket.Topology(ctx)
	if err != nil || top.Self != "east" || len(top.Links) != 1 || top.Links[0].To != "west" {
		t.Errorf("Topology = %+v, %v", top, err)
	}
}

// Whatever answers in the place of a node, a client is told so and keeps little of it.
func TestFramesOfAHostileServer(t *testing.T) {
	t.Parallel()
	endless := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			b := []byte(strings.Repeat(text, 64<<10/len(text)))
			for r.Context().Err() == nil {
				if _, err := w.Write(b); err != nil {
					return
				}
			}
		}
	}
	says := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }
	}
	frame := `data: {"time":"2026-11-22T14:03:22Z"}` + "\n\n"
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		frames  int
		want    string
	}{
		"a line without end":     {endless("x"), 0, "a message of more than 16 MiB"},
		"a message without end":  {endless("data: x\n"), 0, "a message of more than 16 MiB"},
		"no frame":               {says(frame + "data: [1]\n\n"), 1, "no frame"},
		"a frame without a time": {says(frame + "data: {}\n\n"), 1, "a frame without a time"},
		"too many parts":         {says(frame + `data: {"notices":[{}` + strings.Repeat(",{}", 600_000) + "]}\n\n"), 1, "more than 500000 parts"},
		"too deep":               {says(`data: {"notices":` + strings.Repeat("[", 1<<20) + "\n\n"), 0, "no frame"},
		"an early end":           {says(frame + frame + `data: {"time"`), 2, "it ended the stream"},
		"another page":           {says("<html>"), 0, "it ended the stream"},
		"a redirect":             {http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound).ServeHTTP, 0, "302 Found"},
		"no node":                {http.NotFound, 0, "404 Not Found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(tt.handler)
			defer s.Close()
			n := 0
			err := client(t, s.URL).Frames(t.Context(), func(mesh.Frame) { n++ })
			if !isUnreachable(err) || !strings.Contains(err.Error(), tt.want) || n != tt.frames {
				t.Errorf("%d frames, then %v; want %d, then %q", n, err, tt.frames, tt.want)
			}
		})
	}
}

// A node that says nothing at all is given up, before its answer and after.
func TestSilentNodeIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, begins := range []bool{true, false} {
		t.Run(fmt.Sprint(begins), func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if begins {
					io.WriteString(w, ": hello\n")
					w.(http.Flusher).Flush()
				}
				<-r.Context().Done()
			}))
			defer s.Close()
			err := client(t, s.URL).Frames(t.Context(), func(mesh.Frame) { t.Error("a frame") })
			if !isUnreachable(err) || !strings.Contains(err.Error(), "it said nothing for 15s") {
				t.Errorf("Frames = %v", err)
			}
		})
	}
}
