package folder

import (
	"fmt"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

// deaf is a watcher that reports what the test wants.
type deaf chan change

func (d deaf) add(string) error       { return nil }
func (d deaf) changes() <-chan change { return d }
func (d deaf) close()                 {}

// When changes were lost everything is read anew: what changed is reported, what didn't is not, and only what is
// really gone is said to be.
func TestLostChanges(t *testing.T) {
	t.Parallel()
	b := newFolder(t)
	watch := make(deaf, 1)
	b.f.newWatcher = func(string) (watcher, error) { return watch, nil }
	b.f.cfg.Rescan = time.Hour
	const same = 200
	for i := range same {
		b.write(fmt.Sprintf("local/same-%d.yaml", i), cm(fmt.Sprintf("same-%d", i), "1"))
	}
	b.write("local/changed.yaml", cm("changed", "1"))
	b.write("local/removed.yaml", cm("removed", "1"))
	b.started()
	b.clear()

	b.write("local/changed.yaml", cm("changed", "2"))
	b.write("local/new.yaml", cm("new", "1"))
	b.remove("local/removed.yaml")
	watch <- change{kind: lost}
	b.local(cmKey("changed"), `"2"`)
	b.local(cmKey("new"), `"1"`)
	b.f.Probe([]mesh.ObjectKey{cmKey("removed")})
	b.gone(cmKey("removed"))
	watch <- change{kind: lost}
	watch <- change{kind: lost} // taken once the scan before it was asked for
	told := b.count(func(in replica.Input) bool {
		switch in := in.(type) {
		case replica.Local:
			return in.Object != cmKey("changed") && in.Object != cmKey("new")
		case replica.LocalGone:
			return in.Object != cmKey("removed")
		}
		return false
	})
	if told > 0 {
		t.Errorf("%d objects were reported that had not changed", told)
	}
}
