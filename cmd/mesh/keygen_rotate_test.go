package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/token"
)

// otherSeed is the second test vector of RFC 8032.
const otherSeed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"

func rotateEnv(t *testing.T) *testEnv {
	te := newTestEnv(t)
	te.writeFile(t, "private.key", testSeed+"\n", 0o600)
	te.writeFile(t, "next.key", otherSeed+"\n", 0o600)
	return te
}

func TestRotate(t *testing.T) {
	t.Parallel()
	te := rotateEnv(t)
	if code := te.mesh(t, "keygen", "--rotate", "private.key", "--import", "next.key"); code != 0 {
		t.Fatalf("exit %d: %s", code, te.stderr.String())
	}
	wantErr := "kept the old key as private.key.bak-20261122T140322Z\n" +
		"wrote private.key (0600). Keep it secret and backed up: it is this node's identity.\n" +
		"wrote private.key.handover: the old key hands its zone over to the new one\n" +
		"next        restart the node: mesh run. It takes its store over and tells the others; keep both files until mesh peers describe shows the new key elsewhere.\n"
	wantOut := "public key  3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c\npeer id     12D3KooWDwTirQce1RRKnasT5fPVFgzXCy6SiRgSwrwPGLC7zE91\n"
	if te.stderr.String() != wantErr || te.stdout.String() != wantOut {
		t.Errorf("stderr\n%s\nstdout\n%s", te.stderr.String(), te.stdout.String())
	}
	files := listing(t, te.dir)
	if files["private.key"] != otherSeed+"\n" || files["private.key.bak-20261122T140322Z"] != testSeed+"\n" || len(files) != 4 {
		t.Errorf("files %v", files)
	}
	h, err := token.ParseHandOver(files["private.key.handover"])
	if err != nil || h.From.String() != testPublic || h.To.String() != strings.Fields(wantOut)[2] || !h.Made.Equal(fakeNow) {
		t.Errorf("hand-over %+v, %v", h, err)
	}

	// The statement is needed until everybody knows.
	if code := te.mesh(t, "keygen", "--rotate", "private.key"); code != 6 || !strings.Contains(te.stderr.String(), "MESH-6003") {
		t.Errorf("a second rotation: exit %d: %s", code, te.stderr.String())
	}
	if after := listing(t, te.dir); len(after) != 4 || after["private.key.handover"] != files["private.key.handover"] {
		t.Errorf("a refused rotation leaves %v", after)
	}
	code := te.mesh(t, "keygen", "--rotate", "private.key", "--force", "-o", "json")
	var doc struct{ Kind, PublicKey, File, Backup, HandOver, FormerPublicKey string }
	if err := json.Unmarshal(te.stdout.Bytes(), &doc); code != 0 || err != nil || doc.Kind != "Key" || doc.HandOver != "private.key.handover" || doc.File != "private.key" ||
		doc.FormerPublicKey != h.To.String() || doc.Backup != "private.key.bak-20261122T140322Z-2" || len(doc.PublicKey) != 64 {
		t.Errorf("exit %d, %v: %s%s", code, err, te.stdout.String(), te.stderr.String())
	}
	for _, seed := range []string{testSeed, otherSeed} {
		if strings.Contains(te.stdout.String()+te.stderr.String(), seed[:8]) {
			t.Error("a private key is printed")
		}
	}
}

func TestRotateRefused(t *testing.T) {
	t.Parallel()
	var told strings.Builder
	for _, tt := range []struct {
		args, code string
		exit       int
	}{
		{"--rotate nothere.key", "MESH-2004", 2},
		{"--rotate bad.key", "MESH-2003", 2},
		{"--rotate -", "MESH-2002", 2},
		{"--rotate=", "MESH-2002", 2},
		{"--rotate private.key other.key", "MESH-2002", 2},
		{"--rotate private.key --public private.key", "MESH-2002", 2},
		{"--rotate private.key --to-secret x", "MESH-2002", 2},
		{"--rotate private.key --import private.key", "MESH-6004", 6},
		{"--rotate private.key --import bad.key", "MESH-2003", 2},
		{"--rotate odd.key", "MESH-6003", 6},
	} {
		te := rotateEnv(t)
		te.writeFile(t, "bad.key", "xyz", 0o600)
		te.writeFile(t, "odd.key", testSeed, 0o600)
		te.writeFile(t, "odd.key.handover", "not one of ours", 0o600)
		before := listing(t, te.dir)
		code := te.mesh(t, append([]string{"keygen"}, strings.Fields(tt.args)...)...)
		te.tell(&told, "mesh keygen "+tt.args, code)
		if code != tt.exit || !strings.Contains(te.stderr.String(), tt.code) {
			t.Errorf("%s: exit %d: %s", tt.args, code, te.stderr.String())
		}
		if after := listing(t, te.dir); len(after) != len(before) || after["private.key"] != testSeed+"\n" {
			t.Errorf("%s: leaves %v", tt.args, after)
		}
	}
	golden(t, "keygen-rotate-refused", told.String())
}

// A rotation that breaks off leaves the old key in its place; what an earlier attempt left doesn't hinder the next.
func TestRotateBreaksOff(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, part := range []string{"private.key.handover.new", "private.key"} {
		te := rotateEnv(t)
		ops := te.files
		open := ops.openFile
		te.files.openFile = func(name string, flag int, perm fs.FileMode) (file, error) {
			rest := strings.TrimPrefix(name, te.path(part))
			if flag&os.O_CREATE != 0 && rest != name && (rest == "" || rest[0] == '-') {
				return nil, broken
			}
			return open(name, flag, perm)
		}
		if code := te.mesh(t, "keygen", "--rotate", "private.key"); code != 1 {
			t.Errorf("%s: exit %d: %s", part, code, te.stderr.String())
		}
		if files := listing(t, te.dir); len(files) != 2 || files["private.key"] != testSeed+"\n" {
			t.Errorf("%s: leaves %v", part, files)
		}
		te.files = ops
		key, err := te.readKey("private.key")
		if err != nil {
			t.Fatal(err)
		}
		next, err := te.readKey("next.key")
		if err != nil {
			t.Fatal(err)
		}
		te.writeFile(t, "private.key.handover", token.SignHandOver(key, next.Public(), fakeNow).String(), 0o644) // as a crash leaves it
		if code := te.mesh(t, "keygen", "--rotate", "private.key"); code != 0 {
			t.Errorf("%s: the next attempt: exit %d: %s", part, code, te.stderr.String())
		}
	}
}

// What a crash left of an earlier attempt is no reason to fail for ever, and nothing is written through it.
func TestReplaceFileAfterACrash(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	te.writeFile(t, "config.yaml", "old", 0o600)
	te.writeFile(t, "elsewhere", "untouched", 0o600)
	if err := os.Symlink(te.path("elsewhere"), te.path(fmt.Sprintf("config.yaml.new-%d", os.Getpid()))); err != nil {
		t.Fatal(err)
	}
	if err := te.replaceFile("config.yaml", []byte("new"), 0o644); err != nil {
		t.Fatal(err)
	}
	if files := listing(t, te.dir); len(files) != 2 || files["config.yaml"] != "new" || files["elsewhere"] != "untouched" {
		t.Errorf("leaves %v", files)
	}
	if info, err := os.Stat(te.path("config.yaml")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}
