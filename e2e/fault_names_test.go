package e2e_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"dcp.hiro.io/mesh/internal/mesh"
)

// resolver is the DNS server of a machine. What it answers can be changed at any time.
type resolver struct {
	mu      sync.Mutex
	address [4]byte       // of every name; 0.0.0.0: there is no such name
	silent  bool          // it answers nothing
	delay   time.Duration // of each answer
}

func (r *resolver) set(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// serve answers until the socket is closed and every answer under way was given.
func (r *resolver) serve(conn net.PacketConn) {
	var answers sync.WaitGroup
	defer answers.Wait()
	buf := make([]byte, 1<<10)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		var q dnsmessage.Message
		if q.Unpack(buf[:n]) != nil || len(q.Questions) != 1 {
			continue
		}
		r.mu.Lock()
		address, silent, delay := r.address, r.silent, r.delay
		r.mu.Unlock()
		if silent {
			continue
		}
		a := dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true, Authoritative: true}, Questions: q.Questions}
		switch {
		case address == [4]byte{}:
			a.RCode = dnsmessage.RCodeNameError
		case q.Questions[0].Type == dnsmessage.TypeA:
			a.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Questions[0].Name, Class: dnsmessage.ClassINET},
				Body:   &dnsmessage.AResource{A: address},
			}}
		}
		packet, err := a.Pack()
		if err != nil {
			continue
		}
		answers.Go(func() {
			time.Sleep(delay)
			_, _ = conn.WriteTo(packet, from) // whoever doesn't get it asks again
		})
	}
}

// newMachine makes a network namespace in which names are resolved by a server of its own. Where that can't be it says
// so and returns false.
func newMachine(t testing.TB) (name string, r *resolver, ok bool) {
	t.Helper()
	name = fmt.Sprintf("mesh-e2e-dns-%d", os.Getpid())
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Logf("NOT RUN: %s: a network of its own needs root with CAP_SYS_ADMIN and the ip command: %v %s", t.Name(), err, out)
		return "", nil, false
	}
	t.Cleanup(func() { must(t, exec.Command("ip", "netns", "del", name).Run()) })
	must(t, exec.Command("ip", "-n", name, "link", "set", "lo", "up").Run())
	etc := filepath.Join("/etc/netns", name) // what ip netns exec puts in place of files in /etc
	must(t, os.MkdirAll(etc, 0o755))
	t.Cleanup(func() { os.RemoveAll(etc) })
	must(t, os.WriteFile(filepath.Join(etc, "resolv.conf"), []byte("nameserver 127.0.0.1\noptions timeout:1 attempts:2\n"), 0o644))

	var conn net.PacketConn
	var err error
	opened := make(chan struct{})
	go func() {
		defer close(opened)
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine, and nobody else is moved
		var ns int
		if ns, err = unix.Open("/var/run/netns/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			return
		}
		defer unix.Close(ns)
		if err = unix.Setns(ns, unix.CLONE_NEWNET); err == nil {
			conn, err = net.ListenPacket("udp", "127.0.0.1:53")
		}
	}()
	<-opened
	must(t, err)
	r = &resolver{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.serve(conn)
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return name, r, true
}

// TestNamesFail has a node know another one by a name only, and lets the name fail in every way: nobody answers, there
// is no such name, the answer is slow, it leads elsewhere later. The node runs all the time, says what is wrong with the
// name, and is connected soon after it leads to the other one.
func TestNamesFail(t *testing.T) {
	t.Parallel()
	machine, dns, ok := newMachine(t)
	if !ok {
		return
	}
	dns.set(func() { dns.silent = true })
	east, west := newZone(t, "east"), newZone(t, "west")
	want := model{}
	for _, z := range []*zone{east, west} {
		z.machine = machine
		z.config["discovery"] = map[string]any{"records": false, "mdns": false} // nothing but the name leads there
	}
	endpoint := fmt.Sprintf("east.mesh.test:%d", east.port)
	east.config["nodes"] = []map[string]any{{"public_key": west.public, "zone": "west"}}
	west.config["nodes"] = []map[string]any{{"public_key": east.public, "zone": "east", "endpoints": []string{endpoint}}}
	east.config["bind_address"] = []string{"127.0.0.1"}
	for _, z := range []*zone{east, west} {
		z.save()
		must(t, z.begin())
	}
	ready := func() error {
		p, err := west.peer("east")
		if err == nil && p.State != mesh.Ready {
			err = fmt.Errorf("east is %s: %s", p.State, p.LastError)
		}
		return err
	}
	tells := func(word string) func() error {
		return func() error {
			out, err := west.try("peers", "describe", "east")
			if err == nil && (!strings.Contains(out, endpoint) || !strings.Contains(out, word)) {
				err = errors.New(out)
			}
			return err
		}
	}
	connects := func(what string) {
		t.Helper()
		// The longest pause between two dials is 15 s, a name is waited for 5 s; the rest is for a busy machine.
		const soon = 20*time.Second + 20*time.Second
		began := time.Now()
		eventually(t, what, ready)
		if took := time.Since(began); took > soon {
			t.Errorf("%s: after %s, want at most %s", what, took, soon)
		} else {
			t.Logf("%s: after %.1f s", what, took.Seconds())
		}
		value := what
		for _, z := range []*zone{east, west} {
			want.set(z.name, z.name, value)
			z.write(z.name+".yaml", manifest(z.name, value))
		}
		equal(t, want, east, west)
	}

	eventually(t, "west says that nobody resolves the name", tells("cannot be resolved"))
	dns.set(func() { dns.silent = false })
	eventually(t, "west says that there is no such name", tells("has no address"))
	if out, _ := west.try("doctor", "--group", "network"); !strings.Contains(out, "east.mesh.test") {
		t.Errorf("doctor doesn't name it:\n%s", out)
	}
	dns.set(func() { dns.address, dns.delay = [4]byte{127, 0, 0, 1}, 500*time.Millisecond })
	connects("the name resolves, slowly")

	east.stop()
	east.config["bind_address"] = []string{"127.0.0.2"}
	east.save()
	must(t, east.begin())
	dns.set(func() { dns.address, dns.delay = [4]byte{127, 0, 0, 2}, 0 })
	connects("the name leads elsewhere")

	// A resolver that is gone again disturbs no link that stands.
	dns.set(func() { dns.silent = true })
	want.set("east", "east", "by the old link")
	east.write("east.yaml", manifest("east", "by the old link"))
	equal(t, want, east, west)
	eventually(t, "east is Ready for west", ready) // a probe may be late
}
