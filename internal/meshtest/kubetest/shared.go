package kubetest

import (
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
)

// shared holds the servers of a test package, by name.
var shared struct {
	mu       sync.Mutex
	dir      string // of Main; empty: Main wasn't called
	servers  map[string]*Server
	failures map[string]error // those that did not start are not tried again
}

// Main runs the tests of a package, ends the servers that they share, and exits. It is all of a TestMain:
//
//	func TestMain(m *testing.M) { kubetest.Main(m) }
//
// A TestMain that does more calls [Run].
func Main(m *testing.M) { os.Exit(Run(m)) }

// Run runs the tests of a package and ends the servers that they share. It returns the exit code. Twice as many tests
// run at a time as elsewhere, unless -parallel says how many: they wait for servers more than they work. Nothing may come
// before it that is not for every process of the test's program: with [Server.InPod] some only become another.
func Run(m *testing.M) int {
	enterRoom()
	roomsWork = true
	dir, err := os.MkdirTemp("", "mesh-kubetest-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	shared.mu.Lock()
	shared.dir, shared.servers, shared.failures = dir, map[string]*Server{}, map[string]error{}
	shared.mu.Unlock()
	defer func() {
		shared.mu.Lock()
		defer shared.mu.Unlock()
		for _, s := range shared.servers {
			s.Close()
		}
	}()
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil { // what the command line says is read later
		panic(err)
	}
	return m.Run()
}

// Shared returns the server that the tests of a package share, which the first to ask starts. Nobody kills it or
// goes back to a snapshot: that is for a server of one's own, see [Start]. The package needs [Main].
func Shared(t testing.TB) *Server {
	t.Helper()
	return SharedAs(t, "kubetest")
}

// SharedAs is [Shared] for tests that need several clusters: one server for each name. The options are those of whoever
// asks first, so all that ask for one name give the same.
func SharedAs(t testing.TB, name string, options ...Option) *Server {
	t.Helper()
	programs := tools(t)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.dir == "" {
		t.Fatal("shared servers need func TestMain(m *testing.M) { kubetest.Main(m) }")
	}
	if err := shared.failures[name]; err != nil {
		t.Fatal(err)
	}
	s := shared.servers[name]
	if s == nil {
		dir := filepath.Join(shared.dir, name)
		err := os.Mkdir(dir, 0o700)
		if err == nil {
			s, err = start(dir, programs, append(options, Name(name)))
		}
		if err != nil {
			shared.failures[name] = err
			t.Fatal(err)
		}
		shared.servers[name] = s
	}
	s.tellOnFailure(t)
	return s
}
