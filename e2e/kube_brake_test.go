package e2e_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestKubeMassDelete deletes more than half of a zone's objects at once: what is beyond the half waits on the owner
// until somebody agrees there, and then in each zone that receives it.
func TestKubeMassDelete(t *testing.T) {
	t.Parallel()
	const count = 50
	all := sharedZones(t, "east west")
	east, west := all[0], all[1]
	startAll(t, plain(all)...)
	want := fill(t, count, all...)
	change(t, want, east, 0, count*3/5, "")
	const held = count*3/5 - count/2
	eventually(t, "the brake holds what is beyond the half", func() error {
		s, err := east.status()
		if err != nil {
			return err
		}
		there, err := west.list(west.at())
		if err == nil && (s.Resources.DeletesHeld != held || len(there) != count+count/2) {
			err = fmt.Errorf("east holds %d, west has %d", s.Resources.DeletesHeld, len(there))
		}
		return err
	})
	if out := east.cli("status"); !strings.Contains(out, "held") || !strings.Contains(out, "accept-deletes") {
		t.Errorf("status says nothing of what is held:\n%s", out)
	}
	// The rest goes on.
	change(t, want, east, count, count+5, "1")
	eventually(t, "what is new arrives", func() error {
		_, err := west.get(west.at(fmt.Sprint("east-", count)))
		return err
	})
	agree(t, want, all...)
	flows(t, want, all...)
}

// agree confirms whatever is held until the clusters hold what they should.
func agree(t *testing.T, want model, all ...*kubeZone) {
	t.Helper()
	eventually(t, "what is agreed to is carried out", func() error {
		for _, z := range all {
			s, err := z.status()
			if err != nil {
				return err
			}
			if s.Resources.DeletesHeld > 0 {
				if out, err := z.try("peers", "accept-deletes", "east", "-y"); err != nil {
					return fmt.Errorf("%w: %s", err, out)
				}
			}
		}
		for _, z := range all {
			if err := z.differsIn(want); err != nil {
				return err
			}
		}
		return nil
	})
}
