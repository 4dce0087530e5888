package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/porttest"
)

// newSite makes a place where somebody runs the program by hand: a directory that holds nothing but a folder for
// manifests. The environment only says what would differ on a machine of its own: free ports. Unless commands say it, it
// says where the folder is, too. There is neither key nor config.
func newSite(t testing.TB, name string, env ...string) *zone {
	t.Helper()
	binary, err := program()
	must(t, err)
	z := &zone{t: t, program: binary, name: name, dir: t.TempDir(), port: porttest.Free(t), http: porttest.Free(t)}
	z.folder, z.data = filepath.Join(z.dir, "folder"), filepath.Join(z.dir, ".mesh")
	must(t, os.MkdirAll(filepath.Join(z.folder, "local"), 0o755))
	z.env = append([]string{
		fmt.Sprintf("MESH_BIND_PORT=%d", z.port), fmt.Sprintf("MESH_HTTP_BIND_PORT=%d", z.http),
		"MESH_BIND_ADDRESS=[127.0.0.1]", "MESH_HTTP_BIND_ADDRESS=127.0.0.1",
		"MESH_KUBERNETES__FOLDER=folder", "MESH_HEARTBEAT_INTERVAL_SECONDS=1",
	}, env...)
	t.Cleanup(z.cleanup)
	return z
}

// sayFolder leaves it to commands to say where the folder is.
func (z *zone) sayFolder() {
	z.env = slices.DeleteFunc(z.env, func(s string) bool { return strings.HasPrefix(s, "MESH_KUBERNETES__FOLDER=") })
}

// run starts the program with these arguments and waits until the node is ready.
func (z *zone) run(args ...string) {
	z.t.Helper()
	z.args = args
	z.start()
	s, err := z.status()
	must(z.t, err)
	z.public = s.PublicKey
}

// founds starts the first node of a mesh and returns the command that it prints for the second.
func (z *zone) founds() (command string) {
	z.t.Helper()
	z.run("run", "--zone", z.name, "--invite", "--folder", "folder")
	eventually(z.t, z.name+" prints an invitation", func() error {
		b, err := os.ReadFile(z.logFile(z.runs))
		if command = regexp.MustCompile(`(?m)^mesh join meshinv1_.*$`).FindString(string(b)); err == nil && command == "" {
			err = errors.New("not yet")
		}
		return err
	})
	return command
}

// joins runs a command that somebody was given, with the name of this zone where it says NAME.
func (z *zone) joins(command string, more ...string) {
	z.t.Helper()
	words := strings.Fields(strings.ReplaceAll(command, "NAME", z.name))
	if len(words) < 3 || words[0] != "mesh" || words[1] != "join" {
		z.t.Fatalf("%q is no command that joins", command)
	}
	z.run(append(words[1:], more...)...)
}

// token makes an invitation and returns it.
func (z *zone) token(args ...string) string {
	z.t.Helper()
	out := z.cli(append([]string{"invite", "-q"}, args...)...)
	found := regexp.MustCompile(`(?m)^meshinv1_\S+$`).FindAllString(out, -1)
	if len(found) != 1 {
		z.t.Fatalf("invite printed %q", out)
	}
	return found[0]
}

// joined makes a mesh: the first site founds it, each other one joins through the one before.
func joined(t testing.TB, names string, env ...string) (all []*zone) {
	t.Helper()
	for name := range strings.FieldsSeq(names) {
		z := newSite(t, name, env...)
		if len(all) == 0 {
			z.founds()
		} else {
			z.run("join", all[len(all)-1].token("--zone", name), "--run")
			z.args = []string{"run"}
		}
		all = append(all, z)
	}
	all[0].args = []string{"run", "--zone", all[0].name}
	acquainted(t, all...)
	return all
}

// acquainted waits until all of these are ready in each other's eyes.
func acquainted(t testing.TB, all ...*zone) {
	t.Helper()
	for _, z := range all {
		for _, o := range all {
			if o != z {
				z.sees(o.name, mesh.Ready)
			}
		}
	}
}

// sees waits until a peer is in a state.
func (z *zone) sees(name string, want mesh.PeerState) {
	z.t.Helper()
	eventually(z.t, fmt.Sprintf("%s is %s for %s", name, want, z.name), func() error {
		p, err := z.peer(name)
		if err == nil && p.State != want {
			err = fmt.Errorf("it is %s: %v %s", p.State, p.Reasons, p.LastError)
		}
		return err
	})
}

// refused runs a command that has to be refused with this exit status and, somewhere in what it says, these words.
func (z *zone) refused(code int, words []string, args ...string) string {
	z.t.Helper()
	out, err := z.try(args...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != code {
		z.t.Errorf("%s: mesh %s: %v, want exit status %d\n%s", z.name, args[0], err, code, out)
	}
	for _, w := range words {
		if !strings.Contains(out, w) {
			z.t.Errorf("%s: mesh %s doesn't say %q:\n%s", z.name, args[0], w, out)
		}
	}
	return out
}

// logs waits until the node has logged a line with these words, in this run.
func (z *zone) logs(words ...string) {
	z.t.Helper()
	eventually(z.t, fmt.Sprintf("%s logs %q", z.name, words), func() error {
		b, err := os.ReadFile(z.logFile(z.runs))
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(b)) {
			all := true
			for _, w := range words {
				all = all && strings.Contains(line, w)
			}
			if all {
				return nil
			}
		}
		return errors.New("not yet")
	})
}

// finds waits until status tells of a finding.
func (z *zone) finds(id, subject string) {
	z.t.Helper()
	eventually(z.t, fmt.Sprintf("%s tells of %s %s", z.name, id, subject), func() error {
		s, err := z.status()
		for _, f := range s.Findings {
			if f.ID == id && strings.Contains(f.Subject, subject) {
				return nil
			}
		}
		return errors.Join(fmt.Errorf("it tells of %v", s.Findings), err)
	})
}

// TestJoinFromNothing begins with empty directories: one command founds a mesh, the one that it prints joins it. A
// third joins through the second. Then the first is gone for good, and the others go on.
func TestJoinFromNothing(t *testing.T) {
	t.Parallel()
	east, west, north := newSite(t, "east"), newSite(t, "west"), newSite(t, "north")
	for _, z := range []*zone{east, west, north} {
		z.sayFolder()
	}
	command := east.founds()
	west.joins(command, "--folder", "folder")
	want := model{}
	say := func(z *zone, name, value string) {
		t.Helper()
		want.set(z.name, name, value)
		z.write(name+".yaml", manifest(name, value))
	}
	say(east, "a", "1")
	say(west, "b", "1")
	equal(t, want, east, west)

	north.run("join", west.token(), "--zone", "north", "--folder", "folder", "--run")
	acquainted(t, east, west, north)
	say(north, "c", "1")
	equal(t, want, east, west, north)
	for _, z := range []*zone{east, west, north} {
		z.verify()
	}

	// What east has is away too. What it stated stays.
	must(t, east.kill())
	must(t, os.Rename(east.dir, east.dir+".gone"))
	must(t, os.Mkdir(east.dir, 0o755)) // for its log
	west.args, north.args = []string{"run"}, []string{"run"}
	say(west, "b", "2")
	say(north, "c", "2")
	equal(t, want, west, north)
	for i, order := range [][]*zone{{west, north}, {north, west}} {
		for _, z := range order {
			z.stop()
		}
		say(west, "b", fmt.Sprint("restart ", i))
		for _, z := range order {
			z.start()
		}
		say(north, "d", fmt.Sprint("restart ", i))
		equal(t, want, west, north)
		acquainted(t, west, north)
	}
	must(t, west.kill()) // one at a time
	west.start()
	say(west, "e", "1")
	equal(t, want, west, north)
	for _, z := range []*zone{west, north} {
		z.verify()
		z.stop()
	}
}
