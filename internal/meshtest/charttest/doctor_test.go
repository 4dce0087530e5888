package charttest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// helmTest runs the first container of the pod that helm test starts.
func (i *installation) helmTest() (stdout, stderr string, code int) {
	i.t.Helper()
	n := slices.IndexFunc(i.all, func(o object) bool { return o.str("metadata", "annotations", "helm.sh/hook") == "test" })
	if n < 0 {
		i.t.Fatal("the chart has no test")
	}
	pod := i.all[n]
	stdout, stderr, code, _ = i.run(pod, pod.name())
	return stdout, stderr, code
}

// helm test tells whether an installation can work, and what keeps it from working; mesh doctor inside the pod tells the
// rest.
func TestHelmTest(t *testing.T) {
	t.Parallel()
	east, west := clusters(t)
	ns := places(t, east, west, "shop")
	uses := []use{{kind: configMapKind, ns: ns + "-shop", receives: true, publishes: true}}
	o := newOther(t, west, ns, bothWays(uses))
	i, ok := install(t, east, ns, strings.NewReplacer("NS", ns, "PEER", encode(t, o.entry())).Replace(`
replicaCount: 2
persistence: {enabled: false}
mesh:
  zone: east
  nodes: [PEER]
  resources:
    - {version: v1, kind: ConfigMap, namespaces: [NS-shop]}
`))
	if !ok {
		return
	}
	says := func(out string, words ...string) error {
		for _, w := range words {
			if !regexp.MustCompile(`(?m)` + w).MatchString(out) {
				return fmt.Errorf("%s is not in\n%s", w, out)
			}
		}
		return nil
	}
	// Nothing runs yet: the other node doesn't answer, and nobody leads.
	out, errs, code := i.helmTest()
	if err := says(out, `^  ok    /etc/mesh/config.yaml is valid$`, `^  ok    /run/mesh/key/private.key holds the key `, `^  FAIL  west does not answer at 127.0.0.1:`,
		`^  ok    the API server of .* answers: v1\.`, `^  ok    MeshPeers are served`, `^  ok    the kind of the one entry is served$`,
		`^  ok    mesh may do all that it has to: [0-9]+ rights$`, `^  warn  no process leads zone east$`); err != nil || code != 4 {
		t.Errorf("before anything runs: exit code %d, %v\n%s", code, err, errs)
	}
	o.knows(i)
	o.start()
	i.startPod("one")
	eventually(t, "all is well", func() error {
		out, errs, code := i.helmTest()
		if err := says(out, `^  ok    1 endpoint answers$`, `^  ok    .* leads zone east$`, ` 0 warn, 0 fail, `); err != nil || code != 0 {
			return fmt.Errorf("exit code %d, %v\n%s", code, err, errs)
		}
		return nil
	})
	eventually(t, "the node finds nothing wrong either", func() error {
		out, errs, code := i.exec("one", "doctor", "--skip", "system.udp_buffer,system.files,system.disk")
		if err := says(out, `^  ok    a node of zone east answers: `, `^  ok    mesh may do all that it has to: `, `^  ok    this process leads its zone$`, `^  ok    1 peer is Ready$`, ` 0 warn, 0 fail, `); err != nil || code != 0 {
			return fmt.Errorf("exit code %d, %v\n%s", code, err, errs)
		}
		return nil
	})

	// A right is taken away: its verb, resource and namespace are named, by both.
	role := ns + "-shop"
	east.Kubectl(t, "-n", role, "patch", "role", i.deployment().name()+"-resources", "--type=json", "-p",
		`[{"op":"replace","path":"/rules/0/verbs","value":["get","list","watch","create","delete"]}]`)
	want := `^  FAIL  mesh may not patch configmaps in namespace ` + role + `$`
	eventually(t, "helm test names the right", func() error {
		out, errs, code := i.helmTest()
		if err := says(out, want); err != nil || code != 4 {
			return fmt.Errorf("exit code %d, %v\n%s", code, err, errs)
		}
		return nil
	})
	if out, errs, code := i.exec("one", "doctor", "--group", "kubernetes", "-o", "short"); code != 4 || says(out, want) != nil {
		t.Errorf("the node: exit code %d\n%s%s", code, out, errs)
	}
	i.pods["one"].stop(t)
}
