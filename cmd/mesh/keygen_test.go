package main

import (
	"os"
	"strings"
	"testing"
)

// No way of calling keygen prints the private key beside anything else.
func TestKeygenKeepsTheSecret(t *testing.T) {
	t.Parallel()
	for _, args := range []string{
		"keygen", "keygen -o json", "keygen -v", "keygen --import SRC new.key", "keygen --public SRC",
		"keygen --public SRC -o json", "keygen SRC", "keygen --force SRC", "keygen --import SRC SRC",
		"keygen --public SRC extra", "keygen --import BAD x.key", "keygen --public BAD -v",
		"keygen --public BAD -o json -v", "keygen --import SRC - -o json",
	} {
		te := newTestEnv(t)
		te.writeFile(t, "src.key", testSeed+"\n", 0o600)
		te.writeFile(t, "bad.key", testSeed+"00", 0o600)
		line := strings.NewReplacer("SRC", "src.key", "BAD", "bad.key").Replace(args)
		te.mesh(t, strings.Fields(line)...)
		for _, out := range []string{te.stdout.String(), te.stderr.String()} {
			for i := 0; i+8 <= len(testSeed); i++ {
				if strings.Contains(out, testSeed[i:i+8]) {
					t.Fatalf("mesh %s prints part of the key:\n%s", line, out)
				}
			}
		}
	}
}

func TestKeygenToStdout(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	te.env.stdin = strings.NewReader(testSeed)
	if code := te.mesh(t, "keygen", "--import", "-", "-"); code != 0 {
		t.Fatalf("exit code %d: %s", code, te.stderr.String())
	}
	if te.stdout.String() != testSeed+"\n" || te.stderr.Len() != 0 {
		t.Errorf("stdout %q, stderr %q", te.stdout.String(), te.stderr.String())
	}

	te.env.isTerminal = func(any) bool { return true }
	te.flags.color = "never"
	te.mesh(t, "keygen", "-", "--color=never")
	if want := "warning: the private key is on your screen"; !strings.HasPrefix(te.stderr.String(), want) {
		t.Errorf("on a terminal stderr is %q", te.stderr.String())
	}
}

// A file that everybody may read is no place for a key; one that only the owner may read is.
func TestKeygenToAFile(t *testing.T) {
	t.Parallel()
	for mode, warns := range map[os.FileMode]bool{0o644: true, 0o600: false, 0o640: false} {
		te := newTestEnv(t)
		te.writeFile(t, "out", "", mode)
		f, err := os.OpenFile(te.path("out"), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		te.env.stdout = f
		code := te.mesh(t, "keygen", "-")
		if err := f.Close(); code != 0 || err != nil {
			t.Fatalf("exit code %d, %v", code, err)
		}
		if got := strings.Contains(te.stderr.String(), "everybody on this machine can read"); got != warns {
			t.Errorf("mode %v: warns %v, want %v", mode, got, warns)
		}
		if got := listing(t, te.dir)["out"]; len(got) != 65 {
			t.Errorf("the file holds %d bytes", len(got))
		}
	}
}

func TestKeygenForceTellsTheBackup(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	te.writeFile(t, "private.key", "old", 0o600)
	te.env.stdin = strings.NewReader(testSeed)
	if code := te.mesh(t, "keygen", "--import", "-", "--force"); code != 0 {
		t.Fatalf("exit code %d: %s", code, te.stderr.String())
	}
	want := "kept the old key as private.key.bak-20261122T140322Z\n" +
		"wrote private.key (0600). Keep it secret and backed up: it is this node's identity.\n" +
		"next        mesh run --zone NAME\n"
	if te.stderr.String() != want {
		t.Errorf("stderr is\n%s\nwant\n%s", te.stderr.String(), want)
	}
	if want := "public key  " + testPublic + "\npeer id     " + testPeerID + "\n"; te.stdout.String() != want {
		t.Errorf("stdout is\n%s\nwant\n%s", te.stdout.String(), want)
	}
	te.mesh(t, "keygen", "--force", "-o", "json")
	if !strings.Contains(te.stdout.String(), `"backup": "private.key.bak-20261122T140322Z-2"`) {
		t.Errorf("stdout is\n%s", te.stdout.String())
	}
}
