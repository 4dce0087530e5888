package membership

import (
	"slices"

	"dcp.hiro.io/mesh/internal/mesh"
)

// Reach says to how many members our links take what we send.
type Reach int

// Reaches, from the best to the worst.
const (
	AllLinked  Reach = iota // every member has a link to us
	SomeGone                // some have none, and seem to be gone
	SomeBeyond              // some have none, and may hear us through others
)

// Reach says whether members are beyond our links. One that is Unavailable counts as gone, unless a heartbeat of it came
// round since: it may not be proven yet to live, but it will be sooner if it hears us too.
func (m *Membership) Reach() Reach {
	reach := AllLinked
	for _, p := range m.peers {
		switch {
		case p.linked:
		case p.state != mesh.Unavailable || m.rumoured(p):
			return SomeBeyond
		default:
			reach = SomeGone
		}
	}
	return reach
}

// rumoured reports whether a heartbeat of p that was news came within UnavailableAfter.
func (m *Membership) rumoured(p *peer) bool {
	return slices.ContainsFunc(p.runs, func(r *run) bool { return m.now.Sub(r.risen) < m.cfg.UnavailableAfter })
}
