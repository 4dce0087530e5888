package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// newContainer makes a node as a pod has it: its key is mounted, and so is a token. Nothing else tells it who it is.
func newContainer(t testing.TB, name string) *zone {
	z := newSite(t, name)
	z.cli("keygen", "-q", "mounted.key")
	z.args = []string{"run", "-k", "mounted.key", "--join-file", "mounted.token"}
	return z
}

func (z *zone) mount(token string) {
	z.t.Helper()
	must(z.t, os.WriteFile(filepath.Join(z.dir, "mounted.token"), []byte(token+"\n"), 0o400))
}

// unmount takes the token away; it need not be there.
func (z *zone) unmount() {
	z.t.Helper()
	if err := os.Remove(filepath.Join(z.dir, "mounted.token")); !errors.Is(err, os.ErrNotExist) {
		must(z.t, err)
	}
}

// probe returns what a probe of the node answers.
func (z *zone) probe(path string) (status int) {
	z.t.Helper()
	eventually(z.t, z.name+" answers probes", func() error {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", z.http, path))
		if err == nil {
			resp.Body.Close()
			status = resp.StatusCode
		}
		return err
	})
	return status
}

// TestJoinFile lets containers join by themselves. What they learned is in their stores: the token is of no interest
// afterwards.
func TestJoinFile(t *testing.T) {
	t.Parallel()
	east := newSite(t, "east", "MESH_NETWORK_ID=lab")
	east.founds()
	east.args = []string{"run", "--zone", "east"}
	west, north := newContainer(t, "west"), newContainer(t, "north")
	west.mount(east.token("--zone", "west"))
	east.stop()

	// The inviter may be away. That is no reason to be killed, and none to be sent traffic.
	must(t, west.begin())
	west.logs("mesh.join", "not joined yet", "refused")
	if live, ready := west.probe("/livez"), west.probe("/readyz"); live != http.StatusOK || ready != http.StatusServiceUnavailable {
		t.Errorf("before it is admitted it answers %d and %d to probes", live, ready)
	}
	east.start()
	west.logs("mesh.join", `"joined"`)
	want := model{}
	say := func(z *zone, value string) {
		t.Helper()
		want.set(z.name, "of-"+z.name, value)
		z.write("of-"+z.name+".yaml", manifest("of-"+z.name, value))
	}
	say(east, "1")
	say(west, "1")
	equal(t, want, east, west)
	if got := west.probe("/readyz"); got != http.StatusOK {
		t.Errorf("a member answers %d to /readyz", got)
	}

	// A second container joins through the first, and knows both.
	north.mount(west.token("--zone", "north"))
	north.start()
	acquainted(t, east, west, north)
	say(north, "1")
	equal(t, want, east, west, north)

	expired := east.token("--ttl", "1s")
	for i, mount := range []func(*zone){
		func(*zone) {}, // used
		func(z *zone) { z.unmount(); z.mount(expired) },
		(*zone).unmount,
		func(z *zone) { z.mount("meshinv1_nonsense") },
	} {
		for _, z := range []*zone{west, north} {
			z.stop()
			mount(z)
		}
		east.stop() // nobody needs the inviter
		west.start()
		north.start()
		acquainted(t, west, north)
		east.start()
		for _, z := range []*zone{east, west, north} {
			say(z, fmt.Sprint("restart ", i))
		}
		equal(t, want, east, west, north)
	}
	for _, z := range []*zone{east, west, north} {
		z.verify()
		z.stop()
	}
}

// TestJoinFileRefused ends with the refusal: a container that is started again and again says what is wrong.
func TestJoinFileRefused(t *testing.T) {
	t.Parallel()
	east := newSite(t, "east")
	east.founds()
	west := newContainer(t, "west")
	revoked := east.token("--zone", "west")
	east.cli("invite", "revoke", idOf(t, revoked))
	for _, refusal := range []struct {
		token string
		code  int
		words []string
	}{
		{revoked, 6, []string{"was revoked", "MESH-6503"}},
		{revoked[:40], 6, []string{"the token is cut off or mistyped", "MESH-6504"}},
		{"", 6, []string{"MESH-6504"}},
	} {
		west.unmount()
		west.mount(refusal.token)
		west.refused(refusal.code, refusal.words, west.args...)
	}
	west.unmount()
	west.refused(2, []string{"cannot read the token in mounted.token", "MESH-2501"}, west.args...)
	west.mount(east.token("--zone", "west"))
	west.refused(6, []string{"is for zone west", "mesh.zone names zone south", "MESH-6513"}, append(west.args, "--zone", "south")...)
	west.start()
	acquainted(t, east, west)
}

// TestJoinedStoreLost takes away the data directory of a node that joined: with its config, or its token, it comes back
// by itself.
func TestJoinedStoreLost(t *testing.T) {
	t.Parallel()
	all := joined(t, "east west")
	east, west := all[0], all[1]
	north := newContainer(t, "north")
	north.mount(east.token("--zone", "north"))
	north.start()
	all = append(all, north)
	acquainted(t, all...)
	want := model{}
	for _, z := range all {
		for n := range several {
			name := fmt.Sprintf("%s-%d", z.name, n)
			want.set(z.name, name, "1")
			z.write(name+".yaml", manifest(name, "1"))
		}
	}
	equal(t, want, all...)
	for _, z := range []*zone{west, north} {
		z.stop()
		must(t, os.RemoveAll(z.data))
		z.remove(z.name + "-3.yaml")
		delete(want[z.name], z.name+"-3")
		z.start()
		acquainted(t, all...)
		name := z.name + "-0"
		want.set(z.name, name, "again")
		z.write(name+".yaml", manifest(name, "again"))
		equal(t, want, all...)
	}
	for _, z := range all {
		z.verify()
	}
}
