package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/doctor"
	"dcp.hiro.io/mesh/internal/mesh"
)

// checkedNode is a node that finds a bit of everything.
func checkedNode(t *testing.T) *fakeNode {
	t.Helper()
	node := newFakeNode(t)
	node.checks = []mesh.CheckResult{
		{Group: "config", ID: "config.valid", Status: mesh.CheckOK, Message: "config.yaml is valid"},
		{Group: "key", ID: "key.readable", Status: mesh.CheckSkip, Message: "there is no key yet; the first start makes one"},
		{Group: "key", ID: "key.mode", Status: mesh.CheckSkip, Message: "there is no key yet; the first start makes one"},
		{Group: "key", ID: "key.instance", Status: mesh.CheckOK, Message: "one process uses each key"},
		{Group: "network", ID: "network.ports", Status: mesh.CheckOK, Message: "udp/9102 and tcp/9102 are bound as configured"},
		{Group: "network", ID: "network.quic", Subject: "south", Status: mesh.CheckWarn, Message: "south.example:9102 answers by tcp only",
			Cause: "no QUIC reply; UDP 9102 is probably blocked on the way", Next: []string{"allow UDP 9102 to south, then: mesh doctor --group network"}, Seconds: 5},
		{Group: "peers", ID: "peers.reachable", Subject: "lab", Status: mesh.CheckFail, Message: "lab has been unavailable for 9m",
			Cause: "dial 192.0.2.44:9102: connection timed out (quic and tcp)", Next: []string{"on lab run: mesh status", "gone for good? mesh peers remove lab"}, Seconds: 0.25},
		{Group: "peers", ID: "peers.version", Status: mesh.CheckWarn, Message: "a name that would\x1b[31m paint\nthe screen", Next: []string{
			"a command that is so long that it takes a line of its own: mesh peers describe south --data-dir DIRECTORY", "and another one"}},
		{Group: "replication", ID: "log.fork", Status: mesh.CheckSkip, Message: "this process stands by and works on nothing"},
		{Group: "replication", ID: "log.stuck", Status: mesh.CheckSkip, Message: "there are no logs yet"},
	}
	return node
}

func TestDoctorTranscript(t *testing.T) {
	t.Parallel()
	dir := serveFake(t, checkedNode(t))
	transcript(t, "doctor", dir,
		"doctor", "doctor -o short", "doctor -o json", "doctor --group config,network", "doctor --group config,network --fail-on warn", "doctor --group config -o short",
		"doctor --skip network.quic,peers.reachable,peers.version", "doctor --color=always --group network,peers", "doctor --quiet --group config",
		"doctor --list --group key", "doctor --list --group key -o json")
	transcript(t, "doctor-refused", dir, "doctor --group netwrk", "doctor --skip network.quik", "doctor --fail-on skip", "doctor -o yaml", "doctor --offline --list",
		"doctor ConfigMap/default/app --group peers", "doctor --bundle x.tgz --skip peers.lag", "doctor a b")
}

// Without a node what needs none is looked at, and that is said first.
func TestDoctorWithoutNode(t *testing.T) {
	t.Parallel()
	base, err := os.MkdirTemp("", "mesh-") // the name of a test makes t.TempDir too long for a line
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	// Hints are aligned, and random names have different lengths.
	dir := filepath.Join(base, strings.Repeat("d", max(1, 50-len(base))))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string, mode os.FileMode) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return file
	}
	key := write("private.key", seedKey(1).Hex()+"\n", 0o600)
	bad := write("bad.key", seedKey(1).Hex()+"\n", 0o644)
	if err := os.Chmod(bad, 0o644); err != nil { // whatever the umask
		t.Fatal(err)
	}
	broken := write("broken.key", "no key\n", 0o600)
	peer, err := net.Listen("tcp", "127.0.0.1:0") // answers by TCP
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := gone.Addr().String()
	gone.Close()
	nodes := fmt.Sprintf("nodes:\n- {public_key: %s, zone: west, endpoints: [%q]}\n- {public_key: %s, endpoints: [%q]}\n- {public_key: %s, zone: east, endpoints: [\"127.0.0.1:1\"]}\n",
		seedKey(2).Public(), peer.Addr(), seedKey(3).Public(), dead, seedKey(1).Public())
	good := write("good.yaml", fmt.Sprintf("mesh: {zone: east}\nprivate_key_path: %s\n%s", key, nodes), 0o600)
	open := write("open.yaml", fmt.Sprintf("mesh: {zone: east}\nadmission: open\nprivate_key_path: %s\n", bad), 0o600)
	nokey := write("nokey.yaml", fmt.Sprintf("mesh: {zone: east}\nprivate_key_path: %s/none.key\n", dir), 0o600)
	nonsense := write("nonsense.yaml", fmt.Sprintf("mesh: {zone: east}\nprivate_key_path: %s\n", broken), 0o600)
	typos := write("typos.yaml", "bindport: 9102\nmesh: {zone: East}\n", 0o600)
	transcriptOf(t, "doctor-offline", dir, strings.NewReplacer(peer.Addr().String(), "127.0.0.1:9102", dead, "127.0.0.1:9103"),
		"doctor --group config,key,network,kubernetes --skip network.ports -c "+good,
		"doctor --offline --group config,key,network,kubernetes -c "+good,
		"doctor --group peers,replication -c "+good,
		"doctor --offline --group config,key -c "+open,
		"doctor --offline --group config,key -c "+nokey,
		"doctor --offline --group config,key -c "+nonsense,
		"doctor --offline --group config,key,kubernetes -c "+typos,
		"doctor --offline --group config,key -c "+filepath.Join(dir, "none.yaml"))
}

// Where the configuration is broken it is not known which node to ask, which is no reason to look at nothing.
func TestDoctorOfABrokenConfig(t *testing.T) {
	t.Parallel()
	te := inspectEnv(t)
	file := filepath.Join(te.dir, "config.yaml")
	if err := os.WriteFile(file, []byte("mesh: {zone: East}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code := te.mesh(t, "doctor", "-c", file, "--group", "config,network", "--skip", "network.ports")
	golden(t, "doctor-broken", fmt.Sprintf("%sexit %d\n%s", strings.ReplaceAll(te.stdout.String(), te.dir, "DIR"), code, strings.ReplaceAll(te.stderr.String(), te.dir, "DIR")))
}

// A port that another program has is told without a node, too.
func TestDoctorPortTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	te := inspectEnv(t)
	file := filepath.Join(te.dir, "config.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "mesh: {zone: east}\nbind_port: %d\nbind_address: [127.0.0.1]\nhttp_bind_port: 0\n", port), 0o600); err != nil {
		t.Fatal(err)
	}
	code := te.mesh(t, "doctor", "-c", file, "--data-dir", t.TempDir(), "--group", "network", "-o", "short")
	if want := fmt.Sprintf("FAIL  tcp/%d cannot be bound\n        cause: address already in use\n", port); code != 4 || !strings.Contains(te.stdout.String(), want) {
		t.Errorf("exit code %d, want 4, and %q in\n%s%s", code, want, te.stdout.String(), te.stderr.String())
	}
}

// TestDoctorPortsNotAskedFor tells only of the ports that it tried.
func TestDoctorPortsNotAskedFor(t *testing.T) {
	l := &localDoctor{}
	cfg := &config.Config{HTTPBindAddress: netip.MustParseAddr("127.0.0.1")}
	if got := l.ports(cfg); len(got) != 1 || got[0].Status != mesh.CheckSkip {
		t.Errorf("no port is asked for: %+v, want that nothing was checked", got)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.HTTPBindPort = uint16(free.Addr().(*net.TCPAddr).Port)
	free.Close()
	if got, want := l.ports(cfg), fmt.Sprintf("http/%d is free for a node", cfg.HTTPBindPort); len(got) != 1 || got[0].Message != want {
		t.Errorf("one port: %+v, want %s", got, want)
	}
}

// A node that is starting doesn't answer, and isn't taken for one that is not there.
func TestDoctorOfANodeThatStarts(t *testing.T) {
	t.Parallel()
	transcript(t, "doctor-starting", serveFake(t, nil), "doctor --group network --skip network.ports,network.dns,network.dial", "doctor --group peers")
}

// Every check is explained, by id, in any case; the pages together are a topic.
func TestHelpOfChecks(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	for _, p := range doctor.Pages() {
		if code := te.mesh(t, "help", strings.ToUpper(p.ID)); code != 0 || !strings.HasPrefix(te.stdout.String(), p.ID+"  ") {
			t.Errorf("mesh help %s: exit code %d\n%s%s", p.ID, code, te.stdout.String(), te.stderr.String())
		}
	}
	var b strings.Builder
	for _, topic := range []string{"checks", "network.quic"} {
		te.mesh(t, "help", topic)
		fmt.Fprintf(&b, "$ mesh help %s\n%s", topic, te.stdout.String())
	}
	golden(t, "help-checks", b.String())
}

// What a status calls a finding is a check of that name, so that it can be looked up.
func TestFindingsAreChecks(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{}
	for _, dir := range []string{"../../internal/replica", "../../internal/node", "."} {
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?:\badd\(|Finding\{ID: )"([a-z]+\.[a-z]+)"`).FindAllSubmatch(b, -1) {
				ids[string(m[1])] = true
			}
		}
	}
	if len(ids) < 15 {
		t.Fatalf("only %d findings were found in the sources", len(ids))
	}
	for id := range ids {
		if _, ok := doctor.Find(id); !ok {
			t.Errorf("there is no check %s", id)
		}
	}
}

// Inside a node, beside it and without it every check is tried or has a reason not to be.
func TestEveryCheckIsTried(t *testing.T) {
	t.Parallel()
	e := newTestEnv(t).env
	local := newLocalDoctor(e, &nodeFlags{}, "no node").suite()
	inside := (&nodeDoctor{setup: setup{e: e}, r: &running{e: e}}).suite()
	for _, p := range doctor.Pages() {
		if inside[p.ID] == nil {
			t.Errorf("a node doesn't look at %s", p.ID)
		}
		if local[p.ID] == nil && !slices.Contains(p.Needs, "network.node") {
			t.Errorf("%s needs no node, and is not looked at without one", p.ID)
		}
	}
	for _, s := range []doctor.Suite{local, inside} {
		for id := range s {
			if _, ok := doctor.Find(id); !ok {
				t.Errorf("%s has no page", id)
			}
		}
	}
}

// The document keeps its shape whatever there is to tell.
func TestDoctorDocument(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	b, err := json.Marshal(newDoctorReport(te.env, formatJSON, "fail").document())
	if want := `{"ok":true,"node":null,"seconds":0,"summary":{"ok":0,"warn":0,"fail":0,"skip":0},"groups":[]}`; err != nil || string(b) != want {
		t.Errorf("%s, %v, want %s", b, err, want)
	}
}

// The node of a cluster is asked where it is, and nowhere else.
func TestDoctorOfACluster(t *testing.T) {
	t.Parallel()
	te := inspectEnv(t)
	te.vars["KUBECONFIG"] = filepath.Join(te.dir, "none")
	for args, want := range map[string]int{"--offline": 2, "--group peers": 2} {
		code := te.mesh(t, append([]string{"doctor", "--context", "nowhere", "--kubeconfig", te.vars["KUBECONFIG"]}, strings.Fields(args)...)...)
		if code != want || te.stdout.Len() > 0 {
			t.Errorf("mesh doctor %s: exit code %d, want %d\n%s%s", args, code, want, te.stdout.String(), te.stderr.String())
		}
	}
}
