package admin_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/meshtest/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestSocketIsPrivateAndRemoved(t *testing.T) {
	dir, err := os.MkdirTemp("", "adm-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	s := bind(t, dir)
	path := filepath.Join(dir, "api.sock")
	if s.Socket() != path || admin.SocketPath(dir) != path {
		t.Errorf("socket at %s, SocketPath = %s, want %s", s.Socket(), admin.SocketPath(dir), path)
	}
	fi, err := os.Lstat(path)
	if err != nil || fi.Mode().Perm() != 0o600 || fi.Mode().Type() != os.ModeSocket {
		t.Errorf("socket is %v, %v, want a socket with mode 0600", fi.Mode(), err)
	}
	if err := listen(dir); !errors.Is(err, admin.ErrSocketInUse) {
		t.Errorf("second Listen = %v, want %v", err, admin.ErrSocketInUse)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the refused one took the socket away: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
	empty(t, dir)
}

func TestStaleSocketIsReplaced(t *testing.T) {
	dir, err := os.MkdirTemp("", "adm-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "api.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false) // as after kill -9
	l.Close()
	s := bind(t, dir)
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("the new socket does not answer: %v", err)
	}
	c.Close()
	s.Close()
	empty(t, dir)
}

func TestAFileInThePlaceOfTheSocketStays(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "api.sock")
	if err := os.WriteFile(path, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := listen(dir); err == nil {
		t.Error("Listen replaced a file that is no socket")
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "mine" {
		t.Errorf("the file holds %q, %v", b, err)
	}
}

func TestALongPathGetsAShortSocket(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 100))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := bind(t, dir)
	if admin.SocketPath(dir) != s.Socket() || strings.HasPrefix(s.Socket(), dir) {
		t.Errorf("SocketPath = %s, the socket is %s", admin.SocketPath(dir), s.Socket())
	}
	c, err := net.Dial("unix", admin.SocketPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	s.Close()
	empty(t, dir)
	if _, err := os.Lstat(filepath.Dir(s.Socket())); !os.IsNotExist(err) {
		t.Errorf("the temporary folder is still there: %v", err)
	}
}

func TestASocketElsewhereIsFound(t *testing.T) {
	dir, err := os.MkdirTemp("", "adm-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	data := t.TempDir()
	s, err := admin.New(config(data, func(c *admin.Config) { c.Socket = filepath.Join(dir, "m.sock") }))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	if got := admin.SocketPath(data); got != filepath.Join(dir, "m.sock") {
		t.Errorf("SocketPath = %s, want the one configured", got)
	}
	s.Close()
	empty(t, data)
	empty(t, dir)
}

func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	s := serve(t, nil, func(c *admin.Config) { c.HTTPPort = taken })
	if addr, moved := s.HTTPAddr(); !moved || addr.Port == taken {
		t.Errorf("HTTPAddr = %v, %v, want another port", addr, moved)
	}
	dir := t.TempDir()
	strict, err := admin.New(config(dir, func(c *admin.Config) { c.HTTPPort, c.StrictPort = taken, true }))
	if err != nil {
		t.Fatal(err)
	}
	if err := strict.Listen(); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("strict Listen = %v, want address already in use", err)
	}
	empty(t, dir)
}

func TestConfigIsChecked(t *testing.T) {
	for name, change := range map[string]func(*admin.Config){
		"address":         func(c *admin.Config) { c.HTTPAddress = "host" },
		"port":            func(c *admin.Config) { c.HTTPPort = 65536 },
		"api on all":      func(c *admin.Config) { c.APIListen = "0.0.0.0:3001" },
		"api elsewhere":   func(c *admin.Config) { c.APIListen = "192.0.2.1:3001" },
		"api by name":     func(c *admin.Config) { c.APIListen = "example.org:3001" },
		"no registry":     func(c *admin.Config) { c.Registry = nil },
		"no data folder":  func(c *admin.Config) { c.DataDir = "" },
		"api, no address": func(c *admin.Config) { c.APIListen = ":3001" },
	} {
		if _, err := admin.New(config(t.TempDir(), change)); err == nil {
			t.Errorf("New with bad %s = nil, want an error", name)
		}
	}
}

func config(dir string, change func(*admin.Config)) admin.Config {
	c := admin.Config{HTTPAddress: "127.0.0.1", DataDir: dir, Registry: prometheus.NewRegistry(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if change != nil {
		change(&c)
	}
	return c
}

func listen(dir string) error {
	s, err := admin.New(config(dir, nil))
	if err != nil {
		return err
	}
	if err := s.Listen(); err != nil {
		return err
	}
	s.Close()
	return nil
}

func bind(t *testing.T, dir string) *admin.Server {
	t.Helper()
	s, err := admin.New(config(dir, nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	return s
}

func empty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		t.Errorf("%s was left behind", e.Name())
	}
}
