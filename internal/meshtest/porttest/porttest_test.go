package porttest

import (
	"fmt"
	"io"
	"net"
	"testing"
)

// TestFree takes the next port in each way in which somebody may have it: each time another one is given.
func TestFree(t *testing.T) {
	next := func() int { return low + (ports.last+1)%count }
	Free(t)
	for name, take := range map[string]func(port int) (io.Closer, error){
		"promised": func(port int) (io.Closer, error) { return net.Listen("unix", nameOf(port)) },
		"TCP": func(port int) (io.Closer, error) {
			return net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		},
		"UDP": func(port int) (io.Closer, error) {
			return net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port))
		},
	} {
		t.Run(name, func(t *testing.T) {
			taken, err := take(next())
			for range count {
				if err == nil {
					break
				}
				ports.last++ // somebody has it already
				taken, err = take(next())
			}
			if err != nil {
				t.Fatal(err)
			}
			defer taken.Close()
			port := next()
			if got := Free(t); got == port {
				t.Errorf("%d is given, which is taken", got)
			}
		})
	}
	var port int
	t.Run("held", func(t *testing.T) {
		port = Free(t)
		if l, err := net.Listen("unix", nameOf(port)); err == nil {
			l.Close()
			t.Errorf("%d is not held", port)
		}
	})
	l, err := net.Listen("unix", nameOf(port))
	if err != nil {
		t.Fatalf("%d is still held after its test: %v", port, err)
	}
	l.Close()
}
