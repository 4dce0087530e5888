package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/terminaltest"
	"dcp.hiro.io/mesh/internal/tui"
)

// sampleFrames is the recording that the golden files of the screen show.
const sampleFrames = "../../internal/tui/testdata/overview.sse"

// sampleGolden is the golden file of the overview at a size.
func sampleGolden(t *testing.T, size [2]int, look string) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("../../internal/tui/testdata/overview_%dx%d_%s.golden", size[0], size[1], look))
	if err != nil {
		t.Fatal(err)
	}
	return trimmed(string(b))
}

// The sample of the golden files looks the same in a real terminal of each size: not a cell is different, also after
// it had another size.
func TestTUIScreens(t *testing.T) {
	t.Parallel()
	if terminaltest.Missing(t) {
		return
	}
	sizes := [][2]int{{60, 16}, {80, 24}, {120, 40}, {160, 48}}
	for look, locale := range map[string]string{"ascii": "C", "unicode": "C.UTF-8"} {
		t.Run(look, func(t *testing.T) {
			t.Parallel()
			frames, err := filepath.Abs(sampleFrames)
			if err != nil {
				t.Fatal(err)
			}
			term, bin := terminalFor(t, "showing", terminaltest.Options{Width: 100, Height: 30, Env: []string{"NO_COLOR=1"}})
			term.Run("LC_ALL=" + locale + " " + bin + " " + frames + "; echo EXIT $?")
			for _, size := range append(sizes, sizes[0]) {
				want := sampleGolden(t, size, look)
				term.Resize(size[0], size[1])
				term.Await("the screen is\n"+want, func(screen string) bool { return trimmed(screen) == want })
			}
			term.Type("q")
			if code := term.AwaitExit(); code != "0" {
				t.Errorf("exit code %s", code)
			}
		})
	}
}

// showing is mesh tui on a node of another time, which has told what the file that is its argument holds.
func showing() {
	e := newEnv()
	cfg := e.tuiConfig(tuiOptions{view: tui.Views()[0], theme: "mono", refresh: minRefresh})
	cfg.Context = "kind-east/mesh-system"
	cfg.Source = stillSource{file: os.Args[1]}
	cfg.Now = func() time.Time { return fakeNow }
	code := exitOK
	if err := e.watchTUI(context.Background(), cfg); err != nil {
		code = e.fail(err, false)
	}
	os.Exit(code)
}

// stillSource is a node that has told all there is in a recording and goes on without news.
type stillSource struct {
	bundleSource // its methods are not called
	file         string
}

func (s stillSource) Target() string { return s.file }

func (s stillSource) Watch(ctx context.Context, sink func(mesh.Frame)) error {
	f, err := os.Open(s.file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := tui.ReadRecording(f, func(f mesh.Frame) error { sink(f); return nil }); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// A bundle shows a node as it was, but for the header, which says so.
func TestTUIBundleScreen(t *testing.T) {
	t.Parallel()
	if terminaltest.Missing(t) {
		return
	}
	want := sampleGolden(t, [2]int{80, 24}, "ascii")
	term, bin := meshTerminal(t, terminaltest.Options{})
	term.Run(bin + " tui --ascii --theme mono --archive " + sampleBundle(t) + "; echo EXIT $?")
	term.Await("the screen is, but for its header,\n"+want, func(screen string) bool {
		return strings.HasPrefix(screen, " MESH east") && strings.Contains(screen, "END 14:03:22") && belowHeader(screen) == belowHeader(want)
	})
	term.Type("q")
	if code := term.AwaitExit(); code != "0" {
		t.Errorf("exit code %s", code)
	}
}

// The README shows the screen as it is.
func TestREADMEScreen(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := sampleGolden(t, [2]int{80, 24}, "ascii"); !strings.Contains(trimmed(string(readme)), want) {
		t.Errorf("README.md doesn't show\n%s", want)
	}
}

// trimmed is a screen without spaces at the ends of lines, which a terminal doesn't tell from nothing.
func trimmed(screen string) string {
	var b strings.Builder
	for line := range strings.Lines(screen) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return b.String()
}

// belowHeader is a screen without its first two lines and the spaces at the ends of the others.
func belowHeader(screen string) string {
	_, rest, _ := strings.Cut(trimmed(screen), "\n")
	_, rest, _ = strings.Cut(rest, "\n")
	return rest
}

// sampleBundle is a bundle of the node that the recording of the golden files shows.
func sampleBundle(t *testing.T) (file string) {
	t.Helper()
	frames, err := os.ReadFile(sampleFrames)
	if err != nil {
		t.Fatal(err)
	}
	var status *mesh.Status
	var last mesh.Frame
	if err := tui.ReadRecording(strings.NewReader(string(frames)), func(f mesh.Frame) error {
		last = f
		if f.Status != nil {
			status = f.Status
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	doc, err := document("Status", status)
	if err != nil {
		t.Fatal(err)
	}
	info, err := json.Marshal(map[string]any{"apiVersion": apiVersion, "kind": "Bundle", "format": 1, "version": "0.4.0", "time": last.Time, "redactions": []string{},
		"missing": []string{}, "node": map[string]any{"zone": status.Zone, "networkId": status.NetworkID, "publicKey": status.PublicKey, "peerId": status.PeerID, "version": status.Version}})
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "b.tgz")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	w := tar.NewWriter(z)
	for _, entry := range []struct {
		name string
		text []byte
	}{{"bundle.json", info}, {"api/v1/status.json", doc}, {"frames.sse", frames}} {
		if err := w.WriteHeader(&tar.Header{Name: entry.name, Mode: 0o600, Size: int64(len(entry.text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(entry.text); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []interface{ Close() error }{w, z, f} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return file
}
