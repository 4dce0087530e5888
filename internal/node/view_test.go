package node

import (
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// Of a trust set that a peer sends, what is held is not looked at again; what differs in its header by one byte is.
func TestTrustThatIsHeldIsLeftOut(t *testing.T) {
	t.Parallel()
	var v view
	held := []byte("a statement")
	v.setTrust([]oplog.TrustOp{{ID: mesh.Sum(held), Header: held}}, mesh.Hash{1})
	got := v.lacked([]opMsg{{Header: []byte("another one")}, {Header: held}, {Header: []byte("a statemenT")}})
	if len(got) != 2 || string(got[0].Header) != "another one" || string(got[1].Header) != "a statemenT" {
		t.Errorf("what is lacked: %q", got)
	}
	v.setTrust(nil, mesh.Hash{})
	if got := v.lacked([]opMsg{{Header: held}}); len(got) != 1 {
		t.Errorf("of an empty set: %q", got)
	}
}
