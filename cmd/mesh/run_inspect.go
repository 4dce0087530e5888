package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/node"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
	"dcp.hiro.io/mesh/internal/store"
	"dcp.hiro.io/mesh/internal/trust"
)

// inspector answers the admin server from the running node and its store. What a question to the loop was to
// fill in is not looked at when the question failed: the loop may still be at it.
type inspector struct {
	node    *node.Node
	store   *store.Store
	zone    mesh.Zone
	network mesh.NetworkID
	self    keys.Public
	listen  func() []string
	kube    *kubernetes // nil: no lease

	endpoints func() []string // where others reach this node
	doctor    func(context.Context, admin.DoctorQuery, func(mesh.CheckResult)) error
	choosy    func(mesh.ObjectKey) string // what the configuration asks of an object beside its name
	now       func() time.Time
	rand      io.Reader // of cryptographic quality
}

var _ admin.Inspector = (*inspector)(nil)

// Status adds the ports of this process, and why nothing is announced yet, to what the node says.
func (i *inspector) Status(ctx context.Context) (mesh.Status, error) {
	s, err := i.node.Status(ctx)
	if err != nil {
		return s, err
	}
	s.Listen = i.listen()
	if i.kube != nil {
		i.kube.describe(&s)
	}
	var waits bool
	var why string
	if err := i.node.Inspect(ctx, func(r *replica.Replica) { waits, why = r.Waiting() }); err != nil {
		return s, err
	}
	if waits {
		s.Findings = append(s.Findings, mesh.Finding{ID: "start.compared", Status: "warn", Text: "changes made here are recorded and not announced yet: " + why})
	}
	return s, nil
}

// Peers adds what the trust set knows to what the node knows.
func (i *inspector) Peers(ctx context.Context) ([]mesh.Peer, error) {
	peers, err := i.node.Peers(ctx)
	if err != nil {
		return nil, err
	}
	var view *trust.View
	if err := i.node.Inspect(ctx, func(r *replica.Replica) { view = r.TrustView() }); err != nil {
		return nil, err
	}
	addTrust(peers, view, i.self, i.zone)
	return peers, nil
}

// Logs adds what the network knows to what the replica holds: how far behind the newest log of a zone is.
func (i *inspector) Logs(ctx context.Context) ([]mesh.LogStatus, error) {
	var logs []mesh.LogStatus
	if err := i.node.Inspect(ctx, func(r *replica.Replica) { logs = r.Logs() }); err != nil {
		return nil, err
	}
	status, err := i.node.Status(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range status.Replication {
		last := -1 // logs are in the order of incarnations
		for n := range logs {
			if logs[n].Zone == r.Zone {
				last = n
			}
		}
		if last >= 0 && r.LagOperations > 0 {
			logs[last].Lag = r.LagOperations
			if logs[last].State == "OK" {
				logs[last].State = "Behind"
			}
		}
	}
	return logs, nil
}

func (i *inspector) Rows(_ context.Context, log mesh.LogKey, from, to uint32, maxBytes int) ([]oplog.Row, error) {
	return i.store.Rows(log, from, to, maxBytes)
}

func (i *inspector) Lost(context.Context) ([]oplog.LostEntry, error) { return i.store.Lost() }

func (i *inspector) LostOne(_ context.Context, id uint64) (oplog.LostEntry, bool, error) {
	return i.store.LostOne(id)
}

func (i *inspector) Resources(ctx context.Context, after mesh.ObjectKey, limit int) ([]mesh.Resource, error) {
	var out []mesh.Resource
	if err := i.node.Inspect(ctx, func(r *replica.Replica) { out = r.Resources(after, limit) }); err != nil {
		return nil, err
	}
	return out, nil
}

func (i *inspector) Resource(ctx context.Context, key mesh.ObjectKey) (mesh.Resource, bool, error) {
	var res mesh.Resource
	var ok bool
	if err := i.node.Inspect(ctx, func(r *replica.Replica) { res, ok = r.Resource(r.Resolve(key)) }); err != nil {
		return mesh.Resource{}, false, err
	}
	return res, ok, nil
}

func (i *inspector) Held(ctx context.Context) ([]mesh.HeldDeletes, error) {
	var out []mesh.HeldDeletes
	if err := i.node.Inspect(ctx, func(r *replica.Replica) { out = r.Held() }); err != nil {
		return nil, err
	}
	return out, nil
}

// Adopt refuses what the replica would refuse, in words, before anything is changed.
func (i *inspector) Adopt(ctx context.Context, key mesh.ObjectKey, dryRun bool) (mesh.Adoption, error) {
	if err := i.node.Inspect(ctx, func(r *replica.Replica) { key = r.Resolve(key) }); err != nil {
		return mesh.Adoption{}, err
	}
	a, refusal, err := i.adoption(ctx, key)
	if err != nil || dryRun || a.Done {
		return a, err
	}
	if refusal != "" {
		return a, notAdoptable(key, refusal)
	}
	if err := i.node.Do(ctx, replica.Adopt{Object: key}); err != nil {
		return a, err
	}
	a, _, err = i.adoption(ctx, key)
	return a, err
}

// notAdoptable refuses to take ownership.
func notAdoptable(key mesh.ObjectKey, why string) error {
	return &admin.Error{Code: "MESH-6201", Message: fmt.Sprintf("%s cannot be adopted here", key), Cause: why,
		Next: []string{"mesh adopt --dry-run " + key.String(), "mesh status"}}
}

// adoption describes an object to whoever thinks of adopting it, and why that would be refused.
func (i *inspector) adoption(ctx context.Context, key mesh.ObjectKey) (mesh.Adoption, string, error) {
	var res mesh.Resource
	var known bool
	var refusal string
	err := i.node.Inspect(ctx, func(r *replica.Replica) {
		res, known = r.Resource(key)
		refusal = r.AdoptRefusal(key)
	})
	switch {
	case err != nil:
		return mesh.Adoption{}, "", err
	case !known:
		return mesh.Adoption{}, "", &admin.Error{Code: admin.CodeNotFound, Message: "no object " + key.String(), Cause: "no zone has a claim on it; a kind is written in full, ConfigMap and not cm",
			Next: []string{"mesh log show --object " + key.String()}}
	}
	a := mesh.Adoption{
		Resource: res, Zone: i.zone, Done: res.Owner == i.zone && res.State == "Live",
		HasCopy: slices.Contains(res.Claims, i.zone), Against: rival(res, i.zone), Differs: []string{},
	}
	if a.HasCopy && a.Against != "" {
		if a.Differs, err = i.differences(key, a.Against); err != nil {
			return mesh.Adoption{}, "", err
		}
	}
	return a, refusal, nil
}

// maxDiffers is how many fields of a divergence are named.
const maxDiffers = 20

// rival is the zone whose copy ours is to be compared with: the owner, or where that is us, another creator.
func rival(r mesh.Resource, self mesh.Zone) mesh.Zone {
	if r.Owner != self && slices.Contains(r.Claims, r.Owner) {
		return r.Owner
	}
	n := slices.IndexFunc(r.Claims, func(z mesh.Zone) bool { return z != self })
	if n < 0 {
		return ""
	}
	return r.Claims[n]
}

// differences names the fields in which our claim on an object differs from another zone's.
func (i *inspector) differences(key mesh.ObjectKey, other mesh.Zone) ([]string, error) {
	ours, err := i.store.Payload(mesh.ClaimRef{Object: key, Zone: i.zone})
	if err != nil {
		return nil, err
	}
	theirs, err := i.store.Payload(mesh.ClaimRef{Object: key, Zone: other})
	if err != nil {
		return nil, err
	}
	return differingFields(ours, theirs, maxDiffers), nil
}

func (i *inspector) AcceptDeletes(ctx context.Context, zone mesh.Zone, digest mesh.Hash) (mesh.Confirmation, error) {
	held, err := i.Held(ctx)
	if err != nil {
		return mesh.Confirmation{}, err
	}
	n := slices.IndexFunc(held, func(h mesh.HeldDeletes) bool { return h.Zone == zone && h.Digest == digest.String() })
	if n < 0 {
		return mesh.Confirmation{}, &admin.Error{Code: admin.CodeConflict, Message: "the held deletions of " + string(zone) + " are not those you saw",
			Cause: "the set has changed since", Next: []string{"mesh peers accept-deletes " + string(zone)}}
	}
	if err := i.node.Do(ctx, replica.AcceptDeletes{Zone: zone, Digest: digest}); err != nil {
		return mesh.Confirmation{}, err
	}
	return mesh.Confirmation{Zone: zone, Accepted: len(held[n].Objects)}, nil
}
