package kubetest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestBuildOnce asks for one program from many sides at once: one builds it, and what it builds runs.
func TestBuildOnce(t *testing.T) {
	t.Parallel()
	module, cache := t.TempDir(), t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(module, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(module, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example.org/tools\n\ngo 1.26\n")
	write("tool/main.go", "package main\n\nimport \"fmt\"\n\nvar version = \"none\"\n\nfunc main() { fmt.Print(version) }\n")
	old, recent := filepath.Join(cache, "old"), filepath.Join(cache, "recent")
	for _, dir := range []string{old, recent} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-unused - time.Hour)
	if err := os.Chtimes(old, long, long); err != nil {
		t.Fatal(err)
	}

	r := &recipe{module: module, folder: filepath.Join(cache, "key"), args: []string{"-ldflags", "-X main.version=v1"}}
	path := filepath.Join(r.folder, "tool")
	said := make([]bytes.Buffer, 4)
	var all sync.WaitGroup
	for i := range said {
		all.Go(func() {
			if err := r.build(&said[i], "tool", path); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	built := 0
	for i := range said {
		built += strings.Count(said[i].String(), "building tool")
	}
	if built != 1 {
		t.Errorf("it was built %d times", built)
	}
	if out, err := exec.Command(path).Output(); err != nil || string(out) != "v1" {
		t.Errorf("it says %q, %v", out, err)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("what nobody used for long stays")
	}
	if _, err := os.Stat(recent); err != nil {
		t.Errorf("what was used lately: %v", err)
	}

	write("tool/main.go", "package main\n\nfunc main() { undefined() }\n")
	if err := r.build(&said[0], "tool", path+"2"); err == nil || !strings.Contains(err.Error(), "undefined") {
		t.Errorf("a program that does not compile: %v", err)
	}
}

func TestVersionsComeFromGoMod(t *testing.T) {
	t.Parallel()
	const mod = "require (\n\tk8s.io/kubernetes v1.40.3\n\thelm.sh/helm/v3 v3.99.1 // indirect\n)\n"
	flags, err := ldflags([]byte(mod))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{".gitVersion=v1.40.3 ", ".gitMajor=1 ", ".gitMinor=40 ", "version.version=v3.99.1"} {
		if !strings.Contains(flags, part) {
			t.Errorf("%s is missing in %s", part, flags)
		}
	}
	if flags, err := ldflags([]byte("module x\n")); err == nil {
		t.Errorf("without versions: %s", flags)
	}
}

func TestBuildOfAnythingElse(t *testing.T) {
	t.Parallel()
	if _, err := Build(os.Stderr, "../kubectl"); err == nil {
		t.Error("no error")
	}
}

// TestPortIsHeld shows that nobody else gets the port of a server that is dead.
func TestPortIsHeld(t *testing.T) {
	t.Parallel()
	p, err := takePort()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	bind := func(reuse int) error {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(fd)
		if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, soReusePort, reuse); err != nil {
			t.Fatal(err)
		}
		return syscall.Bind(fd, &syscall.SockaddrInet4{Port: p.number, Addr: [4]byte{127, 0, 0, 1}})
	}
	if err := bind(0); err != syscall.EADDRINUSE {
		t.Errorf("another program binds the port: %v, want %v", err, syscall.EADDRINUSE)
	}
	if err := bind(1); err != nil {
		t.Errorf("the server binds its port: %v", err)
	}
}
