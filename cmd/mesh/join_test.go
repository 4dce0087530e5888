package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/node"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/store"
	"dcp.hiro.io/mesh/internal/token"
)

// otherPublic belongs to otherSeed.
const otherPublic = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"

// joinWorld is a machine that joins, and the inviter as its node answers.
type joinWorld struct {
	*testEnv
	asked  []node.JoinConfig
	answer error // of the next call; nil: granted
}

// newJoinWorld is a fresh machine whose random numbers make the key of the second test vector of RFC 8032.
func newJoinWorld(t *testing.T) *joinWorld {
	t.Helper()
	w := &joinWorld{testEnv: newTestEnv(t)}
	w.environ = func() []string {
		var all []string
		for k, v := range w.vars {
			all = append(all, k+"="+v)
		}
		return all
	}
	seed, err := hex.DecodeString(otherSeed)
	if err != nil {
		t.Fatal(err)
	}
	w.rand = repeated(seed)
	w.join = func(_ context.Context, c node.JoinConfig) (node.Joined, error) {
		w.asked = append(w.asked, c)
		if w.answer != nil {
			return node.Joined{}, w.answer
		}
		out := node.Joined{Zone: c.Zone, InviterZone: "east", Inviter: c.Token.Inviter, Address: c.Token.Endpoints[0], Transport: "quic", RTT: 18 * time.Millisecond}
		if c.DryRun {
			return out, nil
		}
		if c.Progress != nil {
			c.Progress(node.JoinStep{Stage: node.JoinDialled})
		}
		for i, zone := range []mesh.Zone{"north", "south", "lab"} {
			out.Contacts = append(out.Contacts, oplog.Contact{Key: seedKey(byte(i + 3)).Public(), Zone: zone, Endpoints: []string{fmt.Sprintf("192.0.2.%d:9102", i)}})
		}
		return out, nil
	}
	return w
}

// repeated reads the same bytes again and again.
type repeated []byte

func (r repeated) Read(p []byte) (int, error) { return copy(p, r), nil }

// transcribe runs command lines, each with what is typed in before " | ", and compares all that they print and the files
// named afterwards with a golden file.
func (w *joinWorld) transcribe(t *testing.T, name string, lines []string, files ...string) {
	t.Helper()
	var b strings.Builder
	for _, line := range lines {
		answer, line, asked := strings.Cut(line, " | ")
		if !asked {
			answer, line = "", answer
		}
		w.stdin = strings.NewReader(answer + "\n")
		w.isTerminal = func(s any) bool { return asked && s == w.stdin }
		args := strings.Fields(line)
		for i := range args {
			if args[i] == "TOKEN" {
				args[i] = fakeToken(func(t *token.Token) { t.Expires = fakeNow.Add(58 * time.Minute) }).String()
			}
		}
		code := w.mesh(t, args...)
		w.tell(&b, "mesh "+line, code)
	}
	for _, f := range files {
		text, err := os.ReadFile(w.path(f))
		fmt.Fprintf(&b, "--- %s\n%s", f, text)
		if err != nil {
			fmt.Fprintf(&b, "%v\n", errors.Is(err, fs.ErrNotExist))
		}
	}
	golden(t, name, b.String())
}

func TestJoinTranscript(t *testing.T) {
	t.Parallel()
	w := newJoinWorld(t)
	w.transcribe(t, "join", []string{"join TOKEN", "join TOKEN", "join TOKEN -o json"}, "config.yaml")
	if len(w.asked) != 3 {
		t.Fatalf("the inviter was asked %d times", len(w.asked))
	}
	for _, c := range w.asked { // the same key may ask again
		if c.Key.Public().String() != otherPublic || c.Zone != "west" || c.DryRun || c.Token.ID != "k7q2m9xd" {
			t.Errorf("asked %+v", c)
		}
	}
	if text := listing(t, w.dir); text["private.key"] != otherSeed+"\n" || len(text) != 2 {
		t.Errorf("files %v", text)
	}
	if info, err := os.Stat(w.path("private.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key %v, %v", info.Mode(), err)
	}
	cfg, err := loadConfig(w.env, config.Options{Path: "config.yaml", RequireZone: true})
	if err != nil || cfg.Mesh.Zone != "west" || len(cfg.Nodes) != 4 || cfg.CheckOwnKey(w.asked[0].Key.Public()) != nil {
		t.Errorf("config %+v, %v", cfg, err)
	}
}

func TestJoinDryRun(t *testing.T) {
	t.Parallel()
	w := newJoinWorld(t)
	w.transcribe(t, "join-dry-run", []string{"join TOKEN --dry-run", "join TOKEN --dry-run -o json", "join TOKEN --dry-run --run"})
	if files := listing(t, w.dir); len(files) != 0 || len(w.asked) != 2 || !w.asked[0].DryRun {
		t.Errorf("files %v, asked %+v", files, w.asked)
	}
}

func TestJoinEditsAConfig(t *testing.T) {
	t.Parallel()
	const old = "# my node\nbind_port: 9200  # firewall\n\nprivate_key_path: mine.key\nmesh:\n  # the cluster in the cellar\n  bootstrap: true\n"
	w := newJoinWorld(t)
	w.writeFile(t, "config.yaml", old, 0o640)
	w.writeFile(t, "mine.key", otherSeed, 0o600)
	w.transcribe(t, "join-edit", []string{"join TOKEN", "join TOKEN --no-input", "n | join TOKEN", "join TOKEN --dry-run"}, "config.yaml")
	if len(w.asked) != 1 {
		t.Errorf("the inviter was asked %d times before anybody agreed", len(w.asked))
	}
	w.transcribe(t, "join-edited", []string{"y | join TOKEN", "join TOKEN -y"}, "config.yaml")
	if info, err := os.Stat(w.path("config.yaml")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("config %v, %v", info.Mode(), err)
	}
	if len(listing(t, w.dir)) != 2 {
		t.Errorf("files %v", listing(t, w.dir))
	}
}

// Where the token comes from, and what is said about it.
func TestJoinReadsTheToken(t *testing.T) {
	t.Parallel()
	text := fakeToken(nil).String()
	var told strings.Builder
	for _, tt := range []struct {
		name, args, stdin string
		exit              int
		code              string
	}{
		{"stdin", "join -", text + "\n", 0, ""},
		{"file", "join --token-file token", "", 0, ""},
		{"file that is stdin", "join --token-file -", " " + text + "\r\n", 0, ""},
		{"elsewhere", "join - -c sub/mesh.yaml -k sub/mesh.key", text, 0, ""},
		{"nothing", "join", "", 2, "MESH-2002"},
		{"nothing at all", "join --token-file=", "", 2, "MESH-2002"},
		{"both", "join x --token-file token", "", 2, "MESH-2002"},
		{"two", "join x y", "", 2, "MESH-2002"},
		{"no file", "join --token-file nothere", "", 2, "MESH-2501"},
		{"cut off", "join -", text[:80], 6, "MESH-6504"},
		{"empty", "join -", "\n", 6, "MESH-6504"},
		{"something else", "join hello", "", 6, "MESH-6504"},
		{"endless", "join -", strings.Repeat("x", 1<<20), 6, "MESH-6504"},
		{"later version", "join meshinv2_abc", "", 6, "MESH-6508"},
		{"other zone", "join - --zone north", text, 6, "MESH-6513"},
		{"bad zone", "join - --zone No_rth", text, 2, "MESH-2002"},
		{"no zone", "join -", fakeToken(func(t *token.Token) { t.Zone = "" }).String(), 2, "MESH-2002"},
		{"own zone", "join - --zone north", fakeToken(func(t *token.Token) { t.Zone = "" }).String(), 0, ""},
		{"for nobody here", "join -", fakeToken(func(t *token.Token) { t.For = seedKey(8).Public() }).String(), 6, "MESH-6507"},
		{"for another", "join - -k mine.key", fakeToken(func(t *token.Token) { t.For = seedKey(8).Public() }).String(), 6, "MESH-6507"},
		{"for this one", "join - -k mine.key", fakeToken(func(t *token.Token) { t.For = seedKey(9).Public() }).String(), 0, ""},
		{"own invite", "join - -k mine.key", fakeToken(func(t *token.Token) { t.Inviter = seedKey(9).Public() }).String(), 2, "MESH-2502"},
		{"bad key", "join - -k token", text, 2, "MESH-2003"},
		{"no directory for the key", "join - -k no/mesh.key", text, 1, "MESH-1003"},
		{"no directory for the config", "join - -c no/mesh.yaml", text, 2, "MESH-2503"},
		{"control characters in the network", "join -", fakeToken(func(t *token.Token) { t.Network = "a\x1b[31m" }).String(), 6, "MESH-6504"},
	} {
		w := newJoinWorld(t)
		if err := os.Mkdir(w.path("sub"), 0o700); err != nil {
			t.Fatal(err)
		}
		w.writeFile(t, "token", text+"\n", 0o600)
		w.writeFile(t, "mine.key", seedKey(9).Hex(), 0o600)
		w.stdin = strings.NewReader(tt.stdin)
		got := w.mesh(t, strings.Fields(tt.args)...)
		if tt.exit != 0 {
			w.tell(&told, "mesh "+tt.args+"    # "+tt.name, got)
		}
		if got != tt.exit || tt.code != "" && !strings.Contains(w.stderr.String(), "docs:  mesh help "+tt.code+"\n") {
			t.Errorf("%s: exit %d, want %d %s:\n%s", tt.name, got, tt.exit, tt.code, w.stderr.String())
		}
		out := w.stdout.String() + w.stderr.String()
		if strings.Contains(out, text[40:80]) || strings.Contains(out, "\x1b") {
			t.Errorf("%s: the output repeats the token:\n%s", tt.name, out)
		}
		if tt.exit != 0 {
			if len(w.asked) > 0 || len(listing(t, w.dir)) != 3 {
				t.Errorf("%s: something was attempted: asked %d, files %v", tt.name, len(w.asked), listing(t, w.dir))
			}
		}
	}
	golden(t, "join-token", told.String())
}

// Every refusal has its words, its code and its exit status, and leaves no config.
func TestJoinRefused(t *testing.T) {
	t.Parallel()
	by := seedKey(5).Public()
	var told strings.Builder
	for i, tt := range []struct {
		err  error
		exit int
		code string
		what string
	}{
		{&node.JoinRefused{Code: "expired"}, 6, "MESH-6501", "the invite k7q2m9xd has expired"},
		{&node.JoinRefused{Code: "used", By: by}, 6, "MESH-6502", "the invite k7q2m9xd was used already"},
		{&node.JoinRefused{Code: "revoked"}, 6, "MESH-6503", "the invite k7q2m9xd was revoked"},
		{&node.JoinRefused{Code: "wrong_network", Text: "this node serves another network id"}, 6, "MESH-6505", "the inviter serves another network"},
		{&node.JoinRefused{Code: "zone_taken", By: by}, 6, "MESH-6506", "zone west is taken"},
		{&node.JoinRefused{Code: "for_another"}, 6, "MESH-6507", "the invite k7q2m9xd is bound to another key"},
		{&node.JoinRefused{Code: "incompatible", Text: "it speaks protocol versions [1], this node speaks [2]"}, 6, "MESH-6508", "don't understand each other"},
		{&node.JoinRefused{Code: "identity_mismatch", Text: "the node at 203.0.113.7:9102 is not the inviter: it has key abc"}, 6, "MESH-6509", "the node that answers is not the inviter; do not retry, ask for a new invite"},
		{&node.JoinRefused{Code: "unknown"}, 6, "MESH-6510", "the inviter knows no invite k7q2m9xd"},
		{&node.JoinRefused{Code: "removed"}, 6, "MESH-6511", "this node's key was removed from the mesh"},
		{&node.JoinRefused{Code: "bound"}, 6, "MESH-6512", "this node's key is a member already"},
		{&node.JoinRefused{Code: "other_zone"}, 6, "MESH-6513", "the invite k7q2m9xd is for zone west"},
		{&node.JoinRefused{Code: "rate_limited"}, 6, "MESH-6514", "the inviter refuses for a minute"},
		{&node.JoinRefused{Code: "whatever\x1b", Text: "a sentence\nin two lines"}, 6, "MESH-6515", "the inviter refused"},
		{&node.JoinRefused{Code: "not_ready"}, 5, "MESH-5502", "the inviter cannot admit anybody yet"},
		{&node.JoinUnreachable{Tries: []node.JoinTry{{Endpoint: "203.0.113.7:9102", Cause: "the connection was refused"}, {Endpoint: "east.example:9102", Cause: "no such name"}}}, 5, "MESH-5501", "the inviter cannot be reached within 7s"},
		{fmt.Errorf("join: %w", context.DeadlineExceeded), 5, "MESH-5501", "the inviter cannot be reached within 7s"},
		{errors.New("read the inviter's answer: odd"), 1, "MESH-1504", "the inviter's answer cannot be used"},
	} {
		w := newJoinWorld(t)
		w.answer = tt.err
		args := []string{"join", fakeToken(nil).String(), "--timeout", "7s"}
		got := w.mesh(t, args...)
		w.tell(&told, "mesh join TOKEN --timeout 7s", got)
		if got != tt.exit || !strings.Contains(w.stderr.String(), "docs:  mesh help "+tt.code+"\n") || !strings.Contains(w.stderr.String(), tt.what) {
			t.Errorf("%d: exit %d:\n%s", i, got, w.stderr.String())
		}
		if errors.As(tt.err, new(*node.JoinUnreachable)) && !strings.Contains(w.stderr.String(), "  203.0.113.7:9102   the connection was refused\n  east.example:9102  no such name\n") {
			t.Errorf("the endpoints are not listed:\n%s", w.stderr.String())
		}
		if strings.Contains(w.stderr.String(), "\x1b") || w.stdout.String() == "" {
			t.Errorf("%d: stdout %q, stderr %q", i, w.stdout.String(), w.stderr.String())
		}
		if files := listing(t, w.dir); len(files) != 1 || files["private.key"] == "" {
			t.Errorf("%d: files %v: the key stays, for another try", i, files)
		}
		if got := w.mesh(t, append(args, "-o", "json")...); got != tt.exit || !json.Valid(w.stderr.Bytes()) || !strings.Contains(w.stderr.String(), tt.code) || w.stdout.Len() > 0 {
			t.Errorf("%d: exit %d: stdout %q, stderr %q", i, got, w.stdout.String(), w.stderr.String())
		}
	}
	golden(t, "join-refused", told.String())
}

// What cannot work is found before the inviter is asked.
func TestJoinChecksFirst(t *testing.T) {
	t.Parallel()
	var told strings.Builder
	for _, tt := range []struct {
		name, config, code string
		exit               int
	}{
		{"anchor", "mesh: &m {bootstrap: true}\n", "MESH-2001", 2},
		{"unknown key", "bind_prot: 1\n", "MESH-2001", 2},
		{"another network", "network_id: other\n", "MESH-6505", 6},
		{"another zone", "mesh: {zone: south}\n", "MESH-6513", 6},
		{"own zone is another's", "nodes:\n  - {public_key: " + testPublic + ", zone: west}\n", "MESH-2503", 2},
	} {
		w := newJoinWorld(t)
		w.writeFile(t, "config.yaml", tt.config, 0o600)
		got := w.mesh(t, "join", fakeToken(nil).String(), "-y")
		w.tell(&told, "mesh join TOKEN -y    # "+tt.name, got)
		if got != tt.exit || !strings.Contains(w.stderr.String(), tt.code) {
			t.Errorf("%s: exit %d:\n%s", tt.name, got, w.stderr.String())
		}
		if files := listing(t, w.dir); len(w.asked) > 0 || len(files) != 1 || files["config.yaml"] != tt.config {
			t.Errorf("%s: asked %d, files %v", tt.name, len(w.asked), files)
		}
	}
	golden(t, "join-config", told.String())
}

// A store here says who this node is. It is not made somebody else, and not while it runs.
func TestJoinLooksAtTheStore(t *testing.T) {
	t.Parallel()
	w := newJoinWorld(t)
	w.writeFile(t, "private.key", otherSeed, 0o600)
	if err := os.Mkdir(w.path(".mesh"), 0o700); err != nil {
		t.Fatal(err)
	}
	key, err := keys.ParsePublic(otherPublic)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(w.path(".mesh/mesh.db"), store.Options{Ballast: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(&oplog.Batch{Meta: &oplog.Meta{Network: "default", Zone: "north", Author: key, Created: 1_700_000_000_000}}); err != nil {
		t.Fatal(err)
	}
	anyZone := fakeToken(func(t *token.Token) { t.Zone = "" }).String()
	var told strings.Builder
	join := func(zone string) int {
		got := w.mesh(t, "join", anyZone, "--zone", zone)
		w.tell(&told, "mesh join TOKEN --zone "+zone, got)
		return got
	}
	if got := join("north"); got != 6 || !strings.Contains(w.stderr.String(), "MESH-6302") {
		t.Errorf("while it runs: exit %d:\n%s", got, w.stderr.String())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := join("west"); got != 6 || !strings.Contains(w.stderr.String(), "MESH-6301") || len(w.asked) > 0 {
		t.Errorf("as another zone: exit %d:\n%s", got, w.stderr.String())
	}
	if got := join("north"); got != 0 || len(w.asked) != 1 {
		t.Errorf("as the same: exit %d:\n%s", got, w.stderr.String())
	}
	golden(t, "join-store", told.String())
}

// When the config cannot be written in the end, the same command finishes it.
func TestJoinWritesTheConfigLater(t *testing.T) {
	t.Parallel()
	w := newJoinWorld(t)
	rename := w.files.rename
	w.files.rename = func(from, to string) error {
		if strings.HasSuffix(to, "config.yaml") {
			return errors.New("disk on fire")
		}
		return rename(from, to)
	}
	got := w.mesh(t, "join", fakeToken(nil).String())
	if got != 1 || !strings.Contains(w.stderr.String(), "MESH-1503") {
		t.Errorf("exit %d:\n%s", got, w.stderr.String())
	}
	var told strings.Builder
	w.tell(&told, "mesh join TOKEN", got)
	golden(t, "join-unwritten", told.String())
	if files := listing(t, w.dir); len(files) != 1 {
		t.Errorf("files %v", files)
	}
	w.files.rename = rename
	if got := w.mesh(t, "join", fakeToken(nil).String()); got != 0 || len(w.asked) != 2 || w.asked[0].Key.Public() != w.asked[1].Key.Public() {
		t.Errorf("exit %d:\n%s", got, w.stderr.String())
	}
}

// A key in the environment is used and not written anywhere.
func TestJoinWithAKeyInTheEnvironment(t *testing.T) {
	t.Parallel()
	w := newJoinWorld(t)
	w.vars["PRIVATE_KEY"] = otherSeed
	if got := w.mesh(t, "join", fakeToken(nil).String(), "-o", "json"); got != 0 || !strings.Contains(w.stdout.String(), `"file": null`) {
		t.Errorf("exit %d:\n%s%s", got, w.stdout.String(), w.stderr.String())
	}
	files := listing(t, w.dir)
	if len(files) != 1 || strings.Contains(files["config.yaml"], "private_key_path") || strings.Contains(files["config.yaml"], otherSeed) {
		t.Errorf("files %v", files)
	}
}

func TestLineDiff(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ from, to, want string }{
		{"", "a\n", "f:\n+ a"},
		{"a\n", "", "f:\n- a"},
		{"a\nb\nc\nd\ne\nf\n", "a\nb\nc\nd\nE\nf\n", "f:\n  ...\n  c\n  d\n- e\n+ E\n  f"},
		{"1\n2\n3\n4\n5\n6\n7\n8\n", "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n", "f:\n+ 0\n  1\n  2\n  ...\n  7\n  8\n+ 9"},
		{"a\r\nb\r\n", "a\r\nx\r\nb\r\n", "f:\n  a\n+ x\n  b"},
		{"a\x1b\n", "a\x1b\nb", "f:\n  a?\n+ b"},
	} {
		if got := lineDiff("f", tt.from, tt.to); got != tt.want {
			t.Errorf("lineDiff(%q, %q) =\n%s\nwant\n%s", tt.from, tt.to, got, tt.want)
		}
	}
}
