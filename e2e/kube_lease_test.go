package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestKubeLease runs two processes for one zone: one works, the other stands by and takes over when the first is killed
// or stops. What happens in the cluster meanwhile is made up for, and nothing comes back.
func TestKubeLease(t *testing.T) {
	t.Parallel()
	all := sharedZones(t, "east west")
	first, west := all[0], all[1]
	second := first.twin()
	west.config["nodes"] = []map[string]any{{"public_key": first.public, "zone": "east",
		"endpoints": []string{fmt.Sprintf("127.0.0.1:%d", first.port), fmt.Sprintf("127.0.0.1:%d", second.port)}}}
	west.save()
	startAll(t, first.zone, west.zone)
	want := fill(t, several, first, west)
	second.start()
	second.standsBy()

	must(t, first.kill())
	failOver := func(how string, to *kubeZone, n int) {
		t.Helper()
		began := time.Now()
		value := "during " + how
		change(t, want, to, 0, 2, value)
		change(t, want, to, n, n+2, "")
		change(t, want, to, several+n, several+n+2, value)
		change(t, want, west, n, n+2, "")
		change(t, want, west, 0, 2, value)
		eventually(t, "the other takes over", func() error {
			s, err := to.status()
			if err == nil && (s.LeaseHeld == nil || !*s.LeaseHeld) {
				err = fmt.Errorf("its lease is %+v", s.Lease)
			}
			return err
		})
		took := time.Since(began)
		alike(t, want, to, west)
		t.Logf("%s: the lease has another holder after %.1f s, all is made up for after %.1f s", how, took.Seconds(), time.Since(began).Seconds())
		sameClaims(t, to, west)
		to.verify()
	}
	failOver("the first is killed", second, 2)
	first.start()
	first.standsBy()
	second.stop()
	failOver("the second stops", first, 4)
	second.start()
	second.standsBy()
	must(t, first.kill())
	failOver("the first is killed again", second, 6)
	flows(t, want, second, west)
}

// twin makes another process of a zone: the same key and cluster, a store of its own.
func (z *kubeZone) twin() *kubeZone {
	twin := &kubeZone{zone: newZone(z.t, z.name), ns: z.ns}
	twin.public = z.public
	for _, key := range []string{"private_key_path", "nodes", "mesh"} {
		twin.config[key] = z.config[key]
	}
	twin.in(z.server)
	return twin
}

// standsBy waits until a process says that another one leads.
func (z *kubeZone) standsBy() {
	z.t.Helper()
	eventually(z.t, "a process of "+z.name+" stands by", func() error {
		s, err := z.status()
		if err == nil && (s.Lease == nil || s.Lease.State != "Standby" || s.Lease.Holder == "" || !s.Ready) {
			err = fmt.Errorf("ready %t, lease %+v", s.Ready, s.Lease)
		}
		return err
	})
	if out := z.cli("status"); !strings.Contains(out, "standby") {
		z.t.Errorf("status says\n%s", out)
	}
	for _, probe := range []string{"readyz", "livez"} {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/%s", z.http, probe))
		must(z.t, err)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			z.t.Errorf("/%s answers %s", probe, resp.Status)
		}
	}
}
