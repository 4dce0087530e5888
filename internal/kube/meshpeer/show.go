package meshpeer

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"dcp.hiro.io/mesh/internal/mesh"
)

// Shown is a MeshPeer as somebody reads it who is not the node that writes it.
type Shown struct {
	// Peer has what a MeshPeer tells: name, zone, state and since when, key, endpoints, version, incarnation, when it
	// was last heard and first known, why it is not ready, and the object itself. The rest only the node knows.
	Peer mesh.Peer

	Self          bool      // it stands for the node that writes the MeshPeers of this namespace
	Ready, Synced bool      // what its conditions say; of the node itself with Self
	Written       time.Time // when its status was written last; zero: never
}

// Show reads a MeshPeer that anybody may have written: everything in it is bounded and of the form it ought to have,
// or left out. It is false for one without a key, and for one whose key another MeshPeer stands for.
func Show(u *unstructured.Unstructured) (Shown, bool) {
	o := readObject(u)
	if o.keyErr != "" || o.status.condition(Ready).Reason == ReasonDuplicateKey {
		return Shown{}, false
	}
	p := mesh.Peer{
		Name: "peer-" + o.key.Short(), Zone: o.zone, State: mesh.Unknown, PublicKey: o.key.String(), PeerID: o.key.PeerID(),
		Endpoints: o.endpoints, FirstSeen: timeOf(o.created), Reasons: []string{}, ZoneKeys: []mesh.ZoneKey{},
		Namespace: clip(u.GetNamespace(), 63), Object: singular + "/" + o.name, Partial: true,
	}
	if p.Endpoints == nil {
		p.Endpoints = []string{}
	}
	var s Shown
	if st := o.status; st != nil {
		st.bound()
		ready := st.condition(Ready)
		switch st.Status {
		case mesh.Ready, mesh.NotReady, mesh.Unavailable:
			p.State = st.Status
		}
		if zone, err := mesh.ParseZone(st.Zone); err == nil {
			p.Zone = zone
		}
		if st.Version != "" {
			p.Version = &st.Version
		}
		if st.Instance != nil {
			t := time.UnixMilli(int64(st.Instance.StartTimestamp)).UTC()
			p.Incarnation = &t
		}
		p.LastSeen, p.Since = timeOf(stamped(st.LastSeen)), timeOf(stamped(ready.LastTransitionTime))
		if p.State != mesh.Ready && ready.Reason != "" {
			p.Reasons = []string{clip(ready.Reason, maxReason)}
		}
		connected := st.condition(Connected).Reason
		s.Self = connected == ReasonSelf || connected == ReasonStopped
		s.Ready, s.Synced = ready.Status == "True", st.condition(Synced).Status == "True"
		s.Written = stamped(st.UpdateTime)
	}
	if p.Zone != "" {
		p.Name = string(p.Zone)
	}
	s.Peer = p
	return s, true
}

// singular is how kubectl names one MeshPeer in full.
const singular = "meshpeer.dcp.hiro.io"

// timeOf is nil for the zero time.
func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
