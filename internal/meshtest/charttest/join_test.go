package charttest

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The chart with the token of an invitation in a Secret: its pod joins the node that made it, knows it from then on
// without the Secret, and needs no right for that beyond those of any node. The MeshPeer of the inviter is nobody's
// admission.
func TestJoinsWithAToken(t *testing.T) {
	t.Parallel()
	east, west := clusters(t)
	ns := places(t, east, west, "shop")
	uses := []use{{kind: configMapKind, ns: ns + "-shop", receives: true, publishes: true}}
	o := newOther(t, west, ns, bothWays(uses))
	o.config["mesh"].(map[string]any)["bootstrap"] = true
	o.start()
	var token string
	eventually(t, "west invites", func() error {
		out, errs, code := o.cli("invite", "-c", o.at("config.yaml"), "-q", "--zone", "east", "--endpoint", fmt.Sprintf("127.0.0.1:%d", o.port))
		if code != 0 {
			return fmt.Errorf("exit code %d: %s", code, errs)
		}
		token = out
		return nil
	})
	file := write(t, "token", token)
	east.Kubectl(t, "-n", ns, "create", "secret", "generic", "invitation", "--from-file=west="+file)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	i, ok := install(t, east, ns, strings.ReplaceAll(`
mesh:
  zone: east
  resources:
    - {version: v1, kind: ConfigMap, namespaces: [NS-shop]}
join: {existingSecret: invitation, key: west}
`, "NS", ns))
	if !ok {
		return
	}
	i.startPod("one")
	healthy(t, i, "one")
	works(t, i, "one", o, uses)
	stopped(t, i, "one")
	if text := i.pods["one"].said(t); strings.Contains(text, strings.TrimSpace(token)) {
		t.Error("the log holds the token")
	}

	// Without the Secret, which is optional.
	east.Kubectl(t, "-n", ns, "delete", "secret", "invitation")
	i.startPod("two")
	healthy(t, i, "two")
	configMapKind.create(t, west, ns+"-shop", "later", "1")
	configMapKind.comes(t, east, ns+"-shop", "later", "1")
	if out := i.server.Kubectl(t, "-n", ns, "get", "meshpeers", "-o", "jsonpath={.items[*].spec.admitted}"); strings.Contains(out, "true") {
		t.Errorf("a MeshPeer admits by itself: %s", out)
	}
	stopped(t, i, "two")
	i.wantsNoMore(t)
}
