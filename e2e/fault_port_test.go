package e2e_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

// TestPortTaken takes one half of a node's port, UDP or TCP: with --strict-port it ends and says so. Without it takes
// another one, whole, and says which. When the port is free again the next start has it.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			z := newZone(t, "east")
			at := fmt.Sprintf("127.0.0.1:%d", z.port)
			var release func() error
			if network == "udp" {
				c, err := net.ListenPacket("udp", at)
				must(t, err)
				release = c.Close
			} else {
				l, err := net.Listen("tcp", at)
				must(t, err)
				release = l.Close
			}
			defer release() // twice does no harm
			must(t, z.begin())
			if code, out := z.exit(), z.printed(); code != 1 || !strings.Contains(out, "MESH-1403") {
				t.Errorf("it ended with %d and\n%s", code, out)
			}
			strict := z.args
			z.args = []string{"run", "-c", z.configFile()}
			z.start()
			s, err := z.status()
			must(t, err)
			if out := strings.Join(s.Listen, " "); strings.Contains(out, fmt.Sprint(z.port)) || !strings.Contains(out, "udp/") || !strings.Contains(out, "tcp/") {
				t.Errorf("it listens on %s", out)
			}
			if !strings.Contains(z.printed(), "the port is taken") {
				t.Errorf("the log says nothing of it:\n%s", z.printed())
			}
			z.stop()
			must(t, release())
			z.args = strict
			z.start()
			z.stop()
		})
	}
}
