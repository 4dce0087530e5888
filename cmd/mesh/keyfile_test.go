package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/keys"
)

// The key of RFC 8032, test 1.
const (
	testSeed   = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
	testPublic = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
	testPeerID = "12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV"
)

func testKey(t *testing.T) keys.Private {
	t.Helper()
	k, err := keys.Parse([]byte(testSeed))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// faultyFile fails in the operations it is told to.
type faultyFile struct {
	file
	fault string
}

var errFault = errors.New("no space left on device")

func (f faultyFile) Write(b []byte) (int, error) {
	if f.fault == "write" {
		n, _ := f.file.Write(b[:len(b)/2])
		return n, errFault
	}
	return f.file.Write(b)
}

func (f faultyFile) Sync() error {
	if f.fault == "sync" {
		return errFault
	}
	return f.file.Sync()
}

func (f faultyFile) Close() error {
	err := f.file.Close()
	if f.fault == "close" {
		return errFault
	}
	return err
}

// listing is the content of a directory by name.
func listing(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			b = []byte(err.Error())
		}
		all[e.Name()] = string(b)
	}
	return all
}

// Whatever fails on the way, the directory is as before: no partial file, and the old key in its place.
func TestWriteKeyLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"open", "write", "sync", "close", "sync directory", "rename"} {
		for _, force := range []bool{false, true} {
			if fault == "rename" && !force {
				continue
			}
			te := newTestEnv(t)
			if force {
				te.writeFile(t, "private.key", "old\n", 0o600)
			}
			before := listing(t, te.dir)
			real := te.env.files
			te.env.files.openFile = func(name string, flag int, perm fs.FileMode) (file, error) {
				if fault == "open" {
					return nil, &fs.PathError{Op: "open", Path: name, Err: errFault}
				}
				f, err := real.openFile(name, flag, perm)
				return faultyFile{f, fault}, err
			}
			te.env.files.rename = func(from, to string) error {
				if fault == "rename" {
					return &os.LinkError{Op: "rename", Old: from, New: to, Err: errFault}
				}
				return real.rename(from, to)
			}
			te.env.files.syncDir = func(dir string) error {
				if fault == "sync directory" {
					return errFault
				}
				return real.syncDir(dir)
			}
			_, err := te.writeKey("private.key", testKey(t), force)
			var c *cliError
			if !errors.As(err, &c) || c.Code != "MESH-1003" || c.Cause != errFault.Error() {
				t.Errorf("%s, force %v: error %v", fault, force, err)
			}
			after := listing(t, te.dir)
			if len(after) != len(before) || after["private.key"] != before["private.key"] {
				t.Errorf("%s, force %v: the directory holds %v, before %v", fault, force, after, before)
			}
		}
	}
}

func (te *testEnv) writeFile(t *testing.T, name, content string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(te.path(name), []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func TestWriteKey(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	backup, err := te.writeKey("private.key", testKey(t), false)
	if err != nil || backup != "" {
		t.Fatalf("writeKey = %q, %v", backup, err)
	}
	if got := listing(t, te.dir)["private.key"]; got != testSeed+"\n" {
		t.Errorf("the file holds %q", got)
	}
	info, err := os.Lstat(te.path("private.key"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	if _, err := te.writeKey("private.key", testKey(t), false); !hasCode(err, "MESH-6001") {
		t.Errorf("writing again: %v", err)
	}
}

func hasCode(err error, code string) bool {
	var c *cliError
	return errors.As(err, &c) && c.Code == code
}

func TestWriteKeyForce(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	if backup, err := te.writeKey("private.key", testKey(t), true); err != nil || backup != "" {
		t.Fatalf("with nothing to replace: %q, %v", backup, err)
	}
	for _, want := range []string{
		"private.key.bak-20261122T140322Z",
		"private.key.bak-20261122T140322Z-2",
		"private.key.bak-20261122T140322Z-3",
	} {
		te.writeFile(t, "private.key", "content before "+want, 0o600)
		backup, err := te.writeKey("private.key", testKey(t), true)
		if err != nil || backup != want {
			t.Fatalf("writeKey = %q, %v, want %s", backup, err, want)
		}
		all := listing(t, te.dir)
		if all[want] != "content before "+want || all["private.key"] != testSeed+"\n" {
			t.Errorf("the directory holds %v", all)
		}
	}
	for i := 4; i <= maxBackups; i++ {
		if _, err := te.writeKey("private.key", testKey(t), true); err != nil {
			t.Fatal(err)
		}
	}
	before := listing(t, te.dir)
	if _, err := te.writeKey("private.key", testKey(t), true); !hasCode(err, "MESH-1003") {
		t.Errorf("with every backup name taken: %v", err)
	}
	if after := listing(t, te.dir); len(after) != len(before) {
		t.Errorf("with every backup name taken the directory changed")
	}
}

// A symbolic link is never followed: neither into an existing file nor to a place that does not exist yet.
func TestWriteKeyDoesNotFollowLinks(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"target", "missing"} {
		te := newTestEnv(t)
		te.writeFile(t, "target", "precious", 0o644)
		if err := os.Symlink(target, te.path("private.key")); err != nil {
			t.Fatal(err)
		}
		if _, err := te.writeKey("private.key", testKey(t), false); !hasCode(err, "MESH-6001") {
			t.Errorf("link to %s: %v", target, err)
		}
		backup, err := te.writeKey("private.key", testKey(t), true)
		if err != nil {
			t.Fatalf("link to %s with force: %v", target, err)
		}
		if to, err := os.Readlink(te.path(backup)); err != nil || to != target {
			t.Errorf("the backup leads to %q, %v, want %s", to, err, target)
		}
		all := listing(t, te.dir)
		if all["target"] != "precious" || all["private.key"] != testSeed+"\n" {
			t.Errorf("link to %s: the directory holds %v", target, all)
		}
		if _, err := os.Lstat(te.path("missing")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the key was written through the link: %v", err)
		}
	}
}

func TestWriteKeyForceOnADirectory(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	if err := os.Mkdir(te.path("private.key"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := te.writeKey("private.key", testKey(t), true)
	var c *cliError
	if !errors.As(err, &c) || c.Code != "MESH-6001" || c.Cause != "it is a directory" {
		t.Errorf("error %v", err)
	}
}

func TestCheckKeyDir(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		mode fs.FileMode
		ok   bool
	}{
		{0o700, true}, {0o755, true}, {0o750, true}, {0o777, false}, {0o702, false},
		{0o777 | fs.ModeSticky, true},
	} {
		te := newTestEnv(t)
		if err := os.Mkdir(te.path("d"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(te.path("d"), tt.mode); err != nil {
			t.Fatal(err)
		}
		err := te.checkKeyDir("d/private.key")
		if tt.ok && err != nil || !tt.ok && !hasCode(err, "MESH-6002") {
			t.Errorf("mode %v: %v", tt.mode, err)
		}
	}
}

func TestReadKey(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	te.writeFile(t, "good", strings.ToUpper(testSeed)+"\r\n", 0o600)
	te.writeFile(t, "bad", testSeed[:62], 0o600)
	te.writeFile(t, "empty", "", 0o600)
	te.writeFile(t, "huge", strings.Repeat("a", 1<<20), 0o600)
	k, err := te.readKey("good")
	if err != nil || k.Hex() != testSeed {
		t.Errorf("readKey = %v, %v", k, err)
	}
	for _, tt := range []struct{ name, code, cause string }{
		{"bad", "MESH-2003", "found 62 hex digits instead of 64, want an Ed25519 private key"},
		{"empty", "MESH-2003", "found nothing at all, want an Ed25519 private key"},
		{"huge", "MESH-2003", "found 16385 bytes, too many for a key, want an Ed25519 private key"},
		{"missing", "MESH-2004", "no such file or directory"},
		{".", "MESH-2004", "is a directory"},
		{"-", "MESH-2003", "found nothing at all, want an Ed25519 private key"},
	} {
		_, err := te.readKey(tt.name)
		var c *cliError
		if !errors.As(err, &c) || c.Code != tt.code || c.Cause != tt.cause {
			t.Errorf("readKey(%s): %v, want %s and cause %q", tt.name, err, tt.code, tt.cause)
		}
	}
}

func TestShellQuote(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"private.key", "private.key"},
		{"/etc/mesh/private.key", "/etc/mesh/private.key"},
		{"my key", "'my key'"},
		{"it's", `'it'\''s'`},
		{"$(rm -rf .)", "'$(rm -rf .)'"},
		{"", "''"},
	} {
		if got := shellQuote(tt.in); got != tt.want {
			t.Errorf("shellQuote(%s) = %s, want %s", tt.in, got, tt.want)
		}
	}
}
