package node

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
)

// inNamespace is set in the process that has a network of its own.
const inNamespace = "MESH_TEST_IN_NETWORK_NAMESPACE"

// lanSetup makes one Ethernet with three addresses on it, and nothing else.
const lanSetup = `set -e
ip link set lo up
ip link add lan0 type veth peer name lan1
for a in 1 2 3; do ip addr add 10.99.0.$a/24 dev lan0; done
ip link set lan0 up
ip link set lan1 up`

// TestMDNS lets nodes find each other by multicast, in a network namespace of its own: nothing leaves the machine.
func TestMDNS(t *testing.T) {
	if os.Getenv(inNamespace) == "" {
		runInNamespace(t)
		return
	}
	if out, err := exec.Command("sh", "-c", lanSetup).CombinedOutput(); err != nil {
		t.Fatalf("set up the network: %v\n%s", err, out)
	}
	a, b, c := newMember(t, 1), newMember(t, 2), newMember(t, 3)
	a.cfg.Nodes, b.cfg.Nodes = []Peer{b.listed()}, []Peer{a.listed()} // nobody knows where anybody is
	for i, m := range []*member{a, b, c} {
		m.cfg.MDNS, m.cfg.Records = true, false
		m.cfg.BindAddresses = []string{[]string{"10.99.0.1", "10.99.0.2", "10.99.0.3"}[i]}
		m.start()
	}
	until(t, "the members found each other", func() bool { return a.linkedTo(b) && b.linkedTo(a) })
	for _, m := range []*member{a, b} {
		until(t, "the third one is shown as not admitted", func() bool {
			ps, err := m.node.Peers(t.Context())
			i := slices.IndexFunc(ps, func(p mesh.Peer) bool { return p.PublicKey == c.public().String() })
			return err == nil && i >= 0 && ps[i].State == mesh.NotAdmitted && slices.Equal(ps[i].Endpoints, []string{"10.99.0.3:" + port(c)})
		})
		s, err := m.node.Status(t.Context())
		if err != nil || s.Peers.Total != 1 {
			t.Errorf("peers are counted as %+v, %v", s.Peers, err)
		}
	}
	// A node that restarts is found again, and so is one whose address changed.
	b.stop()
	b.start()
	until(t, "it is found again", func() bool { return a.linkedTo(b) && b.linkedTo(a) })
}

func port(m *member) string { return m.endpoint()[len("127.0.0.1:"):] }

// runInNamespace runs the calling test again, in a process with a network of its own.
func runInNamespace(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		t.Logf("NOT RUN: %s: there is no ip command here", t.Name())
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.ENOSYS) {
		t.Logf("NOT RUN: %s: a network of its own needs root with CAP_SYS_ADMIN: %v", t.Name(), err)
		return
	}
	if err != nil {
		t.Errorf("in a network of its own: %v\n%s", err, out)
	}
}

// TestMDNSWithoutNetwork starts where nothing can be multicast: that is said once and stops nothing.
func TestMDNSWithoutNetwork(t *testing.T) {
	if os.Getenv(inNamespace) == "" {
		runInNamespace(t)
		return
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("set up the network: %v\n%s", err, out)
	}
	a := newMember(t, 1)
	a.cfg.MDNS, a.cfg.BindAddresses = true, nil
	a.start()
	until(t, "it says so", func() bool { return strings.Contains(a.log.String(), "no nodes are looked for on the local network") })
	a.write(1, 10)
}
