package e2e_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/token"
)

// idOf returns the id in a token.
func idOf(t testing.TB, text string) string {
	t.Helper()
	tok, err := token.Parse(text)
	must(t, err)
	return tok.ID
}

// altered returns a token that says something else and has a checksum that holds.
func altered(t testing.TB, text string, change func(*token.Token)) string {
	t.Helper()
	tok, err := token.Parse(text)
	must(t, err)
	change(&tok)
	return tok.String()
}

// untouched checks that a command which was refused left nothing but a key behind.
func (z *zone) untouched() {
	z.t.Helper()
	entries, err := os.ReadDir(z.dir)
	must(z.t, err)
	for _, e := range entries {
		if n := e.Name(); n != "private.key" && n != "folder" {
			z.t.Errorf("a refused join left %s behind", n)
		}
	}
}

// invite returns what the node tells of an invitation.
func (z *zone) invite(id string) mesh.Invite {
	z.t.Helper()
	var list struct{ Items []mesh.Invite }
	must(z.t, z.ask("invites", &list))
	for _, in := range list.Items {
		if in.ID == id {
			return in
		}
	}
	z.t.Fatalf("%s knows no invite %s", z.name, id)
	return mesh.Invite{}
}

// TestJoinRefused tries every token that doesn't admit, each from an empty directory: text, code and exit status are
// right, and nothing is left behind.
func TestJoinRefused(t *testing.T) {
	t.Parallel()
	east, other, moved := newSite(t, "east"), newSite(t, "other"), newSite(t, "moved")
	for _, z := range []*zone{east, other, moved} {
		z.founds()
	}
	west := newSite(t, "west")
	stolen := east.token("--zone", "west")
	west.run("join", stolen, "--run")
	acquainted(t, east, west)

	// refuse counts as a bad try where the inviter is asked, and five of these a minute are enough.
	refuse := func(name string, code int, words []string, args ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			thief := newSite(t, "thief")
			thief.refused(code, words, append([]string{"join"}, args...)...)
			thief.untouched()
		})
	}
	used := fmt.Sprintf("by the key %s", west.public[:12])
	refuse("used", 6, []string{"the invite " + idOf(t, stolen) + " was used already", used, "mesh peers remove " + west.public, "MESH-6502"}, stolen)
	revoked := east.token()
	east.cli("invite", "revoke", idOf(t, revoked))
	refuse("revoked", 6, []string{"was revoked", "MESH-6503"}, revoked, "--zone", "thief")
	short := east.token("--ttl", "1s")
	eventually(t, "an invite expires", func() error {
		if s := east.invite(idOf(t, short)).State; s != mesh.InviteExpired {
			return fmt.Errorf("it is %s", s)
		}
		return nil
	})
	refuse("expired", 6, []string{"has expired", "MESH-6501"}, short, "--zone", "thief")
	open := east.token("--uses", "3")
	refuse("taken", 6, []string{"zone west is taken", "MESH-6506", "another --zone NAME"}, open, "--zone", "west")

	// Not one of these is a try.
	refuse("mistyped", 6, []string{"the token is cut off or mistyped", "MESH-6504"}, strings.Replace(open, "_", "_A", 1), "--zone", "thief")
	refuse("cut off", 6, []string{"the token is cut off or mistyped", "MESH-6504"}, open[:len(open)-3], "--zone", "thief")
	refuse("no token", 6, []string{"MESH-6504"}, "k7q2m9xd", "--zone", "thief")
	refuse("of another version", 6, []string{"MESH-6508"}, strings.Replace(open, "meshinv1_", "meshinv2_", 1), "--zone", "thief")
	refuse("no zone", 2, []string{"names no zone", "--zone NAME"}, open)
	refuse("other zone", 6, []string{"is for zone lab", "MESH-6513"}, east.token("--zone", "lab"), "--zone", "thief")
	refuse("for another", 6, []string{"is bound to another key", "MESH-6507"}, east.token("--for", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"), "--zone", "thief")
	wrong := other.token("--endpoint", fmt.Sprintf("127.0.0.1:%d", east.port))
	refuse("wrong inviter", 6, []string{"the node that answers is not the inviter; do not retry, ask for a new invite",
		fmt.Sprintf("the node at 127.0.0.1:%d is not the inviter", east.port), "MESH-6509"}, wrong, "--zone", "thief")
	if n := other.invite(idOf(t, wrong)).Used; n != 0 {
		t.Errorf("an invite shown to the wrong node was used %d times", n)
	}

	// The same key under another network id, at the same address.
	elsewhere := moved.token()
	moved.stop()
	must(t, os.RemoveAll(moved.data))
	moved.env = append(moved.env, "MESH_NETWORK_ID=another")
	moved.run("run", "--zone", "moved")
	refuse("wrong network", 6, []string{"the inviter serves another network", "MESH-6505"}, elsewhere, "--zone", "thief")

	// Whoever redeemed it may repeat it, with the same answer.
	west.stop()
	for range 2 {
		if out := west.cli("join", stolen, "-y"); !strings.Contains(out, "admitted  by east as zone west") || !strings.Contains(out, "says it all already") {
			t.Errorf("repeated by the same key it says\n%s", out)
		}
	}
	refuse("of another zone", 6, []string{"is a member already, of another zone", "MESH-6512"}, open, "--zone", "thief", "-k", filepath.Join(west.dir, "private.key"))
	if in := east.invite(idOf(t, stolen)); in.State != mesh.InviteUsed || in.Used != 1 || len(in.Redemptions) != 1 || in.Redemptions[0].PublicKey != west.public {
		t.Errorf("the invite is told as %+v", in)
	}
	if n := east.invite(idOf(t, open)).Used; n != 0 {
		t.Errorf("an invite that admitted nobody counts %d uses", n)
	}
	east.refused(2, []string{"this node made the invite", "MESH-2502"}, "join", open, "--zone", "thief", "-c", "other.yaml")

	// What doesn't fit is counted by address, whoever asks.
	guess := altered(t, other.token(), func(t *token.Token) { t.Secret[0] ^= 1 })
	refuse("tampered", 6, []string{"the inviter knows no invite", "MESH-6510"}, guess, "--zone", "thief")
	thief := newSite(t, "thief")
	eventually(t, "guessing ends", func() error {
		out, err := thief.try("join", guess, "--zone", "thief")
		var exit *exec.ExitError
		switch {
		case !errors.As(err, &exit) || exit.ExitCode() != 6:
			return fmt.Errorf("%w: %v\n%s", errOver, err, out)
		case !strings.Contains(out, "MESH-6514") || !strings.Contains(out, "the inviter refuses for a minute"):
			return fmt.Errorf("it says\n%s", out)
		}
		return nil
	})
	thief.untouched()
	if n, err := other.metric("mesh_refused_total", `"too_many_tries"`); err != nil || n == 0 {
		t.Errorf("%v refusals of too many tries are counted, %v", n, err)
	}
	for z, want := range map[*zone]int{east: 1, other: 0, moved: 0} { // nobody got in
		if s, err := z.status(); err != nil || s.Peers.Total != want {
			t.Errorf("%s has %+v, %v, want %d peers", z.name, s.Peers, err, want)
		}
	}
	for _, z := range []*zone{east, other, moved} {
		z.stop()
	}

	refuse("unreachable", 5, []string{"the inviter cannot be reached within 20s", fmt.Sprintf("127.0.0.1:%d  the connection was refused", east.port), "MESH-5501"},
		open, "--zone", "thief", "--timeout", "20s")
	away := altered(t, open, func(t *token.Token) { t.Endpoints = append(t.Endpoints, "nowhere.invalid:9102") })
	refuse("unreachable by each", 5, []string{fmt.Sprintf("127.0.0.1:%d  ", east.port), "nowhere.invalid:9102  the name nowhere.invalid ", "MESH-5501"},
		away, "--zone", "thief", "--timeout", "20s")
}

// TestJoinByKey makes an invitation for one key: it is worthless to whoever has another.
func TestJoinByKey(t *testing.T) {
	t.Parallel()
	east, west, thief := newSite(t, "east"), newSite(t, "west"), newSite(t, "thief")
	east.founds()
	west.cli("keygen", "-q", "private.key")
	key := regexp.MustCompile(`[0-9a-f]{64}`).FindString(west.cli("keygen", "--public", "private.key"))
	given := east.token("--for", key, "--zone", "west")
	thief.cli("keygen", "-q", "private.key")
	thief.refused(6, []string{"is bound to another key", "MESH-6507"}, "join", given)
	// A thief that takes out what the token says about it doesn't get further: the inviter knows.
	forged := altered(t, given, func(t *token.Token) { t.For = [32]byte{} })
	thief.refused(6, []string{"is bound to another key", "MESH-6507"}, "join", forged)
	thief.untouched()
	west.run("join", given, "--run")
	acquainted(t, east, west)
}

// TestJoinAsks edits a config that exists, after it was shown and agreed to, and keeps its comments.
func TestJoinAsks(t *testing.T) {
	t.Parallel()
	east, west := newSite(t, "east"), newSite(t, "west")
	east.founds()
	given := east.token("--zone", "west")
	const before = "# mine\nlog_level: INFO # quiet\n"
	must(t, os.WriteFile(west.configFile(), []byte(before), 0o644))
	for _, args := range [][]string{{"join", given, "--no-input"}, {"join", given}} { // standard input is no terminal
		west.refused(2, []string{"nobody was asked", "--yes", "+ network_id: default"}, args...)
	}
	west.cli("join", given, "--dry-run")
	if got := read(t, west.configFile()); got != before {
		t.Errorf("the config is now\n%s", got)
	}
	if _, err := os.Stat(filepath.Join(west.dir, "private.key")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key was made: %v", err)
	}
	if in := east.invite(idOf(t, given)); in.Used != 0 {
		t.Errorf("the invite was used: %+v", in)
	}
	west.run("join", given, "--no-input", "-y", "--run")
	acquainted(t, east, west)
	if got := read(t, west.configFile()); !strings.HasPrefix(got, before) || !strings.Contains(got, "zone: west") {
		t.Errorf("the config is now\n%s", got)
	}

	// Where what it would write cannot be written, nothing is redeemed.
	north := newSite(t, "north")
	next := east.token("--zone", "north")
	north.refused(2, []string{"there is no directory", "MESH-2503"}, "join", next, "-c", "not/here/config.yaml")
	must(t, os.WriteFile(north.configFile(), []byte("nodes: [\n"), 0o644))
	north.refused(2, nil, "join", next, "-y")
	must(t, os.Remove(north.configFile()))
	must(t, os.Mkdir(north.configFile(), 0o755))
	north.refused(2, nil, "join", next, "-y")
	must(t, os.Remove(north.configFile()))
	north.untouched()
	if in := east.invite(idOf(t, next)); in.Used != 0 {
		t.Errorf("the invite was used: %+v", in)
	}
	north.run("join", next, "--run")
	acquainted(t, east, west, north)
}

// TestJoinWhereNothingCanBeWritten has a directory that this user may not write to.
func TestJoinWhereNothingCanBeWritten(t *testing.T) {
	t.Parallel()
	east, west := newSite(t, "east"), newSite(t, "west")
	east.founds()
	given := east.token("--zone", "west")
	key := filepath.Join(t.TempDir(), "private.key")
	west.cli("keygen", "-q", key)
	must(t, os.Chmod(west.dir, 0o555))
	defer os.Chmod(west.dir, 0o755)
	for _, args := range [][]string{{"join", given}, {"join", given, "-k", key}} {
		cmd := west.command(args...)
		if os.Geteuid() == 0 { // root may write everywhere, unless it is told not to
			cmd = exec.Command("setpriv", append([]string{"--inh-caps=-dac_override", "--bounding-set=-dac_override", west.program}, args...)...)
			cmd.Dir, cmd.Env = west.dir, west.command().Env
			if _, err := exec.LookPath("setpriv"); err != nil {
				t.Logf("NOT RUN: %s: as root it needs setpriv: %v", t.Name(), err)
				return
			}
		}
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(out), "nothing was redeemed") || !strings.Contains(string(out), "permission denied") {
			t.Errorf("mesh join: %v\n%s", err, out)
		}
		west.untouched()
		if in := east.invite(idOf(t, given)); in.Used != 0 {
			t.Errorf("the invite was used: %+v", in)
		}
	}
}
