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
}

// RowIDs looks up the id of a held operation, as Reader.RowID.
type RowIDs func(log mesh.LogKey, seq uint32) (mesh.Hash, bool, error)

// Diff decides what to send to a node that stated theirs, in the order of Log keys.
func Diff(ours, theirs []Have, ids RowIDs) ([]Send, error) { return nil, nil }

// Lacks reports whether theirs holds something that ours does not: a reason to ask for a sync round.
func Lacks(ours, theirs []Have) bool { return false }
