package meshpeer_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares what kubectl printed, without what differs from run to run.
func golden(t *testing.T, name, got string) {
	t.Helper()
	for _, r := range []struct{ pattern, with string }{
		{`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`, "TIME"},
		{`(Resource Version: +)\d+`, "${1}N"},
		{`(UID: +)[0-9a-f-]{36}`, "${1}UID"},
		{`testkubectl-\d+`, "NAMESPACE"},
		{`\b(\d+[smh])+( ago)?\b`, "AGE"},
		{` +AGE +AGE *`, "   AGE   AGE   "},
		{`SEEN +AGE *`, "SEEN   AGE   "},
		{`(?m)[ \t]+$`, ""},
	} {
		got = regexp.MustCompile(r.pattern).ReplaceAllString(got, r.with)
	}
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: kubectl prints\n%s\nwant\n%s", file, got, want)
	}
}

// What people see with kubectl alone.
func TestKubectl(t *testing.T) {
	t.Parallel()
	s := server(t)
	ns := s.Namespace(t)
	f := start(t, s, ns, s.Token)
	west, north := key("west"), key("north")
	late := peerOf(north, mesh.NotReady)
	late.Zone, late.Endpoints = "north", []string{"[2001:db8::1]:9102"}
	f.set(peerOf(west, mesh.Ready), late)
	f.wants(f.self, "Ready", "True/Running")
	name := f.wants(west, "Ready", "True/Connected").Metadata.Name
	f.wants(north, "NotReady", "False/ProbesMissed")
	f.events("PeerReady")

	golden(t, "get", s.Kubectl(t, "get", "meshpeers", "-n", ns))
	golden(t, "get-wide", s.Kubectl(t, "get", "mp", "-n", ns, "-o", "wide"))
	description := s.Kubectl(t, "describe", "meshpeer", name, "-n", ns)
	before, events, _ := strings.Cut(description, "Events:") // Events come in the order in which they were written
	golden(t, "describe", before)
	for _, word := range []string{"PeerReady", "dcp.hiro.io/mesh-controller", "The node is ready."} {
		if !strings.Contains(events, word) {
			t.Errorf("describe shows no %q among the Events:\n%s", word, events)
		}
	}
	if out := s.Kubectl(t, "get", "mesh", "-n", ns, "-o", "name"); !strings.Contains(out, "meshpeer.dcp.hiro.io/"+name) {
		t.Errorf("the category mesh holds %q", out)
	}
	golden(t, "explain", s.Kubectl(t, "explain", "meshpeer.spec", "--recursive"))
	golden(t, "explain-admitted", s.Kubectl(t, "explain", "meshpeer.spec.admitted"))
}

// The API server refuses what makes no sense with a sentence, and takes objects of earlier releases.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := server(t)
	ns := s.Namespace(t)
	good := key("west").String()
	apply := func(key, spec string) string {
		t.Helper()
		file := filepath.Join(t.TempDir(), "peer.yaml")
		text := "apiVersion: dcp.hiro.io/v1\nkind: MeshPeer\nmetadata: {name: x}\nspec: {identity: {publicKey: \"" + key + "\", " + spec + "}\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, stderr, err := s.TryKubectl(t, "apply", "-n", ns, "-f", file)
		if err == nil {
			return ""
		}
		return stderr
	}
	for _, tt := range []struct{ key, spec, want string }{
		{good[:63], `endpoints: []}`, "want 64 hexadecimal digits"},
		{good + "0", `endpoints: []}`, "Too long"},
		{"z" + good[1:], `endpoints: []}`, "want 64 hexadecimal digits"},
		{good, `endpoints: ["west.example.org"]}`, "want HOST:PORT"},
		{good, `endpoints: ["west.example.org:0"]}`, "want HOST:PORT"},
		{good, `endpoints: ["west.example.org:65536"]}`, "want HOST:PORT"},
		{good, `endpoints: ["https://west.example.org:9102"]}`, "want HOST:PORT"},
		{good, `endpoints: ["2001:db8::1:9102"]}`, "want HOST:PORT"},
		{good, `endpoints: [":9102"]}`, "want HOST:PORT"},
		{good, `endpoints: []}, zone: "West"`, "want a DNS label"},
		{good, `endpoints: null}`, "endpoints"},
		{good, `endpoints: ["west.example.org:9102", "10.0.0.1:1", "[2001:db8::1]:65535"]}`, ""},
		{key("other").String(), `endpoints: []}`, "the key of a MeshPeer never changes"},
	} {
		got := apply(tt.key, tt.spec)
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("apply key %.10s..., %s: %q, want %q", tt.key, tt.spec, got, tt.want)
		}
	}
	f := &fixture{t: t, s: s, ns: ns}
	if name := f.create(original(key("older").String())); name != key("older").String() {
		t.Errorf("an object of an earlier release is called %s", name)
	}
}
