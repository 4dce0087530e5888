package e2e_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random stories; 0 draws one")

// builds is where the program under test goes; empty: it was not built.
var builds string

func TestMain(m *testing.M) {
	code := kubetest.Run(m)
	if builds != "" {
		os.RemoveAll(builds)
	}
	os.Exit(code)
}

// program builds the program, once, and returns its path.
var program = sync.OnceValues(func() (string, error) {
	if err := consult("../cmd", "../internal", "../go.mod"); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "mesh-e2e-")
	if err != nil {
		return "", err
	}
	builds = dir
	binary := filepath.Join(builds, "mesh")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "../cmd/mesh").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return binary, nil
})

// consult looks at every source of the program: go test reuses an earlier result while nothing changed that the
// tests themselves looked at, and it does not see what the compiler reads.
func consult(roots ...string) error {
	for _, root := range roots {
		err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(p, "_test.go") || filepath.Ext(p) != ".go" && filepath.Ext(p) != ".mod" {
				return err
			}
			_, err = os.Stat(p)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// random returns a source for one test and prints the command that repeats it.
func random(t *testing.T) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("again: go test ./e2e -run '^%s$' -seed %d", t.Name(), seed)
	return rand.New(rand.NewPCG(seed, 1))
}

const (
	// patience is far beyond what anything here takes on a machine that does much else.
	patience = 2 * time.Minute
	pollTick = 20 * time.Millisecond
)

// eventually asks again and again until what is asked holds, and fails with the last answer.
func eventually(t testing.TB, what string, ask func() error) {
	t.Helper()
	if err := wait(patience, ask); err != nil {
		t.Fatalf("%s: not within %s: %v", what, patience, err)
	}
}

func wait(limit time.Duration, ask func() error) error {
	deadline := time.Now().Add(limit)
	for {
		began := time.Now()
		err := ask()
		if err == nil || errors.Is(err, errOver) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(max(pollTick, time.Since(began))) // whoever is asked has other things to do
	}
}

// errOver says that asking again is of no use.
var errOver = errors.New("this cannot come true any more")
