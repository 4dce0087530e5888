package object_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/object"
)

func parseYAML(t *testing.T, text string, opt object.Options) object.Object {
	t.Helper()
	tree, err := object.DecodeYAML([]byte(text), 1)
	if err != nil {
		t.Fatalf("DecodeYAML: %v", err)
	}
	o, err := object.Parse(tree, opt)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return o
}

func TestParsePayload(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"sorted, no spaces, no HTML escapes", `
kind: ConfigMap
apiVersion: v1
metadata: {name: a, namespace: shop}
data: {z: "<&>", b: "2"}`,
			`{"apiVersion":"v1","data":{"b":"2","z":"<&>"},"kind":"ConfigMap","metadata":{"name":"a","namespace":"shop"}}`},
		{"numbers", `
apiVersion: x.io/v1
kind: Foo
metadata: {name: a, namespace: b}
n: [9007199254740993, 123456789012345678901234567890, -0, 1.0, 1.50, 1e3, 0x10, 0o17, 0777, 1_000, -5, 1e30]`,
			`{"apiVersion":"x.io/v1","kind":"Foo","metadata":{"name":"a","namespace":"b"},"n":[9007199254740993,123456789012345678901234567890,0,1,1.5,1000,16,15,511,1000,-5,1e+30]}`},
		{"server fields, status and tools", `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
  uid: u
  resourceVersion: "5"
  generation: 3
  creationTimestamp: null
  managedFields: []
  ownerReferences: [{kind: X, controller: false}]
  finalizers: [x]
  selfLink: /x
  deletionTimestamp: now
  deletionGracePeriodSeconds: 1
  labels: {app: web, dcp.hiro.io/owner-zone: eu, dcp.hiro.io/owner-version: "4", dcp.hiro.io/owner-epoch: "2", argocd.argoproj.io/instance: x, app.kubernetes.io/managed-by: Helm}
  annotations: {kubectl.kubernetes.io/last-applied-configuration: x, meta.helm.sh/release-name: y, objectset.rio.cattle.io/id: q}
spec: {replicas: 2}
status: {ready: 1}`,
			`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"labels":{"app":"web"},"name":"web","namespace":"shop"},"spec":{"replicas":2}}`},
		{"service", `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], healthCheckNodePort: 1, ports: [{port: 80, nodePort: 30000}]}`,
			`{"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"shop"},"spec":{"ports":[{"port":80}]}}`},
		{"headless service", `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: None, clusterIPs: [None]}`,
			`{"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"shop"},"spec":{"clusterIP":"None"}}`},
		{"job", `
apiVersion: batch/v1
kind: Job
metadata: {name: j, namespace: shop, labels: {job-name: j}}
spec: {selector: {matchLabels: {controller-uid: x}}, template: {metadata: {labels: {controller-uid: x, app: y}}}}`,
			`{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"j","namespace":"shop"},"spec":{"template":{"metadata":{"labels":{"app":"y"}}}}}`},
		{"anchors and merges", `
apiVersion: v1
kind: ConfigMap
metadata: {name: a, namespace: b}
x: &x {p: 1, q: 2}
data: {<<: *x, q: 3}`,
			`{"apiVersion":"v1","data":{"p":1,"q":3},"kind":"ConfigMap","metadata":{"name":"a","namespace":"b"},"x":{"p":1,"q":2}}`},
		{"words that YAML 1.1 took for booleans, and dates", `
apiVersion: v1
kind: ConfigMap
metadata: {name: a, namespace: b}
data: {a: yes, b: 2001-12-14, c: true}`,
			`{"apiVersion":"v1","data":{"a":"yes","b":"2001-12-14","c":true},"kind":"ConfigMap","metadata":{"name":"a","namespace":"b"}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := string(parseYAML(t, tt.in, object.Options{}).Payload); got != tt.want {
				t.Errorf("payload = %s\nwant      %s", got, tt.want)
			}
		})
	}
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   string
		opt  object.Options
		want mesh.ObjectKey
	}{
		{`{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}`, object.Options{Namespace: "default"},
			mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: "a"}},
		{`{apiVersion: v1, kind: Namespace, metadata: {name: a, namespace: x}}`, object.Options{Namespace: "default"},
			mesh.ObjectKey{Kind: "Namespace", Name: "a"}},
		{`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: "system:x"}}`,
			object.Options{Namespace: "default"},
			mesh.ObjectKey{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "system:x"}},
		{`{apiVersion: x.io/v1beta1, kind: Foo, metadata: {name: a}}`, object.Options{},
			mesh.ObjectKey{Group: "x.io", Kind: "Foo", Name: "a"}},
	} {
		o := parseYAML(t, tt.in, tt.opt)
		if o.Key != tt.want {
			t.Errorf("key of %s = %v, want %v", tt.in, o.Key, tt.want)
		}
		again, err := object.ParseJSON(o.Payload, object.Options{})
		if err != nil || again.Key != tt.want {
			t.Errorf("key of the payload of %s = %v (%v), want %v", tt.in, again.Key, err, tt.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 300) + strings.Repeat("]", 300)
	for _, tt := range []struct{ name, in, want string }{
		{"duplicate key", "a: 1\nb: 2\na: 3\n", "line 3: a key stands twice"},
		{"depth", deep, "nested too deeply"},
		{"binary", "a: !!binary aGk=", "tags such as"},
		{"infinity", "a: .inf", "number out of range"},
		{"long integer", "a: " + strings.Repeat("9", 100), "number out of range"},
		{"syntax", "a: 1\nb: [\n", "line 2: not valid YAML"},
		{"unknown anchor", "a: *hunter2", "unknown anchor"},
		{"self alias", "a: &a [*a]", "line 1: "},
		{"not UTF-8", "a: \xff", "not UTF-8"},
		{"no kind", "apiVersion: v1", "kind is missing"},
		{"no name", "{apiVersion: v1, kind: X, metadata: {}}", "metadata.name is missing"},
		{"list", "{apiVersion: v1, kind: ConfigMapList, items: []}", "lists are not read"},
		{"path in name", "{apiVersion: v1, kind: X, metadata: {name: ../../x}}", "object name"},
		{"sequence", "[1]", "not a mapping"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tree, err := object.DecodeYAML([]byte(tt.in), 1)
			if err == nil {
				_, err = object.Parse(tree, object.Options{})
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q in it", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %q quotes content", err)
			}
		})
	}
}

func TestAliasBombIsBounded(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 40; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d]\n", i, i, i-1, i-1, i-1, i-1)
	}
	if _, err := object.DecodeYAML([]byte(b.String()), 1); !errors.Is(err, object.ErrTooLarge) {
		t.Errorf("error = %v, want ErrTooLarge", err)
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	doc := func(n int) string {
		return "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: b}, data: {a: " + strings.Repeat("x", n) + "}}"
	}
	if o := parseYAML(t, doc(1<<20+400<<10), object.Options{}); len(o.Payload) < 1<<20 {
		t.Errorf("payload has %d bytes", len(o.Payload))
	}
	tree, err := object.DecodeYAML([]byte(doc(object.MaxPayload)), 1)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := object.Parse(tree, object.Options{}); !errors.Is(err, object.ErrTooLarge) || o.Key.Name != "a" {
		t.Errorf("Parse = %v, %v, want the key and ErrTooLarge", o.Key, err)
	}
}

func TestExcluded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{`{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: b}}`, ""},
		{`{apiVersion: v1, kind: ConfigMap, metadata: {name: kube-root-ca.crt, namespace: b}}`, object.ExcludedRootCA},
		{`{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: kube-system}}`, object.ExcludedNamespace},
		{`{apiVersion: v1, kind: Namespace, metadata: {name: kube-system}}`, object.ExcludedNamespace},
		{`{apiVersion: v1, kind: Secret, type: Opaque, metadata: {name: a, namespace: b}}`, ""},
		{`{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {name: a, namespace: b}}`, object.ExcludedToken},
		{`{apiVersion: v1, kind: Secret, type: bootstrap.kubernetes.io/token, metadata: {name: a, namespace: b}}`, object.ExcludedToken},
		{`{apiVersion: v1, kind: Secret, type: helm.sh/release.v1, metadata: {name: a, namespace: b}}`, object.ExcludedHelm},
		{`{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: a, namespace: b}}`, object.ExcludedKind},
		{`{apiVersion: dcp.hiro.io/v1, kind: MeshPeer, metadata: {name: a, namespace: b}}`, object.ExcludedKind},
		{`{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: b}}`, object.ExcludedKind},
		{`{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: a, namespace: b, ownerReferences: [{controller: true}]}}`, object.ExcludedControlled},
	} {
		o := parseYAML(t, tt.in, object.Options{})
		if o.Excluded != tt.want {
			t.Errorf("%s: Excluded = %q, want %q", tt.in, o.Excluded, tt.want)
		}
		if tt.want == object.ExcludedControlled {
			continue // cleaning removes the evidence; the publisher decides
		}
		if r, ok := object.Excluded(o.Key, o.Payload); r != tt.want || ok != (tt.want != "") {
			t.Errorf("Excluded(%v) = %q, %v", o.Key, r, ok)
		}
	}
}

func TestIgnorePaths(t *testing.T) {
	t.Parallel()
	o := parseYAML(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: a, namespace: b, annotations: {example.org/x: "1"}}
spec: {replicas: 3, containers: [{name: c, image: d}, {name: e, image: f}]}`,
		object.Options{Ignore: []string{"/spec/replicas", "/metadata/annotations/example.org~1x", "/spec/containers/*/image", "/metadata/name", "/kind", "/nowhere/x", "bad"}})
	want := `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","namespace":"b"},"spec":{"containers":[{"name":"c"},{"name":"e"}]}}`
	if got := string(o.Payload); got != want {
		t.Errorf("payload = %s\nwant      %s", got, want)
	}
}

func TestToYAML(t *testing.T) {
	t.Parallel()
	payload := []byte(`{"apiVersion":"v1","data":{"empty":"","list":"- a\n- b\n","no":"yes","num":"12","tail":"x\n\n","two":"a\n b"},"kind":"ConfigMap","l":[[1,2],[],{},{"a":1,"b":[{"c":null}]},"s\nt"],"metadata":{"name":"a","namespace":"b"},"n":1e+30}`)
	got, err := object.ToYAML(payload, &object.Bookkeeping{Zone: "eu", Version: 7, Epoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	const want = `apiVersion: v1
data:
  empty: ""
  list: |
    - a
    - b
  "no": "yes"
  num: "12"
  tail: |+
    x

  two: |-
    a
     b
kind: ConfigMap
l:
-
  - 1
  - 2
- []
- {}
- a: 1
  b:
  - c: null
- |-
  s
  t
metadata:
  labels:
    dcp.hiro.io/owner-epoch: "1"
    dcp.hiro.io/owner-version: "7"
    dcp.hiro.io/owner-zone: eu
  name: a
  namespace: b
"n": 1.0e+30
`
	if string(got) != want {
		t.Errorf("ToYAML =\n%s\nwant\n%s", got, want)
	}
	o := parseYAML(t, string(got), object.Options{})
	if string(o.Payload) != string(payload) || o.Labelled != "eu" {
		t.Errorf("read back %s labelled %s\nwant      %s", o.Payload, o.Labelled, payload)
	}
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	const file = "%YAML 1.2\n# head\n---\na: |\n  x\n  ---\n---\n# only a comment\n---   # note\nb: 1\n---\nc: 2"
	docs, err := object.Documents([]byte(file), false)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range docs {
		got = append(got, fmt.Sprintf("%d:%q", d.Line, file[d.Start:d.End]))
	}
	want := `[4:"---\na: |\n  x\n  ---\n" 9:"---   # note\nb: 1\n" 12:"---\nc: 2"]`
	if fmt.Sprint(got) != want {
		t.Errorf("documents = %v\nwant        %v", got, want)
	}
	if docs, err := object.Documents([]byte("# a comment\n ---"), false); err != nil || len(docs) != 1 || docs[0].Line != 2 {
		t.Errorf("an indented --- is %v, %v, want a document of line 2: it is text", docs, err)
	}
	for text, line := range map[string]int{"a: 1\n---\nb: [\n": 3, "a: 1\n---\nb: 1\nb: 2\n": 4, "a: 1\n...\nb: 2\n": 2} {
		_, err := object.Documents([]byte(text), false)
		var at *object.LineError
		if !errors.As(err, &at) || at.Line != line {
			t.Errorf("Documents(%q) = %v, want an error at line %d", text, err, line)
		}
	}
}

func TestJSONDocuments(t *testing.T) {
	t.Parallel()
	docs, err := object.Documents([]byte("{\"a\": 1}\n\n{\"b\":\n 2}\nnull\n"), true)
	if err != nil || len(docs) != 2 || docs[1].Line != 3 {
		t.Fatalf("Documents = %v, %v", docs, err)
	}
	for _, text := range []string{"{\"a\": 1}\n{\"b\":\n", "{\"a\":\n1,\"a\":2}", "{\"a\":\n\n\x01}", "{\n}}"} {
		_, err := object.Documents([]byte(text), true)
		var at *object.LineError
		if !errors.As(err, &at) || at.Line < 2 {
			t.Errorf("Documents(%q) = %v, want an error below line 1", text, err)
		}
	}
}

func FuzzDocuments(f *testing.F) {
	f.Add([]byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: \"b\"}\n---\nx: 1\n"), false)
	f.Add([]byte(`{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"ports":[{"port":1.5e3}]}}`), true)
	f.Add([]byte("apiVersion: batch/v1\nkind: Job\nmetadata: {name: j, labels: {job-name: j}}\nspec: &a {selector: 1}\nstatus: *a\n"), false)
	f.Add([]byte("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: x\nspec:\n  finalizers: [a]\nt: |\n  a\n\n   b\n"), false)
	f.Fuzz(func(t *testing.T, file []byte, isJSON bool) {
		docs, err := object.Documents(file, isJSON)
		if err != nil {
			return
		}
		for _, d := range docs {
			if d.Start < 0 || d.End > len(file) || d.Start >= d.End || d.Line < 1 {
				t.Fatalf("document %d-%d at line %d of %d bytes", d.Start, d.End, d.Line, len(file))
			}
			o, err := object.Parse(d.Tree, object.Options{Namespace: "default", Ignore: []string{"/spec/*/x", "/spec/replicas"}})
			if err != nil {
				continue
			}
			checkPayload(t, o)
		}
	})
}

// checkPayload holds every promise of the package about one payload.
func checkPayload(t *testing.T, o object.Object) {
	t.Helper()
	if !json.Valid(o.Payload) {
		t.Fatalf("payload is no JSON: %q", o.Payload)
	}
	again, err := object.ParseJSON(o.Payload, object.Options{Namespace: "default", Ignore: []string{"/spec/*/x", "/spec/replicas"}})
	if err != nil || string(again.Payload) != string(o.Payload) || again.Key != o.Key {
		t.Fatalf("cleaned again: %v\n%q\n%q", err, again.Payload, o.Payload)
	}
	for _, book := range []*object.Bookkeeping{nil, {Zone: "eu", Version: 1, Epoch: 2}} {
		text, err := object.ToYAML(o.Payload, book)
		if err != nil {
			t.Fatal(err)
		}
		docs, err := object.Documents(text, false)
		if err != nil || len(docs) != 1 {
			t.Fatalf("%d documents, %v in\n%s", len(docs), err, text)
		}
		back, err := object.Parse(docs[0].Tree, object.Options{Status: true})
		if err != nil || string(back.Payload) != string(o.Payload) {
			t.Fatalf("%v\nread back %q\nfrom      %q\nby\n%s", err, back.Payload, o.Payload, text)
		}
	}
}

// FuzzText puts arbitrary text where YAML is most easily confused: as key, value and list element.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "yes", "- a", "a: b", "x\n\n", " lead\nx", "\ttab\n", "\u2028", "\ufeff", "~", "<<", "1_0", "0x1", "#", "a\r\nb", "\U0001f600", "---\na"} {
		f.Add(s, s)
	}
	f.Add(strings.Repeat("k", 3000), "v")
	f.Fuzz(func(t *testing.T, k, v string) {
		if len(k)+len(v) > 100_000 {
			return
		}
		root := map[string]any{"apiVersion": "x.io/v1", "kind": "Foo", "metadata": map[string]any{"name": "a", "namespace": "b"},
			"data": map[string]any{k: v, "l": []any{v, map[string]any{k: v}, []any{v}}}}
		o, err := object.Parse(root, object.Options{})
		if err != nil {
			return
		}
		checkPayload(t, o)
	})
}

func BenchmarkParse(b *testing.B) {
	text := []byte("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: b\ndata:\n" + strings.Repeat("  k: v\n", 1))
	b.ReportAllocs()
	for b.Loop() {
		docs, err := object.Documents(text, false)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := object.Parse(docs[0].Tree, object.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
