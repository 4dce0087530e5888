package main

import (
	"context"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

// This file answers those who watch the node.

func (i *inspector) Changes(ctx context.Context, at replica.Cursor, limit int) (replica.Changes, error) {
	var out replica.Changes
	if err := i.node.Inspect(ctx, func(r *replica.Replica) { out = r.Changes(at, limit) }); err != nil {
		return replica.Changes{}, err
	}
	return out, nil
}

func (i *inspector) Topology(ctx context.Context) (mesh.Topology, error) { return i.node.Topology(ctx) }

func (i *inspector) Content(ctx context.Context, key mesh.ObjectKey, zone mesh.Zone) (admin.Claimed, bool, error) {
	var found mesh.ObjectKey
	var res mesh.Resource
	err := i.node.Inspect(ctx, func(r *replica.Replica) {
		found = r.Resolve(key)
		res, _ = r.Resource(found)
	})
	if err != nil {
		return admin.Claimed{}, false, err
	}
	if zone == "" {
		zone = res.Owner
	}
	payload, err := i.store.Payload(mesh.ClaimRef{Object: found, Zone: zone})
	return admin.Claimed{Object: found, Zone: zone, Payload: payload}, len(payload) > 0, err
}

func (s *standby) Changes(context.Context, replica.Cursor, int) (replica.Changes, error) {
	return replica.Changes{}, s.refuse()
}

func (s *standby) Topology(context.Context) (mesh.Topology, error) {
	return mesh.Topology{}, s.refuse()
}

func (s *standby) Content(context.Context, mesh.ObjectKey, mesh.Zone) (admin.Claimed, bool, error) {
	return admin.Claimed{}, false, s.refuse()
}

// tellOwn keeps a notice about this zone.
func (r *running) tellOwn(n mesh.Notice) {
	n.Zone = r.cfg.Mesh.Zone
	r.notices.Tell(n)
}

// confirmed takes in whether this process certainly holds the lease, and tells it.
func (r *running) confirmed(held bool) {
	r.kube.confirmed(held)
	n := mesh.Notice{Kind: mesh.NoticeKube, Level: mesh.LevelInfo, Reason: "LeaseHeld", Text: "this process holds the lease and writes to the cluster"}
	if !held {
		n.Level, n.Reason, n.Text = mesh.LevelWarn, "LeaseUnconfirmed", "the lease is not confirmed any more: nothing is written to the cluster"
	}
	r.tellOwn(n)
}
