package folder

import (
	"os"
	"path/filepath"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
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
