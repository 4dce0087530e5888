package replica

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/trust"
)

// What joining and leaving a mesh is about.
type (
	// Invited adds an invitation.
	Invited struct{ Invite oplog.Invite }
	// Revoked cancels an invitation by its id. What it admitted stays admitted.
	Revoked struct{ ID string }
	// Redeemed asks for the admission of a key by an invitation. Whether it was granted, Redemption tells
	// afterwards. The caller authenticated the key.
	Redeemed struct{ Redeem }
	// Acknowledged says that a key knows of its admission: its use of the invitation is spent.
	Acknowledged struct {
		ID  string
		Key keys.Public
	}
	// HandedOver asks for the hand-over of From's zone to To. The caller verified From's signature on it.
	HandedOver struct{ From, To keys.Public }
	// Expel removes a key from the mesh. It becomes effective everywhere once a majority of the other zones was
	// compared with; until then it is a proposal.
	Expel struct{ Key keys.Public }
)

// Redeem is what a stranger presents.
type Redeem struct {
	ID     string
	Secret [16]byte
	Key    keys.Public
	Zone   mesh.Zone // that it asks for; empty: the invitation's
	// Dead is the key that the zone is bound to if that one is known not to be alive, else zero: an invitation
	// that names the zone then hands it over.
	Dead keys.Public
}

// Denial says why an invitation is not redeemed; empty: it is. The set is closed.
type Denial string

const (
	DenialNone    Denial = ""
	DenialUnknown Denial = "unknown"     // no such invitation, or a wrong secret
	DenialExpired Denial = "expired"     // by this node's clock
	DenialUsed    Denial = "used"        // by other keys, as often as it may be
	DenialRevoked Denial = "revoked"     //
	DenialFor     Denial = "for_another" // it is for another key
	DenialZone    Denial = "zone_taken"  // the zone is bound to another key
	DenialNoZone  Denial = "no_zone"     // neither the invitation nor the request names one
	DenialOther   Denial = "other_zone"  // the request names another zone than the invitation
	DenialRemoved Denial = "removed"     // the key was removed from the mesh
	DenialBound   Denial = "bound"       // the key is a member of another zone already
	DenialNotYet  Denial = "not_ready"   // this node doesn't sign yet: ask again
)

// Grant is what became of a request.
type Grant struct {
	Denial Denial
	By     keys.Public     // with DenialUsed and DenialZone: who has it
	Zone   mesh.Zone       // admitted as
	Trust  []oplog.TrustOp // what proves the admission to others: this node's statement about the key
}

func (Invited) input()      {}
func (Revoked) input()      {}
func (Redeemed) input()     {}
func (Acknowledged) input() {}
func (HandedOver) input()   {}
func (Expel) input()        {}

// maxInvites bounds the invitations that are remembered, keepInvite how long one is after it expired.
const (
	maxInvites = 1024
	keepInvite = 7 * 24 * time.Hour
)

// invite adds an invitation. One that is there already is replaced by the same.
func (r *Replica) invite(in oplog.Invite) {
	r.forgetInvites()
	if len(r.invites) >= maxInvites {
		r.forgetFirstExpired()
	}
	if len(r.invites) >= maxInvites {
		r.report(Decision{Reason: RefusedInvite, Detail: "too many invitations are open"})
		return
	}
	r.putInvite(in)
}

func (r *Replica) putInvite(in oplog.Invite) {
	r.invites[in.ID] = in
	r.inviteWrites[in.ID] = struct{}{}
}

// forgetInvites drops what expired long ago.
func (r *Replica) forgetInvites() {
	for id, in := range r.invites {
		if r.nowMilli()-in.Expires > keepInvite.Milliseconds() {
			delete(r.invites, id)
			r.inviteWrites[id] = struct{}{}
		}
	}
}

// forgetFirstExpired makes room: who makes an invitation every few minutes must not find those of the last days in the way.
func (r *Replica) forgetFirstExpired() {
	first := ""
	for id, in := range r.invites {
		if r.nowMilli() < in.Expires {
			continue
		}
		if old := r.invites[first]; first == "" || cmp.Or(cmp.Compare(in.Expires, old.Expires), cmp.Compare(id, first)) < 0 {
			first = id
		}
	}
	if first != "" {
		delete(r.invites, first)
		r.inviteWrites[first] = struct{}{}
	}
}

func (r *Replica) revoke(id string) {
	if in, ok := r.invites[id]; ok && !in.Revoked {
		in.Revoked = true
		r.putInvite(in)
	}
}

// Invites lists the invitations, oldest first. The slice is the caller's.
func (r *Replica) Invites() []oplog.Invite {
	out := make([]oplog.Invite, 0, len(r.invites))
	for _, in := range r.invites {
		in.Taken = slices.Clone(in.Taken)
		out = append(out, in)
	}
	slices.SortFunc(out, func(a, b oplog.Invite) int {
		return cmp.Or(cmp.Compare(a.Created, b.Created), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// judgeRedeem says whether an invitation may be redeemed, and as which zone.
func (r *Replica) judgeRedeem(now int64, q Redeem) Grant {
	in, ok := r.invites[q.ID]
	sum := sha256.Sum256(q.Secret[:])
	if subtle.ConstantTimeCompare(sum[:], in.Secret[:]) != 1 || !ok {
		return Grant{Denial: DenialUnknown}
	}
	taken := slices.IndexFunc(in.Taken, func(t oplog.Redemption) bool { return t.Key == q.Key })
	zone := cmp.Or(in.Zone, q.Zone)
	switch {
	case in.Revoked:
		return Grant{Denial: DenialRevoked}
	case now >= in.Expires:
		return Grant{Denial: DenialExpired}
	case !in.For.IsZero() && in.For != q.Key:
		return Grant{Denial: DenialFor}
	case taken < 0 && len(in.Taken) >= in.Uses:
		return Grant{Denial: DenialUsed, By: in.Taken[len(in.Taken)-1].Key}
	case zone == "":
		return Grant{Denial: DenialNoZone}
	case in.Zone != "" && q.Zone != "" && in.Zone != q.Zone, taken >= 0 && in.Taken[taken].Zone != zone:
		return Grant{Denial: DenialOther, Zone: zone}
	}
	if d := r.mayJoin(q.Key, zone); d != DenialNone {
		return Grant{Denial: d, Zone: zone}
	}
	if k := r.keyOf(zone); !k.IsZero() && k != q.Key && (in.Zone == "" || k != q.Dead || k == r.self) {
		return Grant{Denial: DenialZone, By: k, Zone: zone}
	}
	if k := r.rivalFor(zone, q.Key); !k.IsZero() {
		return Grant{Denial: DenialZone, By: k, Zone: zone}
	}
	return Grant{Zone: zone}
}

// mayJoin says what stands in the way of admitting a key as a zone, whoever else the zone may be bound to.
func (r *Replica) mayJoin(k keys.Public, z mesh.Zone) Denial {
	if _, expelled := r.trust.view.Expelled(k); expelled || k == r.self {
		return DenialRemoved
	}
	odd := func(c trust.Conflict) bool { return slices.Contains(c.Keys, k) && !slices.Contains(c.Zones, z) }
	if b, bound := r.bindings[k]; r.ZoneOf(k) != "" && r.ZoneOf(k) != z || bound && b.Conflict || slices.ContainsFunc(r.trust.view.Conflicts(), odd) {
		return DenialBound
	}
	return DenialNone
}

// rivalFor returns one of the keys that dispute a zone, or zero: bound to none of them it is not free all the same.
func (r *Replica) rivalFor(z mesh.Zone, k keys.Public) keys.Public {
	for _, c := range r.trust.view.Conflicts() {
		if c.Kind != trust.TwoZones && slices.Contains(c.Zones, z) && !slices.Contains(c.Keys, k) {
			return c.Keys[0]
		}
	}
	return keys.Public{}
}

// redeem admits a key by an invitation: the use is reserved and the admission signed in one transaction.
func (r *Replica) redeem(q Redeem) {
	g := r.judgeRedeem(r.nowMilli(), q)
	if g.Denial != DenialNone || !r.canSign() {
		return // Redemption says why
	}
	old := r.keyOf(g.Zone)
	takesOver := !old.IsZero() && old != q.Key
	if takesOver && !r.knows(old) {
		return
	}
	in := r.invites[q.ID]
	if !slices.ContainsFunc(in.Taken, func(t oplog.Redemption) bool { return t.Key == q.Key }) {
		in.Taken = append(slices.Clone(in.Taken), oplog.Redemption{Key: q.Key, Zone: g.Zone, At: r.nowMilli()})
		r.putInvite(in)
	}
	if takesOver {
		r.signHandOver(g.Zone, old, q.Key)
		return
	}
	r.state(&event.Event{Kind: event.KindAdmit, Admit: &event.Admit{Key: q.Key, Zone: g.Zone}})
}

// acknowledged spends a use.
func (r *Replica) acknowledged(a Acknowledged) {
	in, ok := r.invites[a.ID]
	if !ok {
		return
	}
	i := slices.IndexFunc(in.Taken, func(t oplog.Redemption) bool { return t.Key == a.Key })
	if i < 0 || in.Taken[i].Spent {
		return
	}
	in.Taken = slices.Clone(in.Taken)
	in.Taken[i].Spent = true
	r.putInvite(in)
	r.report(Decision{Reason: InviteRedeemed, Zone: in.Taken[i].Zone, Peer: a.Key, Detail: in.ID})
}

// Redemption tells what became of a request, or what would become of it. It changes nothing.
func (r *Replica) Redemption(now time.Time, q Redeem) Grant {
	g := r.judgeRedeem(now.UnixMilli(), q)
	if g.Denial != DenialNone {
		return g
	}
	taken := slices.ContainsFunc(r.invites[q.ID].Taken, func(t oplog.Redemption) bool { return t.Key == q.Key })
	if !taken || !r.admitted(q.Key) {
		g.Denial = DenialNotYet
		return g
	}
	g.Trust = r.credentialsOf(q.Key)
	return g
}
