package node

import (
	"slices"
	"sync"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// view is what the network side knows of the replica: an immutable picture that the loop replaces after a
// commit that changed it. It may be a group old; a sync round then sends a little less or more.
type view struct {
	haves       []oplog.Have // by key
	trust       []oplog.TrustOp
	trustDigest mesh.Hash
	trustHeld   func() map[mesh.Hash]bool // by id, what is in trust
	instance    mesh.Instance             // of the own log; incarnation 0 while nothing was signed
	own         oplog.Have                // the own log; Next 0 while nothing was signed
	unchecked   []oplog.Span              // rows whose own signatures were not verified yet
	digest      func() mesh.Hash
}

func newView(haves []oplog.Have, self keys.Public, zone mesh.Zone, inc mesh.Incarnation) *view {
	v := &view{haves: haves, instance: mesh.Instance{Zone: zone, Incarnation: inc}}
	sortHaves(v.haves)
	for _, h := range v.haves {
		if h.Key.Author == self && h.Instance == v.instance {
			v.own = h
		}
	}
	v.digestOnce()
	return v
}

// digestOnce has the digest made when it is asked for, once.
func (v *view) digestOnce() {
	v.digest = sync.OnceValue(func() mesh.Hash { return digestHeld(v.haves, v.trustDigest) })
}

func (v *view) find(k mesh.LogKey) (oplog.Have, bool) {
	i, ok := slices.BinarySearchFunc(v.haves, k, func(h oplog.Have, k mesh.LogKey) int { return h.Key.Compare(k) })
	if !ok {
		return oplog.Have{}, false
	}
	return v.haves[i], true
}

// next is the first sequence number of a log that is not held.
func (v *view) next(k mesh.LogKey) uint32 {
	h, _ := v.find(k)
	return h.Next
}

// digestHeld is equal on two nodes that hold the same operations: BLAKE3 over the digest of the trust set and (author,
// log id, next, head hash) of every log in key order.
func digestHeld(haves []oplog.Have, trust mesh.Hash) mesh.Hash {
	b := make([]byte, 0, len(trust)+len(haves)*(64+4+32))
	b = append(b, trust[:]...)
	for _, h := range haves {
		b = append(append(b, h.Key.Author[:]...), h.Key.Log[:]...)
		b = append(be.AppendUint32(b, h.Next), h.Head[:]...)
	}
	return mesh.Sum(b)
}

// setTrust takes in the trust set.
func (v *view) setTrust(ops []oplog.TrustOp, digest mesh.Hash) {
	v.trust, v.trustDigest = ops, digest
	v.digestOnce()
	v.trustHeld = sync.OnceValue(func() map[mesh.Hash]bool {
		held := make(map[mesh.Hash]bool, len(ops))
		for _, op := range ops {
			held[op.ID] = true
		}
		return held
	})
}

// lacked leaves out the statements that are held already. Whoever has another set than ours sends all of it, on each
// link: to verify what is known would be most of what a large mesh does while it comes together.
func (v *view) lacked(ops []opMsg) []opMsg {
	held := v.trustHeld()
	return slices.DeleteFunc(ops, func(op opMsg) bool { return held[mesh.Sum(op.Header)] })
}
