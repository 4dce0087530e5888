package meshtest

import (
	"fmt"
	"slices"
	"strings"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// doTrust carries out the commands about who belongs to the mesh, and reports whether it is one.
func (s *story) doTrust(x *Node, name string, args []string) (done bool, err error) {
	switch {
	case name == "expel" && len(args) == 1 && s.node(args[0]) != nil:
		s.w.Do(x, replica.Expel{Key: s.node(args[0]).Key.Public()})
	case name == "rekey" && len(args) == 0:
		return true, s.rekey(x)
	case name == "trust" && len(args) == 0:
		s.trust(x)
	default:
		return false, nil
	}
	return true, nil
}

// rekey gives a node that is down a new key, which its old one signed its zone over to.
func (s *story) rekey(x *Node) error {
	idx, err := x.Store.Load()
	if err != nil || x.Replica != nil || idx.Meta == nil {
		return fmt.Errorf("%s runs, or never ran: %w", x.Name, err)
	}
	seed := x.Key.Seed()
	seed[3]++
	x.Former, x.Key = x.Key.Public(), keys.FromSeed(seed)
	x.Config.Key = x.Key
	meta := *idx.Meta
	meta.Author, meta.Incarnation = x.Key.Public(), 0
	return x.Store.Commit(&oplog.Batch{Meta: &meta})
}

// trust prints who belongs to the mesh as a node sees it.
func (s *story) trust(x *Node) {
	if x.Replica == nil {
		fmt.Fprintf(&s.out, "%s: down\n", x.Name)
		return
	}
	v := x.Replica.TrustView()
	var in, out []string
	for _, y := range s.w.Nodes {
		if v.Admitted(y.Key.Public()) {
			in = append(in, string(y.Name))
		}
		for _, k := range []keys.Public{y.Key.Public(), y.Former} {
			if e, expelled := v.Expelled(k); expelled {
				name := string(y.Name)
				if k == y.Former {
					name += "'s former key"
				}
				out = append(out, name+" "+e.Kind.String())
			}
		}
	}
	fmt.Fprintf(&s.out, "%s: members %s", x.Name, strings.Join(in, " "))
	if len(out) > 0 {
		slices.Sort(out)
		fmt.Fprintf(&s.out, "; %s", strings.Join(out, ", "))
	}
	if n := len(v.Proposals()); n > 0 {
		fmt.Fprintf(&s.out, "; proposals %d", n)
	}
	if n := len(v.Conflicts()); n > 0 {
		fmt.Fprintf(&s.out, "; conflicts %d", n)
	}
	s.out.WriteByte('\n')
}
