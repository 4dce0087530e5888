package oplog_test

import (
	"testing"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// havesOf makes statements about up to four logs: eight bytes for each, of which most numbers are small, and some as
// large as there are. A sound one is what a node can hold; a peer may say anything.
func havesOf(b []byte, sound bool) []oplog.Have {
	number := func(x byte) uint32 {
		if !sound && x >= 0xf0 {
			return ^uint32(0) - uint32(0xff-x)
		}
		return uint32(x % 40)
	}
	var out []oplog.Have
	for i := 0; len(b) >= 8 && i < 4; i, b = i+1, b[8:] {
		h := oplog.Have{Key: mesh.LogKey{Author: keys.Public{byte(i)}}, Start: number(b[0]), Next: number(b[1]), Frozen: b[7]&1 > 0}
		if sound {
			h.Next = max(h.Start, h.Next)
		}
		if h.Next > 0 {
			h.Head = idOf(h.Next-1, b[7]&2 > 0)
		}
		if b[2] >= 0x80 && !(sound && h.Frozen) {
			h.Staged = &oplog.Run{Begin: number(b[3]), Next: number(b[4]), Head: idOf(number(b[4])-1, b[7]&4 > 0)}
			if sound {
				h.Staged.Begin = max(h.Staged.Begin, h.Next+1)
				h.Staged.Next = max(h.Staged.Next, h.Staged.Begin+1)
				h.Staged.Head = idOf(h.Staged.Next-1, false)
			}
		}
		out = append(out, h)
	}
	return out
}

// idOf names an operation of one of two histories that have nothing in common.
func idOf(seq uint32, rival bool) mesh.Hash {
	h := mesh.Hash{1, byte(seq >> 24), byte(seq >> 16), byte(seq >> 8), byte(seq)}
	if rival {
		h[0] = 2
	}
	return h
}

// FuzzDiff compares what a node holds with what a peer says that it holds, which may be anything. What is sent is held,
// of one log at most one stretch, in the order of ours; and a peer that takes it all and says so gets nothing more.
func FuzzDiff(f *testing.F) {
	f.Add([]byte{0, 9, 0, 0, 0, 0, 0, 0}, []byte{0, 5, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{5, 30, 0, 0, 0, 0, 0, 0}, []byte{0, 3, 0x80, 5, 20, 0, 0, 0})
	f.Add([]byte{0, 9, 0, 0, 0, 0, 0, 1}, []byte{0, 0xff, 0, 0, 0, 0, 0, 2})
	f.Add([]byte{7, 7, 0x90, 9, 12, 0, 0, 0, 0, 39, 0, 0, 0, 0, 0, 2}, []byte{0xff, 0xfe, 0xff, 0xff, 0xf0, 0, 0, 4, 3, 3, 0, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, mine, said []byte) {
		ours, theirs := havesOf(mine, true), havesOf(said, false)
		ids := func(log mesh.LogKey, seq uint32) (mesh.Hash, bool, error) {
			for _, o := range ours {
				if o.Key == log && seq >= o.Start && seq < o.Next {
					return idOf(seq, o.Head[0] == 2), true, nil
				}
				if o.Key == log && o.Staged != nil && seq >= o.Staged.Begin && seq < o.Staged.Next {
					return idOf(seq, false), true, nil
				}
			}
			return mesh.Hash{}, false, nil
		}
		sends, err := oplog.Diff(ours, theirs, ids)
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		for _, s := range sends {
			for at < len(ours) && ours[at].Key != s.Log {
				at++
			}
			if at == len(ours) {
				t.Fatalf("%+v, twice or out of order, of %+v", s, ours)
			}
			o := ours[at]
			at++
			if s.Instance != o.Instance || s.Evidence && !o.Frozen || !s.Evidence && (s.From < o.Start || s.To > o.Next || s.From >= s.To) {
				t.Fatalf("%+v of %+v", s, o)
			}
		}
		// What we hold ourselves is never sent back to us.
		if again, err := oplog.Diff(ours, ours, ids); err != nil || len(again) > 0 {
			t.Fatalf("to somebody who has all of it %+v is sent, %v", again, err)
		}
		// Who has nothing gets every chain from its start.
		whole, err := oplog.Diff(ours, nil, ids)
		n := 0
		for _, o := range ours {
			if o.Start < o.Next {
				if n == len(whole) || whole[n].From != o.Start || whole[n].To != o.Next {
					t.Fatalf("of %+v %+v is sent, %v", ours, whole, err)
				}
				n++
			}
		}
	})
}
