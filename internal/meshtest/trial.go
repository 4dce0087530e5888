package meshtest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// Trial is one simulated life of a mesh whose members come and go: invitations are redeemed, keys removed, by one
// another too, and zones handed over to new keys, by the old key or by somebody else because it is lost; while links
// are cut, messages lost, repeated and reordered, nodes killed and logs pruned. Then everything heals, and whoever
// belongs to the mesh has to agree with all the others that do.
type Trial struct {
	*World
	Trace []string
	Left  int // how many belong to the mesh in the end

	next  byte // of the keys made so far
	acts  int  // changes of the members so far
	away  map[*Node]bool
	value int
}

// NewTrial prepares a run. Everything about it follows from the seed.
func NewTrial(seed uint64) *Trial {
	t := &Trial{away: make(map[*Node]bool), next: 100}
	t.World = NewWorld(seed, 4+int(seed%3), t.tune(seed)) // of three, nobody is left once two fall out
	t.Lossy = true
	return t
}

func (t *Trial) tune(seed uint64) func(*replica.Config) {
	return func(c *replica.Config) {
		c.SnapshotMaxLog = 3 + seed%7
		c.BrakeMin = 1000
	}
}

// maxMemberActs bounds how often the members change in one life: more of it makes a mesh of nobody.
const maxMemberActs = 5

// Run lives through steps random acts, heals everything and returns the first promise that is broken.
func (t *Trial) Run(steps int) error {
	for _, x := range t.Nodes {
		t.Start(x)
	}
	t.Settle()
	for range steps {
		t.act()
		for range t.Rand.IntN(12) {
			t.Deliver(t.node())
		}
		if t.Err != nil {
			return t.Err
		}
	}
	t.note("heal")
	t.Heal()
	for _, x := range t.Nodes {
		if t.away[x] {
			continue
		}
		t.Stop(x)
		t.Start(x)
	}
	t.Advance(time.Second)
	t.Settle()
	t.Advance(2 * time.Minute)
	t.Settle()
	if t.Err != nil {
		return t.Err
	}
	return t.check()
}

func (t *Trial) node() *Node { return t.Nodes[t.Rand.IntN(len(t.Nodes))] }

func (t *Trial) note(format string, args ...any) {
	t.Trace = append(t.Trace, t.Now.Sub(Epoch).String()+" "+fmt.Sprintf(format, args...))
}

func (t *Trial) act() {
	x, y := t.node(), t.node()
	switch n := t.Rand.IntN(100); {
	case n < 30:
		t.value++
		k := Object(fmt.Sprintf("%s-%d", x.Name, t.Rand.IntN(4)))
		if t.Rand.IntN(4) == 0 {
			t.note("delete %s %s", x.label(), k.Name)
			t.Delete(x, k)
			return
		}
		t.note("write %s %s %d", x.label(), k.Name, t.value)
		t.Write(x, k, fmt.Sprintf(`{"v":%d}`, t.value))
	case n < 50 && x != y:
		t.note("sync %s->%s", x.label(), y.label())
		t.Sync(x, y)
	case n < 64:
		d := []time.Duration{time.Second, 6 * time.Second, 12 * time.Second, 40 * time.Second, 10 * time.Minute}
		t.Advance(d[t.Rand.IntN(len(d))])
	case n < 76 && x != y:
		cut := t.Rand.IntN(2) == 0
		t.note("cut %s-%s %v", x.label(), y.label(), cut)
		t.Cut(x, y, cut)
	case n < 80:
		t.note("kill %s", x.label())
		t.Stop(x)
	case n < 90:
		if x.Replica == nil && !t.away[x] {
			t.note("start %s", x.label())
			t.Start(x)
		}
	case t.acts < maxMemberActs && x.Replica != nil && x != y:
		t.acts++
		t.changeMembers(x, y)
	}
}

// label tells nodes of one zone apart.
func (x *Node) label() string { return string(x.Name) + "/" + x.Key.Public().Short() }

func (t *Trial) changeMembers(x, y *Node) {
	switch t.Rand.IntN(6) {
	case 0, 1:
		t.note("expel %s by %s", y.label(), x.label())
		t.Do(x, replica.Expel{Key: y.Key.Public()})
	case 2:
		t.join(x, mesh.Zone(fmt.Sprintf("n%02d", t.next)), nil)
	case 3:
		t.rotate(y)
	case 4: // the key and the store of y are lost
		if !t.away[y] {
			t.join(x, y.Name, y)
		}
	case 5: // an old configuration comes back
		t.note("restore the configuration of %s", x.label())
		t.Do(x, replica.Members{Nodes: x.Config.Members})
	}
}

func (t *Trial) newKey() keys.Private {
	t.next++
	return keys.FromSeed([keys.SeedSize]byte{t.next, 0x5b})
}

// join has a new node redeem an invitation of x. lost is the node whose zone it takes over, or nil.
func (t *Trial) join(x *Node, zone mesh.Zone, lost *Node) {
	key := t.newKey()
	n := &Node{Name: zone, Key: key, Store: oplog.NewMemory(), Cluster: &Cluster{Disk: NewDisk(), Mounted: true}}
	n.Config = replica.Config{Network: Network, Zone: zone, Key: key, Members: []replica.Member{{Key: x.Key.Public(), Zone: x.Name}}}
	t.tune(uint64(t.next))(&n.Config)
	in := oplog.Invite{ID: fmt.Sprintf("invite%02d", t.next), Secret: SecretHash(t.next), Zone: zone, Uses: 1,
		Created: t.clock(x).UnixMilli(), Expires: t.clock(x).Add(time.Hour).UnixMilli()}
	q := replica.Redeem{ID: in.ID, Secret: [16]byte{t.next}, Key: key.Public(), Zone: zone}
	if lost != nil {
		q.Dead = lost.Key.Public()
	}
	t.Do(x, replica.Invited{Invite: in})
	t.Do(x, replica.Redeemed{Redeem: q})
	if x.Replica == nil {
		return
	}
	g := x.Replica.Redemption(t.clock(x), q)
	t.note("join %s by %s: %q", n.label(), x.label(), g.Denial)
	if g.Denial != replica.DenialNone {
		return
	}
	if lost != nil {
		t.Stop(lost)
		t.away[lost] = true
		n.Cluster = lost.Cluster
	}
	t.Nodes = append(t.Nodes, n)
	t.Start(n)
}

// rotate gives a node a new key. It goes on with its store, and presents what the old key signed.
func (t *Trial) rotate(y *Node) {
	if t.away[y] || !y.Former.IsZero() {
		return
	}
	t.Stop(y)
	idx, err := y.Store.Load()
	if err != nil || idx.Meta == nil {
		return
	}
	key := t.newKey()
	t.note("rotate %s to %s", y.label(), key.Public().Short())
	n := &Node{Name: y.Name, Key: key, Store: y.Store.Clone(), Cluster: y.Cluster, Config: y.Config, Former: y.Key.Public()}
	n.Config.Key = key
	meta := *idx.Meta
	meta.Author, meta.Incarnation = key.Public(), 0
	if err := n.Store.Commit(&oplog.Batch{Meta: &meta}); err != nil {
		t.fail("rotate: %v", err)
	}
	t.away[y] = true
	t.Nodes = append(t.Nodes, n)
	t.Start(n)
}

// check finds those who belong to the mesh and compares them.
func (t *Trial) check() error {
	var why []error
	for _, x := range t.Nodes {
		if x.Replica == nil {
			continue
		}
		err := t.agree(x)
		if err == nil {
			t.Left = len(t.members(x))
			return nil
		}
		why = append(why, fmt.Errorf("as %s sees it: %w", x.label(), err))
	}
	return errors.Join(why...)
}

// members are the running nodes that x takes for members, itself included if it is one.
func (t *Trial) members(x *Node) []*Node {
	var out []*Node
	for _, y := range t.Nodes {
		if y.Replica != nil && x.Admits(y) {
			out = append(out, y)
		}
	}
	return out
}

// agree reports where those that x takes for members differ from it.
func (t *Trial) agree(x *Node) error {
	all := t.members(x)
	for _, y := range all {
		if got := t.members(y); !slices.Equal(got, all) {
			return fmt.Errorf("%s takes %v for members, %s %v", x.label(), labels(all), y.label(), labels(got))
		}
		if x.Replica.TrustDigest() != y.Replica.TrustDigest() {
			return fmt.Errorf("%s and %s hold other trust operations: %d and %d", x.label(), y.label(), len(x.Replica.Trust()), len(y.Replica.Trust()))
		}
		open := t.open(x, all)
		if err := differ(x.statements(open), y.statements(open)); err != nil {
			return fmt.Errorf("claims of %s and %s: %w", x.label(), y.label(), err)
		}
		if err := t.shown(y, all, open); err != nil {
			return err
		}
	}
	return nil
}

// statements are the claims of a node that take a part and have to be the same everywhere. What became void is released by
// those who had merged it, and unknown to the others. What the keys of a disputed zone say is taken by nobody any more, and
// stays where it was; what a key says whose removal is proposed, not by who proposed it.
func (x *Node) statements(open []mesh.Zone) []string {
	return slices.DeleteFunc(x.Claims(), func(c string) bool {
		return strings.Contains(c, ": released ") || slices.ContainsFunc(open, func(z mesh.Zone) bool { return strings.Contains(c, " by "+string(z)+": ") })
	})
}

// open are the zones whose new operations somebody doesn't take, until people decide: disputed ones, those whose removal is
// proposed, and those for which a second key was admitted by somebody who hadn't heard of the first.
func (t *Trial) open(x *Node, all []*Node) []mesh.Zone {
	var out []mesh.Zone
	for _, y := range all {
		if k, _ := x.Replica.TrustView().Key(y.Name); k != y.Key.Public() {
			out = append(out, y.Name)
		}
	}
	for _, h := range x.Replica.Haves() {
		if cut, none, limited := x.Replica.TrustView().Cut(h.Key.Author, h.Key.Log); limited && !none && h.Next <= cut.Height {
			out = append(out, h.Instance.Zone) // what stands is held by nobody any more: some have merged more, others less
		}
	}
	for _, d := range x.Replica.TrustView().Conflicts() {
		out = append(out, d.Zones...)
	}
	for _, p := range x.Replica.TrustView().Proposals() {
		out = append(out, x.Replica.TrustView().Zone(p.Key))
	}
	return out
}

// shown checks that what stands in the cluster of a member stands in those of the others.
func (t *Trial) shown(y *Node, all []*Node, open []mesh.Zone) error {
	if slices.Contains(open, y.Name) {
		return nil
	}
	for _, k := range slices.SortedFunc(maps.Keys(y.Cluster.Local), mesh.ObjectKey.Compare) {
		for _, z := range all {
			if z == y || z.Name == y.Name {
				continue
			}
			if rep, there := z.Cluster.Replicas[k]; !there || rep.Payload != y.Cluster.Local[k] {
				return fmt.Errorf("%s: %s has %s, %s has %+v", k.Name, y.label(), y.Cluster.Local[k], z.label(), rep)
			}
		}
	}
	return nil
}

func labels(ns []*Node) []string {
	var out []string
	for _, n := range ns {
		out = append(out, n.label())
	}
	return out
}

// differ names the first line in which two sorted lists are not alike.
func differ(a, b []string) error {
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a):
			return fmt.Errorf("only the second has %s", b[i])
		case i >= len(b):
			return fmt.Errorf("only the first has %s", a[i])
		case a[i] != b[i]:
			return fmt.Errorf("%s; %s", a[i], b[i])
		}
	}
	return nil
}
