package folder

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/object"
	"dcp.hiro.io/mesh/internal/replica"
)

// FuzzRemoveDocument takes any object of any file away: all others must stay what they were.
func FuzzRemoveDocument(f *testing.F) {
	f.Add([]byte(cm("a", "1")+"---\n"+cm("b", "2")+"---\n# note\n"+cm("c", "3")), uint(1), false)
	f.Add([]byte("%YAML 1.2\n---\n"+cm("a", "1")+"...\n---\n"+cm("a", "1")+"--- # x\n"+cm("b", "1")), uint(0), false)
	f.Add([]byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"}}`), uint(1), true)
	f.Fuzz(func(t *testing.T, data []byte, pick uint, isJSON bool) {
		p := "local/f.yaml"
		if isJSON {
			p = "local/f.json"
		}
		before := readManifests(p, data)
		if before.state != fileGood || len(before.docs) == 0 {
			return
		}
		victim := before.docs[pick%uint(len(before.docs))]
		if victim.tooLarge {
			return
		}
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "local"), 0o755); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, filepath.FromSlash(p))
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		d, err := openDisk(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer d.close()
		folder, err := New(Config{Dir: dir, Zone: "eu", Reader: &claims{}})
		if err != nil {
			t.Fatal(err)
		}
		folder.local.set(p, &localFile{docs: before.docs, known: true})
		err = folder.removeLocal(d, replica.Write{Kind: replica.RemoveLocal, Object: victim.key, Expect: victim.content})
		if err == errAltered {
			return // it stood there twice, differently
		}
		if err != nil {
			t.Fatal(err)
		}
		after := reading{}
		if rest, err := os.ReadFile(file); err == nil {
			if after = readManifests(p, rest); after.state != fileGood {
				t.Fatalf("%q became %q: %+v", data, rest, after.problems)
			}
		}
		want := map[mesh.ObjectKey]mesh.Hash{}
		for _, d := range before.docs {
			if d.key != victim.key {
				want[d.key] = d.content
			}
		}
		if len(after.docs) != len(want) {
			t.Fatalf("%d objects left of %d", len(after.docs), len(before.docs))
		}
		for _, d := range after.docs {
			if want[d.key] != d.content {
				t.Fatalf("%v changed", d.key)
			}
		}
	})
}

// FuzzWitness reads a witness file that anybody may have written: it has one spelling, but for white space around it.
func FuzzWitness(f *testing.F) {
	good := `{"cluster":"` + mesh.Sum([]byte("c")).String() + `","counter":7}`
	for _, s := range []string{good, good + "\n", good + good, strings.Replace(good, "7", "07", 1), strings.Replace(good, `,"counter":7`, "", 1),
		strings.ToUpper(good), strings.Replace(good, "7", "7,\"counter\":8", 1), `{"cluster":null}`, "", "null", "[]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := parseWitness(b)
		if err != nil {
			if w != (event.Witness{}) {
				t.Fatalf("%+v beside %v", w, err)
			}
			return
		}
		want := fmt.Sprintf(`{"cluster":%q,"counter":%d}`, w.Cluster, w.Counter)
		if string(bytes.TrimSpace(b)) != want || w.Cluster.IsZero() {
			t.Fatalf("%q was taken for %s", b, want)
		}
	})
}

// FuzzLayout holds that an object has one place, in its zone's folder or among the user's, which no other object has; that
// the place can be told from the path; and that every part of it is a name on any file system.
func FuzzLayout(f *testing.F) {
	f.Add("eu", "Deployment.apps/default/web", "Deployment.apps/default/web2")
	f.Add("eu", "ClusterRole.rbac.authorization.k8s.io/system:admin", "ClusterRole.rbac.authorization.k8s.io/system%3aadmin")
	f.Add("mesh", "ConfigMap/a/"+strings.Repeat("A", 253), "ConfigMap/a/"+strings.Repeat("A", 252)+"B")
	f.Add("eu", "Namespace/_cluster", "ConfigMap/cluster/.hidden")
	f.Add("eu", "ConfigMap/a/b.", "configMap/a/b.")
	f.Add("eu", "Deployment.apps/default/web", "Deploymentapps/default/web")
	f.Add("eu", "ConfigMap/a/b%", "ConfigMap/a/b%25")
	f.Fuzz(func(t *testing.T, zone, first, second string) {
		z, err := mesh.ParseZone(zone)
		if err != nil {
			return
		}
		var places []string
		var objects []mesh.ObjectKey
		for _, s := range []string{first, second} {
			k, err := mesh.ParseObjectKey(s)
			if err != nil {
				return
			}
			p := replicaPath(z, k)
			if got, ok := zoneOf(p); !ok || got != z {
				t.Fatalf("%s of %s stands at %s, which is of zone %q", k, z, p, got)
			}
			for _, at := range []string{p, adoptedPath(k)} {
				if !filepath.IsLocal(at) || path.Clean(at) != at || !isManifest(path.Base(at)) || isJSON(at) {
					t.Fatalf("%s stands at %q", k, at)
				}
				for _, part := range strings.Split(at, "/") {
					if len(part) > 255 || strings.HasPrefix(part, ".") || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789-_.%") != "" {
						t.Fatalf("%s stands at %q", k, at)
					}
				}
			}
			if !under(localDir, adoptedPath(k)) || under(localDir, p) {
				t.Fatalf("%s stands at %q and %q", k, p, adoptedPath(k))
			}
			k.Kind = strings.ToLower(k.Kind) // an API server tells kinds apart by their plural, which is in lower case
			places, objects = append(places, p), append(objects, k)
		}
		if (places[0] == places[1]) != (objects[0] == objects[1]) {
			t.Fatalf("%s stands at %s, %s at %s", objects[0], places[0], objects[1], places[1])
		}
	})
}

// FuzzReplica reads a file below mesh/ that anybody may have edited. It is taken for a replica only where its own object
// stands, and what is read back is what was written.
func FuzzReplica(f *testing.F) {
	k := mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: "a"}
	o, err := object.ParseJSON([]byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"default"},"data":{"k":"v"}}`), object.Options{Status: true})
	if err != nil {
		f.Fatal(err)
	}
	text, err := object.ToYAML(o.Payload, &object.Bookkeeping{Zone: "eu", Version: 1, Epoch: 1})
	if err != nil {
		f.Fatal(err)
	}
	at := replicaPath("eu", k)
	f.Add(at, text)
	f.Add(strings.Replace(at, "eu", "us", 1), text)
	f.Add("mesh/eu/default/configmap/b.yaml", text)
	f.Add("mesh/../local/x", text)
	f.Add(at, append(text, "---\na: b\n"...))
	f.Fuzz(func(t *testing.T, p string, data []byte) {
		o, content, err := readReplica(p, data)
		if content.IsZero() {
			t.Fatal("no hash at all")
		}
		if err != nil {
			return
		}
		zone, ok := zoneOf(p)
		if !ok || replicaPath(zone, o.Key) != p {
			t.Fatalf("%s at %s", o.Key, p)
		}
		if o.Labelled != zone && content == o.Content() {
			t.Fatalf("a copy labelled %q counts as the replica of %s", o.Labelled, zone)
		}
		again, err := object.ToYAML(o.Payload, &object.Bookkeeping{Zone: zone, Version: 1, Epoch: 1})
		if err != nil {
			t.Fatal(err)
		}
		back, content, err := readReplica(p, again)
		if err != nil || back.Key != o.Key || content != o.Content() {
			t.Fatalf("%q is written as %q, which is %s, %v", data, again, back.Key, err)
		}
	})
}

// FuzzManifests reads a file among the user's own: either all of it counts or nothing, each object stands there once, and
// a problem names the file and a line in it.
func FuzzManifests(f *testing.F) {
	f.Add([]byte(cm("a", "1")+"---\n"+cm("a", "2")+"---\n"+cm("b", "1")), false)
	f.Add([]byte(cm("a", "1")+"---\nkind: [\n"), false)
	f.Add([]byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}} 7`), true)
	f.Add([]byte("# nothing\n"), false)
	f.Fuzz(func(t *testing.T, data []byte, isJSON bool) {
		p := "local/f.yaml"
		if isJSON {
			p = "local/f.json"
		}
		r := readManifests(p, data)
		if r.state != fileGood && len(r.docs)+len(r.payloads) > 0 || r.state == fileGood && len(r.docs) == 0 || r.state != fileGood && len(r.problems) == 0 {
			t.Fatalf("state %d with %d objects and %d problems", r.state, len(r.docs), len(r.problems))
		}
		lines := 1 + bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r")) +
			bytes.Count(data, []byte("\u0085")) + bytes.Count(data, []byte("\u2028")) + bytes.Count(data, []byte("\u2029")) // YAML has more than one end of a line
		seen := map[mesh.ObjectKey]bool{}
		for _, d := range r.docs {
			if seen[d.key] || d.key.Validate() != nil || d.line < 1 || d.line > lines {
				t.Fatalf("%+v", d)
			}
			seen[d.key] = true
			if !d.tooLarge && mesh.Sum(r.payloads[d.key]) != d.content {
				t.Fatalf("the content of %s is another one", d.key)
			}
		}
		for _, x := range r.problems {
			if x.File != p || x.Reason == "" || x.Line < 0 || x.Line > lines {
				t.Fatalf("%+v", x)
			}
		}
	})
}
