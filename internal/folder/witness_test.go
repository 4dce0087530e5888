package folder

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

func TestFirstStart(t *testing.T) {
	t.Parallel()
	b := folderAt(t, t.TempDir()).started()
	waitFor(b, "no witness", func(w replica.WitnessRead) bool { return !w.Present })
	b.f.WriteWitness(witness(1))
	waitFor(b, "the witness", func(w replica.WitnessWritten) bool { return w.Witness == witness(1) })
	if !b.exists("local") {
		t.Error("a new folder got no local/")
	}
	b.clear()
	b.f.CheckWitness()
	waitFor(b, "the witness", func(w replica.WitnessRead) bool { return w.Present && w.Witness == witness(1) })
	b.write("local/a.yaml", cm("a", "1"))
	b.local(cmKey("a"), `"1"`)
	b.remove("local/a.yaml")
	b.gone(cmKey("a"))
	if got := b.read(witnessFile); got != fmt.Sprintf("{\"cluster\":%q,\"counter\":1}\n", mesh.Sum([]byte("c"))) {
		t.Errorf("witness = %q", got)
	}
}

func TestMissingFolderIsWaitedFor(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	b := folderAt(t, parent+"/later").run()
	b.until("FolderMissing", func([]replica.Input) bool {
		s := b.f.Status()
		return !s.Connected && len(s.Problems) == 1 && s.Problems[0].Reason == ReasonFolderMissing
	})
	b.f.CheckWitness()
	b.f.Probe([]mesh.ObjectKey{cmKey("a")})
	b.mkdir("local")
	b.write("local/a.yaml", cm("a", "1"))
	b.local(cmKey("a"), `"1"`)
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.inputs[0].(replica.WitnessRead); !ok {
		t.Errorf("first report = %v, want the witness", b.inputs[0])
	}
}

// Without a witness an emptied folder may be an unmounted one.
func TestEmptiedFolder(t *testing.T) {
	t.Parallel()
	b := newFolder(t)
	b.write("local/a.yaml", cm("a", "1"))
	b.write("local/b.yaml", cm("b", "1"))
	b.started()
	kept := b.read(witnessFile)
	b.remove(witnessFile)
	b.remove("local/a.yaml")
	b.f.Probe([]mesh.ObjectKey{cmKey("a")})
	b.write("local/b.yaml", cm("b", "2"))
	b.local(cmKey("b"), `"2"`)
	b.problem(ReasonWitnessUnreadable, witnessFile)
	put := b.claim(replica.PutReplica, "r", "us", "1", 1)
	b.f.Apply([]replica.Write{put})
	b.f.CheckWitness()
	waitFor(b, "no witness", func(w replica.WitnessRead) bool { return !w.Present })
	if n := b.count(isGone); n > 0 || b.exists("mesh") {
		t.Errorf("%d objects gone without a witness; mesh/ exists: %v", n, b.exists("mesh"))
	}
	// With local/ gone as well: the same.
	b.rename("local", "elsewhere")
	b.write(witnessFile, kept)
	b.written(put)
	b.problem(ReasonLocalMissing, "local")
	b.f.Probe([]mesh.ObjectKey{cmKey("a"), cmKey("b")})
	adopt := b.claim(replica.AdoptLocal, "x", "eu", "1", 1)
	b.f.Apply([]replica.Write{adopt})
	if o := b.written(adopt); o.Err == "" || !o.Retry || b.exists("local") {
		t.Errorf("Written = %+v, local/ exists: %v", o, b.exists("local"))
	}
	if n := b.count(isGone); n > 0 {
		t.Errorf("%d objects gone without local/", n)
	}
	b.rename("elsewhere", "local")
	b.gone(cmKey("a"))
	b.barrier()
	b.remove("local/b.yaml")
	b.gone(cmKey("b"))
}

// The folder is renamed away under the running node and comes back, first as somebody else's, then itself.
func TestUnmountedAndReplaced(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	b := folderAt(t, parent+"/f")
	b.mkdir("local")
	b.write(witnessFile, fmt.Sprintf("{\"cluster\":%q,\"counter\":1}\n", mesh.Sum([]byte("c"))))
	b.write("local/a.yaml", cm("a", "1"))
	b.started()
	put := b.claim(replica.PutReplica, "r", "us", "1", 1)
	b.f.Apply([]replica.Write{put})
	b.written(put)
	b.clear()

	b.must(os.Rename(parent+"/f", parent+"/away"))
	b.until("the folder to be missed", func([]replica.Input) bool { return !b.f.Status().Connected })
	b.f.Probe([]mesh.ObjectKey{cmKey("a")})
	b.f.CheckWitness()
	put2 := b.claim(replica.PutReplica, "r", "us", "2", 2)
	b.f.Apply([]replica.Write{put2})

	// The bare mount point.
	b.mkdir("local")
	waitFor(b, "no witness", func(w replica.WitnessRead) bool { return !w.Present })
	b.write("local/b.yaml", cm("b", "1"))
	b.local(cmKey("b"), `"1"`)
	b.problem(ReasonWitnessUnreadable, witnessFile)
	if n := b.count(func(i replica.Input) bool { _, seen := i.(replica.ReplicaSeen); return isGone(i) || seen }); n > 0 || b.exists("mesh") {
		t.Errorf("%d reports of absence from a bare mount point; mesh/ exists: %v", n, b.exists("mesh"))
	}

	// The folder itself again.
	b.must(os.Rename(parent+"/f", parent+"/bare"))
	b.until("the folder to be missed", func([]replica.Input) bool { return !b.f.Status().Connected })
	b.must(os.Rename(parent+"/away", parent+"/f"))
	waitFor(b, "the witness", func(w replica.WitnessRead) bool { return w.Present && w.Witness == witness(1) })
	b.local(cmKey("a"), `"1"`) // the probe's answer
	b.written(put2)
	b.gone(cmKey("b"))
	if n := b.count(func(i replica.Input) bool { return isGone(i) && i.(replica.LocalGone).Object == cmKey("a") }); n > 0 {
		t.Error("an unmounted folder was taken for a deletion")
	}
	b.noProblems()
}

// A folder that is removed while it is open tells nobody. The one in its place is found without a rescan.
func TestRemovedAndReplaced(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	b := folderAt(t, parent+"/f")
	b.f.cfg.Rescan = time.Hour
	b.mkdir("local")
	b.write(witnessFile, fmt.Sprintf("{\"cluster\":%q,\"counter\":1}\n", mesh.Sum([]byte("c"))))
	b.started()
	b.must(os.Rename(parent+"/f", parent+"/away"))
	b.until("the folder to be missed", func([]replica.Input) bool { return !b.f.Status().Connected })
	b.must(os.Mkdir(parent+"/f", 0o755))
	b.problem(ReasonWitnessUnreadable, witnessFile)
	b.must(os.Remove(parent + "/f"))
	b.must(os.Rename(parent+"/away", parent+"/f"))
	b.noProblems()
	b.write("local/a.yaml", cm("a", "1"))
	b.local(cmKey("a"), `"1"`)
}

// A witness is only written over the one that was last reported.
func TestWitnessWrittenByAnother(t *testing.T) {
	t.Parallel()
	b := newFolder(t).started()
	other := event.Witness{Cluster: mesh.Sum([]byte("other")), Counter: 40}
	b.write(witnessFile, fmt.Sprintf("{\"cluster\":%q,\"counter\":40}\n", other.Cluster))
	b.f.WriteWitness(witness(2))
	waitFor(b, "the other witness", func(w replica.WitnessRead) bool { return w.Present && w.Witness == other })
	b.f.WriteWitness(witness(3))
	waitFor(b, "ours", func(w replica.WitnessWritten) bool { return w.Witness == witness(3) })
	if n := b.count(func(i replica.Input) bool { w, ok := i.(replica.WitnessWritten); return ok && w.Witness == witness(2) }); n > 0 {
		t.Error("a foreign witness was written over unseen")
	}
	for _, garbage := range []string{"", "{}", "hello", `{"cluster":"x","counter":1}`, `{"counter":1,"x":2}`} {
		b.clear()
		b.write(witnessFile, garbage)
		b.f.CheckWitness()
		waitFor(b, "no witness", func(w replica.WitnessRead) bool { return !w.Present })
	}
}

// The sink may block: nothing is lost, nothing grows beyond what the folder holds.
func TestBackPressure(t *testing.T) {
	t.Parallel()
	b := newFolder(t)
	block := make(chan struct{})
	var once bool
	b.react = func(replica.Input) {
		if !once {
			once = true
			<-block
		}
	}
	b.run()
	for i := range 3000 {
		b.write("local/a.yaml", cm("a", fmt.Sprint(i)))
		b.write(fmt.Sprintf("local/f%d.yaml", i%50), cm(fmt.Sprint("f", i%50), fmt.Sprint(i)))
	}
	close(block)
	b.local(cmKey("a"), `"2999"`)
	for i := range 50 {
		b.local(cmKey(fmt.Sprint("f", i)), fmt.Sprintf(`"%d"`, 2950+i))
	}
}

func TestRunEndsWithTheSink(t *testing.T) {
	t.Parallel()
	b := newFolder(t)
	want := fmt.Errorf("engine stopped")
	if err := b.f.Run(t.Context(), func(context.Context, ...replica.Input) error { return want }); err != want {
		t.Errorf("Run = %v, want the sink's error", err)
	}
}
