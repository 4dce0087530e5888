package e2e_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// TestKubeSecretsStaySecret replicates a Secret at the lowest log level, lets two zones disagree about it and a cluster
// refuse it: its content is in the clusters, and nowhere that people or machines read about the node.
func TestKubeSecretsStaySecret(t *testing.T) {
	t.Parallel()
	const plainly, refused = "correct-horse-battery", "staple-of-the-refused-one"
	all := sharedZones(t, "east west")
	east, west := all[0], all[1]
	for _, z := range all {
		z.config["log_level"] = "TRACE"
		z.replicates(entry{"version": "v1", "kind": "Secret", "namespaces": []string{z.ns}}, configMaps(z.ns))
	}
	startAll(t, plain(all)...)
	secret := func(name, value string) map[string]any {
		return map[string]any{"metadata": map[string]any{"name": name}, "stringData": map[string]any{"password": value}}
	}
	west.signal(syscall.SIGSTOP)
	east.must(http.MethodPost, east.secrets(), secret("s", plainly))
	west.must(http.MethodPost, west.secrets(), secret("s", plainly+"-of-west"))
	west.signal(syscall.SIGCONT)
	for _, z := range all {
		eventually(t, "the conflict shows at "+z.name, func() error {
			s, err := z.status()
			if err == nil && s.Resources.Contested != 1 {
				err = fmt.Errorf("%d contested", s.Resources.Contested)
			}
			return err
		})
	}
	// A field that can't be changed once it is set is one that the other cluster refuses to follow.
	fixed := secret("fixed", refused)
	fixed["immutable"] = true
	east.must(http.MethodPost, east.secrets(), fixed)
	west.becomes("it arrives", west.secrets()+"/fixed", func(o object) bool { return decode(t, o.Data["password"]) == refused })
	west.signal(syscall.SIGSTOP)
	east.must(http.MethodDelete, east.secrets()+"/fixed", nil)
	fixed["stringData"] = map[string]any{"password": refused + "-again"}
	east.must(http.MethodPost, east.secrets(), fixed)
	west.signal(syscall.SIGCONT)
	must(t, east.create("after", "1"))
	west.becomes("what came later arrives", west.at("after"), func(o object) bool { return o.Data["value"] == "1" })

	for _, z := range all {
		seen := map[string]string{}
		for _, args := range []string{"status", "status -o json", "peers", "log ls", "log show", "log show east", "log show east -o json", "log verify",
			"adopt --dry-run Secret/" + z.ns + "/s"} {
			seen["mesh "+args] = z.cli(strings.Fields(args)...)
		}
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", z.http))
		must(t, err)
		metrics, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		must(t, err)
		seen["metrics"] = string(metrics)
		for _, what := range []string{"events.events.k8s.io", "meshpeers", "leases"} {
			seen[what] = z.server.Kubectl(t, "get", what, "-n", z.ns, "-o", "yaml")
		}
		z.stop()
		seen["the log"] = read(t, z.logFile(z.runs))
		for where, text := range seen {
			for _, s := range []string{plainly, refused} {
				if strings.Contains(text, s) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(s))[:20]) {
					t.Errorf("%s: %s holds %q", z.name, where, s)
				}
			}
		}
	}
}
