package main

import (
	"context"
	"fmt"
	"strings"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/kube/meshpeer"
	"dcp.hiro.io/mesh/internal/replica"
	"dcp.hiro.io/mesh/internal/trust"
)

// standing tells what the trust set says about keys that have a MeshPeer.
func (r *running) standing(ctx context.Context, of []keys.Public) (map[keys.Public]meshpeer.Ruling, error) {
	var out map[keys.Public]meshpeer.Ruling
	err := r.node.Inspect(ctx, func(x *replica.Replica) {
		out = rulings(x.TrustView(), of, func(k keys.Public) string { return nodeName(k, x) })
	})
	if err != nil {
		return nil, err // out may still be written to
	}
	return out, nil
}

// nodeName is what people call the node of a key: its zone, else the first digits of the key.
func nodeName(k keys.Public, r *replica.Replica) string {
	if z := r.ZoneOf(k); z != "" {
		return "zone " + string(z)
	}
	return "key " + k.Short()
}

// rulings words what a trust set says about keys.
func rulings(view *trust.View, of []keys.Public, name func(keys.Public) string) map[keys.Public]meshpeer.Ruling {
	out := map[keys.Public]meshpeer.Ruling{}
	for _, c := range view.Conflicts() {
		var short, zones []string
		for _, k := range c.Keys {
			short = append(short, k.Short())
		}
		for _, z := range c.Zones {
			zones = append(zones, string(z))
		}
		text := fmt.Sprintf("The keys %s are both bound to zone %s; new operations of neither are taken until one of them is removed.",
			strings.Join(short, " and "), strings.Join(zones, ", "))
		switch c.Kind {
		case trust.TwoZones:
			text = fmt.Sprintf("The key is bound to the zones %s, and so to none of them.", strings.Join(zones, " and "))
		case trust.TwoHandOvers:
			text = fmt.Sprintf("Zone %s was handed over twice, to different keys; new operations of the keys %s are not taken until one of them is removed.",
				strings.Join(zones, ", "), strings.Join(short, " and "))
		}
		for _, k := range c.Keys {
			out[k] = meshpeer.Ruling{Reason: meshpeer.ReasonConflict, Message: text}
		}
	}
	for _, k := range of {
		gone, expelled := view.Expelled(k)
		switch {
		case !expelled:
		case gone.Kind == trust.HandedOver:
			out[k] = meshpeer.Ruling{Reason: meshpeer.ReasonHandedOver,
				Message: fmt.Sprintf("Zone %s was handed over to key %s by %s.", gone.Zone, gone.To.Short(), name(gone.By))}
		default:
			out[k] = meshpeer.Ruling{Reason: meshpeer.ReasonRemoved,
				Message: fmt.Sprintf("The key was removed from the mesh by %s, for good; its zone can come back under another key.", name(gone.By))}
		}
	}
	return out
}
