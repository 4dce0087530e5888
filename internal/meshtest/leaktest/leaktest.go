// Package leaktest finds goroutines that outlive the tests that started them. Transports, QUIC and HTTP connections end
// in their own time after they were closed: they are given more of it than goleak gives by itself, which is less than
// half a second.
package leaktest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long what ends by itself may take on a machine that does much else. Only what never ends takes so
// long.
const patience = 30 * time.Second

// Main runs the tests of a package and ends the program; it fails when something goes on that they started.
func Main(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := find(patience); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// None fails the test when something goes on, but for what the options leave out.
func None(t testing.TB, options ...goleak.Option) {
	t.Helper()
	if err := find(patience, options...); err != nil {
		t.Error(err)
	}
}

// find looks, again and again, until nothing goes on or the time is over.
func find(within time.Duration, options ...goleak.Option) error {
	for deadline := time.Now().Add(within); ; {
		err := goleak.Find(options...)
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}
