package e2e_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestBundles makes bundles of two nodes and of a stopped one: what commands say from a bundle is what the node said,
// although none runs any more, and nothing of what is secret is in it.
func TestBundles(t *testing.T) {
	t.Parallel()
	all := zones(t, "east west", set("log_level", "TRACE"))
	east, west := all[0], all[1]
	startAll(t, all...)
	const plain, content, broken = "correct-horse-battery", "content-of-a-config-map", "staple-of-the-broken-file"
	east.write("s.yaml", fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData:\n  password: %s\n", plain))
	east.write("c.yaml", manifest("c", content))
	east.write("lost.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: lost\ndata:\n  value: \""+broken)
	for _, z := range all {
		z.healthy("ConfigMap/default/c")
		z.healthy("Secret/default/s")
	}
	east.problem("lost.yaml:")
	if out := east.fails(4, "doctor", "ConfigMap/default/lost"); !strings.Contains(out, "local/lost.yaml:6: ") || !strings.Contains(out, "no zone states it") {
		t.Errorf("doctor of an object in a broken file:\n%s", out)
	}
	token := regexp.MustCompile(`meshinv1_[A-Za-z0-9_-]+`).FindString(east.cli("invite", "-q", "--zone", "north"))
	if token == "" {
		t.Fatal("no invitation was made")
	}

	said := map[string]string{}
	asked := []string{"peers -o name", "log ls -o name", "invite ls -o json"}
	for _, z := range all {
		for _, line := range asked {
			said[z.name+line] = z.cli(strings.Fields(line)...)
		}
		list := z.cli("doctor", "Secret/default/s", "--bundle", "b.tgz")
		for _, name := range []string{"bundle.json", "frames.sse", "logs.txt", "metrics.txt", "goroutines.txt", "api/v1/status.json", "api/v1/peers.json", "api/v1/held.json", "api/v1/log.json",
			"api/v1/topology.json", "api/v1/invites.json", "api/v1/resources.json", "api/v1/traces.json", "api/v1/config.json", "api/v1/doctor.sse"} {
			if !strings.Contains(list, name+" ") {
				t.Errorf("%s is not in the list of the bundle of %s:\n%s", name, z.name, list)
			}
		}
		if strings.Contains(list, "warning") {
			t.Errorf("something is missing in the bundle of %s:\n%s", z.name, list)
		}
	}

	// One zone away is what keeps an object from being everywhere, and it is named.
	west.stop()
	east.write("late.yaml", manifest("late", content))
	eventually(t, "doctor names the zone that lacks the object", func() error {
		out, err := east.try("doctor", "ConfigMap/default/late")
		if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 4 || !strings.Contains(out, "the first step that is missing is held in west") {
			return fmt.Errorf("%w:\n%s", err, out)
		}
		return nil
	})
	east.stop()

	for _, z := range all {
		for _, line := range asked {
			out, err := z.command(append(strings.Fields(line), "-q", "--archive", "b.tgz")...).CombinedOutput()
			if err != nil || string(out) != said[z.name+line] {
				t.Errorf("%s: mesh %s from the bundle: %v\n%swant\n%s", z.name, line, err, out, said[z.name+line])
			}
		}
		if out := z.cli("status", "--archive", "b.tgz"); !strings.Contains(out, "zone         "+z.name) || !strings.Contains(out, "from the bundle b.tgz: zone "+z.name) || !strings.Contains(out, "1/1 ready") {
			t.Errorf("%s: status from the bundle:\n%s", z.name, out)
		}
		if out := z.cli("doctor", "Secret/default/s", "--archive", "b.tgz"); !strings.Contains(out, "east states it") {
			t.Errorf("%s: doctor of an object from the bundle:\n%s", z.name, out)
		}
		if out, err := z.try("doctor", "--archive", "b.tgz"); !strings.Contains(out, " ok, ") || !strings.Contains(out, "\nnetwork\n") {
			t.Errorf("%s: doctor from the bundle: %v\n%s", z.name, err, out)
		}
		if out := z.fails(6, "log", "show", "--archive", "b.tgz"); !strings.Contains(out, "a bundle holds no operations") {
			t.Errorf("%s: log show from the bundle:\n%s", z.name, out)
		}
		if out := z.cli("doctor", "--bundle", "offline.tgz"); !strings.Contains(out, "no node answers") {
			t.Errorf("%s: bundle without a node:\n%s", z.name, out)
		}
		if out := z.cli("log", "ls", "--archive", "offline.tgz"); !strings.Contains(out, "east ") {
			t.Errorf("%s: log ls from a bundle without a node:\n%s", z.name, out)
		}
		key := strings.TrimSpace(read(t, filepath.Join(z.dir, "private.key")))
		for _, name := range []string{"b.tgz", "offline.tgz"} {
			info, err := os.Stat(filepath.Join(z.dir, name))
			must(t, err)
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s of %s has mode %v, want 0600", name, z.name, info.Mode())
			}
			for file, text := range unpack(t, filepath.Join(z.dir, name)) {
				for _, secret := range []string{plain, content, broken, key, token} {
					if holds(text, secret) {
						t.Errorf("%s in %s of %s holds %q", file, name, z.name, secret)
					}
				}
			}
		}
	}
}

// holds reports whether a text holds something secret as it is, or as it is usually written.
func holds(text []byte, secret string) bool {
	forms := [][]byte{[]byte(secret), []byte(base64.StdEncoding.EncodeToString([]byte(secret))), []byte(hex.EncodeToString([]byte(secret)))}
	if raw, err := hex.DecodeString(secret); err == nil { // a key
		forms = append(forms, raw, []byte(base64.StdEncoding.EncodeToString(raw)), fmt.Appendf(nil, "%d", raw))
	}
	for _, f := range forms {
		if bytes.Contains(bytes.ToLower(text), bytes.ToLower(f)) {
			return true
		}
	}
	return false
}

// healthy waits until doctor finds an object everywhere.
func (z *zone) healthy(object string) {
	z.t.Helper()
	eventually(z.t, object+" is everywhere", func() error {
		out, err := z.try("doctor", object)
		if err != nil {
			return fmt.Errorf("%w:\n%s", err, out)
		}
		return nil
	})
}

// fails runs a command that has to end with this exit code.
func (z *zone) fails(code int, args ...string) string {
	z.t.Helper()
	out, err := z.try(args...)
	if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != code {
		z.t.Errorf("%s: mesh %s: %v, want exit code %d\n%s", z.name, strings.Join(args, " "), err, code, out)
	}
	return out
}

// unpack returns what is in a bundle, by name.
func unpack(t *testing.T, path string) map[string][]byte {
	t.Helper()
	packed, err := os.ReadFile(path)
	must(t, err)
	zipped, err := gzip.NewReader(bytes.NewReader(packed))
	must(t, err)
	files := map[string][]byte{}
	for r := tar.NewReader(zipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		must(t, err)
		files[h.Name], err = io.ReadAll(r)
		must(t, err)
	}
}
