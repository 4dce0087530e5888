package config_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

const (
	keyA = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
	keyB = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
	keyC = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
)

func mustKey(t testing.TB, s string) keys.Public {
	t.Helper()
	k, err := keys.ParsePublic(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// joined is what joining as zone west through east writes.
func joined(t testing.TB) config.Edit {
	return config.Edit{NetworkID: "default", KeyPath: "private.key", Zone: "west", Nodes: []config.Node{
		{Key: mustKey(t, keyA), Endpoints: []config.Endpoint{{Host: "203.0.113.7", Port: 9102}, {Host: "2001:db8::7", Port: 9102}}, Zone: "east"},
		{Key: mustKey(t, keyC), Zone: "south"},
	}}
}

// Each file becomes the one beside it, and is left alone the second time. ⏎ is a carriage return.
func TestEdit(t *testing.T) {
	t.Parallel()
	nodes := func(indent string) string {
		return indent + "- public_key: " + keyA + "\n" + indent + "  endpoints: [203.0.113.7:9102, \"[2001:db8::7]:9102\"]\n" + indent + "  zone: east\n" +
			indent + "- public_key: " + keyC + "\n" + indent + "  zone: south\n"
	}
	flow := "{public_key: " + keyA + ", endpoints: [203.0.113.7:9102, \"[2001:db8::7]:9102\"], zone: east}, {public_key: " + keyC + ", zone: south}"
	keysOnly := "network_id: default\nprivate_key_path: private.key\n"
	all := keysOnly + "mesh:\n  zone: west\n"
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", all + "nodes:\n" + nodes("  ")},
		{"comments alone", "# mine\n", "# mine\n" + all + "nodes:\n" + nodes("  ")},
		{"comment without an end", "# mine", "# mine\n" + all + "nodes:\n" + nodes("  ")},
		{"document mark", "---\n", "---\n" + all + "nodes:\n" + nodes("  ")},
		{"other keys", "bind_port: 9200  # ours\n\n# end", "bind_port: 9200  # ours\n\n# end\n" + all + "nodes:\n" + nodes("  ")},
		{"what is there stays", "# a\n" + all + "nodes:\n" + nodes("  "), "# a\n" + all + "nodes:\n" + nodes("  ")},
		{"values replaced", "network_id: 'other' # of old\nprivate_key_path: \"x # y\"   # key\nmesh:\n  # who\n  zone: north # here\n  bootstrap: true\nnodes: []  # none\n",
			"network_id: default # of old\nprivate_key_path: private.key   # key\nmesh:\n  # who\n  zone: west # here\n  bootstrap: true\nnodes:  # none\n" + nodes("  ")},
		{"values that are nothing", "network_id:  # of old\nprivate_key_path:\nmesh:  # section\nnodes:\n# end\n",
			"network_id: default  # of old\nprivate_key_path: private.key\nmesh:  # section\n  zone: west\nnodes:\n" + nodes("  ") + "# end\n"},
		{"null in a word", "mesh: ~ # section\nnodes: null\n", "mesh: {zone: west} # section\nnodes: [" + flow + "]\n" + keysOnly},
		{"section without zone", "mesh:\n    # a brake\n    bootstrap: true\n\nbind_port: 0\n",
			"mesh:\n    zone: west\n    # a brake\n    bootstrap: true\n\nbind_port: 0\n" + keysOnly + "nodes:\n" + nodes("  ")},
		{"section in braces", "mesh: {bootstrap: true}  # x\n" + keysOnly + "nodes: [ ]\n", "mesh: {zone: west, bootstrap: true}  # x\n" + keysOnly + "nodes:\n" + nodes("  ")},
		{"section in empty braces", "mesh: {}\n" + keysOnly + "nodes:\n" + nodes(""), "mesh: {zone: west}\n" + keysOnly + "nodes:\n" + nodes("")},
		{"nodes at the margin", all + "nodes:\n# lab\n- public_key: " + keyB + "  # lab's\n  zone: lab\n# end\nbind_port: 0\n",
			all + "nodes:\n# lab\n- public_key: " + keyB + "  # lab's\n  zone: lab\n" + nodes("") + "# end\nbind_port: 0\n"},
		{"nodes with a comment behind", "nodes:\n  - public_key: " + keyB + "\n    # zone: lab\n\n  # more?\n" + all,
			"nodes:\n  - public_key: " + keyB + "\n    # zone: lab\n" + nodes("  ") + "\n  # more?\n" + all},
		{"nodes over several lines", "nodes:\n  - public_key: " + keyB + "\n    endpoints: [\n      a:1, # first\n      b:2\n    ]\n" + all,
			"nodes:\n  - public_key: " + keyB + "\n    endpoints: [\n      a:1, # first\n      b:2\n    ]\n" + nodes("  ") + all},
		{"nodes in brackets", "nodes: [{public_key: " + keyB + "}] # lab\n" + all, "nodes: [" + flow + ", {public_key: " + keyB + "}] # lab\n" + all},
		{"nodes in brackets over lines", "nodes: [\n  # lab\n  {public_key: " + keyB + "},\n]\n" + all,
			"nodes: [" + flow + ", \n  # lab\n  {public_key: " + keyB + "},\n]\n" + all},
		{"one is there", all + "nodes:\n  - {public_key: " + strings.ToUpper(keyA) + ", zone: east}  # as it is\n",
			all + "nodes:\n  - {public_key: " + strings.ToUpper(keyA) + ", zone: east}  # as it is\n  - public_key: " + keyC + "\n    zone: south\n"},
		{"a zone is another's", all + "nodes:\n  - {public_key: " + keyB + ", zone: south}\n",
			all + "nodes:\n  - {public_key: " + keyB + ", zone: south}\n" + strings.ReplaceAll(nodes("  "), "\n    zone: south", "")},
		{"file in braces", "{bind_port: 0} # x\n",
			"{nodes: [" + flow + "], mesh: {zone: west}, private_key_path: private.key, network_id: default, bind_port: 0} # x\n"},
		{"file in empty braces", "{}", "{nodes: [" + flow + "], mesh: {zone: west}, private_key_path: private.key, network_id: default}"},
		{"document end", "bind_port: 0\n...\n", ""},
		{"indented file", "  # in\n  bind_port: 0\n", "  # in\n  bind_port: 0\n" + indented(all+"nodes:\n"+nodes("  "), "  ")},
		{"Windows", "# a⏎\nmesh:⏎\n  bootstrap: true⏎\nnodes: []⏎\n",
			strings.ReplaceAll("# a\nmesh:\n  zone: west\n  bootstrap: true\nnodes:\n"+nodes("  ")+keysOnly, "\n", "⏎\n")},
		{"letters beyond ASCII", "mesh: {zone: \"north\"} # Größe ü\nlog_level: INFO # 値\n" + keysOnly + "nodes:\n" + nodes("  "),
			"mesh: {zone: west} # Größe ü\nlog_level: INFO # 値\n" + keysOnly + "nodes:\n" + nodes("  ")},
	} {
		in, want := strings.ReplaceAll(tt.in, "⏎", "\r"), strings.ReplaceAll(tt.want, "⏎", "\r")
		got, changed, err := joined(t).Apply([]byte(in))
		if tt.name == "document end" {
			if want := "network_id: default\nbind_port: 0"; err != nil || !strings.Contains(string(got), "bind_port: 0\n...\n") || !strings.Contains(string(got), want) {
				t.Errorf("%s: %v\n%s", tt.name, err, got)
			}
			continue
		}
		if err != nil || string(got) != want {
			t.Errorf("%s: %v, got\n%s\nwant\n%s", tt.name, err, got, want)
			continue
		}
		if changed.None() != (in == want) {
			t.Errorf("%s: changed %+v", tt.name, changed)
		}
		again, changed, err := joined(t).Apply(got)
		if err != nil || !changed.None() || !bytes.Equal(again, got) {
			t.Errorf("%s: a second edit changes %+v, %v", tt.name, changed, err)
		}
	}
}

func indented(s, by string) string {
	return by + strings.TrimSuffix(strings.ReplaceAll(s, "\n", "\n"+by), by)
}

func TestEditTells(t *testing.T) {
	t.Parallel()
	_, changed, err := joined(t).Apply([]byte("network_id: default\n"))
	if err != nil || strings.Join(changed.Keys, " ") != "private_key_path mesh.zone" || changed.Nodes != 2 {
		t.Errorf("changed %+v, %v", changed, err)
	}
	_, changed, err = config.Edit{}.Apply([]byte("# x\n"))
	if err != nil || !changed.None() {
		t.Errorf("an empty edit changes %+v, %v", changed, err)
	}
	text, _, err := config.Edit{NetworkID: "a: b # \u00fc", KeyPath: "1e3", Zone: "1"}.Apply(nil)
	if err != nil || string(text) != "network_id: \"a: b # ü\"\nprivate_key_path: \"1e3\"\nmesh:\n  zone: \"1\"\n" {
		t.Errorf("%v\n%s", err, text)
	}
	text, _, err = config.Edit{Folder: "manifests"}.Apply([]byte("bind_port: 0\nkubernetes:\n  qps: 5 # slowly\n"))
	if err != nil || string(text) != "bind_port: 0\nkubernetes:\n  folder: manifests\n  qps: 5 # slowly\n" {
		t.Errorf("%v\n%s", err, text)
	}
	if text, changed, err := joined(t).Apply([]byte(joined(t).ByHand())); err != nil || !changed.None() {
		t.Errorf("what is to be written by hand lacks %+v, %v\n%s", changed, err, text)
	}
}

func TestEditRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, in string
		line     int
		reason   string
	}{
		{"anchor", "bind_port: 0\nmesh: &m {bootstrap: true}\n", 2, "anchors and aliases are not possible here"},
		{"alias", "bind_port: &p 9102\nhttp_bind_port: *p\n", 1, "anchors and aliases are not possible here"},
		{"tag", "bind_port: !!int 9102\n", 1, "tags are not possible here"},
		{"several documents", "bind_port: 0\n---\nbind_port: 1\n", 0, "several documents"},
		{"no YAML", "a: [", 0, "no valid YAML"},
		{"list", "- a\n", 1, "no mapping"},
		{"text", "hello\n", 1, "no mapping"},
		{"duplicate key", "bind_port: 1\nbind_port: 2\n", 2, "stands there twice"},
		{"mesh is text", "mesh: east\n", 1, "mesh is no section"},
		{"nodes is text", "nodes: east\n", 1, "nodes is no list"},
		{"zone is a list", "mesh:\n  zone: [a]\n", 2, "zone is no single value"},
		{"value in several lines", "network_id: >\n  other\n", 1, "written in a way that a program doesn't change"},
		{"value broken in two", "network_id: \"oth\n  er\"\n", 1, "written in a way that a program doesn't change"},
		{"key with a question mark", "? network_id\n:\n  other\n", 0, ""},
		{"invalid otherwise", "bind_prot: 1\n", 1, "unknown key"},
		{"own zone elsewhere", "nodes:\n  - {public_key: " + keyB + ", zone: west}\n", 2, "is the zone of this node itself"},
		{"deep", strings.Repeat("[", 40) + strings.Repeat("]", 40), 1, "deeper"},
		{"huge", strings.Repeat("# x\n", 1<<19), 0, "larger than"},
	} {
		text, _, err := joined(t).Apply([]byte(tt.in))
		if tt.reason == "" {
			if err == nil {
				checkEdit(t, []byte(tt.in), text)
			}
			continue
		}
		var refused *config.EditError
		if !errors.As(err, &refused) || text != nil || tt.line > 0 && refused.Line != tt.line || !strings.Contains(refused.Reason, tt.reason) {
			t.Errorf("%s: %v, want line %d: %s", tt.name, err, tt.line, tt.reason)
		}
	}
}

// comments gathers the comments that the parser finds.
func comments(n *yaml.Node, into *[]string) {
	for _, c := range []string{n.HeadComment, n.LineComment, n.FootComment} {
		for l := range strings.SplitSeq(c, "\n") {
			if l = strings.TrimSpace(l); l != "" {
				*into = append(*into, l)
			}
		}
	}
	for _, c := range n.Content {
		comments(c, into)
	}
}

// checkEdit demands that every comment of the old file is in the new one.
func checkEdit(t *testing.T, before, after []byte) {
	t.Helper()
	var n yaml.Node
	if yaml.Unmarshal(before, &n) == nil {
		var all []string
		comments(&n, &all)
		for _, c := range all {
			if !bytes.Contains(after, []byte(c)) {
				t.Fatalf("the comment %q is lost:\n%q\n%q", c, before, after)
			}
		}
	}
}

// FuzzEdit holds that a file that was edited has lost no comment, loads if the old one did, and says all that was wanted.
func FuzzEdit(f *testing.F) {
	for _, s := range []string{"", "# x\nbind_port: 1\n", "mesh: {zone: a} # b\n", "nodes:\n- public_key: " + keyB + " # c\n", "nodes: []\nmesh:\n  # x\n  bootstrap: true\n",
		"{a: b}", "mesh:\r\n  zone: x\r\n", "nodes: [{public_key: " + keyB + "}]\n", config.Example()} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		after, changed, err := joined(t).Apply([]byte(text))
		if err != nil {
			return
		}
		checkEdit(t, []byte(text), after)
		cfg, _, err := loadText(t, string(after), config.Options{})
		if err != nil {
			t.Fatalf("the result is refused: %v\n%q", err, after)
		}
		if cfg.NetworkID != "default" || cfg.PrivateKeyPath != "private.key" || cfg.Mesh.Zone != mesh.Zone("west") {
			t.Fatalf("the result says %+v", cfg)
		}
		found := map[string]bool{}
		for _, n := range cfg.Nodes {
			found[n.Key.String()] = true
		}
		if !found[keyA] || !found[keyC] {
			t.Fatalf("the result lists %+v", cfg.Nodes)
		}
		again, changed2, err := joined(t).Apply(after)
		if err != nil || !changed2.None() || !bytes.Equal(again, after) {
			t.Fatalf("after %+v a second edit changes %+v, %v", changed, changed2, err)
		}
	})
}
