package meshtest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// ordinals gives versions and incarnations of a zone small numbers, in the order in which they were issued as
// far as a story has come.
type ordinals struct {
	versions map[mesh.Zone][]mesh.Version
	lives    map[mesh.Zone][]mesh.Incarnation
	logs     map[mesh.LogKey]mesh.Instance
}

// learn takes in what stands in any store.
func (n *ordinals) learn(w *World) {
	if n.logs == nil {
		*n = ordinals{make(map[mesh.Zone][]mesh.Version), make(map[mesh.Zone][]mesh.Incarnation), make(map[mesh.LogKey]mesh.Instance)}
	}
	fresh := make(map[mesh.Zone][]mesh.Version)
	lives := make(map[mesh.Zone][]mesh.Incarnation)
	for _, x := range w.Nodes {
		idx, err := x.Store.Load()
		if err != nil {
			w.fail("load %s: %v", x.Name, err)
			return
		}
		for _, l := range idx.Logs {
			n.logs[l.Key] = l.Instance
			lives[l.Instance.Zone] = append(lives[l.Instance.Zone], l.Instance.Incarnation)
		}
		for _, c := range idx.Claims {
			if c.Kind != mesh.Released {
				fresh[c.Zone] = append(fresh[c.Zone], c.Version, c.Birth)
			}
		}
	}
	for z, vs := range fresh {
		n.versions[z] = appendNew(n.versions[z], vs)
	}
	for z, is := range lives {
		n.lives[z] = appendNew(n.lives[z], is)
	}
}

// appendNew appends what is not there yet, in order.
func appendNew[T cmp.Ordered](have, more []T) []T {
	slices.Sort(more)
	for _, v := range more {
		if !slices.Contains(have, v) {
			have = append(have, v)
		}
	}
	return have
}

// version prints a version as a number of the zone that states it; a birth may be older than its first one.
func (n *ordinals) version(z mesh.Zone, v mesh.Version) string {
	return fmt.Sprint(slices.Index(n.versions[z], v) + 1)
}

func (n *ordinals) instance(i mesh.Instance) string {
	return fmt.Sprintf("%s@%d", i.Zone, slices.Index(n.lives[i.Zone], i.Incarnation)+1)
}

// log finds a log by the name that instance gives it.
func (n *ordinals) log(name string) (mesh.LogKey, error) {
	for _, k := range slices.SortedFunc(maps.Keys(n.logs), mesh.LogKey.Compare) {
		if n.instance(n.logs[k]) == name {
			return k, nil
		}
	}
	return mesh.LogKey{}, fmt.Errorf("no log %s", name)
}

// routine decisions are no part of any story; logs shows what they lead to.
var routine = []replica.Reason{replica.SnapshotWritten, replica.SnapshotMerged, replica.Joined, replica.LogDropped}

func (s *story) decisions() {
	for _, x := range s.w.Nodes {
		for _, d := range x.Reports {
			if slices.Contains(routine, d.Reason) {
				continue
			}
			fmt.Fprintf(&s.out, "%s: %s", x.Name, d.Reason)
			if d.Object.Name != "" {
				fmt.Fprintf(&s.out, " %s", nameOf(d.Object))
			}
			if i, ok := s.names.logs[d.Log]; ok {
				fmt.Fprintf(&s.out, " %s#%d", s.names.instance(i), d.Seq)
			}
			if d.Zone != "" && d.Zone != x.Name {
				fmt.Fprintf(&s.out, " of %s", d.Zone)
			}
			if d.Detail != "" {
				fmt.Fprintf(&s.out, " (%s)", d.Detail)
			}
			s.out.WriteByte('\n')
		}
		x.Reports = nil
	}
}

// print carries out the commands that only print.
func (s *story) print(name string, args []string) (bool, error) {
	fn := map[string]func(*Node) error{
		"show": s.show, "logs": s.logs, "findings": s.findings, "lost": s.lost, "held": s.held, "waits": s.waits,
		"acks": s.acks,
	}[name]
	if fn == nil {
		return false, nil
	}
	s.names.learn(s.w)
	return true, s.each(args, fn)
}

// show prints, object by object, what stands in a node's cluster, what is true of it, and all claims.
func (s *story) show(x *Node) error {
	idx, err := x.Store.Load()
	if err != nil {
		return err
	}
	seen := make(map[mesh.ObjectKey]bool)
	for k := range x.Cluster.Local {
		seen[k] = true
	}
	for k := range x.Cluster.Replicas {
		seen[k] = true
	}
	for _, c := range idx.Claims {
		seen[c.Object] = true
	}
	if len(seen) == 0 {
		fmt.Fprintf(&s.out, "%s: nothing\n", x.Name)
	}
	for _, k := range sortedKeys(seen) {
		fmt.Fprintf(&s.out, "%s: %s %s | %s |%s\n", x.Name, nameOf(k), standing(x.Cluster, k), state(x, k), s.claims(x, idx, k))
	}
	return nil
}

// nameOf is what Object reads.
func nameOf(k mesh.ObjectKey) string {
	if k.Namespace == "default" {
		return k.Name
	}
	return k.Namespace + "/" + k.Name
}

func standing(c *Cluster, k mesh.ObjectKey) string {
	own, isOwn := c.Local[k]
	rep, isRep := c.Replicas[k]
	switch {
	case isOwn && isRep:
		return fmt.Sprintf("own %s and replica of %s %s", short(own), rep.Zone, short(rep.Payload))
	case isOwn:
		return "own " + short(own)
	case isRep:
		return fmt.Sprintf("replica of %s %s", rep.Zone, short(rep.Payload))
	}
	return "absent"
}

// short keeps long contents out of the transcript.
func short(content string) string {
	if len(content) > 24 {
		return fmt.Sprintf("%s...(%d bytes)", content[:2], len(content))
	}
	return content
}

func state(x *Node, k mesh.ObjectKey) string {
	if x.Replica == nil {
		return "down"
	}
	res, ok := x.Replica.Resource(k)
	switch {
	case !ok:
		return "unknown"
	case res.Owner != "":
		return fmt.Sprintf("%s of %s", res.State, res.Owner)
	}
	return res.State
}

func (s *story) claims(x *Node, idx *oplog.Index, k mesh.ObjectKey) string {
	var out strings.Builder
	for _, c := range idx.Claims {
		if c.Object != k {
			continue
		}
		fmt.Fprintf(&out, " %s %s", c.Zone, c.Kind)
		if c.Kind == mesh.Live {
			if p, err := x.Store.Payload(c.Ref()); err == nil {
				fmt.Fprintf(&out, " %s", short(string(p)))
			}
		}
		if c.Kind != mesh.Released {
			fmt.Fprintf(&out, " #%s", s.names.version(c.Zone, c.Version))
			if c.Birth != c.Version {
				fmt.Fprintf(&out, " born #%s", s.names.version(c.Zone, c.Birth))
			}
		}
		if c.NewOwner != "" {
			fmt.Fprintf(&out, " to %s", c.NewOwner)
		}
		if c.Epoch != 1 {
			fmt.Fprintf(&out, " epoch %d", c.Epoch)
		}
		out.WriteByte(',')
	}
	if out.Len() == 0 {
		return " no claim"
	}
	return strings.TrimSuffix(out.String(), ",")
}

// logs prints what a node holds of each log: the chain, then whatever is special about it.
func (s *story) logs(x *Node) error {
	idx, err := x.Store.Load()
	if err != nil {
		return err
	}
	slices.SortFunc(idx.Logs, func(a, b oplog.Log) int {
		return cmp.Or(strings.Compare(string(a.Instance.Zone), string(b.Instance.Zone)), cmp.Compare(a.Instance.Incarnation, b.Instance.Incarnation))
	})
	for _, l := range idx.Logs {
		fmt.Fprintf(&s.out, "%s: %s", x.Name, s.names.instance(l.Instance))
		if l.Empty() {
			s.out.WriteString(" no chain")
		} else {
			fmt.Fprintf(&s.out, " %d..%d", l.Start, l.Height())
		}
		if l.Run != nil {
			fmt.Fprintf(&s.out, ", run open since %d", l.Run.Begin)
		}
		if l.Staged != nil {
			fmt.Fprintf(&s.out, ", staged %d..%d", l.Staged.Begin, l.Staged.Next-1)
		}
		switch {
		case l.Limit != nil && l.Limit.None:
			s.out.WriteString(", frozen, nothing stands")
		case l.Frozen:
			fmt.Fprintf(&s.out, ", frozen, stands up to %d", l.Limit.Height)
		}
		if covered(idx, l) {
			s.out.WriteString(", covered")
		}
		s.out.WriteByte('\n')
	}
	if len(idx.Logs) == 0 {
		fmt.Fprintf(&s.out, "%s: no log\n", x.Name)
	}
	return nil
}

func covered(idx *oplog.Index, l oplog.Log) bool {
	b := idx.Covers[l.Key.Author]
	return l.Instance.Incarnation < b.Floor || slices.ContainsFunc(b.Covers, func(c event.Cover) bool {
		return c.Log == l.Key && l.Next <= c.Height+1
	})
}

func (s *story) findings(x *Node) error {
	fs := x.Replica.Findings()
	for _, f := range fs {
		fmt.Fprintf(&s.out, "%s: %s %s %s: %s\n", x.Name, f.Status, f.ID, f.Subject, f.Text)
	}
	if len(fs) == 0 {
		fmt.Fprintf(&s.out, "%s: no findings\n", x.Name)
	}
	return nil
}

func (s *story) lost(x *Node) error {
	entries, err := x.Store.Lost()
	if err != nil {
		return err
	}
	for _, e := range entries {
		one, _, err := x.Store.LostOne(e.ID)
		if err != nil {
			return err
		}
		fmt.Fprintf(&s.out, "%s: %s of %s %s (%s)\n", x.Name, e.Object.Name, e.Zone, one.Payload, e.Reason)
	}
	if len(entries) == 0 {
		fmt.Fprintf(&s.out, "%s: nothing lost\n", x.Name)
	}
	return nil
}

func (s *story) held(x *Node) error {
	for _, h := range x.Replica.Held() {
		fmt.Fprintf(&s.out, "%s: %d deletions of %s held: %s\n", x.Name, len(h.Objects), h.Zone, h.Reason)
	}
	return nil
}

func (s *story) waits(x *Node) error {
	_, why := x.Replica.Waiting()
	fmt.Fprintf(&s.out, "%s: %s\n", x.Name, cmp.Or(why, "signs"))
	return nil
}

// acks prints how far other zones are known to hold this zone's log in use.
func (s *story) acks(x *Node) error {
	idx, err := x.Store.Load()
	if err != nil {
		return err
	}
	for _, a := range idx.Acked {
		fmt.Fprintf(&s.out, "%s: %s holds %s up to %d\n", x.Name, a.Zone, s.names.instance(s.names.logs[a.Log]), a.Height)
	}
	return nil
}
