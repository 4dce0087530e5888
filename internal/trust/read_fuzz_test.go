package trust_test

import (
	"testing"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/trust"
)

// FuzzRead reads a statement that anybody may have sent: with header and body as they come, and with any body signed
// by a key of our own, which is what a member may send. What is accepted is about trust, of the log and the author
// that the header names, and reads the same once it is stored.
func FuzzRead(f *testing.F) {
	const network = mesh.NetworkID("n")
	author := keys.FromSeed([keys.SeedSize]byte{1})
	other := keys.FromSeed([keys.SeedSize]byte{2}).Public()
	inst := mesh.Instance{Zone: "a", Incarnation: 7}
	sign := func(body []byte) *operation.Operation {
		op, err := operation.Sign(author, operation.Header{Log: mesh.LogIDOf(network, inst)}, body)
		if err != nil {
			f.Fatal(err)
		}
		return op
	}
	for _, e := range []event.Event{
		{Kind: event.KindAdmit, Admit: &event.Admit{Key: other, Zone: "b"}},
		{Kind: event.KindBind, Bind: &event.Bind{Key: other, Zone: "b"}},
		{Kind: event.KindRemove, Remove: &event.Remove{Key: other}},
		{Kind: event.KindDelete, Delete: &event.Delete{Object: mesh.ObjectKey{Kind: "ConfigMap", Name: "x"}, Version: 1, Epoch: 1, Birth: 1}},
	} {
		e.Instance = inst
		body, err := event.Encode(&e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(sign(body).Raw, body)
	}
	elsewhere := event.Event{Instance: mesh.Instance{Zone: "z", Incarnation: 7}, Kind: event.KindRemove, Remove: &event.Remove{Key: other}}
	body, err := event.Encode(&elsewhere)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{}, body) // signed into a log that isn't that of its instance
	f.Fuzz(func(t *testing.T, header, body []byte) {
		if len(body) > operation.MaxBody {
			return
		}
		for _, h := range [][]byte{header, sign(body).Raw} {
			st, err := trust.Verify(network, h, body)
			if err != nil {
				continue
			}
			op, err := operation.Decode(h)
			if err != nil || op.Verify() != nil || op.SetBody(body) != nil {
				t.Fatalf("%x was taken for an operation: %v", h, err)
			}
			if !st.Event.AboutTrust() || st.Author != op.Author || st.Log != op.Log || st.ID != op.ID || mesh.LogIDOf(network, st.Event.Instance) != op.Log {
				t.Fatalf("%+v was read of %+v", st, op.Header)
			}
			if stored, err := trust.Read(h, body); err != nil || stored.ID != st.ID || stored.Author != st.Author || stored.Log != st.Log {
				t.Fatalf("stored it is %+v, %v, it was %+v", stored, err, st)
			}
			s := trust.NewSet(trust.Member{Key: author.Public(), Zone: "a"})
			s.Add(st)
			s.View()
		}
	})
}
