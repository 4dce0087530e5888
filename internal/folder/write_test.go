package folder

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

const rPath = "mesh/us/shop/configmap/r.yaml"

func TestPutAndRemoveReplica(t *testing.T) {
	t.Parallel()
	b := newFolder(t).started()
	w := b.claim(replica.PutReplica, "r", "us", "1", 7)
	b.f.Apply([]replica.Write{w})
	if o := b.written(w); o.Err != "" {
		t.Fatalf("Written = %+v", o)
	}
	const want = `# Managed by mesh: a replica of zone us. Changes made here are put back.
apiVersion: v1
data:
  v: "1"
kind: ConfigMap
metadata:
  labels:
    dcp.hiro.io/owner-epoch: "1"
    dcp.hiro.io/owner-version: "7"
    dcp.hiro.io/owner-zone: us
  name: r
  namespace: shop
`
	if got := b.read(rPath); got != want {
		t.Errorf("replica =\n%s\nwant\n%s", got, want)
	}
	before, err := os.Stat(b.path(rPath))
	b.must(err)
	b.clear()
	b.f.Apply([]replica.Write{w})
	b.written(w)
	after, err := os.Stat(b.path(rPath))
	b.must(err)
	if !os.SameFile(before, after) {
		t.Error("equal bytes were written again")
	}
	// Another zone wins: one replica is left.
	w2 := b.claim(replica.PutReplica, "r", "asia", "2", 8)
	b.f.Apply([]replica.Write{w2})
	b.written(w2)
	if b.exists("mesh/us") || !b.exists("mesh/asia/shop/configmap/r.yaml") {
		t.Error("the replica of the former zone still stands")
	}
	rm := replica.Write{Kind: replica.RemoveReplica, Object: w2.Object, Zone: "asia"}
	for range 2 { // idempotent
		b.clear()
		b.f.Apply([]replica.Write{rm})
		if o := b.written(rm); o.Err != "" {
			t.Errorf("Written = %+v", o)
		}
	}
	b.barrier()
	if b.exists("mesh/asia") {
		t.Error("empty folders were left")
	}
	if n := b.count(func(i replica.Input) bool { _, ok := i.(replica.ReplicaSeen); return ok }); n > 0 {
		t.Errorf("%d reports of our own writes", n)
	}
	b.noProblems()
}

func TestPathsAreEncoded(t *testing.T) {
	t.Parallel()
	b := newFolder(t).started()
	long := strings.Repeat("A", 250)
	for key, want := range map[mesh.ObjectKey]string{
		{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "system:Foo"}: "mesh/us/_cluster/clusterrole.rbac.authorization.k8s.io/system%3a%46oo.yaml",
		{Kind: "Secret", Namespace: "x", Name: ".hidden."}:                            "mesh/us/x/secret/%2ehidden%2e.yaml",
		{Group: "a..b", Kind: "Foo", Namespace: "x", Name: long}:                      "",
		{Kind: "Foo", Namespace: "x", Name: "é"}:                                      "mesh/us/x/foo/%c3%a9.yaml",
	} {
		version := "v1"
		if key.Group != "" {
			version = key.Group + "/v1"
		}
		ns := ""
		if key.Namespace != "" {
			ns = "  namespace: " + key.Namespace + "\n"
		}
		p := payload(t, "apiVersion: "+version+"\nkind: "+key.Kind+"\nmetadata:\n  name: \""+key.Name+"\"\n"+ns)
		b.claims.put(key, "us", p)
		w := replica.Write{Kind: replica.PutReplica, Object: key, Zone: "us", Version: 1, Epoch: 1, Content: mesh.Sum(p)}
		b.f.Apply([]replica.Write{w})
		if o := b.written(w); o.Err != "" {
			t.Errorf("%v: %s", key, o.Err)
		}
		if want != "" && !b.exists(want) {
			t.Errorf("%v does not stand at %s", key, want)
		}
	}
	if fi, err := os.Stat(b.path("mesh/us/x/secret/%2ehidden%2e.yaml")); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the Secret is readable by others: %v %v", fi.Mode(), err)
	}
	b.stop()
	again := folderAt(t, b.dir).started()
	if n := again.count(func(i replica.Input) bool { r, ok := i.(replica.ReplicaSeen); return ok && !r.Content.IsZero() }); n != 4 {
		t.Errorf("%d replicas seen after a restart, want 4: %+v", n, again.f.Status().Problems)
	}
}

func TestRefusedWrites(t *testing.T) {
	t.Parallel()
	b := newFolder(t).started()
	other := b.claim(replica.PutReplica, "other", "us", "1", 1)
	b.claims.put(cmKey("liar"), "us", payload(t, cm("other", "1")))
	liar := other
	liar.Object = cmKey("liar")
	tricky := other
	tricky.Object.Name = "../../../x"
	zone := other
	zone.Zone = "../x"
	system := mesh.ObjectKey{Kind: "ConfigMap", Namespace: "kube-system", Name: "x"}
	p := payload(t, strings.Replace(cm("x", "1"), "shop", "kube-system", 1))
	b.claims.put(system, "us", p)
	for name, w := range map[string]replica.Write{
		"another object": liar, "path in name": tricky, "path in zone": zone,
		"excluded": {Kind: replica.PutReplica, Object: system, Zone: "us", Content: mesh.Sum(p)},
		"no kind":  {Object: cmKey("x"), Zone: "us"},
	} {
		b.f.Apply([]replica.Write{w})
		if o := b.written(w); o.Err == "" || o.Retry || o.Altered {
			t.Errorf("%s: Written = %+v, want a final error", name, o)
		}
	}
	// A claim that moved on since is retried until the newer write comes.
	late := other
	late.Content = mesh.Sum([]byte("newer"))
	b.f.Apply([]replica.Write{late})
	if o := b.written(late); o.Err == "" || !o.Retry {
		t.Errorf("Written = %+v, want a retry", o)
	}
	b.f.Apply([]replica.Write{other})
	if o := b.written(other); o.Err != "" {
		t.Errorf("Written = %+v", o)
	}
}

// Hand edits and removals under mesh/ are reported; an engine that writes again puts them back.
func TestHandEditsArePutBack(t *testing.T) {
	t.Parallel()
	b := newFolder(t)
	w := b.claim(replica.PutReplica, "r", "us", "1", 1)
	b.react = func(in replica.Input) {
		if seen, ok := in.(replica.ReplicaSeen); ok && seen.Object == w.Object && seen.Content != w.Content {
			b.f.Apply([]replica.Write{w})
		}
	}
	b.started()
	b.f.Apply([]replica.Write{w})
	b.written(w)
	good := b.read(rPath)
	for name, edit := range map[string]func(){
		"content":   func() { b.write(rPath, strings.Replace(good, `v: "1"`, `v: "2"`, 1)) },
		"label":     func() { b.write(rPath, strings.Replace(good, "owner-zone: us", "owner-zone: eu", 1)) },
		"garbage":   func() { b.write(rPath, "x: [") },
		"truncated": func() { b.write(rPath, "") },
		"renamed":   func() { b.write(rPath, strings.Replace(good, "name: r", "name: q", 1)) },
		"a link": func() {
			b.must(os.Symlink("../../../../"+witnessFile, b.path("mesh/link")))
			b.rename("mesh/link", rPath)
		},
		"removed":    func() { b.remove(rPath) },
		"all of it":  func() { b.rename("mesh", "trash") },
		"moved away": func() { b.rename("mesh/us", "mesh/asia") },
	} {
		b.clear()
		edit()
		b.until(name+" to be put back", func([]replica.Input) bool {
			data, err := os.ReadFile(b.path(rPath))
			return err == nil && string(data) == good
		})
		b.written(w)
		b.barrier()
	}
}

func TestReplicasAtStart(t *testing.T) {
	t.Parallel()
	b := newFolder(t).started()
	var writes []replica.Write
	for i := range 3 {
		writes = append(writes, b.claim(replica.PutReplica, fmt.Sprint("r", i), "us", "1", 1))
	}
	b.f.Apply(writes)
	for _, w := range writes {
		b.written(w)
	}
	b.stop()
	b.write("mesh/us/shop/configmap/r1.yaml", strings.Replace(b.read("mesh/us/shop/configmap/r1.yaml"), `"1"`, `"2"`, 1))
	b.write("mesh/us/shop/configmap/"+tempPrefix+"x", "leftover")
	b.write("mesh/readme.yaml", "hello: world\n")
	again := folderAt(t, b.dir).started()
	seen := map[string]mesh.Hash{}
	again.mu.Lock()
	for _, in := range again.inputs {
		if r, ok := in.(replica.ReplicaSeen); ok {
			seen[r.Object.Name] = r.Content
		}
	}
	again.mu.Unlock()
	if len(seen) != 3 || seen["r0"] != writes[0].Content || seen["r1"] == writes[1].Content || seen["r1"].IsZero() {
		t.Errorf("seen = %v", seen)
	}
	if again.exists("mesh/us/shop/configmap/" + tempPrefix + "x") {
		t.Error("a leftover temporary file was not removed")
	}
	again.problem(ReasonForeignFile, "mesh/readme.yaml")
}

func TestYieldLocal(t *testing.T) {
	t.Parallel()
	const note = "# mine, with a comment   \n"
	for name, tt := range map[string]struct{ before, after string }{
		"only document":  {cm("r", "mine"), ""},
		"first of three": {cm("r", "mine") + "---\n" + note + cm("a", "1") + "---\n" + cm("b", "1"), "---\n" + note + cm("a", "1") + "---\n" + cm("b", "1")},
		"middle":         {cm("a", "1") + "---\n" + cm("r", "mine") + "--- \n" + note + cm("b", "1"), cm("a", "1") + "--- \n" + note + cm("b", "1")},
		"last":           {cm("a", "1") + "---\n" + cm("r", "mine"), cm("a", "1")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newFolder(t)
			b.write("local/f.yaml", tt.before)
			b.must(os.Chmod(b.path("local/f.yaml"), 0o640))
			b.started()
			w := b.claim(replica.YieldLocal, "r", "us", "theirs", 3)
			w.Expect = mesh.Sum([]byte("something else"))
			b.f.Apply([]replica.Write{w})
			if o := b.written(w); !o.Altered || o.Retry || b.exists(rPath) || b.read("local/f.yaml") != tt.before {
				t.Fatalf("Written = %+v, want Altered and nothing written", o)
			}
			w.Expect = mesh.Sum(payload(t, cm("r", "mine")))
			for range 2 { // idempotent
				b.clear()
				b.f.Apply([]replica.Write{w})
				if o := b.written(w); o.Err != "" {
					t.Fatalf("Written = %+v", o)
				}
			}
			if !strings.Contains(b.read(rPath), "theirs") {
				t.Error("no replica was written")
			}
			if tt.after == "" {
				if b.exists("local/f.yaml") {
					t.Error("the file still stands")
				}
			} else if got := b.read("local/f.yaml"); got != tt.after {
				t.Errorf("file =\n%s\nwant\n%s", got, tt.after)
			} else if fi, err := os.Stat(b.path("local/f.yaml")); err != nil || fi.Mode().Perm() != 0o640 {
				t.Errorf("mode = %v, want it kept", fi.Mode())
			}
			b.barrier()
			if n := b.count(func(i replica.Input) bool { return isGone(i) && i.(replica.LocalGone).Object == cmKey("r") }); n > 0 {
				t.Error("yielding was reported as a deletion")
			}
		})
	}
}

func TestRemoveLocal(t *testing.T) {
	t.Parallel()
	b := newFolder(t)
	b.write("local/f.json", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop"}} {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"r","namespace":"shop"}}`)
	b.write("local/g.yaml", cm("r", "1"))
	b.started()
	w := replica.Write{Kind: replica.RemoveLocal, Object: cmKey("r"), Expect: mesh.Sum(payload(t, cm("r", "1")))}
	b.f.Apply([]replica.Write{w})
	if o := b.written(w); !o.Altered {
		t.Errorf("Written = %+v, want Altered: the other file holds something else", o)
	}
	b.remove("local/g.yaml")
	b.barrier()
	w.Expect = mesh.Sum([]byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"r","namespace":"shop"}}`))
	b.f.Apply([]replica.Write{w})
	if o := b.written(w); o.Err != "" {
		t.Errorf("Written = %+v", o)
	}
	if got := b.read("local/f.json"); got != `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop"}}` {
		t.Errorf("file = %s", got)
	}
	b.write("local/f.json", "{")
	b.problem(ReasonInvalidManifest, "local/f.json")
	a := replica.Write{Kind: replica.RemoveLocal, Object: cmKey("a"), Expect: w.Expect}
	b.f.Apply([]replica.Write{a})
	if o := b.written(a); o.Err == "" || !o.Retry {
		t.Errorf("Written = %+v, want a retry while the file can't be read", o)
	}
}

func TestAdoptLocal(t *testing.T) {
	t.Parallel()
	b := newFolder(t).started()
	put := b.claim(replica.PutReplica, "r", "us", "1", 1)
	b.f.Apply([]replica.Write{put})
	b.written(put)
	w := b.claim(replica.AdoptLocal, "r", "eu", "1", 9)
	w.Epoch = 2
	for range 2 { // idempotent
		b.clear()
		b.f.Apply([]replica.Write{w})
		if o := b.written(w); o.Err != "" {
			t.Fatalf("Written = %+v", o)
		}
	}
	text := b.read("local/shop/configmap/r.yaml")
	if !strings.Contains(text, `owner-epoch: "2"`) || !strings.Contains(text, "owner-zone: eu") || b.exists("mesh/us") {
		t.Errorf("adopted file =\n%s", text)
	}
	b.clear()
	b.f.Probe([]mesh.ObjectKey{cmKey("r")})
	if l := b.local(cmKey("r"), `"1"`); l.Labelled != "eu" || mesh.Sum(l.Payload) != w.Content {
		t.Errorf("Local = %+v", l)
	}
	// What the user already has is left alone.
	b.write("local/own.yaml", cm("own", "mine"))
	b.local(cmKey("own"), "mine")
	own := b.claim(replica.AdoptLocal, "own", "eu", "theirs", 9)
	b.f.Apply([]replica.Write{own})
	b.written(own)
	if b.exists("local/shop/configmap/own.yaml") || !strings.Contains(b.read("local/own.yaml"), "mine") {
		t.Error("adopting wrote over the user's own file")
	}
	b.noProblems()
}

// A replica that nobody states any more is adopted as it stands.
func TestAdoptUnclaimedReplica(t *testing.T) {
	t.Parallel()
	b := newFolder(t).started()
	put := b.claim(replica.PutReplica, "r", "us", "1", 1)
	b.f.Apply([]replica.Write{put})
	b.written(put)
	w := replica.Write{Kind: replica.AdoptLocal, Object: cmKey("r"), Zone: "eu", Epoch: 1}
	for range 2 { // idempotent
		b.clear()
		b.f.Apply([]replica.Write{w})
		if o := b.written(w); o.Err != "" {
			t.Fatalf("Written = %+v", o)
		}
	}
	b.clear()
	b.f.Probe([]mesh.ObjectKey{cmKey("r")})
	if l := b.local(cmKey("r"), `"1"`); l.Labelled != "" || mesh.Sum(l.Payload) != put.Content || b.exists("mesh/us") {
		t.Errorf("Local = %+v", l)
	}
	// There is none: somebody has to hear of it.
	none := replica.Write{Kind: replica.AdoptLocal, Object: cmKey("none"), Zone: "eu", Epoch: 1}
	b.f.Apply([]replica.Write{none})
	if o := b.written(none); o.Err == "" || o.Retry {
		t.Errorf("Written = %+v, want a failure for good", o)
	}
}

// One object that can't be written holds up no other, and goes on by itself when it can.
func TestOneObjectNeverBlocksAnother(t *testing.T) {
	t.Parallel()
	b := newFolder(t).started()
	b.mkdir("mesh/us/shop")
	b.write("mesh/us/shop/configmap", "in the way")
	bad := b.claim(replica.PutReplica, "r", "us", "1", 1)
	b.f.Apply([]replica.Write{bad})
	if o := b.written(bad); !o.Retry {
		t.Fatalf("Written = %+v", o)
	}
	for i := range 20 {
		w := b.claim(replica.PutReplica, fmt.Sprint("o", i), "asia", "1", 1)
		b.f.Apply([]replica.Write{w})
		if o := b.written(w); o.Err != "" {
			t.Errorf("Written = %+v", o)
		}
	}
	if p := b.problem(ReasonWriteFailed, ""); p.Object != cmKey("r").String() {
		t.Errorf("problem = %+v", p)
	}
	b.remove("mesh/us/shop/configmap")
	waitFor(b, "the write", func(o replica.Written) bool { return o.Write == bad && o.Err == "" })
	b.noProblems()
}

// A newer write takes the place of one that waits.
func TestNewerWriteReplaces(t *testing.T) {
	t.Parallel()
	q := newQueue()
	q.gate(true)
	key := cmKey("r")
	q.add([]replica.Write{{Object: key, Version: 1}, {Object: key, Version: 2}})
	j := q.take(t.Context())
	if j.write.Version != 2 {
		t.Errorf("took version %d, want 2", j.write.Version)
	}
	q.add([]replica.Write{{Object: key, Version: 3}, {Object: key, Version: 4}})
	q.done(j, "disk full", true)
	if j = q.take(t.Context()); j.write.Version != 4 {
		t.Errorf("took version %d, want 4 at once", j.write.Version)
	}
	q.done(j, "disk full", true)
	q.add([]replica.Write{{Object: key, Version: 5}})
	if j = q.take(t.Context()); j.write.Version != 5 {
		t.Errorf("took version %d, want 5 without waiting for the retry", j.write.Version)
	}
	q.done(j, "", false)
	if len(q.jobs) != 0 {
		t.Errorf("%d jobs left", len(q.jobs))
	}
}
