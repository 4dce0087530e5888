package e2e_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

var (
	seedFlag = flag.Uint64("seed", 0, "seed of the random stories; 0 draws one")
	binary   string // the program under test, built once
)

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "mesh-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "mesh")
	code := 1
	if out, err := exec.Command("go", "build", "-o", binary, "../cmd/mesh").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
	} else {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
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
