package config_test

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/config"
)

// FuzzEnvironment reads variables as a process is given them, one per line: nothing panics, what is wrong names its
// variable, a key that stands in one is never repeated, and the last of a name counts.
func FuzzEnvironment(f *testing.F) {
	for _, s := range []string{
		"MESH_BIND_PORT=1\nMESH_MESH__ZONE=eu\nMESH_NODES=[{public_key: \"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\"}]",
		"MESH_MESH__RESOURCES=[{kind: Secret, version: v1}]\nMESH_LOG_LEVEL=mesh=DEBUG\nMESH_NETWRK_ID=x",
		"PRIVATE_KEY=SECRETSEED\nMESH_SERVICE_HOST=x\nMESH_PORT_3000_TCP=y\nMESH_CONFIG=\nMESH_NODE=z\n=\nMESH_=1\nMESH_GOSSIP=maybe",
		"MESH_HEARTBEAT_INTERVAL_SECONDS=1e400\nMESH_BIND_ADDRESS=[&a 1, *a]\nMESH_BIND_ADDRESS={\nMESH_BIND_ADDRESS=[\"::\"]",
	} {
		f.Add(s, "")
	}
	f.Add("MESH_MESH__ZONE=a", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a@a.example:1")
	f.Fuzz(func(t *testing.T, lines, peer string) {
		env := strings.Split(lines, "\n")
		for _, v := range env {
			if strings.HasPrefix(v, "MESH_CONFIG=") && len(v) > len("MESH_CONFIG=") {
				return // it names a file
			}
		}
		cfg, warnings, err := loadText(t, "", config.Options{Environ: env, Peers: []string{peer}})
		for _, w := range warnings {
			if strings.ContainsAny(string(w), "\x1b\n") || len(w) > 64<<10 {
				t.Fatalf("it warns %q", w)
			}
		}
		if err != nil {
			var all *config.Error
			if !errors.As(err, &all) || len(all.Problems) == 0 {
				t.Fatalf("Load = %v, not a list of problems", err)
			}
			if strings.ContainsAny(err.Error(), "\x1b") || strings.Contains(err.Error(), "SECRETSEED") && !strings.Contains(strings.ReplaceAll(lines, "PRIVATE_KEY=SECRETSEED", "")+peer, "SECRETSEED") {
				t.Fatalf("it says %q", err)
			}
			return
		}
		again, _, err := loadText(t, "", config.Options{Environ: append([]string{"MESH_BIND_PORT=x", "NOTHING"}, append(env, "MESH_BIND_PORT=7")...), Peers: []string{peer}})
		if err != nil || again.BindPort != 7 {
			t.Fatalf("with one more variable it is %v", err)
		}
		for _, n := range cfg.Nodes {
			for _, e := range n.Endpoints {
				if back, err := config.ParseEndpoint(e.String(), config.DefaultPort); err != nil || back != e {
					t.Fatalf("endpoint %+v is written as %s, which is %+v, %v", e, e, back, err)
				}
			}
		}
	})
}

// FuzzEndpoint reads HOST:PORT and KEY@HOST:PORT. What is accepted is written in the one spelling that reads the same, and
// stands for one host that can be dialled from elsewhere.
func FuzzEndpoint(f *testing.F) {
	const key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
	for _, s := range []string{"a.example:1", "A.Example.", "[2001:db8::1]:9102", "[::ffff:192.0.2.1]:1", "192.0.2.1", "::1", "[::1", "[::]:1", "224.0.0.1:1", "fe80::1%eth0",
		"[fe80::1%eth0]:1", "http://a:1", "a:0", "a:65536", "10.1", "a..b", "-a", "_a._b:1", "[1.2.3.4]:1", "0x7f.1:1"} {
		f.Add(s)
		f.Add(key + "@" + s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := config.ParsePeer(s); err == nil {
			if len(n.Endpoints) != 1 || n.Key.IsZero() || !strings.HasPrefix(strings.ToLower(s), n.Key.String()+"@") {
				t.Fatalf("peer %q is %+v", s, n)
			}
			s = s[len(key)+1:]
		} else if !strings.HasPrefix(err.Error(), `"`) && strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Fatalf("peer %q: %v", s, err)
		}
		e, err := config.ParseEndpoint(s, 9102)
		if err != nil {
			if e != (config.Endpoint{}) || strings.ContainsAny(err.Error(), "\x1b\n") {
				t.Fatalf("%q: %+v beside %v", s, e, err)
			}
			return
		}
		if again, err := config.ParseEndpoint(e.String(), 1); err != nil || again != e || e.Port == 0 || e.Host != strings.ToLower(e.Host) {
			t.Fatalf("%q is %+v, written %s, read %+v, %v", s, e, e, again, err)
		}
		if host, _, err := net.SplitHostPort(e.String()); err != nil || host != e.Host || len(host) > 253 {
			t.Fatalf("%q is %s, %v", s, e, err)
		}
		if ip, ok := e.Addr(); ok && (ip.IsUnspecified() || ip.IsMulticast() || ip.Zone() != "" || ip.Is4In6() || ip.String() != e.Host) {
			t.Fatalf("%q is %s", s, e)
		} else if _, err := netip.ParseAddr(e.Host); !ok && (err == nil || strings.ContainsAny(e.Host, ":/[]@% ")) {
			t.Fatalf("%q is the name %q", s, e.Host)
		}
	})
}
