package folder

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

func TestCreateUpdateDelete(t *testing.T) {
	t.Parallel()
	b := newFolder(t)
	b.mkdir("local/sub/deep")
	b.write("local/sub/deep/old.yml", cm("old", "1"))
	b.started()
	b.mu.Lock()
	first := b.inputs[0]
	b.mu.Unlock()
	if w, ok := first.(replica.WitnessRead); !ok || !w.Present || w.Witness != witness(1) {
		t.Errorf("first report = %v, want the witness", first)
	}
	b.local(cmKey("old"), `"1"`)
	b.write("local/a.yaml", cm("a", "1"))
	b.local(cmKey("a"), `"1"`)
	b.write("local/a.yaml", cm("a", "2"))
	b.local(cmKey("a"), `"2"`)
	b.write("local/b.json", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"}}`)
	b.local(mesh.ObjectKey{Group: "apps", Kind: "Deployment", Namespace: "default", Name: "d"}, "Deployment")
	b.remove("local/a.yaml")
	b.gone(cmKey("a"))
	b.mkdir("local/new")
	b.write("local/new/n.yaml", cm("n", "1"))
	b.local(cmKey("n"), `"1"`)
	b.rename("local/new", "local/newer")
	b.write("local/newer/n.yaml", cm("n", "2"))
	b.local(cmKey("n"), `"2"`)
	b.remove("local/newer")
	b.gone(cmKey("n"))
	b.noProblems()
}

// A file may be written on while its folder is moved: what is told of it comes under two names.
func TestFolderMovedWhileAFileIsWritten(t *testing.T) {
	t.Parallel()
	b := newFolder(t)
	b.mkdir("local/new")
	b.write("local/new/n.yaml", cm("n", "1"))
	b.started()
	b.local(cmKey("n"), `"1"`)
	f, err := os.OpenFile(b.path("local/new/n.yaml"), os.O_WRONLY|os.O_TRUNC, 0)
	b.must(err)
	text := cm("n", "2")
	_, err = f.WriteString(text[:len(text)/2])
	b.must(err)
	b.barrier() // that it is being written is known
	b.rename("local/new", "local/newer")
	_, err = f.WriteString(text[len(text)/2:])
	b.must(errors.Join(err, f.Close()))
	b.local(cmKey("n"), `"2"`)
	b.remove("local/newer")
	b.gone(cmKey("n"))
	b.noProblems()
}

func TestIgnoredFiles(t *testing.T) {
	t.Parallel()
	b := newFolder(t)
	b.mkdir("local/.git")
	for _, p := range []string{"local/.git/x.yaml", "local/.a.yaml.swp", "local/a.yaml~", "local/#a.yaml#", "local/4913", "local/a.yaml.tmp", "local/README.md", "stray.yaml"} {
		b.write(p, cm("ignored", "1"))
	}
	b.started()
	for _, p := range []string{"local/.a.yaml.swp", "local/a.yaml~", "local/4913"} {
		b.write(p, cm("ignored", "2"))
	}
	b.barrier()
	if n := b.count(func(i replica.Input) bool { l, ok := i.(replica.Local); return ok && l.Object.Name == "ignored" }); n > 0 {
		t.Errorf("%d reports from ignored files", n)
	}
	b.noProblems()
}

// Editors write a new file and move it into place, or move the old one away first.
func TestEditors(t *testing.T) {
	t.Parallel()
	b := newFolder(t)
	b.f.cfg.Grace = 3 * time.Second // longer than this test may stand still between two steps
	b.write("local/a.yaml", cm("a", "0"))
	b.started()
	for i := range 20 {
		b.write("local/.a.yaml.tmp", cm("a", fmt.Sprint("x", i)))
		b.rename("local/.a.yaml.tmp", "local/a.yaml")
		b.local(cmKey("a"), fmt.Sprintf(`"x%d"`, i))

		b.rename("local/a.yaml", "local/a.yaml~")
		b.write("local/4913", "")
		b.remove("local/4913")
		b.write("local/a.yaml", cm("a", fmt.Sprint("y", i)))
		b.remove("local/a.yaml~")
		b.local(cmKey("a"), fmt.Sprintf(`"y%d"`, i))
	}
	b.rename("local/a.yaml", "local/z.yaml")
	b.barrier()
	if n := b.count(func(i replica.Input) bool { return isGone(i) && i.(replica.LocalGone).Object == cmKey("a") }); n > 0 {
		t.Errorf("saving was taken for deleting %d times", n)
	}
}

// A file that is being written is not read, however long it takes: half of it may parse.
func TestHalfWritten(t *testing.T) {
	t.Parallel()
	b := newFolder(t)
	b.f.cfg.Settle = time.Second // longer than the system may take to tell that the file is being written
	whole := cm("a", "1") + "---\n" + cm("b", "1")
	b.write("local/ab.yaml", whole)
	b.started()
	b.local(cmKey("b"), `"1"`)
	b.clear()
	out, err := os.Create(b.path("local/ab.yaml"))
	b.must(err)
	_, err = out.WriteString(cm("a", "2"))
	b.must(err)
	// Time for a scan that finds the half and for the half to settle.
	for end := time.Now().Add(b.f.cfg.Rescan + 2*b.f.cfg.Settle); time.Now().Before(end); {
		b.barrier()
	}
	if n := b.count(func(i replica.Input) bool { l, ok := i.(replica.Local); return ok && l.Object == cmKey("a") }); n > 0 {
		t.Error("half of a file was read")
	}
	_, err = out.WriteString("---\n" + cm("b", "2"))
	b.must(err)
	b.must(out.Close())
	b.local(cmKey("a"), `"2"`)
	b.local(cmKey("b"), `"2"`)
	b.barrier()
	if n := b.count(func(i replica.Input) bool { return isGone(i) && i.(replica.LocalGone).Object == cmKey("b") }); n > 0 {
		t.Error("half of a file was taken for a deletion")
	}
}

func TestNoNews(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"truncated":       "",
		"blank":           "\n\n",
		"only a comment":  "# nothing\n",
		"not YAML":        cm("a", "1") + "---\nx: [\n",
		"no object":       cm("a", "1") + "---\nhello: world\n",
		"not UTF-8":       "\xff\xfe\x00",
		"cut in the text": strings.TrimSuffix(cm("a", "1"), "\"\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newFolder(t)
			b.write("local/ab.yaml", cm("a", "1")+"---\n"+cm("b", "1"))
			b.started()
			b.local(cmKey("b"), `"1"`)
			b.clear()
			b.write("local/ab.yaml", content)
			b.until("a problem", func([]replica.Input) bool { return len(b.f.Status().Problems) == 1 })
			b.f.Probe([]mesh.ObjectKey{cmKey("a"), cmKey("b")})
			b.barrier()
			if n := b.count(func(i replica.Input) bool { return isGone(i) && len(i.(replica.LocalGone).Object.Name) == 1 }); n > 0 {
				t.Error("no news was taken for a deletion")
			}
			b.write("local/ab.yaml", cm("a", "2"))
			b.local(cmKey("a"), `"2"`)
			b.gone(cmKey("b"))
			b.noProblems()
		})
	}
}

func TestProblemsNameFileAndLine(t *testing.T) {
	t.Parallel()
	b := newFolder(t)
	b.write("local/syntax.yaml", cm("a", "1")+"---\na: b: c\n")
	b.write("local/kind.yaml", cm("a", "1")+"---\n\n# note\napiVersion: v1\nmetadata: {name: x}\n")
	b.write("local/twice.yaml", "a: 1\nb: 2\na: 3\n")
	b.write("local/bad.json", "{\n\"a\": 1,\n}")
	b.write("local/secret.yaml", "x: *hunter2\n")
	b.started()
	for file, line := range map[string]int{"local/syntax.yaml": 9, "local/kind.yaml": 11, "local/twice.yaml": 3, "local/bad.json": 3, "local/secret.yaml": 1} {
		p := b.problem(ReasonInvalidManifest, file)
		if p.Line != line {
			t.Errorf("problem of %s stands at line %d, want %d: %s", file, p.Line, line, p.Text)
		}
		if strings.Contains(p.Text, "hunter2") {
			t.Errorf("problem %q quotes content", p.Text)
		}
	}
}

func TestMultiDocument(t *testing.T) {
	t.Parallel()
	b := newFolder(t)
	b.f.cfg.Grace = 3 * time.Second // longer than this test may stand still between two steps
	b.write("local/m.yaml", cm("a", "1")+"---\n"+cm("b", "1")+"---\n"+cm("c", "1"))
	b.started()
	for _, n := range []string{"a", "b", "c"} {
		b.local(cmKey(n), `"1"`)
	}
	b.clear()
	b.write("local/m.yaml", cm("a", "1")+"---\n"+cm("c", "2"))
	b.local(cmKey("c"), `"2"`)
	b.gone(cmKey("b"))
	if n := b.count(func(i replica.Input) bool { l, ok := i.(replica.Local); return ok && l.Object == cmKey("a") }); n > 0 {
		t.Error("an unchanged document was reported again")
	}
	// A document that moves to another file is not gone.
	b.clear()
	b.write("local/m.yaml", cm("a", "1"))
	b.write("local/n.yaml", cm("c", "2"))
	b.barrier()
	if n := b.count(func(i replica.Input) bool { return isGone(i) && i.(replica.LocalGone).Object == cmKey("c") }); n > 0 {
		t.Error("a moved document was taken for deleted")
	}
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	b := newFolder(t)
	b.write("local/b.yaml", cm("x", "b"))
	b.write("local/c.yaml", cm("x", "c")+"---\n"+cm("y", "1")+"---\n"+cm("y", "2"))
	b.started()
	p := b.problem(ReasonDuplicateObject, "local/c.yaml")
	if !strings.Contains(p.Text, "local/b.yaml") && !strings.Contains(p.Text, "line 9") {
		t.Errorf("problem %q does not name the other place", p.Text)
	}
	if l := b.local(cmKey("x"), "b"); !strings.Contains(string(l.Payload), `"b"`) {
		t.Errorf("payload = %s, want that of the first file", l.Payload)
	}
	b.write("local/c.yaml", cm("x", "c2"))
	b.barrier()
	b.barrier() // a whole scan later still no flapping
	if n := b.count(func(i replica.Input) bool { l, ok := i.(replica.Local); return ok && l.Object == cmKey("x") }); n != 1 {
		t.Errorf("%d reports of an object that two files define, want 1", n)
	}
	b.remove("local/b.yaml")
	b.local(cmKey("x"), `"c2"`)
	b.remove("local/c.yaml")
	b.gone(cmKey("x"))
	b.noProblems()
}

func TestExcludedAndTooLarge(t *testing.T) {
	t.Parallel()
	b := newFolder(t)
	b.write("local/pod.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: p}}")
	b.write("local/big.yaml", cm("big", strings.Repeat("x", 4<<20))+"---\n"+cm("small", "1"))
	b.write("local/large.yaml", cm("large", strings.Repeat("x", 1400<<10)))
	b.started()
	b.local(cmKey("large"), "xxx")
	b.local(cmKey("small"), `"1"`)
	if p := b.problem(ReasonTooLarge, "local/big.yaml"); p.Object != cmKey("big").String() {
		t.Errorf("problem is about %q", p.Object)
	}
	if n := b.f.Excluded()["KindExcluded"]; n != 1 {
		t.Errorf("%d excluded objects, want 1", n)
	}
	b.write("local/o.yaml", cm("o", "1"))
	b.local(cmKey("o"), `"1"`)
	b.write("local/o.yaml", strings.Replace(cm("o", "1"), "metadata:\n", "metadata:\n  ownerReferences: [{controller: true}]\n", 1))
	waitFor(b, "LocalUnmatched", func(u replica.LocalUnmatched) bool { return u.Object == cmKey("o") })
	b.clear()
	b.f.Probe([]mesh.ObjectKey{cmKey("o")})
	waitFor(b, "LocalUnmatched", func(u replica.LocalUnmatched) bool { return u.Object == cmKey("o") })
}

func TestSymlinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	b := newFolder(t)
	b.must(os.WriteFile(outside+"/x.yaml", []byte(cm("x", "1")), 0o644))
	b.must(os.Symlink(outside+"/x.yaml", b.path("local/file.yaml")))
	b.must(os.Symlink(outside, b.path("local/dir")))
	b.must(os.Symlink(outside, b.path("mesh")))
	b.started()
	b.problem(ReasonNotReadable, "local/file.yaml")
	b.problem(ReasonNotReadable, "local/dir")
	b.problem(ReasonNotReadable, "mesh")
	w := b.claim(replica.PutReplica, "r", "us", "1", 1)
	b.f.Apply([]replica.Write{w})
	if o := b.written(w); o.Err == "" || !o.Retry {
		t.Errorf("write through a symbolic link = %+v", o)
	}
	entries, err := os.ReadDir(outside)
	b.must(err)
	if len(entries) != 1 {
		t.Errorf("%d files outside of the folder, want 1", len(entries))
	}
	b.barrier()
	if n := b.count(func(i replica.Input) bool { l, ok := i.(replica.Local); return ok && l.Object == cmKey("x") }); n > 0 {
		t.Error("a file outside was read")
	}
	b.remove("mesh") // repaired: the write goes through by itself
	waitFor(b, "the write", func(o replica.Written) bool { return o.Write == w && o.Err == "" })
}

func TestProbe(t *testing.T) {
	t.Parallel()
	b := newFolder(t)
	b.write("local/a.yaml", cm("a", "1"))
	b.started()
	b.clear()
	b.f.Probe([]mesh.ObjectKey{cmKey("a"), cmKey("never")})
	b.local(cmKey("a"), `"1"`)
	b.gone(cmKey("never"))
	// An object that was not seen in this run may have stood in a file that can't be read now.
	b.write("local/broken.yaml", "x: [")
	b.problem(ReasonInvalidManifest, "local/broken.yaml")
	b.f.Probe([]mesh.ObjectKey{cmKey("before")})
	b.remove("local/a.yaml")
	b.gone(cmKey("a"))
	b.barrier()
	if n := b.count(func(i replica.Input) bool { return isGone(i) && i.(replica.LocalGone).Object == cmKey("before") }); n > 0 {
		t.Error("an object was reported gone that an unreadable file may hold")
	}
	b.clear()
	b.f.Probe([]mesh.ObjectKey{cmKey("a")}) // asked again before a deletion is signed
	b.gone(cmKey("a"))
	b.remove("local/broken.yaml")
	b.gone(cmKey("before"))
}

func TestManyFiles(t *testing.T) {
	t.Parallel()
	b := newFolder(t)
	const n = 10_000
	for i := range n {
		if i%100 == 0 {
			b.mkdir(fmt.Sprintf("local/%d", i/100))
		}
		name := fmt.Sprintf("o%d", i)
		b.write(fmt.Sprintf("local/%d/%s.yaml", i/100, name), cm(name, "1"))
	}
	b.started()
	if got := b.count(func(i replica.Input) bool { _, ok := i.(replica.Local); return ok }); got != n {
		t.Errorf("%d objects reported before Listed, want %d", got, n)
	}
}
