package main

import (
	"encoding/hex"
	"slices"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
)

// TestRunKubernetes is TestRun with a real API server: the context kubetest of $KUBECONFIG. A script has it for
// itself, kubectl as $KUBECTL, and
//
//	apiserver kill|start        as kill -9 does; start returns when it is ready
func TestRunKubernetes(t *testing.T) {
	t.Parallel()
	p := runParams("testdata/kubernetes")
	p.Setup = func(env *testscript.Env) error {
		setupRun(env)
		s := kubetest.Start(t)
		env.Defer(s.Close) // before the other scripts end
		env.Values["server"] = s
		env.Setenv("KUBECTL", kubetest.Tool(t, "kubectl"))
		env.Setenv("KUBECONFIG", s.Kubeconfig(t))
		return nil
	}
	p.Cmds["apiserver"] = func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 1 {
			ts.Fatalf("usage: apiserver kill|start")
		}
		s := ts.Value("server").(*kubetest.Server)
		if args[0] == "kill" {
			s.KillAPIServer(t)
			return
		}
		s.StartAPIServer(t)
	}
	testscript.Run(t, p)
}

// Entries that the configuration has found a problem with are not watched, the others as they are written.
func TestKubeEntries(t *testing.T) {
	t.Parallel()
	cfg := &config.Config{Mesh: config.Mesh{Resources: []config.Resource{
		{Version: "v1", Kind: "ConfigMap", Plural: "configmaps", Namespaces: []string{"shop"}, Selector: "a=b", Direction: config.Both, Status: true,
			Ignore: []string{"/data/x"}, Recreate: true, IncludeControlled: true, CreateNamespaces: true},
		{Group: "apps", Version: "v1", Kind: "Deployment", Direction: config.Publish},
		{Version: "v1", Kind: "Service", Direction: config.Subscribe},
		{Version: "v1", Kind: "Pod", Direction: config.Both, Problem: "every cluster makes its own"},
	}}}
	got := kubeEntries(cfg)
	want := kube.Entry{Version: "v1", Kind: "ConfigMap", Plural: "configmaps", Namespaces: []string{"shop"}, Selector: "a=b", Publish: true, Apply: true,
		Status: true, Ignore: []string{"/data/x"}, Recreate: true, IncludeControlled: true, CreateNamespaces: true}
	if len(got) != 3 {
		t.Fatalf("%d entries, want 3: %+v", len(got), got)
	}
	if !slices.Equal(got[0].Namespaces, want.Namespaces) || !slices.Equal(got[0].Ignore, want.Ignore) {
		t.Errorf("entry %+v, want %+v", got[0], want)
	}
	got[0].Namespaces, got[0].Ignore, want.Namespaces, want.Ignore = nil, nil, nil, nil
	if g := got[0]; g.Kind != want.Kind || g.Plural != want.Plural || g.Selector != want.Selector || !g.Publish || !g.Apply || !g.Status || !g.Recreate ||
		!g.IncludeControlled || !g.CreateNamespaces {
		t.Errorf("entry %+v, want %+v", g, want)
	}
	if d, s := got[1], got[2]; d.Group != "apps" || !d.Publish || d.Apply || s.Publish || !s.Apply {
		t.Errorf("directions: %+v, %+v", d, s)
	}
}

// The node's own key is recognised in whatever form a Secret may hold it, and no other is.
func TestHoldsKey(t *testing.T) {
	t.Parallel()
	own, other := seedKey(1), seedKey(2)
	holds := holdsKey(own.Public())
	raw, err := hex.DecodeString(own.Hex())
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		text []byte
		want bool
	}{
		"hex":       {[]byte(own.Hex() + "\n"), true},
		"the bytes": {raw, false}, // no form of a key file
		"other key": {[]byte(other.Hex()), false},
		"public":    {[]byte(own.Public().String()), false},
		"nothing":   {nil, false},
		"long":      {make([]byte, 1<<20), false},
	} {
		if got := holds(tt.text); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
