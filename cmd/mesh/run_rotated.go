package main

import (
	"slices"

	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/node"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/trust"
)

// openHandOver reads the statement that hands a zone over to this node's key, if there is one.
func (r *running) openHandOver(name string) {
	h, ok, err := r.e.readHandOver(name)
	switch {
	case !ok:
		return
	case err != nil:
		r.e.warn("%s is not used: %s", name, rootCause(err))
	case h.To != r.key.Public():
		r.e.warn("%s is not used: it is for the key %s, and this node has %s", name, h.To.Short(), r.key.Public().Short())
	default:
		r.handOver = &h
	}
}

// inherit admits whom the former key of this node took for members. What that key stated counts no more with a node whose
// key nobody admitted yet, and the node that began a mesh knows its members by its own statements alone: without them it
// would talk to nobody, so that nobody could hear of the hand-over.
func (r *running) inherit() error {
	if r.handOver == nil {
		return nil
	}
	index, err := r.store.Load()
	if err != nil {
		return storeOpenError(r.store.Path(), err)
	}
	set := trust.NewSet(trust.Member{Key: r.handOver.From, Zone: r.cfg.Mesh.Zone})
	set.SetLocal(localAdmissions(r.cfg.Nodes, index.Contacts))
	for _, op := range index.Trust {
		if st, err := trust.Read(op.Header, op.Body); err == nil {
			set.Add(st)
		}
	}
	var heirs []node.Peer
	for _, m := range set.View().Members() {
		if m.Key != r.key.Public() && m.Key != r.handOver.From {
			heirs = append(heirs, node.Peer{Key: m.Key}) // which zone it has, the mesh says
		}
	}
	r.members.inherit(heirs)
	return nil
}

// localAdmissions are those of the configuration and of joining.
func localAdmissions(nodes []config.Node, contacts []oplog.Contact) []trust.Member {
	var local []trust.Member
	for _, n := range nodes {
		local = append(local, trust.Member{Key: n.Key, Zone: n.Zone})
	}
	for _, c := range contacts {
		same := func(m trust.Member) bool { return m.Key == c.Key }
		if c.Inviter && !slices.ContainsFunc(local, same) {
			local = append(local, trust.Member{Key: c.Key})
		}
	}
	return local
}
