package meshtest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// Chaos is one simulated life of a mesh in which everything goes wrong at random: lost, repeated and
// reordered messages, partitions, crashes between any two effects, clocks that jump, stores that are lost or
// restored from old copies, clusters that are unmounted, emptied, restored or swapped. Then all of it heals,
// and what must hold is checked.
type Chaos struct {
	*World
	Trace []string // what happened, for the reader of a failing seed

	Paranoid bool // check the logs after every act, to find the one that broke them

	// Liar is a zone that now and then doesn't sign what it says, and signs what follows; nil: all are honest. Its own
	// objects are its own affair then.
	Liar *Node
	Lies int // how often it did

	After func() // called after every act, for whoever hunts a failing seed

	truth    map[mesh.ObjectKey]*truth
	backups  map[*Node]*oplog.Memory
	disks    map[*Node]*Disk
	shared   []mesh.ObjectKey
	replaced map[*Node]bool // its cluster was swapped for another state
}

// truth is what the user of an object's only zone did last.
type truth struct {
	zone    *Node
	ever    bool // it was written at least once
	deleted bool // the last act was a deletion
	anyDel  bool // it was deleted at least once
}

// NewChaos prepares a run. Everything about it follows from the seed.
func NewChaos(seed uint64) *Chaos {
	zones := 3 + int(seed%3)
	switch {
	case seed%500 == 7:
		zones = 20
	case seed%50 == 8:
		zones = 8
	}
	c := &Chaos{
		truth: make(map[mesh.ObjectKey]*truth), backups: make(map[*Node]*oplog.Memory),
		disks: make(map[*Node]*Disk), replaced: make(map[*Node]bool),
	}
	c.World = NewWorld(seed, zones, func(cfg *replica.Config) {
		cfg.SnapshotMaxLog = 4 + seed%9
		cfg.BrakeMin = 1000 // the brake has stories of its own
		if seed%4 == 1 {
			cfg.OnConflict = replica.Oldest
		}
	})
	c.Lossy = true
	for _, x := range c.Nodes {
		for i := range 3 {
			c.truth[Object(fmt.Sprintf("%s-%d", x.Name, i))] = &truth{zone: x}
		}
	}
	for i := range 2 {
		c.shared = append(c.shared, Object(fmt.Sprintf("shared-%d", i)))
	}
	return c
}

// Run lives through steps random acts, heals everything and returns the first promise that is broken.
func (c *Chaos) Run(steps int) error {
	for _, x := range c.Nodes {
		c.Start(x)
	}
	for range steps {
		c.act()
		for range c.Rand.IntN(12) {
			c.Deliver(c.node())
		}
		if c.Err != nil {
			return c.Err
		}
		if c.After != nil {
			c.After()
		}
		if c.Paranoid {
			if err := c.CheckLogs(); err != nil {
				return err
			}
		}
	}
	c.heal()
	if c.Err != nil {
		return c.Err
	}
	return c.check()
}

func (c *Chaos) node() *Node { return c.Nodes[c.Rand.IntN(len(c.Nodes))] }

func (c *Chaos) note(format string, args ...any) {
	c.Trace = append(c.Trace, c.Now.Sub(Epoch).String()+" "+fmt.Sprintf(format, args...))
}

// act does one thing at random; what is frequent in life is frequent here.
func (c *Chaos) act() {
	x := c.node()
	switch n := c.Rand.IntN(100); {
	case n < 30:
		c.edit(x)
	case n < 36:
		c.remove(x)
	case n < 50:
		y := c.node()
		if c.Check(x, 1+c.Rand.IntN(5)) {
			c.note("checked some of %s", x.Name)
		}
		if x != y {
			c.note("sync %s->%s", x.Name, y.Name)
			c.Sync(x, y)
		}
	case n < 62:
		d := []time.Duration{time.Millisecond, time.Second, 5 * time.Second, 12 * time.Second, 61 * time.Second, 20 * time.Minute}
		c.Advance(d[c.Rand.IntN(len(d))])
	case n < 70:
		if y := c.node(); x != y {
			cut := c.Rand.IntN(3) > 0
			c.note("cut %s-%s %v", x.Name, y.Name, cut)
			c.Cut(x, y, cut)
		}
	case n < 76:
		left := c.Rand.IntN(4)
		x.CrashAt(func(point string) bool {
			if left--; left >= 0 {
				return false
			}
			c.note("crash %s %s", x.Name, point)
			x.CrashAt(nil)
			return true
		})
	case n < 79:
		c.note("kill %s", x.Name)
		c.Stop(x)
		if x == c.Liar {
			c.lie()
		}
	case n < 87:
		if x.Replica == nil {
			c.note("start %s", x.Name)
			c.Start(x)
		}
	case n < 89:
		x.Skew = time.Duration(c.Rand.IntN(7)-3) * []time.Duration{time.Hour, 24 * 365 * 10 * time.Hour}[c.Rand.IntN(2)]
		c.note("clock %s %v", x.Name, x.Skew)
	case n < 92:
		c.disturbStore(x)
	case n < 96:
		c.disturbCluster(x)
	case n < 98:
		k := c.shared[c.Rand.IntN(len(c.shared))]
		c.note("adopt %s %s", x.Name, k.Name)
		c.Do(x, replica.Adopt{Object: k})
	default:
		c.note("backup %s", x.Name)
		c.backups[x], c.disks[x] = x.Store.Clone(), x.Cluster.Disk.Clone()
	}
}

// lie has the liar say something that nobody hears yet, not sign it, and go on.
func (c *Chaos) lie() {
	x := c.Liar
	for _, y := range c.Nodes {
		if y != x {
			c.Cut(x, y, true)
		}
	}
	say := func() {
		c.Start(x)
		c.Advance(31 * time.Second) // until it signs
		c.edit(x)
		for c.Deliver(x) {
		}
		c.Stop(x)
	}
	say()
	done, err := c.Falsify(x)
	if err != nil {
		c.note("no lie: %v", err)
	}
	if done {
		c.note("%s lies", x.Name)
		c.Lies++
	}
	say()
	c.Start(x)
}

func (c *Chaos) edit(x *Node) {
	if !x.Cluster.Mounted {
		return
	}
	k := c.anyKey(x)
	v := fmt.Sprintf(`{"v":%d}`, c.Rand.IntN(1000))
	c.note("write %s %s %s", x.Name, k.Name, v)
	if t := c.truth[k]; t != nil {
		t.ever, t.deleted = true, false
	}
	c.Write(x, k, v)
}

func (c *Chaos) remove(x *Node) {
	k := c.anyKey(x)
	if _, there := x.Cluster.Local[k]; !there || !x.Cluster.Mounted {
		return
	}
	c.note("delete %s %s", x.Name, k.Name)
	if t := c.truth[k]; t != nil {
		t.deleted, t.anyDel = true, true
	}
	c.Delete(x, k)
}

func (c *Chaos) anyKey(x *Node) mesh.ObjectKey {
	if c.Rand.IntN(5) == 0 {
		return c.shared[c.Rand.IntN(len(c.shared))]
	}
	return Object(fmt.Sprintf("%s-%d", x.Name, c.Rand.IntN(3)))
}

// disturbStore loses a node's store, or puts an old copy in its place.
func (c *Chaos) disturbStore(x *Node) {
	c.Stop(x)
	if b := c.backups[x]; b != nil && c.Rand.IntN(2) == 0 {
		c.note("restore store %s", x.Name)
		x.Store = b.Clone()
	} else {
		c.note("lose store %s", x.Name)
		x.Store.Wipe()
	}
	if c.Rand.IntN(2) == 0 {
		c.Start(x)
	}
}

// disturbCluster unmounts a cluster, mounts it again, or puts another state in its place.
func (c *Chaos) disturbCluster(x *Node) {
	switch n := c.Rand.IntN(6); {
	case n < 2:
		c.note("unmount %s", x.Name)
		x.Cluster.Mounted = false
		x.Cluster.queue = nil
		return
	case n < 4:
		c.note("mount %s", x.Name)
	case n == 4 && c.disks[x] != nil:
		c.note("restore cluster %s", x.Name)
		x.Cluster.Disk = c.disks[x].Clone()
		c.replaced[x] = true
	case n == 5:
		if y := c.node(); c.Rand.IntN(2) == 0 && y != x {
			c.note("wrong cluster %s: that of %s", x.Name, y.Name)
			x.Cluster.Disk = y.Cluster.Disk.Clone()
			for k, t := range c.truth {
				if _, there := x.Cluster.Local[k]; there && t.zone != x {
					t.anyDel = true // two zones hold it as their own now: the story of one owner is over
					t.zone = nil
				}
			}
		} else {
			c.note("empty cluster %s", x.Name)
			x.Cluster.Disk = NewDisk()
		}
		c.replaced[x] = true
	}
	x.Cluster.Mounted = true
	if x.Replica != nil {
		x.Cluster.start()
	}
}

// heal brings everything back and lets the mesh come to rest.
func (c *Chaos) heal() {
	c.note("heal")
	c.World.Heal()
	for _, x := range c.Nodes {
		x.CrashAt(nil)
		x.Skew = 0
		if x.Replica != nil {
			c.Stop(x)
		}
		x.Cluster.Mounted = true
		c.Start(x)
	}
	c.Advance(time.Second)
	c.Settle()
	c.Advance(2 * time.Minute)
	c.Settle()
}

// CheckLogs checks that every log a node holds is whole: each row of its chain is there and follows the one
// before.
func (c *Chaos) CheckLogs() error {
	for _, x := range c.Nodes {
		idx, err := x.Store.Load()
		if err != nil {
			return err
		}
		for i := range idx.Logs {
			l := &idx.Logs[i]
			rows, err := x.Store.Rows(l.Key, max(l.Start, l.Pruned), l.Next, 1<<30)
			if err != nil {
				return err
			}
			if len(rows) != int(l.Next-max(l.Start, l.Pruned)) {
				return fmt.Errorf("%s holds %d rows of log %s [%d,%d)", x.Name, len(rows), l.Instance, l.Start, l.Next)
			}
			if st := l.Staged; st != nil {
				staged, err := x.Store.Rows(l.Key, st.Begin, st.Next, 1<<30)
				if err != nil {
					return err
				}
				if len(staged) != int(st.Next-st.Begin) {
					return fmt.Errorf("%s holds %d rows of the staged run [%d,%d) of log %s", x.Name, len(staged), st.Begin, st.Next, l.Instance)
				}
			}
			if n := len(rows); n > 0 && rows[n-1].ID != l.Head {
				return fmt.Errorf("%s: the head of log %s is not its last row", x.Name, l.Instance)
			}
		}
	}
	return nil
}

// check compares what stands with what was promised.
func (c *Chaos) check() error {
	if err := c.CheckLogs(); err != nil {
		return err
	}
	for _, k := range slices.SortedFunc(maps.Keys(c.truth), mesh.ObjectKey.Compare) {
		if err := c.checkOwned(k, c.truth[k]); err != nil {
			return err
		}
	}
	return c.checkAgreement()
}

// checkOwned checks an object that only one zone's user ever touched.
func (c *Chaos) checkOwned(k mesh.ObjectKey, t *truth) error {
	z := t.zone
	if z == nil || !t.ever || z == c.Liar {
		return nil
	}
	mine, stands := z.Cluster.Local[k]
	for _, y := range c.Nodes {
		if y == z || y == c.Liar {
			continue
		}
		rep, there := y.Cluster.Replicas[k]
		switch {
		case stands && (!there || rep.Payload != mine):
			return fmt.Errorf("%s: %s holds %q, %s has %+v", k, z.Name, mine, y.Name, rep)
		case !stands && t.deleted && !c.replaced[z] && !c.asks(z) && there && !c.stray(y, k):
			return fmt.Errorf("%s: deleted in %s, still in %s as %+v", k, z.Name, y.Name, rep)
		}
	}
	if !stands && !t.anyDel && !c.replaced[z] {
		return fmt.Errorf("%s: nobody deleted it and %s has lost it", k, z.Name)
	}
	return nil
}

// asks reports whether a zone holds its own deletions back until an operator confirms: its store and its
// cluster look as if they had been restored together, so that absence proves nothing.
func (c *Chaos) asks(z *Node) bool {
	return slices.ContainsFunc(z.Replica.Held(), func(h mesh.HeldDeletes) bool { return h.Zone == z.Name })
}

// stray reports whether a replica stands that no claim speaks of: its store was lost, and so was every
// statement about it.
func (c *Chaos) stray(y *Node, k mesh.ObjectKey) bool {
	r, ok := y.Replica.Resource(k)
	return ok && r.Owner == ""
}

// checkAgreement checks that every zone sees the same winner of each object, and that its cluster shows it.
func (c *Chaos) checkAgreement() error {
	for _, k := range c.keys() {
		if c.Liar != nil && (c.truth[k] == nil || c.truth[k].zone == nil || c.truth[k].zone == c.Liar) {
			continue // it may have a say there
		}
		var want mesh.Resource
		for i, x := range c.Nodes {
			got, ok := x.Replica.Resource(k)
			if !ok || got.Content == "" {
				got = mesh.Resource{}
			}
			if i == 0 {
				want = got
			}
			if got.Owner != want.Owner || got.Content != want.Content || got.Epoch != want.Epoch {
				return fmt.Errorf("%s: %s sees owner %q epoch %d content %.8s, %s sees owner %q epoch %d content %.8s",
					k, c.Nodes[0].Name, want.Owner, want.Epoch, want.Content, x.Name, got.Owner, got.Epoch, got.Content)
			}
			if err := c.checkCluster(x, k, got); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Chaos) checkCluster(x *Node, k mesh.ObjectKey, r mesh.Resource) error {
	local, isLocal := x.Cluster.Local[k]
	rep, isReplica := x.Cluster.Replicas[k]
	switch {
	case isLocal && isReplica:
		return fmt.Errorf("%s: %s has it twice", k, x.Name)
	case r.Content == "" || slices.Contains(r.Claims, x.Name) && !isLocal:
		return nil // nobody claims it live; or it is missing here and an operator is asked
	case isLocal && r.Owner == x.Name && mesh.Sum([]byte(local)).String() != r.Content:
		return fmt.Errorf("%s: %s states %.8s and holds %s", k, x.Name, r.Content, local)
	case !isLocal && r.Owner != x.Name && !isReplica:
		return fmt.Errorf("%s: %s lacks the replica of %s (%s)", k, x.Name, r.Owner, r.State)
	case !isLocal && isReplica && mesh.Sum([]byte(rep.Payload)).String() != r.Content:
		return fmt.Errorf("%s: %s has replica %+v, %s states %.8s", k, x.Name, rep, r.Owner, r.Content)
	}
	return nil
}

func (c *Chaos) keys() []mesh.ObjectKey {
	ks := append(slices.Collect(maps.Keys(c.truth)), c.shared...)
	slices.SortFunc(ks, mesh.ObjectKey.Compare)
	return ks
}
