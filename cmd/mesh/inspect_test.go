package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/store"
)

// transcript runs command lines against a node and compares all that they print with a golden file.
func transcript(t *testing.T, name, dataDir string, lines ...string) {
	t.Helper()
	transcriptOf(t, name, dataDir, strings.NewReplacer(), lines...)
}

// transcriptOf is transcript with something else that is different every time taken out of what is printed.
func transcriptOf(t *testing.T, name, dataDir string, hide *strings.Replacer, lines ...string) {
	t.Helper()
	var b strings.Builder
	for _, line := range lines {
		te := inspectEnv(t)
		answer, line, asked := strings.Cut(line, " | ")
		if !asked {
			answer, line = "", answer
		} else {
			te.isTerminal = func(s any) bool { return s == te.stdin }
			te.env.stdin = strings.NewReader(answer + "\n")
		}
		code := te.mesh(t, append(strings.Fields(line), "--data-dir", dataDir)...)
		te.tell(&b, "mesh "+line, code)
	}
	golden(t, name, hide.Replace(strings.ReplaceAll(b.String(), dataDir, "DIR")))
}

func inspectEnv(t *testing.T) *testEnv {
	te := newTestEnv(t)
	te.environ = func() []string { return nil }
	return te
}

func TestStatusTranscript(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	dir := serveFake(t, node)
	transcript(t, "status", dir, "status", "status -o json", "status -o yaml", "status --wait=5s", "status --wait=x", "status -o name")

	node.mu.Lock()
	node.peers, node.status.Peers, node.status.Replication, node.status.Findings = nil, mesh.PeerCounts{}, nil, nil
	node.status.Incarnation, node.status.InSync = nil, true
	node.status.Cluster = mesh.ClusterStatus{Kind: "none"}
	node.status.Resources = mesh.Resources{}
	node.mu.Unlock()
	transcript(t, "status-alone", dir, "status", "status --wait", "peers", "peers -o json")
}

func TestVersionTranscript(t *testing.T) {
	t.Parallel()
	transcriptOf(t, "version", serveFake(t, newFakeNode(t)), strings.NewReplacer(runtime.Version(), "GO"), "version", "version --client", "version --short", "version -o json",
		"version --client -o yaml", "version --node unix:/x", "version --short -o yaml")
}

func TestStatusOfStandby(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	dir := serveFake(t, node)
	st := &node.status
	st.Peers, st.Replication, st.Findings, st.Incarnation, st.Resources = mesh.PeerCounts{}, []mesh.Replication{}, []mesh.Finding{}, nil, mesh.Resources{}
	st.Listen, st.LeaseHeld = []string{"http/3000"}, ptr(false)
	st.Lease = &mesh.LeaseStatus{State: "Standby", Holder: "mesh-0_1a2b3c4d", Since: *before(time.Hour)}
	st.Cluster = mesh.ClusterStatus{Kind: "kubernetes", Location: "kind-east", Connected: true, Problems: []mesh.Problem{}}
	transcript(t, "status-standby", dir, "status", "status -o json", "status --wait=5s")

	node.mu.Lock()
	st.Ready, st.Lease, st.Cluster.Connected = false, &mesh.LeaseStatus{State: "Waiting", Since: *before(time.Minute)}, false
	st.Findings = []mesh.Finding{{ID: "cluster.lease", Status: "fail", Subject: "kind-east", Text: "the API server does not tell who leads: it is away", Next: "mesh help MESH-3701"}}
	node.mu.Unlock()
	transcript(t, "status-waiting", dir, "status", "status --wait=5s")
}

func TestStatusWithoutNode(t *testing.T) {
	t.Parallel()
	transcript(t, "status-absent", t.TempDir(), "status", "status -o json", "status --wait=2s", "status --node unix:/x -c y",
		"log ls", "log verify -o json", "peers", "adopt ConfigMap/a/b")
	transcript(t, "status-starting", serveFake(t, nil), "status", "status --wait=5s", "log ls")
}

func TestPeersTranscript(t *testing.T) {
	t.Parallel()
	lan := newFakeNode(t)
	lan.peers = lan.peers[:1]
	for i := range byte(6) {
		key := seedKey(20 + i).Public()
		lan.peers = append(lan.peers, mesh.Peer{Name: "peer-" + key.String()[:8], State: mesh.NotAdmitted, PublicKey: key.String(), PeerID: key.PeerID(),
			Endpoints: []string{fmt.Sprintf("192.0.2.%d:9102", i)}, LastSeen: before(time.Minute), FirstSeen: before(time.Hour), Reasons: []string{"SeenOnLAN"}})
	}
	lan.peers[1].Reasons = append(lan.peers[1].Reasons, endRemoved)
	lan.peers[4].Reasons = append(lan.peers[4].Reasons, endHandedOver)
	transcript(t, "peers-lan", serveFake(t, lan), "peers", "peers -q --state NotAdmitted", "peers -o name", "peers describe "+lan.peers[1].Name, "status")
	templates := t.TempDir()
	for name, text := range map[string]string{"columns": "WHO  RTT\n.name .rttSeconds\n", "jsonpath": `{range .items[*]}{.name}{"\t"}{.address}{"\n"}{end}`,
		"go": "{{range .items}}{{.name}} {{.lagOperations}}\n{{end}}", "bad-columns": "WHO RTT\n.name\n"} {
		if err := os.WriteFile(filepath.Join(templates, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lines := []string{"peers -o jsonpath={.items[*].name}", "peers west -o jsonpath={.rttSeconds}", "peers -o jsonpath-as-json={.items[0].endpoints}",
		"peers -o go-template={{range.items}}{{.name}},{{end}}", "peers lab -o go-template={{.address}}", "peers -o custom-columns=NAME:.name,RTT:rttSeconds,WHY:{.lastError},ALL:.endpoints[*]",
		"peers -o custom-columns=NAME:.name --no-headers --sort-by .rttSeconds", "peers --sort-by {.lagOperations} -o name", "peers --sort-by .version -o name", "peers --sort-by age -o name",
		"peers -o jsonpath-file=TEMPLATES/jsonpath", "peers -o go-template-file=TEMPLATES/go", "peers -o custom-columns-file=TEMPLATES/columns",
		"peers -o jsonpath={.items[", "peers -o go-template={{", "peers -o go-template={{.items.name.x}}", "peers -o custom-columns=NAME", "peers -o custom-columns-file=TEMPLATES/bad-columns",
		"peers -o jsonpath-file=TEMPLATES/none", "peers -o jsonpath", "peers -o jsnpath=x", "peers -o table", "peers --sort-by .x[", "peers --state Unknown", "peers --state Unknown -o name", "peers --state Unknown -o json"}
	for i, l := range lines {
		lines[i] = strings.ReplaceAll(l, "TEMPLATES", templates)
	}
	transcriptOf(t, "peers-output", serveFake(t, newFakeNode(t)), strings.NewReplacer(templates, "TEMPLATES"), lines...)
	transcript(t, "peers", serveFake(t, newFakeNode(t)), "peers", "peers -o wide", "peers -o name", "peers --no-headers --sort-by rtt",
		"peers --state NotReady,Unavailable", "peers --state Bad", "peers --sort-by colour", "peers west 12D3KooWLab", "peers wets", "peers -o json west",
		"peers describe lab", "peers describe west", "peers describe "+seedKey(3).Public().String()[:6], "peers describe", "peers descripe west")
}

func TestAcceptDeletesTranscript(t *testing.T) {
	t.Parallel()
	transcript(t, "accept-deletes", serveFake(t, newFakeNode(t)), "peers accept-deletes west", "peers accept-deletes west --no-input",
		"n | peers accept-deletes west", "peers accept-deletes lab", "peers accept-deletes nobody", "peers accept-deletes east",
		"y | peers accept-deletes west", "peers accept-deletes west -y")
}

func TestAdoptTranscript(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	transcript(t, "adopt", serveFake(t, node), "adopt ConfigMap/default/app --dry-run", "adopt ConfigMap/default/app", "n | adopt ConfigMap/default/app",
		"adopt ConfigMap/default/own -y", "adopt ConfigMap/default/none -y", "adopt configmap", "adopt ../../x/y",
		"y | adopt ConfigMap/default/app")
	if len(node.wanted) != 1 || node.wanted[0] != "ConfigMap/default/app" {
		t.Errorf("adopted %v, want the one that was confirmed", node.wanted)
	}
}

func TestLogTranscript(t *testing.T) {
	t.Parallel()
	lines := []string{"log ls", "log ls -o wide", "log ls -o json", "log show", "log show east --range 2..3", "log show --type delete", "log show wets",
		"log show --object Secret/default/token -o json", "log show --show-secrets -o json", "log show --type sticker", "log show --range 5..2", "log show --range a",
		"y | log show --object Secret/default/token -o json --show-secrets", "log show --range ..1", "log show --range 90..",
		"log verify", "log verify -o json", "log export", "log export east", "log show --lost", "log show --lost -o json", "log show --lost --type update"}
	node := newFakeNode(t)
	transcript(t, "log", serveFake(t, node), lines...)
	transcript(t, "log-stopped", storeOf(t, node), lines...)
}

// storeOf writes the logs of a node into a store, as that of a stopped one.
func storeOf(t *testing.T, node *fakeNode) string {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(filepath.Join(dir, storeName), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var b oplog.Batch
	for key, rows := range node.rows {
		last := rows[len(rows)-1]
		in := mesh.Instance{Zone: "east", Incarnation: mesh.Incarnation(node.logs[0].Incarnation.UnixMilli())}
		b.Logs = append(b.Logs, oplog.Log{Key: key, Instance: in, Next: last.Seq + 1, Head: last.ID, Ops: uint64(len(rows)),
			Bytes: node.logs[0].Bytes, Updated: node.logs[0].Updated.UnixMilli()})
		b.Rows = append(b.Rows, rows...)
		b.Meta = &oplog.Meta{Network: "default", Zone: "east", Author: key.Author, Created: in.Incarnation, Incarnation: in.Incarnation}
	}
	for _, l := range node.lost {
		b.Lost = append(b.Lost, l.LostRecord)
	}
	if err := s.Commit(&b); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestVerifyFindsAChangedStore(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	for key, rows := range node.rows {
		rows[3].Body[len(rows[3].Body)-1] ^= 1
		rows[4].Header = rows[2].Header
		node.rows[key] = rows
	}
	transcript(t, "log-damaged", storeOf(t, node), "log verify", "log verify -o json", "log verify west")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, storeName), []byte("this is no store"), 0o600); err != nil {
		t.Fatal(err)
	}
	transcript(t, "log-no-store", dir, "log ls")
}

// TestExportsAreTheSignedBytes reads an export back: every byte of header and body is there but for Secrets.
func TestExportsAreTheSignedBytes(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	dir := serveFake(t, node)
	secret := []byte("aHVudGVyMg==")
	for _, all := range []bool{false, true} {
		te := inspectEnv(t)
		args := []string{"log", "export", "east", "--format", "cbor", "--data-dir", dir}
		if all {
			args = append(args, "--show-secrets", "-y")
		}
		if code := te.mesh(t, args...); code != 0 {
			t.Fatalf("export = %d: %s", code, te.stderr.String())
		}
		for _, rows := range node.rows {
			for _, r := range rows {
				if !bytes.Contains(te.stdout.Bytes(), r.Header) {
					t.Errorf("header %d is not in the export", r.Seq)
				}
				if has := bytes.Contains(te.stdout.Bytes(), r.Body); has != (all || !bytes.Contains(r.Body, secret)) {
					t.Errorf("secrets %v: body %d in the export is %v", all, r.Seq, has)
				}
			}
		}
	}
}

// lineWatcher ends a command when its output holds a text, and changes the node on the way.
type lineWatcher struct {
	bytes.Buffer
	on map[string]func()
}

func (w *lineWatcher) Write(b []byte) (int, error) {
	n, err := w.Buffer.Write(b)
	for text, f := range w.on {
		if strings.Contains(w.String(), text) {
			delete(w.on, text)
			f()
		}
	}
	return n, err
}

// watch runs a command that goes on until its output holds last.
func watch(t *testing.T, node *fakeNode, first, last string, change func(), line string) string {
	t.Helper()
	dir := serveFake(t, node)
	te := inspectEnv(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out := &lineWatcher{}
	out.on = map[string]func(){last: cancel, first: func() {
		node.mu.Lock()
		defer node.mu.Unlock()
		change()
	}}
	te.env.stdout = out
	code := run(ctx, append([]string{"mesh"}, append(strings.Fields(line), "--data-dir", dir)...), te.env)
	if code != exitInterrupted || len(out.on) != 0 {
		t.Errorf("mesh %s = %d %s, want %d and %q in\n%s", line, code, te.stderr.String(), exitInterrupted, last, out)
	}
	return out.String()
}

func TestWatchPrintsChanges(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	out := watch(t, node, "lab", "west    NotReady", func() { node.peers[1].State = mesh.NotReady }, "peers -w")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 5 || strings.Count(out, "NAME") != 1 {
		t.Errorf("peers -w printed\n%s\nwant the table and one row", out)
	}
}

func TestWatchedJSONIsOneObjectPerLine(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	out := watch(t, node, `"name":"lab"`, `"version":"0.5.0"`, func() { node.peers[1].Version = ptr("0.5.0") }, "peers -w -o json")
	for _, l := range strings.Split(strings.TrimSpace(out), "\n") {
		if !strings.HasPrefix(l, `{"apiVersion":"mesh.dcp.hiro.io/v1","kind":"Peer",`) || !json.Valid([]byte(l)) {
			t.Errorf("peers -w -o json printed %s", l)
		}
	}
	node = newFakeNode(t)
	out = watch(t, node, `"live":57`, `"live":58`, func() { node.status.Resources.Live++ }, "status -w -o json")
	if strings.Count(out, "\n") != 2 {
		t.Errorf("status -w printed\n%s\nwant two lines", out)
	}
}

func TestFollowPrintsNewOperations(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	key := mesh.LogKey{}
	for k := range node.rows {
		key = k
	}
	all := node.rows[key]
	node.rows[key], node.logs[0].Height = all[:4], ptr(uint32(3))
	out := watch(t, node, "Secret", "delete", func() { node.rows[key], node.logs[0].Height = all, ptr(uint32(4)) }, "log show -f")
	if strings.Count(out, "SEQ") != 1 || strings.Count(out, "\n") != 6 {
		t.Errorf("log show -f printed\n%s\nwant one header and five operations", out)
	}
}
