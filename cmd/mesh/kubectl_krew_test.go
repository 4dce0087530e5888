package main

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestKrewManifest fills in the manifest of the plugin and reads it as krew does.
func TestKrewManifest(t *testing.T) {
	t.Parallel()
	platforms := []string{"linux_amd64.tar.gz", "linux_arm64.tar.gz", "darwin_amd64.tar.gz", "darwin_arm64.tar.gz", "windows_amd64.zip", "windows_arm64.zip"}
	var sums strings.Builder
	for i, p := range platforms {
		fmt.Fprintf(&sums, "%064x  mesh_v0.4.0_%s\n", i, p)
	}
	render := func(version, sums string) (string, error) {
		cmd := exec.Command("../../packaging/krew/render.sh", version, "https://example.org/mesh", "https://example.org/get/v0.4.0")
		cmd.Stdin = strings.NewReader(sums)
		out, err := cmd.Output()
		return string(out), err
	}
	text, err := render("v0.4.0", sums.String())
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		APIVersion, Kind string
		Metadata         struct{ Name string }
		Spec             struct {
			Version, Homepage, ShortDescription, Description, Caveats string
			Platforms                                                 []struct {
				Selector         struct{ MatchLabels map[string]string }
				URI, SHA256, Bin string
				Files            []map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(lowerKeys(text)), &m); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	s := m.Spec
	if m.APIVersion != "krew.googlecontainertools.github.com/v1alpha2" || m.Kind != "Plugin" || m.Metadata.Name != "mesh" || s.Version != "v0.4.0" ||
		s.Homepage != "https://example.org/mesh" || len(s.ShortDescription) == 0 || len(s.ShortDescription) > 50 || s.Description == "" || len(s.Platforms) != len(platforms) {
		t.Fatalf("the manifest is %+v", m)
	}
	for i, p := range s.Platforms {
		l := p.Selector.MatchLabels
		bin := "kubectl-mesh"
		if l["os"] == "windows" {
			bin += ".exe"
		}
		if !strings.HasPrefix(platforms[i], l["os"]+"_"+l["arch"]+".") || p.URI != "https://example.org/get/v0.4.0/mesh_v0.4.0_"+platforms[i] ||
			p.SHA256 != fmt.Sprintf("%064x", i) || p.Bin != bin || len(p.Files) != 2 || p.Files[0]["from"] != bin {
			t.Errorf("%s: %+v", platforms[i], p)
		}
	}
	if strings.Contains(text, "@") {
		t.Errorf("something is not filled in:\n%s", text)
	}
	for _, bad := range [][2]string{{"0.4", sums.String()}, {"v0.4.0", strings.Replace(sums.String(), "linux_arm64", "plan9", 1)}, {"v0.5.0", sums.String()}} {
		if out, err := render(bad[0], bad[1]); err == nil {
			t.Errorf("with %q it prints\n%s", bad, out)
		}
	}
}

// lowerKeys writes the keys as the decoder wants them for fields without tags.
func lowerKeys(text string) string {
	return strings.NewReplacer("apiVersion:", "apiversion:", "shortDescription:", "shortdescription:", "matchLabels:", "matchlabels:").Replace(text)
}
