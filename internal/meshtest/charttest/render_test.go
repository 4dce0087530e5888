package charttest

import (
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestLint(t *testing.T) {
	t.Parallel()
	for name, file := range values(t) {
		out, errs, err := helm(t, "lint", "--strict", chart, "-n", namespace, "--kube-version", kubeVersion, "-f", file)
		if err != nil || strings.Contains(out, "[WARNING]") || strings.Contains(out, "[ERROR]") {
			t.Errorf("%s: %v\n%s%s", name, err, out, errs)
		}
	}
}

// definition finds the spec of the MeshPeer definition. It stays out of the golden files, as TestRenderedCRD compares
// it: else each of them would change with it.
var definition = regexp.MustCompile(`(?s)(\n# Source: mesh-controller/templates/crd-meshpeers\.yaml\n.*?\n)spec:\n.*?(\n---\n)`)

func TestRendered(t *testing.T) {
	t.Parallel()
	for name, file := range values(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := render(t, "-f", file)
			golden(t, name+".yaml", definition.ReplaceAllString(out, "${1}spec: (that of files/meshpeers.yaml)$2"))
			for _, o := range objects(t, out) {
				if got := o.str("metadata", "labels", "app.kubernetes.io/part-of"); got != "mesh" {
					t.Errorf("%s %s: label app.kubernetes.io/part-of is %q, want mesh", o.kind(), o.name(), got)
				}
			}
		})
	}
}

// A Service must find the pods of the Deployment and no other: those of hooks have the same release.
func TestServicesFindNodesOnly(t *testing.T) {
	t.Parallel()
	for name, file := range values(t) {
		all := objects(t, render(t, "-f", file))
		for _, s := range all {
			if s.kind() != "Service" {
				continue
			}
			selector, _ := s.at("spec", "selector").(map[string]any)
			delete(selector, "mesh.dcp.hiro.io/active") // the node sets it on its pod
			for _, o := range all {
				labels, _ := o.at("spec", "template", "metadata", "labels").(map[string]any)
				if o.kind() == "Pod" {
					labels, _ = o.at("metadata", "labels").(map[string]any)
				}
				if labels == nil {
					continue
				}
				matches := true
				for k, v := range selector {
					matches = matches && labels[k] == v
				}
				if want := o.kind() == "Deployment"; matches != want {
					t.Errorf("%s: Service %s selects the pod of %s %s: %t, want %t", name, s.name(), o.kind(), o.name(), matches, want)
				}
			}
		}
	}
}

// The rendered definition is the file that the binary prints, plus what the release adds to its metadata.
func TestRenderedCRD(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(chart + "/files/meshpeers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := objects(t, string(text))[0]
	for keep, policy := range map[string]string{"true": "keep", "false": ""} {
		got := only(t, objects(t, render(t, "--set", "crds.keep="+keep)), "CustomResourceDefinition", "meshpeers.dcp.hiro.io")
		if !reflect.DeepEqual(got["spec"], want["spec"]) || got["apiVersion"] != want["apiVersion"] {
			t.Error("the rendered definition is not that of files/meshpeers.yaml")
		}
		annotations, _ := want.at("metadata", "annotations").(map[string]any)
		for k, v := range annotations {
			if got.str("metadata", "annotations", k) != v {
				t.Errorf("the rendered definition has lost its annotation %s", k)
			}
		}
		if got := got.str("metadata", "annotations", "helm.sh/resource-policy"); got != policy {
			t.Errorf("crds.keep=%s: resource policy %q, want %q", keep, got, policy)
		}
	}
	for _, o := range objects(t, render(t, "--set", "crds.enabled=false")) {
		if o.kind() == "CustomResourceDefinition" {
			t.Error("the definition is rendered although crds.enabled is off")
		}
	}
}

const someKey = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ set, want string }{
		{"replicaCount=2", "replicaCount 2 needs persistence.enabled: false"},
		{"replicaCount=2,persistence.enabled=false,configuration.kubernetes.namespace=other", "needs configuration.kubernetes.namespace to be that of the release"},
		{"privateKey.existingSecret=a,privateKey.value=" + someKey, "two sources for the private key, privateKey.existingSecret and privateKey.value"},
		{"privateKey.existingSecret=a,secretKey=" + someKey, "two sources for the private key, privateKey.existingSecret and secretKey"},
		{"secretKey=" + someKey + ",privateKey.value=" + someKey, "privateKey.value and secretKey both give a private key"},
		{"privateKey.generate=false", "there is no private key"},
		{"rbac.create=false", "privateKey.generate needs rbac.create"},
		{"mesh.zone=a,configuration.mesh.zone=b", `mesh.zone is "a" and configuration.mesh.zone is "b"`},
		{"configuration.data_dir=store", "the volume needs an absolute path"},
		{"configuration.bind_port=0", "a Service needs a fixed one"},
		{"configuration.http_bind_port=0", "need a fixed one"},
		{"join.existingSecret=a", "join.existingSecret needs mesh.zone"},
		{"join.existingSecret=a,mesh.zone=a,configuration.join.token_file=/t", "both name a token"},
		{"extraObjects[0]=- x", "an entry that is no object"},
		// the schema's
		{"nothing=1", "nothing"},
		{"mesh.zones=a", "zones"},
		{"join.token=a", "token"},
		{"mesh.nodes[0].allow.kinds[0]=ConfigMap", "kinds"},
		{"mesh.zone=A", "pattern"},
		{"configuration.bindport=1", "bindport"},
		{"privateKey.value=" + someKey[1:], "privateKey.value is no private key"},
		{"secretKey=" + someKey + "00", "secretKey is no private key"},
		{"mesh.resources[0].kind=X", "version"},
		{"mesh.resources[0].kind=X,mesh.resources[0].version=v1,mesh.resources[0].direction=in", "direction"},
		{"service.p2p.port=0", "port"},
		{"services.grpc=1", "grpc"},
	} {
		_, errs, err := helm(t, templateArgs([]string{"--set", tt.set})...)
		if err == nil || !strings.Contains(errs, tt.want) {
			t.Errorf("--set %s: got %v, %q, want an error with %q", tt.set, err, errs, tt.want)
		}
		if strings.Contains(errs, someKey[1:]) {
			t.Errorf("--set %s: the error holds the private key", tt.set)
		}
	}
}

// The schema is closed wherever it lists names, and describes every one.
func TestSchema(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(chart + "/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	schema := object{}
	if err := json.Unmarshal(text, (*map[string]any)(&schema)); err != nil {
		t.Fatal(err)
	}
	var walk func(path string, s object)
	walk = func(path string, s object) {
		if s.str("description") == "" {
			t.Errorf("%s has no description", path)
		}
		if items, ok := s["items"].(map[string]any); ok {
			walk(path+"[]", items)
		}
		props, ok := s["properties"].(map[string]any)
		if !ok {
			return
		}
		// configuration.mesh is the node's to judge, as every part of the config that decides nothing here
		if path != "configuration.mesh" && s["additionalProperties"] != false {
			t.Errorf("%s is not closed", path)
		}
		for name, p := range props {
			walk(strings.TrimPrefix(path+"."+name, "."), p.(map[string]any))
		}
	}
	walk("", schema)

	// Every value of values.yaml is in the schema, and every default there is one of values.yaml.
	text, err = os.ReadFile(chart + "/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var defaults map[string]any
	if err := yaml.Unmarshal(text, &defaults); err != nil {
		t.Fatal(err)
	}
	original := []string{"dashboards", "global", "instrument", "livenessProbe", "readinessProbe", "secretKey", "serviceMonitorEnabled", "services"}
	have := slices.Sorted(maps.Keys(schema.at("properties").(map[string]any)))
	want := slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(defaults)), original...)))
	if !slices.Equal(have, want) {
		t.Errorf("the schema has\n%v, values.yaml and the original chart\n%v", have, want)
	}
}

// configuration is the node's config: the schema knows its keys, and the keys of an entry.
func TestSchemaKnowsTheConfig(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	var top, entry []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		name, _, _ := strings.Cut(m[1], ".")
		if name, _, _ = strings.Cut(name, "[]"); !slices.Contains(top, name) {
			top = append(top, name)
		}
		if name, ok := strings.CutPrefix(m[1], "mesh.resources[]."); ok {
			entry = append(entry, name)
		}
	}
	text, err := os.ReadFile(chart + "/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	schema := object{}
	if err := json.Unmarshal(text, (*map[string]any)(&schema)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path string
		at   any
		want []string
	}{
		{"configuration", schema.at("properties", "configuration", "properties"), top},
		{"mesh.resources[]", schema.at("properties", "mesh", "properties", "resources", "items", "properties"), entry},
		{"configuration.mesh.resources[]", schema.at("properties", "configuration", "properties", "mesh", "properties", "resources", "items", "properties"), entry},
	} {
		have := slices.Sorted(maps.Keys(tt.at.(map[string]any)))
		slices.Sort(tt.want)
		if len(have) == 0 || !slices.Equal(have, tt.want) {
			t.Errorf("%s: the schema has\n%v, docs/configuration.md\n%v", tt.path, have, tt.want)
		}
	}
}
