package replica_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// traceBench is a bench of zone here beside east and west, with a configuration of its own.
func traceBench(t *testing.T, change func(*replica.Config)) (b *bench, east, west *author) {
	t.Helper()
	east, west = newAuthor(2, "east", 1000), newAuthor(3, "west", 1000)
	b = &bench{t: t, now: meshtest.Epoch, store: oplog.NewMemory()}
	cfg := replica.Config{Network: meshtest.Network, Zone: "here", Key: keyOf(1),
		Members: []replica.Member{{Key: east.key.Public(), Zone: "east"}, {Key: west.key.Public(), Zone: "west"}}}
	if change != nil {
		change(&cfg)
	}
	r, err := replica.New(cfg, &oplog.Index{}, b.store, b.now)
	if err != nil {
		t.Fatal(err)
	}
	b.r = r
	return b, east, west
}

// writeAll confirms all writes that were asked for.
func (b *bench) writeAll() {
	b.t.Helper()
	for _, w := range b.last.Apply {
		b.do(replica.Written{Write: w})
	}
}

func (a *author) deletes(t *testing.T, name string, v mesh.Version) replica.Arrived {
	t.Helper()
	return a.write(t, &event.Event{Kind: event.KindDelete, Delete: &event.Delete{Object: meshtest.Object(name), Version: v, Epoch: 1, Birth: 1}})
}

// steps lists the steps of a trace as "status name reason".
func steps(list []mesh.TraceStep) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = strings.TrimSpace(fmt.Sprintf("%s %s %s", s.Status, s.Name, s.Reason))
	}
	return strings.Join(out, ", ")
}

// The way of an object names the step that is missing, whatever keeps it from being where it should be.
func TestTraceNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	x := meshtest.Object("x")
	mine := replica.Local{Object: x, Payload: []byte(`{"mine":1}`)}
	for _, tt := range []struct {
		name   string
		change func(*replica.Config)
		live   func(t *testing.T, b *bench, east, west *author)
		want   string
		text   string // somewhere in the messages or the commands
	}{
		{"a replica that stands", nil, func(t *testing.T, b *bench, east, _ *author) {
			b.do(append(east.begin(t), east.update(t, "x", 1, 1))...)
			b.writeAll()
		}, "ok owner, ok log, ok merged replica, ok applied", "version 1 of east stands"},
		{"a write that is not confirmed", nil, func(t *testing.T, b *bench, east, _ *author) {
			b.do(append(east.begin(t), east.update(t, "x", 1, 1))...)
		}, "ok owner, ok log, ok merged replica, fail applied pending", "has not confirmed it yet"},
		{"a write that is refused", nil, func(t *testing.T, b *bench, east, _ *author) {
			b.do(append(east.begin(t), east.update(t, "x", 1, 1))...)
			b.do(replica.Written{Write: b.last.Apply[0], Err: "admission webhook says no", Retry: true})
		}, "ok owner, ok log, ok merged replica, fail applied apply_failed", "admission webhook says no"},
		{"an object of ours", nil, func(t *testing.T, b *bench, _, _ *author) { b.do(mine) },
			"ok owner, ok log, ok merged own, ok applied", "here states it: epoch 1"},
		{"two creators", nil, func(t *testing.T, b *bench, east, _ *author) {
			b.do(mine)
			b.do(append(east.begin(t), east.update(t, "x", 1, 1))...)
		}, "ok owner, ok log, fail merged contested, ok applied", "mesh adopt ConfigMap/default/x"},
		{"two creators elsewhere", nil, func(t *testing.T, b *bench, east, west *author) {
			b.do(append(east.begin(t), east.update(t, "x", 1, 1))...)
			b.do(append(west.begin(t), west.write(t, &event.Event{Kind: event.KindUpdate, Update: &event.Update{
				Object: x, Payload: []byte(`{"w":1}`), Version: 2, Epoch: 1, Birth: 2}}))...)
			b.writeAll()
		}, "ok owner, ok log, warn merged contested, fail applied pending", "takes that of east"},
		{"a rule", nil, func(t *testing.T, b *bench, east, _ *author) {
			b.do(replica.Rules{Rules: []replica.Rule{{Key: east.key.Public(), Allow: nothing}}})
			b.do(append(east.begin(t), east.update(t, "x", 1, 1))...)
		}, "ok owner, ok log, fail merged not_allowed, skip applied outside", "nodes[].allow of east"},
		{"an entry that is missing", func(c *replica.Config) {
			c.Applies, c.Outside = func(mesh.ObjectKey) bool { return false }, func(mesh.ObjectKey) string { return "no entry of mesh.resources covers it" }
		}, func(t *testing.T, b *bench, east, _ *author) {
			b.do(append(east.begin(t), east.update(t, "x", 1, 1))...)
		}, "ok owner, ok log, fail merged outside, skip applied outside", "no entry of mesh.resources covers it"},
		{"a deletion", nil, func(t *testing.T, b *bench, east, _ *author) {
			b.do(append(east.begin(t), east.update(t, "x", 1, 1))...)
			b.writeAll()
			b.do(east.deletes(t, "x", 2))
			b.writeAll()
		}, "ok owner, ok log, ok merged deleted, ok applied", "east deleted it"},
		{"a deletion under way", nil, func(t *testing.T, b *bench, east, _ *author) {
			b.do(append(east.begin(t), east.update(t, "x", 1, 1))...)
			b.writeAll()
			b.do(east.deletes(t, "x", 2))
		}, "ok owner, ok log, ok merged deleted, fail applied pending", "has not confirmed it yet"},
		{"a deletion that the brake holds", func(c *replica.Config) { c.BrakeMin, c.BrakeShare = 1, 0.01 }, func(t *testing.T, b *bench, east, _ *author) {
			b.do(append(east.begin(t), east.update(t, "x", 1, 1))...)
			b.writeAll()
			b.do(east.deletes(t, "x", 2))
		}, "ok owner, ok log, ok merged deleted, fail applied delete_held", "mesh peers accept-deletes east"},
		{"an object of ours that the brake holds", func(c *replica.Config) { c.BrakeMin, c.BrakeShare = 1, 0.01 }, func(t *testing.T, b *bench, _, _ *author) {
			b.do(replica.WitnessWritten{Witness: *b.last.WriteWitness}, mine) // whom it knows was published before
			b.do(replica.LocalGone{Object: x})
			idx, err := b.store.Load()
			if err != nil {
				t.Fatal(err)
			}
			b.do(replica.WitnessRead{Present: true, Witness: idx.Meta.Witness})
		}, "ok owner, ok log, ok merged own, fail applied delete_held", "mesh peers accept-deletes here"},
		{"an object of ours that nobody has seen", nil, func(t *testing.T, b *bench, _, _ *author) {
			b.do(mine)
			idx, err := b.store.Load()
			if err != nil {
				t.Fatal(err)
			}
			if b.r, err = replica.New(replica.Config{Network: meshtest.Network, Zone: "here", Key: keyOf(1)}, idx, b.store, b.now); err != nil {
				t.Fatal(err)
			}
			b.do(replica.WitnessRead{Present: true, Witness: idx.Meta.Witness}, replica.Listed{})
			b.now = b.now.Add(time.Minute)
			b.do(replica.Tick{})
		}, "ok owner, ok log, ok merged own, fail applied missing", "not proven"},
		{"nobody", nil, func(*testing.T, *bench, *author, *author) {}, "fail owner unclaimed, fail published missing", "not among the objects of this zone's own cluster"},
		{"nobody, and not let out", func(c *replica.Config) {
			c.Publishes, c.Outside = func(mesh.ObjectKey) bool { return false }, func(mesh.ObjectKey) string { return "its entry only subscribes" }
		}, func(*testing.T, *bench, *author, *author) {}, "fail owner unclaimed, fail published outside", "its entry only subscribes"},
		{"nobody, by our own rule", nil, func(t *testing.T, b *bench, _, _ *author) {
			b.do(replica.Rules{Rules: []replica.Rule{{Key: keyOf(1).Public(), Allow: nothing}}})
			b.do(mine)
		}, "fail owner unclaimed, fail published not_allowed", "this node's own entry"},
		{"a released one", nil, func(t *testing.T, b *bench, east, _ *author) {
			b.do(append(east.begin(t), east.update(t, "x", 1, 1))...)
			b.writeAll()
			b.do(east.write(t, &event.Event{Kind: event.KindRelease, Release: &event.Release{Object: x, Epoch: 1}}))
		}, "fail owner unclaimed, fail published unmanaged, warn applied unmanaged", "east released it"},
		{"labels of another zone", nil, func(t *testing.T, b *bench, east, _ *author) {
			b.do(append(east.begin(t), east.update(t, "x", 1, 1))...)
			labelled := mine
			labelled.Labelled = "east"
			b.do(labelled)
		}, "ok owner, fail published withheld, ok log, ok merged replica, fail applied pending", "an operator must say whose it is"},
		{"a key that was removed", nil, func(t *testing.T, b *bench, east, west *author) {
			b.do(append(east.begin(t), east.update(t, "x", 1, 1))...)
			b.writeAll()
			b.do(west.begin(t)...)
			b.do(west.write(t, &event.Event{Kind: event.KindRemove, Remove: &event.Remove{Key: east.key.Public(),
				Cuts: []event.Cut{{Log: mesh.LogIDOf(meshtest.Network, east.inst), Height: east.next - 1, Head: east.head}}}}))
		}, "ok owner, warn log key_removed, ok merged replica, ok applied", "doesn't speak for east any more"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, east, west := traceBench(t, tt.change)
			b.open()
			tt.live(t, b, east, west)
			got := b.r.Trace(x)
			all := append(got.Stated, got.Here...)
			if steps(all) != tt.want {
				t.Errorf("steps are\n  %s, want\n  %s\nof %+v", steps(all), tt.want, all)
			}
			if text := fmt.Sprintf("%+v", all); !strings.Contains(text, tt.text) {
				t.Errorf("%q is not among %s", tt.text, text)
			}
			for _, s := range all {
				if s.Status != mesh.CheckOK && s.Message == "" || s.Status == mesh.CheckFail && s.Reason == "" {
					t.Errorf("step %+v says nothing", s)
				}
			}
			if (got.At != nil) != (got.Resource.Owner != "") || got.Resource.Object != x.String() {
				t.Errorf("trace %+v", got)
			}
		})
	}
}

// Before the first comparison with others nothing is signed, which is what keeps an object from being anywhere else.
func TestTraceBeforeTheStart(t *testing.T) {
	t.Parallel()
	b, _, _ := traceBench(t, nil)
	b.do(replica.WitnessRead{}, replica.Local{Object: meshtest.Object("x"), Payload: []byte(`{}`)})
	got := b.r.Trace(meshtest.Object("x"))
	if steps(got.Stated) != "fail owner unclaimed, fail published pending" || !strings.Contains(got.Stated[1].Message, "comparing with the other nodes") {
		t.Errorf("steps are %+v", got.Stated)
	}
}

// The trace of our own statement says which zones are known to hold it, by what they acknowledged.
func TestTraceTellsWhoAcknowledged(t *testing.T) {
	t.Parallel()
	b, east, _ := traceBench(t, nil)
	b.open()
	b.do(replica.Local{Object: meshtest.Object("x"), Payload: []byte(`{}`)})
	at := b.r.Trace(meshtest.Object("x")).At
	for _, h := range b.r.Haves() {
		if h.Key == at.Log {
			b.do(replica.Haves{From: east.key.Public(), Logs: []oplog.Have{h}})
		}
	}
	got := b.r.Trace(meshtest.Object("x"))
	if len(got.Zones) != 2 || got.Zones[0].Zone != "east" || got.Zones[0].Acked == nil || *got.Zones[0].Acked < at.Seq || got.Zones[1].Zone != "west" || got.Zones[1].Acked != nil {
		t.Errorf("zones are %+v, want east with %d and west with nothing", got.Zones, at.Seq)
	}
}
