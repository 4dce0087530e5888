package e2e_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestScope gives one node entries for one kind and namespace: nothing else is written into its folder or leaves
// it, whatever the others publish.
func TestScope(t *testing.T) {
	t.Parallel()
	all := zones(t, "east west")
	east, west := all[0], all[1]
	west.config["mesh"].(map[string]any)["resources"] = []map[string]any{{"version": "v1", "kind": "ConfigMap", "namespaces": []string{"shop"}}}
	west.save()
	inShop := func(name string) string {
		return strings.Replace(manifest(name, "1"), "metadata:\n", "metadata:\n  namespace: shop\n", 1)
	}
	east.write("other-namespace.yaml", manifest("other-namespace", "1"))
	east.write("other-kind.yaml", strings.Replace(inShop("other-kind"), "ConfigMap", "Widget", 1))
	west.write("own-other-namespace.yaml", manifest("own-other-namespace", "1"))
	startAll(t, all...)
	east.write("matches.yaml", inShop("matches"))
	west.write("own-matches.yaml", inShop("own-matches"))
	for _, z := range all {
		owner, name := "east", "matches"
		if z == east {
			owner, name = "west", "own-matches"
		}
		eventually(t, name+" arrives", func() error {
			_, err := os.Stat(filepath.Join(z.folder, "mesh", owner, "shop", "configmap", name+".yaml"))
			return err
		})
		// What was published before it would be there by now.
		if got, err := names(filepath.Join(z.folder, "mesh")); err != nil || len(got) != 1 {
			t.Errorf("%s has %v, %v, want only %s", z.name, got, err, name)
		}
	}
}

// TestSecretsStaySecret replicates a Secret at the lowest log level, lets two zones disagree about it and breaks
// its file: its content is in the folders, and nowhere that people or machines read about the node.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	all := zones(t, "east west", set("log_level", "TRACE"))
	const plain, broken = "correct-horse-battery", "staple-of-the-broken-file"
	secret := func(value string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData:\n  password: %s\n", value)
	}
	startAll(t, all...)
	all[0].write("s.yaml", secret(plain))
	eventually(t, "the secret arrives", func() error {
		b, err := os.ReadFile(filepath.Join(all[1].folder, "mesh", "east", "default", "secret", "s.yaml"))
		if err == nil && !bytes.Contains(b, []byte(plain)) {
			err = errors.New("without its content")
		}
		return err
	})
	all[1].write("s.yaml", secret(plain+"-of-west"))
	eventually(t, "the conflict shows", func() error {
		s, err := all[0].status()
		if err == nil && s.Resources.Contested != 1 {
			err = fmt.Errorf("%d contested", s.Resources.Contested)
		}
		return err
	})
	all[0].write("broken.yaml", secret("\""+broken))
	all[0].problem("broken.yaml:")
	for _, z := range all {
		seen := map[string]string{}
		for _, args := range []string{"status", "status -o json", "peers", "log ls", "log show", "log show east", "log show east -o json", "log verify", "adopt --dry-run Secret/default/s"} {
			seen["mesh "+args] = z.cli(strings.Fields(args)...)
		}
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", z.http))
		must(t, err)
		metrics, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		must(t, err)
		seen["metrics"] = string(metrics)
		z.stop()
		seen["the log"] = read(t, z.logFile(z.runs))
		for where, text := range seen {
			for _, s := range []string{plain, broken} {
				if strings.Contains(text, s) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(s))) {
					t.Errorf("%s: %s holds %q", z.name, where, s)
				}
			}
		}
	}
}
