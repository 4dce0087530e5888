package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
)

// lan is an Ethernet of its own with machines on it: network namespaces around one that is the switch. Nothing that is
// sent there leaves it.
type lan struct {
	t     testing.TB
	name  string
	count int
}

// lans counts them: tests have theirs at the same time.
var lans atomic.Int32

// newLAN returns false, and says so, where namespaces can't be made.
func newLAN(t testing.TB) (*lan, bool) {
	t.Helper()
	l := &lan{t: t, name: fmt.Sprintf("mesh-e2e-%d-%d", os.Getpid(), lans.Add(1))}
	for i, args := range [][]string{{"netns", "add", l.name}, {"-n", l.name, "link", "add", "switch", "type", "bridge"}} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Logf("NOT RUN: %s: machines of their own need root with CAP_SYS_ADMIN, the ip command and bridges: %v %s", t.Name(), err, out)
			return nil, false
		}
		if i == 0 {
			t.Cleanup(func() { l.ip("netns", "del", l.name) })
		}
	}
	l.ip("-n", l.name, "link", "set", "switch", "up")
	return l, true
}

func (l *lan) ip(args ...string) {
	l.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		l.t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// machine adds one whose address ends in the number that it is.
func (l *lan) machine(zone string) *zone {
	l.t.Helper()
	l.count++
	z := newSite(l.t, zone)
	z.env = []string{"MESH_HEARTBEAT_INTERVAL_SECONDS=1"} // every port is its own
	z.machine = fmt.Sprintf("%s-%s", l.name, zone)
	l.ip("netns", "add", z.machine)
	l.t.Cleanup(func() {
		if z.running() {
			must(l.t, z.kill())
		}
		l.ip("netns", "del", z.machine)
	})
	port := fmt.Sprintf("port%d", l.count)
	l.ip("-n", l.name, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", z.machine)
	l.ip("-n", l.name, "link", "set", port, "master", "switch", "up")
	l.ip("-n", z.machine, "link", "set", "lo", "up")
	l.ip("-n", z.machine, "link", "set", "eth0", "up")
	l.ip("-n", z.machine, "addr", "add", l.address(l.count), "dev", "eth0")
	return z
}

func (l *lan) address(n int) string { return fmt.Sprintf("10.99.0.%d/24", n) }

// TestJoinMachines joins machines by two commands: what the commands don't say, the nodes find out.
func TestJoinMachines(t *testing.T) {
	t.Parallel()
	l, ok := newLAN(t)
	if !ok {
		return
	}
	east, west, north := l.machine("east"), l.machine("west"), l.machine("north")
	all := []*zone{east, west, north}
	want := model{}
	say := func(value string, by ...*zone) {
		t.Helper()
		for _, z := range by {
			name := "of-" + z.name
			want.set(z.name, name, value)
			z.write(name+".yaml", manifest(name, value))
		}
		equal(t, want, by...)
	}
	command := east.founds()
	west.joins(command, "--folder", "folder")
	if b := read(t, west.configFile()); !strings.Contains(b, "10.99.0.1:9102") || strings.Contains(b, "127.0.0.1") {
		t.Errorf("west was told to reach east by\n%s", b)
	}
	acquainted(t, east, west)
	say("1", east, west)

	// Somebody who is there and not admitted is shown, with the command that admits.
	north.run("run", "--zone", "north")
	for _, z := range []*zone{east, west} {
		eventually(t, z.name+" shows that north is there", func() error {
			out, err := z.try("peers")
			if err == nil && (!strings.Contains(out, string(mesh.NotAdmitted)) || !strings.Contains(out, "mesh invite --for "+north.public)) {
				err = fmt.Errorf("it shows\n%s", out)
			}
			return err
		})
	}
	north.stop()
	north.run("join", west.token("--for", north.public, "--zone", "north"), "--folder", "folder", "--run")
	acquainted(t, all...)
	say("1", north)
	equal(t, want, all...)

	// A cable is pulled, and comes back.
	l.ip("-n", l.name, "link", "set", "port1", "down")
	for _, z := range []*zone{west, north} {
		eventually(t, z.name+" sees that east is away", func() error {
			p, err := z.peer("east")
			if err == nil && p.State == mesh.Ready {
				err = errors.New("it is ready")
			}
			return err
		})
	}
	want.set("east", "of-east", "2")
	east.write("of-east.yaml", manifest("of-east", "2"))
	for _, z := range []*zone{west, north} {
		z.write("of-"+z.name+".yaml", manifest("of-"+z.name, "2"))
		want.set(z.name, "of-"+z.name, "2")
	}
	apart := model{"east": {"of-east": "1"}, "west": want["west"], "north": want["north"]}
	equal(t, apart, west, north)
	l.ip("-n", l.name, "link", "set", "port1", "up")
	equal(t, want, all...)

	// A machine moves to another address. No config says so.
	l.ip("-n", west.machine, "addr", "del", l.address(2), "dev", "eth0")
	l.ip("-n", west.machine, "addr", "add", l.address(22), "dev", "eth0")
	acquainted(t, all...)
	say("3", all...)
	eventually(t, "east knows where west is", func() error {
		p, err := east.peer("west")
		if err == nil && !strings.Contains(strings.Join(p.Endpoints, " "), "10.99.0.22:9102") {
			err = fmt.Errorf("it thinks of %v", p.Endpoints)
		}
		return err
	})
	must(t, east.kill()) // for good
	west.args, north.args = []string{"run"}, []string{"run"}
	for _, z := range []*zone{north, west} {
		z.stop()
		z.start()
		acquainted(t, west, north)
	}
	say("4", west, north)
	for _, z := range []*zone{west, north} {
		z.verify()
		z.stop()
	}
}
