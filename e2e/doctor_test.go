package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// report is what mesh doctor -o json prints.
type report struct {
	OK      bool
	Node    *string
	Summary struct{ OK, Warn, Fail, Skip int }
	Groups  []struct {
		Name   string
		Checks []struct {
			ID, Status, Message, Docs string
			Cause, Subject            *string
			Next                      []string
		}
	}
}

// of are the outcomes of a check, each STATUS MESSAGE < CAUSE.
func (r report) of(id string) (out []string) {
	for _, g := range r.Groups {
		for _, c := range g.Checks {
			if c.ID != id {
				continue
			}
			s := c.Status + " " + c.Message
			if c.Cause != nil {
				s += " < " + *c.Cause
			}
			out = append(out, s)
		}
	}
	return out
}

// bad are the ids of what warns or fails.
func (r report) bad() (out []string) {
	for _, g := range r.Groups {
		for _, c := range g.Checks {
			if (c.Status == "warn" || c.Status == "fail") && !slices.Contains(out, c.ID) {
				out = append(out, c.ID)
			}
		}
	}
	return out
}

// doctor runs the checks of a node and returns what they found and the exit code. What only this machine decides is left
// out.
func (z *zone) doctor(args ...string) (r report, code int) {
	z.t.Helper()
	cmd := z.command(append([]string{"doctor", "-o", "json", "--skip", "system.udp_buffer,system.disk,system.files"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		z.t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		z.t.Fatalf("%s: mesh doctor %s: %v\n%s%s", z.name, strings.Join(args, " "), err, out.String(), errs.String())
	}
	return r, cmd.ProcessState.ExitCode()
}

// found returns an error unless these are the outcomes of a check.
func (r report) found(id string, want ...string) error {
	got := r.of(id)
	if !slices.Equal(got, want) {
		return fmt.Errorf("%s: %q, want %q", id, got, want)
	}
	return nil
}

// TestDoctor has two nodes that are well say so, and then breaks them in the ways that people do.
func TestDoctor(t *testing.T) {
	t.Parallel()
	all := zones(t, "east west", setMesh("peer_timeout", map[string]any{"peer_unavailable_after_seconds": 4}), set("discovery", map[string]any{"mdns": false}))
	east, west := all[0], all[1]
	startAll(t, east, west)
	eventually(t, "all is well", func() error {
		r, code := east.doctor()
		if code != 0 || !r.OK || len(r.bad()) > 0 || r.Summary.OK < 35 || r.Node == nil {
			return fmt.Errorf("exit code %d: %+v", code, r)
		}
		return errors.Join(
			r.found("network.ports", fmt.Sprintf("ok udp/%d and tcp/%d are bound as configured", east.port, east.port)),
			r.found("network.dial", "ok 1 endpoint answers"),
			r.found("network.quic", "ok 1 endpoint answers by quic"),
			r.found("network.tcp", "ok 1 endpoint answers by tcp"),
			r.found("network.outside", fmt.Sprintf("ok west reaches it at 127.0.0.1:%d", east.port)),
			r.found("peers.reachable", "ok 1 peer is Ready"))
	})
	if out := east.cli("doctor", "--group", "config,replication", "-o", "short"); !strings.HasPrefix(out, "12 ok, 0 warn, 0 fail, 0 skipped in ") {
		t.Errorf("mesh doctor -o short: %s", out)
	}

	// The peer dies.
	must(t, west.kill())
	eventually(t, "east finds that west is gone", func() error {
		r, code := east.doctor()
		got := r.of("peers.reachable")
		if code != 4 || r.OK || len(got) != 1 || !strings.HasPrefix(got[0], "fail west has been unavailable for ") || !strings.Contains(got[0], "the connection was refused") {
			return fmt.Errorf("exit code %d: %q", code, got)
		}
		return r.found("network.dial", fmt.Sprintf("fail west does not answer at 127.0.0.1:%d < the connection was refused: no node listens there", west.port))
	})
	// Without a node it looks from here, and names what it can't know.
	r, code := west.doctor()
	if err := errors.Join(r.found("network.node", fmt.Sprintf("fail no node answers at unix:%s < connection refused; no node listens there", west.socket())),
		r.found("network.ports", fmt.Sprintf("ok udp/%d, tcp/%d and http/%d are free for a node", west.port, west.port, west.http)),
		r.found("network.dial", "ok 1 endpoint answers"), r.found("peers.reachable", "skip needs network.node")); err != nil || code != 4 || r.Node != nil {
		t.Errorf("without a node: exit code %d, %v", code, err)
	}
	if out, err := west.try("doctor", "--group", "peers,replication"); err == nil || err.Error() != "exit status 3" || !strings.Contains(out, "MESH-3001") {
		t.Errorf("nothing can be found out: %v\n%s", err, out)
	}

	// Its port is taken when it comes back, by somebody who isn't a node.
	taken, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", west.port))
	must(t, err)
	r, code = west.doctor("--group", "network")
	if err := r.found("network.ports", fmt.Sprintf("fail tcp/%d cannot be bound < address already in use", west.port)); err != nil || code != 4 {
		t.Errorf("exit code %d, %v", code, err)
	}
	west.args = slices.DeleteFunc(west.args, func(a string) bool { return a == "--strict-port" })
	west.start()
	eventually(t, "west says that it listens elsewhere", func() error {
		r, code := west.doctor("--group", "network")
		got := r.of("network.ports")
		if code != 4 || len(got) != 1 || !strings.Contains(got[0], fmt.Sprintf(" are bound instead of %d < port %d was taken when the node started", west.port, west.port)) {
			return fmt.Errorf("exit code %d: %q", code, got)
		}
		return nil
	})
	must(t, taken.Close())
	west.stop()
	west.start()

	// Others may read the key, and the config was changed since.
	key := filepath.Join(west.dir, "private.key")
	must(t, os.Chmod(key, 0o644))
	west.config["mesh"].(map[string]any)["on_conflict"] = "oldest"
	west.save()
	r, code = west.doctor("--group", "config,key")
	if err := errors.Join(r.found("key.mode", fmt.Sprintf("fail %s is readable by others (mode 0644) < whoever reads it can pose as this node", key)),
		r.found("config.current", "warn the node runs with another configuration than the one that is there now < changed since its start: mesh.on_conflict")); err != nil || code != 4 {
		t.Errorf("exit code %d, %v", code, err)
	}
	must(t, os.Chmod(key, 0o600))
	delete(west.config["mesh"].(map[string]any), "on_conflict")
	west.config["log_level"] = "DEBUG"
	west.save()
	r, code = west.doctor("--group", "config,key")
	if err := errors.Join(r.found("key.mode", fmt.Sprintf("ok %s is closed to others (mode 0600)", key)),
		r.found("config.current", "warn the node has not read the configuration again < changed since: log_level")); err != nil || code != 0 {
		t.Errorf("exit code %d, %v", code, err)
	}
	if _, code = west.doctor("--group", "config", "--fail-on", "warn"); code != 4 {
		t.Errorf("with --fail-on warn: exit code %d, want 4", code)
	}
	west.signal(syscall.SIGHUP)
	eventually(t, "it has read it", func() error {
		r, _ := west.doctor("--group", "config")
		return r.found("config.current", "ok the node runs with the configuration that is there now")
	})
	// A config that cannot be read again is found before the next start fails on it.
	must(t, os.WriteFile(west.configFile(), []byte("mesh: {zone: west}\nbindport: 1\n"), 0o600))
	r, code = west.doctor("--group", "config", "--node", "unix:"+west.socket())
	if got := r.of("config.valid"); code != 4 || len(got) != 1 || !strings.Contains(got[0], `config.yaml:2:1: unknown key "bindport"`) {
		t.Errorf("exit code %d, %q", code, got)
	}
}

// TestDoctorUDPBlocked drops what two machines send each other by UDP: they work over TCP, and are told.
func TestDoctorUDPBlocked(t *testing.T) {
	t.Parallel()
	l, ok := newLAN(t)
	if !ok {
		return
	}
	east, west := l.machine("east"), l.machine("west")
	for _, z := range []*zone{east, west} {
		if out, err := exec.Command("ip", "netns", "exec", z.machine, "iptables", "-A", "INPUT", "-p", "udp", "!", "-i", "lo", "-j", "DROP").CombinedOutput(); err != nil {
			t.Logf("NOT RUN: %s: dropping UDP needs iptables: %v %s", t.Name(), err, out)
			return
		}
	}
	west.joins(east.founds(), "--folder", "folder")
	acquainted(t, east, west)
	eventually(t, "west finds that UDP is blocked", func() error {
		r, code := west.doctor("--group", "network,peers", "--skip", "peers.loss")
		if code != 0 || !slices.Equal(r.bad(), []string{"network.quic"}) {
			return fmt.Errorf("exit code %d, %v: %+v", code, r.bad(), r)
		}
		return errors.Join(
			r.found("network.quic", "warn 10.99.0.1:9102 answers by tcp only < no QUIC reply; UDP 9102 is probably blocked on the way"),
			r.found("network.tcp", "ok 1 endpoint answers by tcp"),
			r.found("network.outside", "ok east reaches it at 10.99.0.2:9102 by tcp only"))
	})
}
