package meshtest_test

import (
	"fmt"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	. "dcp.hiro.io/mesh/internal/meshtest"
	"dcp.hiro.io/mesh/internal/operation"
)

const trialSteps = 120

// Whoever belongs to the mesh agrees on who does, on every claim and on what stands in the clusters, whatever happened
// to the members. A failing seed prints the command that runs it again.
func TestTrial(t *testing.T) {
	if *seedFlag != 0 {
		x := NewTrial(*seedFlag)
		err := x.Run(trialSteps)
		t.Log(strings.Join(x.Trace, "\n"))
		if err != nil {
			t.Error(err)
			dumpTrust(t, x)
			dump(t, &Chaos{World: x.World})
		}
		return
	}
	const shards = 4
	for shard := range uint64(shards) {
		t.Run(fmt.Sprint("shard", shard), func(t *testing.T) {
			t.Parallel()
			lives, lonely := 0, 0
			for seed := 1 + shard; seed <= *seedsFlag/3; seed += shards { // such a life takes longer than one of chaos
				x := NewTrial(seed)
				err := x.Run(trialSteps)
				if lives++; x.Left < 2 {
					lonely++
				}
				if err != nil {
					t.Errorf("seed %d: %v\n\trun it again: go test ./internal/meshtest -run TestTrial -seed %d -v", seed, err, seed)
				}
			}
			if lonely > lives/10 {
				t.Errorf("in %d of %d lives nobody is left to agree with: that proves nothing", lonely, lives)
			}
		})
	}
}

func dumpTrust(t *testing.T, x *Trial) {
	for _, n := range x.Nodes {
		if n.Replica == nil {
			continue
		}
		t.Logf("== %s admitted: ", n.Name)
		for _, m := range n.Replica.TrustView().Members() {
			t.Logf("     %s %s", m.Key.Short(), m.Zone)
		}
		for _, op := range n.Replica.Trust() {
			o, _ := operation.Decode(op.Header)
			ev, _ := event.Decode(op.Body)
			t.Logf("     op by %s #%d@%d: %v standing %v", o.Author.Short(), o.Seq, ev.Instance.Incarnation, describe(ev), n.Replica.TrustView().Standing(op.ID))
		}
	}
}

func describe(ev *event.Event) string {
	switch {
	case ev.Admit != nil:
		return fmt.Sprint("admit ", ev.Admit.Key.Short(), " ", ev.Admit.Zone)
	case ev.Bind != nil:
		return fmt.Sprint("bind ", ev.Bind.Key.Short(), " ", ev.Bind.Zone)
	case ev.Remove != nil:
		s := fmt.Sprint("remove ", ev.Remove.Key.Short())
		for _, c := range ev.Remove.Cuts {
			s += fmt.Sprintf(" %s:%d", mesh.Hash(c.Log).Short(), c.Height)
		}
		return s
	case ev.HandOver != nil:
		s := fmt.Sprint("hand over ", ev.HandOver.Zone, " ", ev.HandOver.From.Short(), " to ", ev.HandOver.To.Short(), " gen ", ev.HandOver.Generation)
		for _, c := range ev.HandOver.Cuts {
			s += fmt.Sprintf(" %s:%d", mesh.Hash(c.Log).Short(), c.Height)
		}
		return s
	}
	return "?"
}
