package admin_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
)

// bundleOf makes a bundle of a node and reads it.
func bundleOf(t *testing.T, c *admin.Client, object mesh.ObjectKey) (*admin.Archive, []byte) {
	t.Helper()
	b := admin.NewBundle(admin.BundleInfo{Version: "0.4.0", Time: time.Date(2026, 11, 22, 14, 3, 22, 0, time.UTC)})
	if err := b.Collect(t.Context(), c, object); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	if _, err := b.Write(&packed); err != nil {
		t.Fatal(err)
	}
	a, err := admin.ReadArchive(bytes.NewReader(packed.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return a, packed.Bytes()
}

// A client gets the same answers from a bundle as from the node that it was made of.
func TestBundleAnswersAsTheNodeDid(t *testing.T) {
	t.Parallel()
	s := serve(t, newFakeNode(t), func(c *admin.Config) {
		c.Debug = admin.Debug{
			Config: func() []admin.ConfigValue {
				return []admin.ConfigValue{{Key: "mesh.zone", Values: []string{"east"}, Origin: "flag --zone"}}
			},
			Logs: func() []byte { return []byte("14:03:22 INFO mesh ready\n") },
		}
	})
	live := client(t, "unix:"+s.Socket())
	a, _ := bundleOf(t, live, configKey)
	if len(a.Info.Missing) > 0 {
		t.Errorf("missing in the bundle: %v", a.Info.Missing)
	}
	dead := admin.NewClientOver(a, "bundle", time.Minute)
	ctx := t.Context()
	for name, ask := range map[string]func(c *admin.Client) (any, error){
		"status":   func(c *admin.Client) (any, error) { return c.Status(ctx) },
		"peers":    func(c *admin.Client) (any, error) { return c.Peers(ctx) },
		"held":     func(c *admin.Client) (any, error) { return c.Held(ctx) },
		"logs":     func(c *admin.Client) (any, error) { return c.Logs(ctx) },
		"invites":  func(c *admin.Client) (any, error) { return c.Invites(ctx) },
		"trace":    func(c *admin.Client) (any, error) { return c.Trace(ctx, configKey) },
		"config":   func(c *admin.Client) (any, error) { return c.Raw(ctx, "/api/v1/config", nil) },
		"log text": func(c *admin.Client) (any, error) { return c.Raw(ctx, "/api/v1/logs", nil) },
		"page": func(c *admin.Client) (any, error) {
			items, next, err := c.Resources(ctx, "ConfigMap/default/c1", 2)
			return []any{items, next}, err
		},
		"last page": func(c *admin.Client) (any, error) {
			items, next, err := c.Resources(ctx, "ConfigMap/default/c3", 2)
			return []any{items, next}, err
		},
		"doctor": func(c *admin.Client) (any, error) {
			var out []mesh.CheckResult
			return out, c.Doctor(ctx, admin.DoctorQuery{}, func(r mesh.CheckResult) { out = append(out, r) })
		},
	} {
		want, err := ask(live)
		if err != nil {
			t.Errorf("%s of the node: %v", name, err)
			continue
		}
		got, err := ask(dead)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s of the bundle is %+v, %v; the node said %+v", name, got, err, want)
		}
	}
	if r, err := dead.Resource(ctx, mesh.ObjectKey{Kind: "configmaps", Namespace: "default", Name: "c1"}); err != nil || r.Object != "ConfigMap/default/c1" {
		t.Errorf("resource = %+v, %v", r, err)
	}
	goroutines, err := dead.Raw(ctx, "/api/v1/goroutines", nil)
	if err != nil || !bytes.Contains(goroutines, []byte("admin.(*Server).Run")) {
		t.Errorf("goroutines = %q, %v, want the server among them", goroutines, err)
	}
}

// Its stream shows the node as it was, and then stays open without a word until nobody listens any more.
func TestBundleStreamStandsStill(t *testing.T) {
	t.Parallel()
	s := serve(t, newFakeNode(t), nil)
	a, _ := bundleOf(t, client(t, "unix:"+s.Socket()), mesh.ObjectKey{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	frames := make(chan mesh.Frame, 100)
	go func() {
		ended <- admin.NewClientOver(a, "bundle", time.Minute).Frames(ctx, func(f mesh.Frame) { frames <- f })
	}()
	if f := <-frames; !f.Whole || f.Status == nil || f.Status.Zone != "east" || !f.Time.Equal(a.Info.Time) {
		t.Errorf("first frame %+v at %s, want everything at %s", f, f.Time, a.Info.Time)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Frames = %v, want its own end", err)
	}
}

func TestBundleRefusesWhatItCannotAnswer(t *testing.T) {
	t.Parallel()
	s := serve(t, newFakeNode(t), nil)
	a, _ := bundleOf(t, client(t, "unix:"+s.Socket()), mesh.ObjectKey{})
	c := admin.NewClientOver(a, "bundle", time.Minute)
	ctx := t.Context()
	for name, tt := range map[string]struct {
		code string
		ask  func() error
	}{
		"adopt":   {admin.CodeArchived, func() error { _, err := c.Adopt(ctx, configKey, true); return err }},
		"accept":  {admin.CodeArchived, func() error { _, err := c.AcceptDeletes(ctx, "west", ""); return err }},
		"rows":    {admin.CodeNotInside, func() error { _, err := c.Rows(ctx, mesh.LogKey{}, 0, 1, 0); return err }},
		"lost":    {admin.CodeNotInside, func() error { _, err := c.Lost(ctx); return err }},
		"trace":   {admin.CodeNotInside, func() error { _, err := c.Trace(ctx, secretKey); return err }},
		"nothing": {admin.CodeNotInside, func() error { _, err := c.Raw(ctx, "/api/v1/../../etc/passwd", nil); return err }},
		"object":  {admin.CodeNotFound, func() error { _, err := c.Resource(ctx, secretKey); return err }},
		"page":    {admin.CodeBadRequest, func() error { _, _, err := c.Resources(ctx, "", 5000); return err }},
	} {
		var refused *admin.Error
		if err := tt.ask(); !errors.As(err, &refused) || refused.Code != tt.code {
			t.Errorf("%s = %v, want %s", name, err, tt.code)
		}
	}
}

// entry is one entry of a made-up archive.
type entry struct {
	name, text string
	kind       byte
}

func pack(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Size: int64(len(e.text)), Linkname: "bundle.json"}
		if e.kind == 0 {
			h.Typeflag, h.Linkname = tar.TypeReg, ""
		} else {
			h.Size = 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(w, e.text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zip(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

const goodInfo = `{"apiVersion":"mesh.dcp.hiro.io/v1","kind":"Bundle","format":1,"version":"0.4.0","time":"2026-11-22T14:03:22Z","node":null,"redactions":[],"missing":[]}`

func TestHostileArchivesAreRefused(t *testing.T) {
	t.Parallel()
	info := entry{name: "bundle.json", text: goodInfo}
	resource := func(names ...string) string {
		text := `{"kind":"ResourceList","items":[`
		for i, n := range names {
			text += strings.Repeat(",", min(i, 1)) + `{"object":"` + n + `"}`
		}
		return text + `]}`
	}
	good := zip(t, pack(t, info))
	if _, err := admin.ReadArchive(bytes.NewReader(good)); err != nil {
		t.Fatalf("a bundle of nothing = %v", err)
	}
	many := make([]entry, 12)
	for i := range many {
		many[i].name = fmt.Sprintf("x%d", i)
	}
	for name, tt := range map[string]struct {
		file []byte
		want string
	}{
		"nothing":           {nil, "no gzip"},
		"no gzip":           {[]byte(goodInfo), "no gzip"},
		"no tar":            {zip(t, []byte(strings.Repeat("mesh", 500))), "damaged"},
		"cut off":           {good[:len(good)-20], "cut off"},
		"checksum":          {append(bytes.Clone(good[:len(good)-8]), "12345678"...), "damaged"},
		"no description":    {zip(t, pack(t)), "no bundle.json"},
		"another document":  {zip(t, pack(t, entry{name: "bundle.json", text: `{"kind":"Status"}`})), "want Bundle"},
		"a later format":    {zip(t, pack(t, entry{name: "bundle.json", text: strings.Replace(goodInfo, `"format":1`, `"format":2`, 1)})), "later version"},
		"no time":           {zip(t, pack(t, entry{name: "bundle.json", text: strings.Replace(goodInfo, `"time":"2026-11-22T14:03:22Z",`, "", 1)})), "no time"},
		"an upward path":    {zip(t, pack(t, info, entry{name: "api/../../x"})), "the name"},
		"an absolute path":  {zip(t, pack(t, info, entry{name: "/etc/passwd"})), "the name"},
		"a Windows path":    {zip(t, pack(t, info, entry{name: `C:\x`})), "the name"},
		"a terminal escape": {zip(t, pack(t, info, entry{name: "x\x1b[2J"})), "the name"},
		"a long name":       {zip(t, pack(t, info, entry{name: strings.Repeat("x/", 150) + "x"})), "the name"},
		"a link":            {zip(t, pack(t, info, entry{name: "api/v1/status.json", kind: tar.TypeSymlink})), "no plain file"},
		"a device":          {zip(t, pack(t, info, entry{name: "x", kind: tar.TypeChar})), "no plain file"},
		"a folder":          {zip(t, pack(t, info, entry{name: "x", kind: tar.TypeDir})), "no plain file"},
		"an entry twice":    {zip(t, pack(t, info, info)), "twice"},
		"too many entries":  {zip(t, pack(t, many...)), "more than 10 entries"},
		"too large":         {zip(t, pack(t, entry{name: "x", text: strings.Repeat("x", 3<<20)})), "larger than 2 MiB"},
		"too much": {zip(t, pack(t, entry{name: "a", text: strings.Repeat("x", 2<<20)}, entry{name: "b", text: strings.Repeat("x", 2<<20)},
			entry{name: "c", text: strings.Repeat("x", 2<<20)})), "unpacks to more"},
		"a bomb behind the end": {zip(t, append(pack(t, info), make([]byte, 6<<20)...)), "unpacks to more"},
		"too many objects":      {zip(t, pack(t, info, entry{name: "api/v1/peers.json", text: `{"kind":"PeerList","items":[` + strings.Repeat("{},", 510_000) + "{}]}"})), "more than 500000"},
		"garbage":               {zip(t, pack(t, info, entry{name: "api/v1/status.json", text: `{"kind":"Status","zone":7}`})), "api/v1/status.json"},
		"no list":               {zip(t, pack(t, info, entry{name: "api/v1/log.json", text: `[]`})), "api/v1/log.json"},
		"objects in disorder":   {zip(t, pack(t, info, entry{name: "api/v1/resources.json", text: resource("ConfigMap/a/b", "ConfigMap/a/a")})), "not in order"},
		"an odd object":         {zip(t, pack(t, info, entry{name: "api/v1/resources.json", text: resource("../..")})), "resources.json"},
		"no stream":             {zip(t, pack(t, info, entry{name: "frames.sse", text: "data: {\n\n"})), "frames.sse"},
	} {
		a, err := admin.ReadArchiveWithin(bytes.NewReader(tt.file), 2<<20, 5<<20, 10)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) {
			t.Errorf("%s = %v, %v, want %q", name, a, err, tt.want)
		}
	}
}

// A few bytes of JSON may become many in memory.
func TestArchiveOfManyParts(t *testing.T) {
	file := zip(t, pack(t, entry{name: "bundle.json", text: goodInfo},
		entry{name: "api/v1/peers.json", text: `{"kind":"PeerList","items":[{"endpoints":[""` + strings.Repeat(`,""`, 8<<20) + `,""]}]}`}))
	if a, err := admin.ReadArchive(bytes.NewReader(file)); err == nil || !strings.Contains(err.Error(), "parts") {
		t.Errorf("ReadArchive = %v, %v, want a refusal", a, err)
	}
}

// FuzzArchive reads whatever lies in a gzip file and asks it everything: it answers or refuses.
func FuzzArchive(f *testing.F) {
	f.Add(pack(f, entry{name: "bundle.json", text: goodInfo}))
	f.Add(pack(f, entry{name: "bundle.json", text: goodInfo},
		entry{name: "api/v1/resources.json", text: `{"kind":"ResourceList","items":[{"object":"ConfigMap/a/a","state":"Held"},{"object":"Secret/a/b"}]}`},
		entry{name: "api/v1/traces.json", text: `{"kind":"TraceList","items":[{"object":"ConfigMap/a/a","steps":[{"name":"owner","status":"ok"}]}]}`},
		entry{name: "api/v1/status.json", text: `{"kind":"Status","zone":"east"}`},
		entry{name: "api/v1/doctor.sse", text: "data: {\"id\":\"x\",\"status\":\"ok\"}\n\ndata:\n\n"},
		entry{name: "frames.sse", text: "id: 1\ndata: {\"time\":\"2026-11-22T14:03:22Z\",\"whole\":true}\n\n"}))
	f.Add(pack(f, entry{name: "x", kind: tar.TypeSymlink}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<20 {
			return
		}
		a, err := admin.ReadArchiveWithin(bytes.NewReader(zip(t, b)), 1<<20, 4<<20, 100)
		if err != nil {
			return
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for _, path := range []string{"status", "peers", "held", "log", "topology", "invites", "config", "resources", "resources?after=ConfigMap/a/a&limit=1",
			"resources/cm/a/a", "trace/ConfigMap/a/a", "trace/%2e%2e/x", "doctor", "logs", "log/rows", "../x"} {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://mesh/api/v1/"+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := a.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK && !json.Valid(body) {
				t.Fatalf("%s = %s %q, %v", path, resp.Status, body, err)
			}
		}
	})
}
