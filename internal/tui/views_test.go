package tui

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// errGone is why something cannot be shown.
var errGone = errors.New("dial unix .mesh/api.sock: connection refused")

// drawnViews collects drawings for one golden file.
type drawnViews struct{ b strings.Builder }

func (d *drawnViews) draw(title string, width, height int, draw func(c *canvas)) {
	c := newCanvas(width, height)
	draw(c)
	fmt.Fprintf(&d.b, "# %s, %dx%d\n%s\n", title, width, height, framed(c))
}

func someObjects(s *state, n int) []*mesh.Resource {
	states := []string{"Live", "Live", "Live", "Live", "Conflict", "Held", "Unmanaged", "Deleted", "NotAllowed"}
	var rows []*mesh.Resource
	for i := range n {
		r := &mesh.Resource{Object: fmt.Sprintf("AnyApplication.dcp.hiro.io/default/app-%04d", i), Owner: mesh.Zone([]string{"west", "east", "south", "lab", ""}[i%5]),
			State: states[i%len(states)], Epoch: mesh.Epoch(i % 7), Version: mesh.Version(3 * i), Claims: []mesh.Zone{"west", "east"}[:i%3],
			Since: s.now.Add(-time.Duration(i+1) * time.Hour)}
		if i%4 == 1 {
			r.Object = fmt.Sprintf("ConfigMap/team-%d/settings-%d", i%9, i)
		}
		if i%10 == 3 {
			r.Object = fmt.Sprintf("ClusterRole.rbac.authorization.k8s.io/role-%d", i)
		}
		if r.State != "Live" {
			r.Detail = "west and east both claim it since 14:02:51"
		}
		rows = append(rows, r)
	}
	return rows
}

func TestResources(t *testing.T) {
	t.Parallel()
	s := overviewState(t)
	var d drawnViews
	show := func(title string, width, height int, o resourcesOptions) {
		if o.list == nil {
			o.list = &list{}
		}
		d.draw(title, width, height, func(c *canvas) { drawResources(c, s, o) })
	}
	pick := func(names ...string) (rows []*mesh.Resource) {
		for _, name := range names {
			for _, r := range s.resources {
				if r.Object == "AnyApplication.dcp.hiro.io/default/"+name {
					rows = append(rows, r)
				}
			}
		}
		return rows
	}
	sample := pick("shop", "billing", "search", "ingest")
	show("the sample", 60, 11, resourcesOptions{rows: append(slices.Clone(sample), pick("west-01")...)})
	show("few, focused", 60, 11, resourcesOptions{rows: sample, focused: true, list: &list{cursor: 2}})
	show("low", 60, 6, resourcesOptions{rows: sample, focused: true})
	show("narrow", 34, 10, resourcesOptions{rows: sample, focused: true})
	many := someObjects(s, 40)
	page := resourcesOptions{rows: many, page: true, focused: true, deleted: true, list: &list{cursor: 7}}
	show("a page", 78, 20, page)
	page.list = &list{cursor: 39}
	show("a page", 118, 20, page)
	page.list = &list{cursor: 4}
	show("a page", 158, 14, page)
	show("a page", 40, 12, page)
	show("one namespace", 78, 12, resourcesOptions{rows: sample, page: true, namespace: "default"})
	show("a filter that nothing passes", 60, 11, resourcesOptions{})
	show("no such namespace", 60, 11, resourcesOptions{namespace: "other"})
	d.draw("nothing yet", 60, 11, func(c *canvas) {
		drawResources(c, &state{status: &mesh.Status{}}, resourcesOptions{list: &list{}})
	})
	d.draw("loading", 60, 11, func(c *canvas) { drawResources(c, &state{}, resourcesOptions{list: &list{}}) })
	show("too narrow", 14, 5, resourcesOptions{rows: sample})
	golden(t, "resources", d.b.String())
}

func TestLog(t *testing.T) {
	t.Parallel()
	s := overviewState(t)
	var rows []*mesh.LogStatus
	for _, l := range s.logs {
		rows = append(rows, l)
	}
	slices.SortFunc(rows, func(a, b *mesh.LogStatus) int { return strings.Compare(a.Name, b.Name) })
	var ops []mesh.LogOperation
	for i := range 30 {
		op := mesh.LogOperation{Zone: "south", Seq: uint32(371 + i), Time: s.now.Add(time.Duration(i-30) * time.Minute), Type: "update",
			Object: fmt.Sprintf("AnyApplication.dcp.hiro.io/default/app-%d", i), Version: mesh.Version(i), Hash: "9f2c41aa51d0ee07"}
		if i%6 == 3 {
			op.Type, op.Object, op.Version, op.Entries = "snapshot", "", 0, 57
		}
		ops = append(ops, op)
	}
	var d drawnViews
	show := func(title string, width, height int, o logOptions) {
		o.list = &list{cursor: 3}
		d.draw(title, width, height, func(c *canvas) { drawLog(c, s, o) })
	}
	show("logs and operations", 78, 20, logOptions{rows: rows, zone: "south", operations: ops, focused: true})
	show("logs and operations", 158, 24, logOptions{rows: rows, zone: "south", operations: ops})
	show("narrow and low", 58, 10, logOptions{rows: rows, zone: "south", operations: ops, focused: true})
	show("logs alone", 58, 5, logOptions{rows: rows, zone: "south", operations: ops, focused: true})
	show("asking", 78, 14, logOptions{rows: rows, zone: "south", loading: true})
	show("an empty log", 78, 14, logOptions{rows: rows, zone: "south"})
	show("operations that cannot be read", 78, 16, logOptions{rows: rows, zone: "south", err: errGone})
	show("a filter that nothing passes", 60, 8, logOptions{})
	d.draw("nothing yet", 60, 8, func(c *canvas) { drawLog(c, &state{status: &mesh.Status{}}, logOptions{list: &list{}}) })
	d.draw("loading", 60, 8, func(c *canvas) { drawLog(c, &state{}, logOptions{list: &list{}}) })
	show("too narrow", 12, 4, logOptions{rows: rows})
	golden(t, "log", d.b.String())
}

func someChecks() []mesh.CheckResult {
	return []mesh.CheckResult{
		{Group: "config", ID: "config.strict", Status: mesh.CheckOK, Message: "config.yaml holds what it may"},
		{Group: "network", ID: "network.bound", Status: mesh.CheckOK, Message: "udp/9102 and tcp/9102 are bound as configured"},
		{Group: "peers", ID: "peers.reachable", Subject: "lab", Status: mesh.CheckFail, Message: "lab has been unavailable for 9m",
			Cause: "dial 192.0.2.44:9102: connection timed out (quic and tcp)", Next: []string{"mesh status", "mesh peers remove lab"}},
		{Group: "network", ID: "network.quic", Subject: "south", Status: mesh.CheckWarn, Message: "south.example:9102 answers by tcp only",
			Cause: "no QUIC reply in 5s; UDP 9102 is probably blocked on the way", Next: []string{"mesh doctor --group network"}},
		{Group: "kubernetes", ID: "kubernetes.api", Status: mesh.CheckSkip, Message: "no cluster is configured"},
		{Group: "odd", ID: "odd.one", Status: "else", Message: "from a newer node"},
	}
}

func TestDoctorPage(t *testing.T) {
	t.Parallel()
	s := overviewState(t)
	var d drawnViews
	show := func(title string, width, height int, o doctorOptions) {
		if o.list == nil {
			o.list = &list{}
		}
		d.draw(title, width, height, func(c *canvas) { drawDoctor(c, s, o) })
	}
	show("done", 78, 22, doctorOptions{results: someChecks()})
	show("scrolled", 78, 10, doctorOptions{results: someChecks(), list: &list{cursor: 16}})
	show("running", 58, 12, doctorOptions{results: someChecks()[:2], running: true, started: s.now})
	show("ended early", 78, 12, doctorOptions{results: someChecks()[:2], err: errGone})
	show("narrow", 28, 8, doctorOptions{results: someChecks()})
	show("just started", 58, 6, doctorOptions{running: true, started: s.now})
	show("not reachable", 58, 8, doctorOptions{err: errGone})
	show("never ran", 58, 4, doctorOptions{})
	golden(t, "doctor", d.b.String())
}

const sampleObject = `{"apiVersion":"v1","data":{"a":"1","script":"#!/bin/sh\necho \"two lines\"\n","long":"` +
	`aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},` +
	`"kind":"ConfigMap","metadata":{"name":"app","namespace":"default","labels":{"x":"\u001b[31mred"}},"spec":{"list":[{"a":1},{"b":[true,null]}],"none":{}}}`

func TestContent(t *testing.T) {
	t.Parallel()
	lines := contentLines(mesh.Content{Object: "ConfigMap/default/app", Zone: "west", Payload: json.RawMessage(sampleObject)})
	var d drawnViews
	show := func(title string, width, height int, o contentOptions) {
		if o.list == nil {
			o.list = &list{}
		}
		o.object, o.zone = cmp.Or(o.object, "ConfigMap/default/app"), "west"
		d.draw(title, width, height, func(c *canvas) { drawContent(c, &state{}, o) })
	}
	show("whole", 78, 28, contentOptions{lines: lines})
	show("scrolled", 58, 8, contentOptions{lines: lines, list: &list{cursor: 14}})
	show("narrow", 20, 6, contentOptions{lines: lines})
	show("asking", 58, 5, contentOptions{loading: true})
	show("not reachable", 58, 6, contentOptions{err: errGone})
	show("no lines", 58, 5, contentOptions{})
	show("a Secret", 58, 5, contentOptions{object: "Secret/default/app", lines: contentLines(mesh.Content{Object: "Secret/default/app", Payload: json.RawMessage(`"<redacted 12 bytes>"`)})})
	golden(t, "content", d.b.String())
}

// What a Secret holds is shown by no answer, however it is disguised; what is no object is told in one line.
func TestContentLines(t *testing.T) {
	t.Parallel()
	const secret = `{"kind":"Secret","data":{"password":"hunter2"}}`
	for _, tt := range []struct{ object, payload, want string }{
		{"Secret/default/app", secret, "# <redacted 47 bytes>"},
		{"ConfigMap/default/app", secret, "# <redacted 47 bytes>"},
		{"Secret/default/app", `{"kind":"ConfigMap","data":"hunter2"}`, "# <redacted 37 bytes>"},
		{"hunter", `{"data":"hunter2"}`, "# <redacted 18 bytes>"},
		{"Secret/default/app", `"<redacted 12 bytes>"`, "# <redacted 12 bytes>"},
		{"ConfigMap/default/app", "", "# the mesh holds no content of it"},
		{"ConfigMap/default/app", " null ", "# the mesh holds no content of it"},
		{"ConfigMap/default/app", `{"b":1,"a":"x"}`, "a: x|b: 1"},
		{"ConfigMap/default/app", `{}`, "{}"},
	} {
		got := strings.Join(contentLines(mesh.Content{Object: tt.object, Payload: json.RawMessage(tt.payload)}), "|")
		if got != tt.want {
			t.Errorf("contentLines(%s, %s) = %q, want %q", tt.object, tt.payload, got, tt.want)
		}
	}
	for _, payload := range []string{`[1]`, `{"a":`, `"open`, `{"a":1}{"b":2}`} {
		got := contentLines(mesh.Content{Object: "ConfigMap/default/app", Payload: json.RawMessage(payload)})
		if len(got) != 1 || !strings.HasPrefix(got[0], "# ") {
			t.Errorf("contentLines(%s) = %q, want one line that says what is wrong", payload, got)
		}
	}
	long := `{"a":"` + strings.Repeat(`x\n`, maxContentLines+10) + `"}`
	if got := contentLines(mesh.Content{Object: "ConfigMap/default/app", Payload: json.RawMessage(long)}); len(got) != maxContentLines+1 || got[maxContentLines] != "# 11 more lines" {
		t.Errorf("contentLines of a long object gives %d lines, the last %q", len(got), got[len(got)-1])
	}
}

// FuzzContentLines reads what a node answers: whatever it is, it becomes lines, and shows nothing of a Secret.
func FuzzContentLines(f *testing.F) {
	f.Add("ConfigMap/default/app", []byte(sampleObject))
	f.Add("Secret/default/app", []byte(`{"data":{"password":"hunter2"}}`))
	f.Add("", []byte(`"<redacted 12 bytes>"`))
	f.Fuzz(func(t *testing.T, object string, payload []byte) {
		lines := contentLines(mesh.Content{Object: object, Payload: payload})
		if len(lines) == 0 || len(lines) > maxContentLines+1 {
			t.Fatalf("%d lines", len(lines))
		}
		c := newCanvas(40, 10)
		drawContent(c, &state{}, contentOptions{object: object, lines: lines, list: &list{cursor: len(lines) / 2}})
		for _, line := range c.lines() {
			if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Fatalf("%q would steer a terminal", line)
			}
		}
	})
}

// Whatever is to be shown and however small the room, nothing is drawn outside.
func TestViewsAnySize(t *testing.T) {
	t.Parallel()
	s := overviewState(t)
	random := rand.New(rand.NewPCG(7, 8))
	objects := someObjects(s, 200)
	objects[3].Object, objects[5].Owner, objects[6].State = "no object\x1b[2J", "日本語", "\u202eevil"
	logs := []*mesh.LogStatus{{Name: "\x1b]0;x\a", State: "?"}}
	for _, l := range s.logs {
		logs = append(logs, l)
	}
	checks := append(someChecks(), mesh.CheckResult{Group: "\x1b", Status: "\x9b", Message: strings.Repeat("日本", 90), Next: []string{"", "\n"}})
	lines := contentLines(mesh.Content{Object: "ConfigMap/default/app", Payload: json.RawMessage(sampleObject)})
	for range 2000 {
		width, height := random.IntN(170), random.IntN(50)
		screen := newCanvas(width+2, height+2)
		for y := range screen.height {
			for x := range screen.width {
				screen.put(x, y, "#", plain)
			}
		}
		inside := screen.part(rect{1, 1, width, height})
		inside.clear()
		l := &list{cursor: random.IntN(300) - 20, top: random.IntN(300) - 20}
		var err error
		if random.IntN(4) == 0 {
			err = errors.New("line one\nline two \x1b[31m" + strings.Repeat("w", random.IntN(200)))
		}
		some := random.IntN(2) == 0
		switch random.IntN(4) {
		case 0:
			drawResources(inside, s, resourcesOptions{rows: objects[:random.IntN(len(objects))], list: l, page: some, deleted: random.IntN(2) == 0, focused: random.IntN(2) == 0})
		case 1:
			drawLog(inside, s, logOptions{rows: logs[:random.IntN(len(logs)+1)], list: l, zone: "\x1b", err: err, loading: some,
				operations: make([]mesh.LogOperation, random.IntN(30)), focused: random.IntN(2) == 0})
		case 2:
			drawDoctor(inside, s, doctorOptions{results: checks[:random.IntN(len(checks)+1)], running: some, err: err, list: l})
		case 3:
			drawContent(inside, s, contentOptions{object: "ConfigMap/default/app\x1b", lines: lines[:random.IntN(len(lines))], err: err, loading: some, list: l})
		}
		for y := range screen.height {
			for x := range screen.width {
				if edge := y == 0 || x == 0 || y == screen.height-1 || x == screen.width-1; edge && screen.at(x, y).text != "#" {
					t.Fatalf("drawn outside of %dx%d: %q", width, height, screen.lines()[y])
				}
			}
			if strings.ContainsFunc(screen.lines()[y], func(r rune) bool { return r < ' ' || r == 0x9b || r == '\u202e' }) {
				t.Fatalf("%q would steer a terminal", screen.lines()[y])
			}
		}
	}
}

func BenchmarkResources(b *testing.B) {
	s := &state{status: &mesh.Status{}, now: graphTime}
	rows := someObjects(s, 10_000)
	l := &list{cursor: 5000}
	c := newCanvas(160, 48)
	b.ReportAllocs()
	for b.Loop() {
		c.clear()
		drawResources(c, s, resourcesOptions{rows: rows, list: l, page: true, focused: true, deleted: true})
	}
}

// overviewState is what the sample's recording ends with.
func overviewState(t *testing.T) *state {
	t.Helper()
	f, err := os.Open("testdata/overview.sse")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := newState()
	if err := ReadRecording(f, func(f mesh.Frame) error { s.fold(f); return nil }); err != nil {
		t.Fatal(err)
	}
	return s
}
