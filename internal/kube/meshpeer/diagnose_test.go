package meshpeer_test

import (
	"errors"
	"testing"

	"dcp.hiro.io/mesh/internal/kube/meshpeer"
)

// The definition is looked at and never touched: missing, of this version, altered, older and newer; and by an account
// that may not read it.
func TestInstalled(t *testing.T) {
	t.Parallel()
	s := own(t)
	conn := connect(t, s, s.Token, "default")
	if _, err := meshpeer.Installed(t.Context(), conn); !errors.Is(err, meshpeer.ErrNotServed) {
		t.Errorf("without it: %v", err)
	}
	if _, err := meshpeer.Install(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	look := func(token string) meshpeer.Definition {
		t.Helper()
		d, err := meshpeer.Installed(t.Context(), connect(t, s, token, "default"))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if d := look(s.Token); !d.Known || !d.Same || d.Here != d.Ours || d.Ours == 0 {
		t.Errorf("of this version: %+v", d)
	}
	if d := look(s.UserToken(t, "limited")); d.Known || d.Ours == 0 {
		t.Errorf("by somebody who may not read it: %+v", d)
	}
	crd := crdPath + "/meshpeers.dcp.hiro.io"
	change := func(patch string) {
		t.Helper()
		if status, body := s.Do(t, "PATCH", crd, patch); status != 200 {
			t.Fatalf("PATCH: %d %s", status, body)
		}
	}
	change(`{"spec":{"names":{"shortNames":["mp"]}}}`)
	if d := look(s.Token); !d.Known || d.Same || d.Here != d.Ours {
		t.Errorf("altered: %+v", d)
	}
	change(`{"metadata":{"annotations":{"dcp.hiro.io/crd-version":null}}}`)
	if d := look(s.Token); d.Here != 0 || d.Same {
		t.Errorf("of an earlier release: %+v", d)
	}
	change(`{"metadata":{"annotations":{"dcp.hiro.io/crd-version":"1000"}}}`)
	if d := look(s.Token); d.Here != 1000 || d.Same {
		t.Errorf("of a later release: %+v", d)
	}
}
