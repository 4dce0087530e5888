package replica_test

import (
	"fmt"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// follower knows what Changes told it.
type follower struct {
	t      *testing.T
	b      *bench
	limit  int
	at     replica.Cursor
	knows  map[string]mesh.Version
	wholes int
}

// page takes one page and reports how many objects it named and whether more follow.
func (f *follower) page() (items int, more bool) {
	f.t.Helper()
	c := f.b.r.Changes(f.at, f.limit)
	if len(c.Items) > f.limit || !c.Whole && (c.Next.Changed < f.at.Changed || c.Next.Forgotten < f.at.Forgotten) {
		f.t.Fatalf("%d items of at most %d, from %+v to %+v", len(c.Items), f.limit, f.at, c.Next)
	}
	if c.Whole {
		f.wholes++
		clear(f.knows)
	}
	for _, k := range c.Removed {
		delete(f.knows, k.String())
	}
	for _, r := range c.Items {
		f.knows[r.Object] = r.Version
	}
	f.at = c.Next
	return len(c.Items), c.More
}

// all takes pages until nothing follows, compares, and returns how many objects were named.
func (f *follower) all(what string) (items int) {
	f.t.Helper()
	for more := true; more; {
		var n int
		n, more = f.page()
		items += n
	}
	there := f.b.r.Resources(mesh.ObjectKey{}, 1_000_000)
	for _, r := range there {
		if v, known := f.knows[r.Object]; !known || v != r.Version {
			f.t.Errorf("limit %d, %s: %s is known in version %d (%v), it has %d", f.limit, what, r.Object, v, known, r.Version)
		}
	}
	if len(f.knows) != len(there) {
		f.t.Errorf("limit %d, %s: %d objects are known, %d are there", f.limit, what, len(f.knows), len(there))
	}
	return items
}

// Who follows knows every object, by pages of any size, whatever happens between two of them.
func TestChangesFollowEveryObject(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 7, 1000} {
		b := newBench(t)
		r, err := replica.New(replica.Config{Network: meshtest.Network, Zone: "here", Key: keyOf(1), BrakeMin: 10_000}, &oplog.Index{}, b.store, b.now)
		if err != nil {
			t.Fatal(err)
		}
		b.r = r
		var witness event.Witness
		do := func(in ...replica.Input) { // and what the cluster answers
			b.do(in...)
			for b.last.WriteWitness != nil || b.last.CheckWitness {
				if w := b.last.WriteWitness; w != nil {
					witness = *w
					b.do(replica.WitnessWritten{Witness: witness})
				} else {
					b.do(replica.WitnessRead{Present: true, Witness: witness})
				}
			}
		}
		do(replica.WitnessRead{}, replica.Listed{})
		b.now = b.now.Add(time.Minute)
		do(replica.Tick{})
		name := func(i int) mesh.ObjectKey { return meshtest.Object(fmt.Sprintf("o%04d", i)) }
		f := &follower{t: t, b: b, limit: limit, knows: map[string]mesh.Version{}}
		if n := f.all("nothing"); n != 0 {
			t.Errorf("limit %d: %d items of nothing", limit, n)
		}
		for i := range 50 {
			do(replica.Local{Object: name(i * 37 % 50), Payload: []byte(`{}`)})
		}
		f.all("created")
		if n := f.all("as before"); n != 0 {
			t.Errorf("limit %d: %d items although nothing changed", limit, n)
		}
		// Others change while pages are read, also those that were read already.
		late := &follower{t: t, b: b, limit: limit, knows: map[string]mesh.Version{}}
		for i := range 20 {
			late.page()
			do(replica.Local{Object: name(i % 5), Payload: fmt.Appendf(nil, `{"a":%d}`, i)})
			if i%5 == 4 {
				f.all("changed")
			}
		}
		late.all("changed while it was listed")

		// Deleted objects are forgotten when nobody has to hear of them any more, and some come back.
		forget := func(from, to int) {
			var in []replica.Input
			for i := from; i < to; i++ {
				in = append(in, replica.LocalGone{Object: name(i)})
			}
			do(in...)
			for range 20 { // minutes: past the retention, and the snapshots of a zone that goes on working
				b.now = b.now.Add(time.Minute)
				do(replica.Local{Object: name(49), Payload: fmt.Appendf(nil, `{"at":%d}`, b.now.Unix())})
			}
			if r, there := b.r.Resource(name(from)); there {
				t.Fatalf("an object is not forgotten: %+v", r)
			}
		}
		forget(0, 20)
		do(replica.Local{Object: name(7), Payload: []byte(`{}`)}) // forgotten and there again, as one change
		f.all("forgotten")
		if _, known := f.knows[name(8).String()]; known || len(f.knows) != 31 {
			t.Errorf("limit %d: %d objects are known, want 31", limit, len(f.knows))
		}
		if f.wholes != 0 {
			t.Errorf("limit %d: began anew %d times", limit, f.wholes)
		}

		// Who is far behind begins anew; who has only begun goes on.
		begun := &follower{t: t, b: b, limit: limit, knows: map[string]mesh.Version{}}
		begun.page()
		var in []replica.Input
		for i := 1000; i < 2100; i++ {
			in = append(in, replica.Local{Object: name(i), Payload: []byte(`{}`)})
		}
		do(in...)
		forget(1000, 2100)
		f.all("far behind")
		if f.wholes != 1 {
			t.Errorf("limit %d: began anew %d times, want once", limit, f.wholes)
		}
		begun.all("begun before that")
		late = &follower{t: t, b: b, limit: limit, knows: map[string]mesh.Version{}}
		late.all("begun after that")
		if late.wholes != 0 {
			t.Errorf("limit %d: who begins begins anew %d times", limit, late.wholes)
		}
	}
}
