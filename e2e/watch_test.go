package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
)

// watched is what somebody knows who reads a node's stream.
type watched struct {
	stop func()

	mu        sync.Mutex
	raw       strings.Builder
	frames    int
	wholes    int
	status    mesh.Status
	peers     map[string]mesh.Peer
	resources map[string]mesh.Resource
	topology  mesh.Topology
	notices   []mesh.Notice
	ended     error // why it ended; nil: it goes on
}

// door is a client of the node's socket.
func (z *zone) door() *http.Client {
	// A node serves 128 connections at a time; those that wait idly for a next request give way to newcomers.
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(z.data, "api.sock"))
	}}}
}

// watch reads the stream until the test or stop ends it, or the node does.
func (z *zone) watch() *watched {
	z.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &watched{peers: map[string]mesh.Peer{}, resources: map[string]mesh.Resource{}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://mesh/api/v1/events", nil)
	must(z.t, err)
	resp, err := z.door().Do(req)
	must(z.t, err)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		z.t.Fatalf("GET events: %s", resp.Status)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 16<<20)
		var err error
		for err == nil && lines.Scan() {
			err = w.line(lines.Text())
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ended = errors.Join(err, lines.Err(), io.EOF)
	}()
	w.stop = func() { cancel(); <-done }
	z.t.Cleanup(w.stop)
	return w
}

func (w *watched) line(text string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.raw.WriteString(text + "\n")
	data, is := strings.CutPrefix(text, "data: ")
	if !is {
		return nil
	}
	var f mesh.Frame
	if err := json.Unmarshal([]byte(data), &f); err != nil {
		return err
	}
	w.frames++
	if f.Whole {
		w.wholes++
	}
	if f.Status != nil {
		w.status = *f.Status
	}
	if f.Topology != nil {
		w.topology = *f.Topology
	}
	follow(w.peers, f.Peers, func(p mesh.Peer) string { return p.PublicKey })
	follow(w.resources, f.Resources, func(r mesh.Resource) string { return r.Object })
	w.notices = append(w.notices, f.Notices...)
	return nil
}

func follow[T any](set map[string]T, d *mesh.Delta[T], id func(T) string) {
	if d == nil {
		return
	}
	if d.Whole {
		clear(set)
	}
	for _, k := range d.Removed {
		delete(set, k)
	}
	for _, x := range d.Items {
		set[id(x)] = x
	}
}

// shows waits until what is known is as wanted.
func (w *watched) shows(t *testing.T, what string, is func() bool) {
	t.Helper()
	eventually(t, what, func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch {
		case is():
			return nil
		case w.ended != nil:
			return fmt.Errorf("%w: the stream ended: %v", errOver, w.ended)
		}
		return fmt.Errorf("after %d frames: %+v, %v, %v", w.frames, w.peers, w.resources, w.notices)
	})
}

// told reports whether a notice came, by its kind, zone, object and the beginning of its text.
func (w *watched) told(kind mesh.NoticeKind, zone, object, text string) bool {
	return slices.ContainsFunc(w.notices, func(n mesh.Notice) bool {
		return n.Kind == kind && string(n.Zone) == zone && n.Object == object && strings.HasPrefix(n.Text, text)
	})
}

// Who watches a node sees what happens to it: objects, peers, what others see of each other, what went wrong and
// that it is well again; and never what is in a Secret.
func TestWatch(t *testing.T) {
	t.Parallel()
	const plain = "correct-horse-battery"
	all := zones(t, "east west north", set("log_level", "TRACE"))
	startAll(t, all...)
	east, west, north := all[0], all[1], all[2]
	w, other := east.watch(), west.watch()
	w.shows(t, "both peers", func() bool {
		p := w.peers[west.public]
		return w.status.Zone == "east" && w.status.Peers.Ready == 2 && p.State == mesh.Ready && p.RTTSeconds != nil && p.LossRatio != nil &&
			p.TxMessages > 0 && p.RxMessages > 0
	})
	w.shows(t, "how west sees north", func() bool {
		return slices.ContainsFunc(w.topology.Links, func(l mesh.Link) bool {
			return l.From == "west" && l.To == "north" && l.Direct && l.State == mesh.Ready && l.RTTSeconds != nil
		})
	})
	east.write("app.yaml", manifest("app", "1"))
	east.write("s.yaml", "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData:\n  password: "+plain+"\n")
	const app, secret = "ConfigMap/default/app", "Secret/default/s"
	w.shows(t, "the objects", func() bool { return w.resources[app].Owner == "east" && w.resources[secret].State == "Live" })
	other.shows(t, "the objects where they were applied", func() bool {
		return other.resources[secret].State == "Live" && other.told(mesh.NoticeApply, "east", secret, "version ") && other.told(mesh.NoticeApply, "east", app, "version ")
	})
	east.remove("app.yaml")
	other.shows(t, "the deletion", func() bool {
		return other.resources[app].State == "Deleted" && other.told(mesh.NoticeApply, "east", app, "removed here")
	})
	east.write("broken.yaml", "a: [")
	w.shows(t, "a file that is broken", func() bool { return w.told(mesh.NoticeKube, "east", "", "local/broken.yaml:") })
	east.remove("broken.yaml")
	w.shows(t, "that it is gone", func() bool { return w.told(mesh.NoticeKube, "east", "", "well again after ") })
	north.kill()
	w.shows(t, "that north is away", func() bool {
		return w.peers[north.public].State == mesh.NotReady && w.told(mesh.NoticePeer, "north", "", "Ready -> NotReady: ") && w.told(mesh.NoticeLink, "north", "", "127.0.0.1:")
	})
	w.shows(t, "what was tried", func() bool {
		return slices.ContainsFunc(w.peers[north.public].Attempts, func(a mesh.DialAttempt) bool { return a.Error != "" && !a.At.IsZero() })
	})

	// The owner's content, and not that of Secrets unless it is asked for.
	for path, want := range map[string]string{
		"content/Secret/default/s": `"payload":"<redacted `, "content/Secret/default/s?secrets=true": `"payload":{`, "content/Secret/default/s?zone=west": `"error":`,
	} {
		resp, err := east.door().Get("http://mesh/api/v1/" + path)
		must(t, err)
		b, err := io.ReadAll(resp.Body)
		must(t, err)
		resp.Body.Close()
		if !strings.Contains(string(b), want) {
			t.Errorf("GET %s = %s, want %s", path, b, want)
		}
	}

	// A node that stops ends the stream; the next one begins with everything.
	west.stop()
	eventually(t, "the end of the stream", func() error {
		other.mu.Lock()
		defer other.mu.Unlock()
		if other.ended == nil {
			return errors.New("it goes on")
		}
		return nil
	})
	west.start()
	again := west.watch()
	again.shows(t, "everything again", func() bool { return again.wholes == 1 && again.resources[secret].State == "Live" })
	for _, x := range []*watched{w, other, again} {
		x.mu.Lock()
		if raw := x.raw.String(); strings.Contains(raw, plain) || strings.Contains(raw, "Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5") {
			t.Errorf("the stream holds what is in the Secret:\n%s", raw)
		}
		if x.wholes != 1 {
			t.Errorf("%d whole frames in a stream, want one", x.wholes)
		}
		x.mu.Unlock()
	}
}
