package oplog

import "dcp.hiro.io/mesh/internal/mesh"

// Have states what a node holds of one log. It is what two nodes compare to decide what to send.
type Have struct {
	Key      mesh.LogKey
	Instance mesh.Instance
	Start    uint32
	Next     uint32    // first sequence number not held; 0: nothing of the chain
	Head     mesh.Hash // id of operation Next-1
	// Staged is the part of a snapshot run that is held beyond the chain, or nil.
	Staged *Run
	// Frozen says that the log has a proven fork; Next and Head then name the last common position.
	Frozen bool
}

// Send is one stretch of a log that the other side lacks: rows [From, To).
type Send struct {
	Log      mesh.LogKey
	Instance mesh.Instance
	From, To uint32
	// Evidence asks for the two operations that prove a fork instead of rows: the other side doesn't know yet.
	Evidence bool
}

// RowIDs looks up the id of a held operation, as Reader.RowID.
type RowIDs func(log mesh.LogKey, seq uint32) (mesh.Hash, bool, error)

// forkWindow is how many operations are sent at once to find where two histories part. Each round lowers the
// common position by as many at most.
const forkWindow = 256

// Diff decides what to send to a node that stated theirs, in the order of ours. Where the other's head is not
// on our chain it sends the rows around it: they prove the fork to the other side.
func Diff(ours, theirs []Have, ids RowIDs) ([]Send, error) {
	byKey := make(map[mesh.LogKey]*Have, len(theirs))
	for i := range theirs {
		byKey[theirs[i].Key] = &theirs[i]
	}
	var out []Send
	for i := range ours {
		o := &ours[i]
		t := byKey[o.Key]
		from, to, err := stretch(o, t, ids)
		if err != nil {
			return nil, err
		}
		if o.Frozen && t != nil && !t.Frozen && t.Next > o.Next {
			out = append(out, Send{Log: o.Key, Instance: o.Instance, Evidence: true})
		} else if from < to {
			out = append(out, Send{Log: o.Key, Instance: o.Instance, From: from, To: to})
		}
	}
	return out, nil
}

// stretch decides about one log. A staged run is not passed on: it is worth something when it is whole. t is nil when the other side holds nothing of it.
func stretch(o, t *Have, ids RowIDs) (from, to uint32, err error) {
	if o.Next == 0 {
		return 0, 0, nil
	}
	if t == nil || t.Next == 0 && t.Staged == nil && !t.Frozen {
		return o.Start, o.Next, nil
	}
	if t.Next > o.Start && t.Next <= o.Next {
		id, held, err := ids(o.Key, t.Next-1)
		if err != nil {
			return 0, 0, err
		}
		if held && id != t.Head {
			return max(o.Start, t.Next-min(t.Next, forkWindow)), t.Next, nil
		}
	}
	switch {
	case t.Frozen || t.Next >= o.Next:
		return 0, 0, nil
	case t.Next >= o.Start:
		return t.Next, o.Next, nil
	case t.Staged != nil && t.Staged.Begin == o.Start && t.Staged.Next <= o.Next:
		// Between their chain and ours is a gap that a whole run must bridge; part of one is there already.
		id, held, err := ids(o.Key, t.Staged.Next-1)
		if err != nil {
			return 0, 0, err
		}
		if held && id == t.Staged.Head {
			return t.Staged.Next, o.Next, nil
		}
	}
	return o.Start, o.Next, nil
}
