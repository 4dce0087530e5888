package leaktest

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { Main(m) }

// What never ends is found, and what ends late is waited for.
func TestNone(t *testing.T) {
	before := goleak.IgnoreCurrent()
	end := make(chan struct{})
	go lateOrNever(end)
	if err := find(time.Second, before); err == nil || !strings.Contains(err.Error(), "leaktest.lateOrNever") {
		t.Errorf("find = %v, want the goroutine that goes on", err)
	}
	time.AfterFunc(2*time.Second, func() { close(end) }) // goleak itself would not wait for that
	None(t, before)
}

func lateOrNever(end <-chan struct{}) { <-end }
