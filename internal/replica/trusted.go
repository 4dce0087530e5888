package replica

import (
	"fmt"
	"slices"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/trust"
)

// trustFindings lists what an operator should know about who belongs to the mesh.
func (r *Replica) trustFindings() []mesh.Finding {
	var out []mesh.Finding
	v := r.trust.view
	add := func(id, status, subject, text, next string) {
		out = append(out, mesh.Finding{ID: id, Status: status, Subject: subject, Text: text, Next: next})
	}
	if x, expelled := v.Expelled(r.self); expelled {
		text := "this node's key was removed from the mesh by " + r.nameOf(x.By) + "; nothing is published any more"
		if x.Kind == trust.HandedOver {
			text = fmt.Sprintf("zone %s was handed over to key %s by %s; this node publishes nothing any more", x.Zone, x.To.Short(), r.nameOf(x.By))
		}
		add("key.removed", "fail", string(r.cfg.Zone), text, "mesh keygen NEWKEY, then join again with an invitation")
	}
	for _, c := range v.Conflicts() {
		var names []string
		for _, k := range c.Keys {
			names = append(names, k.Short())
		}
		text := fmt.Sprintf("%s: keys %v and zones %v; new operations of these keys are not taken until one of them is removed", c.Kind, names, c.Zones)
		next := "mesh peers remove KEY"
		if c.Kind == trust.TwoZones {
			text = fmt.Sprintf("key %s is bound to several zones, %v, and so to none", names[0], c.Zones)
		}
		add("zone.conflict", "fail", string(c.Zones[0]), text, next)
	}
	for _, m := range v.Diverging() {
		if x, expelled := v.Expelled(m.Key); expelled {
			if m.Key == r.self {
				continue // said above
			}
			text, next := "this key is admitted here but was removed from the mesh by "+r.nameOf(x.By)+"; it stays out", "take it out of nodes in config.yaml, or delete its MeshPeer"
			if x.Kind == trust.HandedOver {
				text = fmt.Sprintf("this key is admitted here but is the former one of zone %s, which has key %s now; it stays out", x.Zone, x.To.Short())
				next = fmt.Sprintf("put %s in its place under nodes in config.yaml, or delete its MeshPeer", x.To)
			}
			add("nodes.removed", "warn", m.Key.Short(), text, next)
			continue
		}
		add("nodes.diverging", "warn", m.Key.Short(), fmt.Sprintf("this key is bound to zone %s here and to another one in the rest of the mesh", m.Zone),
			"correct its zone under nodes in config.yaml, or in its MeshPeer")
	}
	for _, p := range v.Proposals() {
		reached, all := r.reached(p.Key)
		add("peers.removal", "warn", r.nameOf(p.Key), fmt.Sprintf("its removal, proposed by %s, waits until more than half of the other zones were reached: %d of %d so far",
			r.nameOf(p.By), reached, all), "mesh peers")
	}
	slices.SortStableFunc(out, func(a, b mesh.Finding) int { return severity(b) - severity(a) })
	return out
}

func severity(f mesh.Finding) int {
	if f.Status == "fail" {
		return 1
	}
	return 0
}

// nameOf is what people call a key: its zone, else its first digits.
func (r *Replica) nameOf(k keys.Public) string {
	if z := r.ZoneOf(k); z != "" {
		return string(z)
	}
	return k.Short()
}
