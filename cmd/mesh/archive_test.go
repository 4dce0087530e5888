package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
)

// sizes are different every time.
var sizes = regexp.MustCompile(`(?m)^((?:\S+\.(?:json|sse|txt)) +)\S+$|(\(0600\), )[\d.]+[KM]?i?|("bytes": )\d+|(\n  "time": )"[^"]+"`)

// playIn runs command lines one after the other in one folder and compares what they print with a golden file. DIR in a
// line stands for the data directory.
func playIn(t *testing.T, name, folder, dataDir string, lines ...string) {
	t.Helper()
	var b strings.Builder
	for _, line := range lines {
		te := inspectEnv(t)
		te.env.dir = folder
		code := te.mesh(t, strings.Fields(strings.ReplaceAll(line, "DIR", dataDir))...)
		te.tell(&b, "mesh "+line, code)
	}
	got := strings.NewReplacer(dataDir, "DIR", folder, "FOLDER").Replace(b.String())
	golden(t, name, sizes.ReplaceAllString(got, "$1$2$3${4}SIZE"))
}

func TestBundleTranscript(t *testing.T) {
	t.Parallel()
	node := tracedNode(t)
	node.checks = []mesh.CheckResult{
		{Group: "network", ID: "network.ports", Status: mesh.CheckOK, Message: "udp/9102 and tcp/9102 are bound as configured", Seconds: 0.1},
		{Group: "peers", ID: "peers.reachable", Subject: "lab", Status: mesh.CheckFail, Message: "lab has been unavailable for 9m",
			Cause: "dial 192.0.2.44:9102: connection timed out (quic and tcp)", Next: []string{"on lab run: mesh status"}, Seconds: 5},
	}
	dir, folder := serveFake(t, node), t.TempDir()
	playIn(t, "bundle", folder, dir, "doctor --bundle b.tgz --data-dir DIR", "doctor --bundle b.tgz --data-dir DIR", "doctor ConfigMap/default/own --bundle c.tgz -o json --data-dir DIR",
		"doctor --bundle no/where.tgz --data-dir DIR", "doctor --bundle d.tgz --node unix:/nowhere/api.sock")
	info, err := os.Stat(filepath.Join(folder, "b.tgz"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the bundle has mode %v, %v, want 0600", info.Mode(), err)
	}
	retime(t, filepath.Join(folder, "b.tgz"))
	retime(t, filepath.Join(folder, "c.tgz"))
	left, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(left) != 2 {
		t.Errorf("in the folder are %v, want two bundles", left)
	}

	for _, line := range []string{"status", "status -o json", "peers", "peers -o wide", "peers describe west", "peers lab -o yaml", "log ls -o wide", "log ls -o json", "invite ls",
		"doctor", "doctor --group peers -o short", "doctor --skip peers.reachable", "doctor ConfigMap/default/late", "doctor ConfigMap/default/late -o json"} {
		var out [2]string
		for i, where := range [][]string{{"--data-dir", dir}, {"--archive", "b.tgz"}} {
			te := inspectEnv(t)
			te.env.dir = folder
			code := te.mesh(t, append(append(strings.Fields(line), "-q"), where...)...)
			out[i] = fmt.Sprintf("exit %d\n%s%s", code, te.stdout.String(), te.stderr.String())
		}
		if live := strings.ReplaceAll(out[0], "unix:"+dir+"/api.sock", "bundle b.tgz"); live != out[1] {
			t.Errorf("mesh %s says from the bundle\n%s\nand said from the node\n%s", line, out[1], live)
		}
	}
	playIn(t, "archive", folder, dir, "status --archive b.tgz", "peers --archive b.tgz", "log show --archive b.tgz", "log show --lost --archive b.tgz", "log verify --archive b.tgz", "log export east --archive b.tgz",
		"doctor --archive b.tgz", "doctor ConfigMap/default/own --archive b.tgz", "doctor ConfigMap/default/own --archive c.tgz", "doctor ConfigMap/default/none --archive b.tgz")
	playIn(t, "archive-refused", folder, dir, "adopt ConfigMap/default/app -y --archive b.tgz", "peers remove west --archive b.tgz", "peers accept-deletes west -y --archive b.tgz", "invite --archive b.tgz", "run --zone east --archive b.tgz",
		"keygen --archive b.tgz", "status -w --archive b.tgz", "status --wait --archive b.tgz", "log show -f --archive b.tgz", "doctor --bundle e.tgz --archive b.tgz", "status --node unix:x --archive b.tgz", "status --data-dir DIR --archive b.tgz",
		"status --archive none.tgz", "status --archive .", "status -o json --archive none.tgz")
}

// Without a node a bundle has what its files tell.
func TestBundleWithoutNode(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	dir := storeOf(t, newFakeNode(t))
	if err := os.WriteFile(filepath.Join(folder, "config.yaml"), []byte("mesh: {zone: east}\ndata_dir: "+dir+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	te := inspectEnv(t)
	te.env.dir = folder
	if code := te.mesh(t, "doctor", "--bundle", "b.tgz", "-c", "config.yaml"); code != 0 || !strings.Contains(te.stderr.String(), "no node answers") {
		t.Fatalf("doctor --bundle = %d:\n%s%s", code, te.stdout.String(), te.stderr.String())
	}
	playIn(t, "archive-offline", folder, dir, "log ls --archive b.tgz", "status --archive b.tgz", "peers --archive b.tgz -o json", "doctor ConfigMap/default/app --archive b.tgz")
	a := readBundle(t, filepath.Join(folder, "b.tgz"))
	for name, want := range map[string]string{"api/v1/config.json": "config.yaml:2", "api/v1/doctor.sse": "config.valid", "bundle.json": "no node answers"} {
		if !bytes.Contains(a[name], []byte(want)) {
			t.Errorf("%s is %q, want %q in it", name, a[name], want)
		}
	}
}

// A bundle that was cut, or is none, is refused with a cause; so is one of a later version.
func TestDamagedBundleIsRefused(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	dir := serveFake(t, tracedNode(t))
	te := inspectEnv(t)
	te.env.dir = folder
	if code := te.mesh(t, "doctor", "--bundle", "b.tgz", "--data-dir", dir); code != 0 {
		t.Fatal(te.stderr.String())
	}
	whole, err := os.ReadFile(filepath.Join(folder, "b.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	later := admin.NewBundle(admin.BundleInfo{Time: fakeNow})
	later.Info.Format = admin.BundleFormat + 1
	var packed bytes.Buffer
	if _, err := later.Write(&packed); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"cut.tgz": whole[:len(whole)/2], "text.tgz": []byte("mesh: {zone: east}\n"), "later.tgz": packed.Bytes()} {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	playIn(t, "archive-damaged", folder, dir, "status --archive cut.tgz", "peers --archive text.tgz", "log ls --archive later.tgz")
}

// What a hostile bundle says reaches no terminal as it is.
func TestHostileBundleIsPrintable(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	evil := mesh.Zone("east\x1b]0;owned\a\u202e")
	b := admin.NewBundle(admin.BundleInfo{Time: fakeNow, Node: &admin.BundleNode{Zone: evil, PublicKey: "\x1b[2J"}})
	if err := b.AddLogs([]mesh.LogStatus{{Name: "\x1b[31mred", Zone: evil, State: "\u009b2J"}}); err != nil {
		t.Fatal(err)
	}
	if err := b.AddChecks([]mesh.CheckResult{{Group: "\x1b[2J", ID: "\x1b[2J", Status: mesh.CheckFail, Message: "\u202egnp.exe", Next: []string{"\a"}}}); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	if _, err := b.Write(&packed); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "b.tgz"), packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"log ls", "doctor", "status", "doctor ConfigMap/default/app"} {
		te := inspectEnv(t)
		te.env.dir = folder
		te.mesh(t, append(strings.Fields(line), "--archive", "b.tgz")...)
		out := te.stdout.String() + te.stderr.String()
		if strings.ContainsAny(out, "\x1b\a\u202e\u009b") || !strings.Contains(out, "b.tgz") {
			t.Errorf("mesh %s printed %q", line, out)
		}
	}
}
