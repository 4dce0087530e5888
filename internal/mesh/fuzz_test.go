package mesh_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"dcp.hiro.io/mesh/internal/mesh"
)

// FuzzNames reads any text as each of the names there are. What is accepted is the one spelling of itself (a hash
// may be written in capitals), can stand in a path, and steers no terminal.
func FuzzNames(f *testing.F) {
	for _, s := range []string{
		"eu", "eu-1", "-", "Deployment.apps/default/web", "ConfigMap/default/app", "Namespace/prod", "ClusterRole.rbac.authorization.k8s.io/system:x",
		"Deployment.apps", "ConfigMap", "ConfigMap.", "A/b/..", "A//b", "A.b.c/d/%41", strings.Repeat("aB", 32), strings.Repeat("z", 64), "A/b\u202e",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if z, err := mesh.ParseZone(s); err == nil && (string(z) != s || len(s) > 63 || strings.ContainsAny(s, "/.\\%") || s != strings.ToLower(s)) {
			t.Errorf("zone %q", s)
		}
		if h, err := mesh.ParseHash(s); err == nil && h.String() != strings.ToLower(s) {
			t.Errorf("hash %q is %s", s, h)
		} else if err != nil && !h.IsZero() {
			t.Errorf("hash %q: %s beside %v", s, h, err)
		}
		if k, err := mesh.ParseKind(s); err == nil && k.String() != s {
			t.Errorf("kind %q is %q", s, k)
		}
		k, err := mesh.ParseObjectKey(s)
		if err != nil {
			if k != (mesh.ObjectKey{}) {
				t.Errorf("object %q: %v beside %v", s, k, err)
			}
			return
		}
		if k.Validate() != nil || !k.Means(k) || k.Compare(k) != 0 {
			t.Errorf("object %q is %+v", s, k)
		}
		if again, err := mesh.ParseObjectKey(k.String()); err != nil || again != k {
			t.Errorf("object %q is written as %q, which is %+v, %v", s, k, again, err)
		}
		for _, part := range []string{k.Group, k.Kind, k.Namespace, k.Name} {
			if len(part) > 253 || part == "." || part == ".." || strings.ContainsAny(part, "/\\%") || !utf8.ValidString(part) {
				t.Errorf("object %q has the part %q", s, part)
			}
			for _, c := range part {
				if c < 0x80 && unicode.IsControl(c) {
					t.Errorf("object %q has the part %q", s, part)
				}
			}
		}
	})
}

// FuzzFrame reads what a node may tell to whoever watches it: what is accepted is written in a form that says the
// same when it is read again.
func FuzzFrame(f *testing.F) {
	for _, s := range []string{
		`{"time":"2026-11-22T14:03:22Z","whole":true,"status":{"zone":"eu"},"peers":{"whole":true,"items":[{"name":"x","state":"Ready"}],"removed":["a"]}}`,
		`{"time":"2026-11-22T14:03:22.5+01:00","topology":{"self":"eu","links":[{"from":"a","to":"b","rttSeconds":1e-3}]},"logs":{"items":[{"height":4294967295}]}}`,
		`{"time":"2026-11-22T14:03:22Z","notices":[{"id":18446744073709551615,"kind":"peer"}],"resources":{"removed":["A/b"]}}`,
		`{"time":null,"status":null,"notices":null}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var frame mesh.Frame
		if json.Unmarshal(b, &frame) != nil {
			return
		}
		once, err := json.Marshal(frame)
		if err != nil {
			return // a time beyond the year 9999
		}
		var again mesh.Frame
		if err := json.Unmarshal(once, &again); err != nil {
			t.Fatalf("%s: %v", once, err)
		}
		if twice, err := json.Marshal(again); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%v\n%s\n%s", err, once, twice)
		}
	})
}
