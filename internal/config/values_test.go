package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/config"
)

func TestValuesNameOriginsAndNoKey(t *testing.T) {
	t.Parallel()
	const secret = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
	file := filepath.Join(t.TempDir(), "config.yaml")
	text := "mesh: {zone: east}\nnetwork_id: " + secret + "\nadvertise: [\"a.example:1\", \"b.example:2\"]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := config.Load(config.Options{Path: file, Environ: []string{"PRIVATE_KEY=" + secret}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]config.Value{}
	for _, v := range c.Values() {
		if strings.Contains(strings.Join(v.Values, " "), secret) {
			t.Errorf("%s shows the key: %q", v.Key, v.Values)
		}
		got[v.Key] = v
	}
	for key, want := range map[string]string{
		"private_key": "PRIVATE_KEY [secret] from environment PRIVATE_KEY",
		"mesh.zone":   "east from file " + file + ":1",
		"network_id":  "[secret] from file " + file + ":2",
		"advertise":   "a.example:1,b.example:2 from file " + file + ":3",
		"bind_port":   "9102 from default",
	} {
		if have := strings.Join(got[key].Values, ",") + " from " + got[key].Origin.String(); have != want {
			t.Errorf("%s is %q, want %q", key, have, want)
		}
	}
}
