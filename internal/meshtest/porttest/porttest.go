// Package porttest gives ports to nodes of tests.
package porttest

import (
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
)

// The ports are below those that the system gives out by itself.
const low, count = 20_000, 12_000

var ports struct {
	sync.Mutex
	last int
}

// Free returns a port that is free for UDP and TCP, and nobody else's who asks here until the test ends: also while the
// node that it is for is down, and also for the tests of other processes.
func Free(t testing.TB) int {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	if ports.last == 0 {
		ports.last = os.Getpid() * 37 // processes at the same time begin apart
	}
	for range count {
		ports.last++
		port := low + ports.last%count
		held, err := net.Listen("unix", nameOf(port))
		if err != nil {
			continue
		}
		if !free(port) {
			held.Close()
			continue
		}
		t.Cleanup(func() { held.Close() })
		return port
	}
	t.Fatal("no port is free")
	return 0
}

// nameOf is an abstract socket that stands for a port: it ends with its process, whatever ends that.
func nameOf(port int) string { return fmt.Sprintf("@mesh-test-port-%d", port) }

func free(port int) bool {
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	tcp, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	tcp.Close()
	udp, err := net.ListenPacket("udp", addr)
	if err != nil {
		return false
	}
	udp.Close()
	return true
}
