package main

import (
	"context"
	"fmt"
	"time"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/kube/lease"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// standby answers for a process that does not lead: it says so, and who does. Everything that only a node that
// runs can know is refused.
type standby struct{ r *running }

var _ admin.Inspector = (*standby)(nil)

// Status describes the process. It is ready if it could take over.
func (s *standby) Status(context.Context) (mesh.Status, error) {
	r := s.r
	http, _ := r.admin.HTTPAddr()
	pub := r.key.Public()
	st := mesh.Status{
		Zone: r.cfg.Mesh.Zone, PeerID: pub.PeerID(), PublicKey: pub.String(), NetworkID: r.cfg.NetworkID,
		Version: buildVersion().Version, UptimeSeconds: time.Since(r.begun).Seconds(), Listen: []string{fmt.Sprintf("http/%d", http.Port)},
		Replication: []mesh.Replication{}, Findings: []mesh.Finding{},
	}
	r.kube.describe(&st)
	now := r.kube.lease.Status()
	st.Ready = now.State == lease.Standby
	st.Cluster = mesh.ClusterStatus{Kind: "kubernetes", Location: r.kube.conn.Location, Connected: now.State != lease.Waiting && now.Err == nil,
		Problems: []mesh.Problem{}}
	return st, nil
}

// refuse says who can answer.
func (s *standby) refuse() error {
	now := s.r.kube.lease.Status()
	switch now.State {
	case lease.Held, lease.Unconfirmed:
		return &admin.Error{Code: admin.CodeStarting, Message: "the node is starting", Cause: "it has just begun to lead", Next: []string{"mesh status --wait"}}
	case lease.Waiting:
		return &admin.Error{Code: "MESH-3701", Message: "the node waits for its API server", Cause: "it is not known who leads zone " + string(s.r.cfg.Mesh.Zone),
			Next: []string{"mesh status"}}
	}
	return &admin.Error{Code: "MESH-3702", Message: "this node stands by", Cause: fmt.Sprintf("%s leads zone %s", orNobody(now.Holder), s.r.cfg.Mesh.Zone),
		Next: []string{"mesh status"}}
}

func orNobody(holder string) string {
	if holder == "" {
		return "nobody"
	}
	return holder
}

func (s *standby) Peers(context.Context) ([]mesh.Peer, error)     { return nil, s.refuse() }
func (s *standby) Logs(context.Context) ([]mesh.LogStatus, error) { return nil, s.refuse() }
func (s *standby) Rows(context.Context, mesh.LogKey, uint32, uint32, int) ([]oplog.Row, error) {
	return nil, s.refuse()
}
func (s *standby) Lost(context.Context) ([]oplog.LostEntry, error) { return nil, s.refuse() }
func (s *standby) LostOne(context.Context, uint64) (oplog.LostEntry, bool, error) {
	return oplog.LostEntry{}, false, s.refuse()
}
func (s *standby) Resources(context.Context, mesh.ObjectKey, int) ([]mesh.Resource, error) {
	return nil, s.refuse()
}
func (s *standby) Resource(context.Context, mesh.ObjectKey) (mesh.Resource, bool, error) {
	return mesh.Resource{}, false, s.refuse()
}
func (s *standby) Held(context.Context) ([]mesh.HeldDeletes, error) { return nil, s.refuse() }
func (s *standby) Adopt(context.Context, mesh.ObjectKey, bool) (mesh.Adoption, error) {
	return mesh.Adoption{}, s.refuse()
}
func (s *standby) AcceptDeletes(context.Context, mesh.Zone, mesh.Hash) (mesh.Confirmation, error) {
	return mesh.Confirmation{}, s.refuse()
}
func (s *standby) Invite(context.Context, admin.InviteRequest) (mesh.NewInvite, error) {
	return mesh.NewInvite{}, s.refuse()
}
func (s *standby) Invites(context.Context) ([]mesh.Invite, error) { return nil, s.refuse() }
func (s *standby) Revoke(context.Context, string) (mesh.Invite, error) {
	return mesh.Invite{}, s.refuse()
}
func (s *standby) Remove(context.Context, keys.Public, bool) (mesh.Removal, error) {
	return mesh.Removal{}, s.refuse()
}
