package kubetest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Tools names the programs of the module tools/kubernetes, those that take long to build first: the others
// then find most of their packages compiled.
func Tools() []string { return []string{"kube-apiserver", "kubectl", "helm", "etcd"} }

// unused is after how long the programs of a key that nobody asked for are removed: long enough for two branches
// that a person moves between.
const unused = 30 * 24 * time.Hour

// Tool returns the path of a program of [Tools]. It builds it if that has not happened on this machine, which takes
// minutes: `make kubernetes-tools` does so ahead.
func Tool(t testing.TB, name string) string {
	t.Helper()
	path, err := Build(os.Stderr, name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Build returns the path of a program of [Tools] in the user's cache folder, and builds it before if it isn't there;
// what it builds and why that takes time goes to w. Processes that ask for the same program build it once: the
// others wait. It is to be called below the module's top folder. Safe for concurrent use.
func Build(w io.Writer, name string) (string, error) {
	if !slices.Contains(Tools(), name) {
		return "", fmt.Errorf("build %s: the tools are %s", name, strings.Join(Tools(), ", "))
	}
	r, err := theRecipe()
	if err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	path := filepath.Join(r.folder, name)
	if ready(path) {
		return path, nil
	}
	if err := r.build(w, name, path); err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	return path, nil
}

func ready(path string) bool {
	_, err := os.Stat(path)
	if err == nil {
		now := time.Now()
		_ = os.Chtimes(filepath.Dir(path), now, now) // says that it is in use; where the cache is read-only nobody removes either
	}
	return err == nil
}

// recipe is how the tools are built.
type recipe struct {
	module string   // the folder of tools/kubernetes
	folder string   // of the cache, for just this recipe
	args   []string // of go build
}

var theRecipe = sync.OnceValues(newRecipe)

func newRecipe() (*recipe, error) {
	module, err := toolsModule()
	if err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	mod, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil {
		return nil, err
	}
	r := &recipe{module: module}
	flags, err := ldflags(mod)
	if err != nil {
		return nil, err
	}
	r.args = []string{"-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", flags}

	// The key is what the programs follow from.
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %s %s %q\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, r.args)
	mains, err := filepath.Glob(filepath.Join(module, "*", "*.go"))
	if err != nil {
		return nil, err
	}
	for _, file := range append([]string{"go.mod", "go.sum"}, mains...) {
		if !filepath.IsAbs(file) {
			file = filepath.Join(module, file)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		rel, err := filepath.Rel(module, file)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(sum, "%s %d\n%s", rel, len(text), text)
	}
	r.folder = filepath.Join(cache, "mesh", "kubernetes", hex.EncodeToString(sum.Sum(nil))[:16])
	return r, nil
}

// toolsModule finds tools/kubernetes above the working directory, which for a test is its package's.
func toolsModule() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		module := filepath.Join(dir, "tools", "kubernetes")
		if _, err := os.Stat(filepath.Join(module, "go.mod")); err == nil {
			return module, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("there is no tools/kubernetes above %s", start)
		}
	}
}

var (
	kubernetesVersion = regexp.MustCompile(`(?m)^\s*k8s\.io/kubernetes (v(\d+)\.(\d+)\.\d+)$`)
	helmVersion       = regexp.MustCompile(`(?m)^\s*helm\.sh/helm/v3 (v\S+)`)
)

// ldflags stamps the versions that go.mod names, by which clients decide what a server can do.
func ldflags(mod []byte) (string, error) {
	k, h := kubernetesVersion.FindSubmatch(mod), helmVersion.FindSubmatch(mod)
	if k == nil || h == nil {
		return "", errors.New("go.mod of tools/kubernetes names no version of k8s.io/kubernetes or of helm")
	}
	const version = "k8s.io/component-base/version."
	return fmt.Sprintf("-s -w -X %sgitVersion=%s -X %sgitMajor=%s -X %sgitMinor=%s -X helm.sh/helm/v3/internal/version.version=%s",
		version, k[1], version, k[2], version, k[3], h[1]), nil
}

// build builds one program while it holds the lock of the cache.
func (r *recipe) build(w io.Writer, name, path string) error {
	if err := os.MkdirAll(r.folder, 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(filepath.Dir(r.folder), "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close() // unlocks
	if err := flock(lock); err != nil {
		return err
	}
	if ready(path) { // built while we waited
		return nil
	}
	fmt.Fprintf(w, "building %s from source, once on this machine: this takes up to some minutes\n", name)
	began := time.Now()
	r.forget()
	pkg := "./" + name
	if name == "helm" {
		pkg = "helm.sh/helm/v3/cmd/helm"
	}
	temp := filepath.Join(r.folder, "."+name)
	args := append([]string{"build", "-o", temp}, r.args...)
	cmd := exec.Command("go", append(args, pkg)...)
	cmd.Dir = r.module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH, "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	fmt.Fprintf(w, "built %s in %.0f s: %s\n", name, time.Since(began).Seconds(), path)
	return nil
}

// flock waits for the lock of a file. Signals interrupt the call.
func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// forget removes the programs of recipes that nobody used for long. What can't be removed stays.
func (r *recipe) forget() {
	cache := filepath.Dir(r.folder)
	entries, err := os.ReadDir(cache)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || !e.IsDir() || e.Name() == filepath.Base(r.folder) {
			continue
		}
		if err == nil && time.Since(info.ModTime()) > unused {
			_ = os.RemoveAll(filepath.Join(cache, e.Name()))
		}
	}
}
