package store

import (
	"fmt"
	"math"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

const (
	inviteFor        = 1
	inviteRevoked    = 2
	inviteKnownFlags = inviteFor | inviteRevoked
)

func (w *writer) invite(v *oplog.Invite) {
	if v.Uses < 1 || v.Uses > math.MaxInt32 || len(v.Taken) > v.Uses {
		w.err = fmt.Errorf("an invitation for %d keys that %d took", v.Uses, len(v.Taken))
		return
	}
	w.hash(v.Secret)
	w.str(string(v.Zone))
	w.i64(v.Created)
	w.i64(v.Expires)
	w.u32(uint32(v.Uses))
	var flags uint8
	if !v.For.IsZero() {
		flags |= inviteFor
	}
	if v.Revoked {
		flags |= inviteRevoked
	}
	w.u8(flags)
	if flags&inviteFor != 0 {
		w.public(v.For)
	}
	for _, t := range v.Taken {
		w.public(t.Key)
		w.str(string(t.Zone))
		w.i64(t.At)
		w.flag(t.Spent)
	}
}

func decodeInvite(k, v []byte) (oplog.Invite, error) {
	r := reader{b: v}
	x := oplog.Invite{
		ID:      string(k),
		Secret:  r.hash(),
		Zone:    mesh.Zone(r.str()),
		Created: r.i64(),
		Expires: r.i64(),
	}
	uses := r.u32()
	flags := r.u8()
	x.Revoked = flags&inviteRevoked != 0
	if flags&inviteFor != 0 {
		x.For = r.public()
	}
	for len(r.b) > 0 {
		x.Taken = append(x.Taken, oplog.Redemption{Key: r.public(), Zone: mesh.Zone(r.str()), At: r.i64(), Spent: r.flag()})
	}
	r.bad = r.bad || uses < 1 || uses > math.MaxInt32 || uint64(len(x.Taken)) > uint64(uses) ||
		flags&^uint8(inviteKnownFlags) != 0
	x.Uses = int(uses)
	return x, r.end("invitation")
}

func (w *writer) contact(c *oplog.Contact) {
	if len(c.Endpoints) > oplog.MaxEndpoints || len(c.Record) > oplog.MaxRecord {
		w.err = fmt.Errorf("a contact with %d endpoints and a record of %d bytes", len(c.Endpoints), len(c.Record))
		return
	}
	w.str(string(c.Zone))
	w.i64(c.Seen)
	w.flag(c.Inviter)
	w.bytes(c.Record)
	for _, e := range c.Endpoints {
		if len(e) > oplog.MaxEndpoint {
			w.err = fmt.Errorf("an endpoint of %d bytes", len(e))
			return
		}
		w.str(e)
	}
}

func decodeContact(k, v []byte) (oplog.Contact, error) {
	rk, r := reader{b: k}, reader{b: v}
	c := oplog.Contact{
		Key:     rk.public(),
		Zone:    mesh.Zone(r.str()),
		Seen:    r.i64(),
		Inviter: r.flag(),
		Record:  clone(r.bytes()),
	}
	for len(r.b) > 0 && len(c.Endpoints) < oplog.MaxEndpoints {
		e := r.str()
		c.Endpoints = append(c.Endpoints, e)
		r.bad = r.bad || len(e) > oplog.MaxEndpoint
	}
	r.bad = r.bad || len(c.Record) > oplog.MaxRecord
	if err := rk.end("key of a contact"); err != nil {
		return c, err
	}
	return c, r.end("contact")
}
