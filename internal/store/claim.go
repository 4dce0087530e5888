package store

import (
	"bytes"
	"fmt"

	"dcp.hiro.io/mesh/internal/mesh"
)

// claimKey is objkey and zone: the order of these bytes is the order of objects, then zones.
func (w *writer) claimKey(ref mesh.ClaimRef) {
	w.object(ref.Object)
	w.part(string(ref.Zone))
	w.b = w.b[:len(w.b)-1]
}

// claimMin is less than any claim takes in the file.
const claimMin = 80

// claimHolds in the byte of the kind says that the claim has a payload in its bucket: one that is gone is missed.
const claimHolds = 128

func (w *writer) claim(c *mesh.Claim, log logno, holds bool) {
	kind := uint8(c.Kind)
	if holds {
		kind |= claimHolds
	}
	w.u8(kind)
	w.u64(uint64(c.Version))
	w.u32(uint32(c.Epoch))
	w.u64(uint64(c.Birth))
	w.u32(c.Size)
	w.hash(c.Content)
	w.u32(uint32(log))
	w.u64(uint64(c.At.Incarnation))
	w.u32(c.At.Seq)
	w.i64(c.Since)
	w.rest(string(c.NewOwner))
}

// claimDecoder reads claims in key order. It shares the strings that repeat: a store holds few zones, kinds
// and namespaces, and a hundred thousand claims.
type claimDecoder struct {
	logs   *lognos
	zones  map[string]mesh.Zone
	object mesh.ObjectKey // the last one
	holds  bool           // whether the last one has a payload
}

func newClaimDecoder(logs *lognos) *claimDecoder {
	return &claimDecoder{logs: logs, zones: make(map[string]mesh.Zone)}
}

func (d *claimDecoder) decode(k, v []byte) (mesh.Claim, error) {
	rk := reader{b: k}
	d.object = mesh.ObjectKey{
		Group:     same(d.object.Group, rk.part()),
		Kind:      same(d.object.Kind, rk.part()),
		Namespace: same(d.object.Namespace, rk.part()),
		Name:      same(d.object.Name, rk.part()),
	}
	c := mesh.Claim{Object: d.object, Zone: d.zone(&rk)}
	if err := rk.end("key of a claim"); err != nil {
		return c, err
	}
	r := reader{b: v}
	kind := r.u8()
	c.Kind, d.holds = mesh.ClaimKind(kind&^claimHolds), kind&claimHolds != 0
	c.Version = mesh.Version(r.u64())
	c.Epoch = mesh.Epoch(r.u32())
	c.Birth = mesh.Version(r.u64())
	c.Size = r.u32()
	c.Content = r.hash()
	no := logno(r.u32())
	c.At.Incarnation = mesh.Incarnation(r.u64())
	c.At.Seq = r.u32()
	c.Since = r.i64()
	c.NewOwner = d.zone(&r)
	if err := r.end("claim"); err != nil {
		return c, err
	}
	if c.Kind < mesh.Live || c.Kind > mesh.Released || d.holds && c.Kind != mesh.Live {
		return c, fmt.Errorf("claim of kind %d: %w", kind, errCorrupt)
	}
	var known bool
	if c.At.Log, known = d.logs.key(no); !known {
		return c, fmt.Errorf("claim names log number %d, which is not there: %w", no, errCorrupt)
	}
	return c, nil
}

// holdsPayload reports whether the claim under a key has a payload.
func holdsPayload(claims bucket, key []byte) (bool, error) {
	v, err := claims.get(key)
	return len(v) > 0 && v[0]&claimHolds != 0, err
}

func same(last string, b []byte) string {
	if last == string(b) {
		return last
	}
	return string(b)
}

// zone takes the rest of a record. No zone holds a zero byte: in a key it would stand for another one.
func (d *claimDecoder) zone(r *reader) mesh.Zone {
	b := r.rest()
	if z, ok := d.zones[string(b)]; ok {
		return z
	}
	if bytes.IndexByte(b, 0) >= 0 {
		r.bad = true
		return ""
	}
	z := mesh.Zone(b)
	d.zones[string(z)] = z
	return z
}
