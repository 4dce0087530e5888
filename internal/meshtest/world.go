package meshtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// Epoch is when every simulation begins.
var Epoch = time.Date(2026, 11, 22, 14, 3, 22, 0, time.UTC)

// Network is the network id of simulated meshes.
const Network mesh.NetworkID = "sim"

// Node is one simulated zone.
type Node struct {
	Name    mesh.Zone
	Key     keys.Private
	Store   *oplog.Memory
	Replica *replica.Replica // nil: it is down
	Cluster *Cluster
	Skew    time.Duration // of its clock
	Config  replica.Config
	Reports []replica.Decision
	Former  keys.Public // the key whose zone was handed over to this one by itself, if any

	inbox  []message
	effect func(point string) bool // asked at every boundary between two effects; true: crash here
}

// message is something on its way to a node.
type message struct {
	from  *Node
	input replica.Input
}

// World is a mesh in which nothing happens but what its methods do.
type World struct {
	Now   time.Time
	Nodes []*Node
	Rand  *rand.Rand
	Lossy bool // live operations are lost, repeated and reordered; sync rounds are not

	cut   map[[2]int]bool
	known map[mesh.Hash]known
	Err   error // the first thing that must never happen
}

// NewWorld makes n zones that admit each other. tune may change each configuration.
func NewWorld(seed uint64, n int, tune func(*replica.Config)) *World {
	w := &World{Now: Epoch, Rand: rand.New(rand.NewPCG(seed, 0x6d657368)), cut: make(map[[2]int]bool), known: make(map[mesh.Hash]known)}
	for i := range n {
		var s [keys.SeedSize]byte
		s[0], s[1], s[2] = byte(i+1), byte(i>>8), 0x5a
		w.Nodes = append(w.Nodes, &Node{
			Name: mesh.Zone(fmt.Sprintf("z%02d", i)), Key: keys.FromSeed(s), Store: oplog.NewMemory(),
			Cluster: &Cluster{Disk: NewDisk(), Mounted: true},
		})
	}
	for _, x := range w.Nodes {
		x.Config = replica.Config{Network: Network, Zone: x.Name, Key: x.Key}
		for _, y := range w.Nodes {
			if x != y {
				x.Config.Members = append(x.Config.Members, replica.Member{Key: y.Key.Public(), Zone: y.Name})
			}
		}
		if tune != nil {
			tune(&x.Config)
		}
	}
	return w
}

func (w *World) index(x *Node) int { return slices.Index(w.Nodes, x) }

// Start starts a node from its store.
func (w *World) Start(x *Node) {
	idx, err := x.Store.Load()
	if err == nil {
		x.Replica, err = replica.New(x.Config, idx, x.Store, w.clock(x))
	}
	if err != nil {
		w.fail("start %s: %v", x.Name, err)
		return
	}
	x.inbox = nil
	x.Cluster.start()
	w.Do(x, replica.Tick{})
}

// Stop kills a node: what was not persisted is gone, and so is what was on its way to it.
func (w *World) Stop(x *Node) {
	x.Replica, x.inbox = nil, nil
	x.Cluster.queue, x.Cluster.asked = nil, nil
}

func (w *World) clock(x *Node) time.Time { return w.Now.Add(x.Skew) }

func (w *World) fail(format string, args ...any) {
	if w.Err == nil {
		w.Err = fmt.Errorf(format, args...)
	}
}

// CrashAt makes a node crash at a boundary between two effects when f says so.
func (x *Node) CrashAt(f func(point string) bool) { x.effect = f }

// Do hands inputs to a node and carries out what follows, in the promised order.
func (w *World) Do(x *Node, in ...replica.Input) {
	if x.Replica == nil {
		return
	}
	fx, err := x.Replica.Step(w.clock(x), in...)
	if err != nil {
		w.fail("step of %s: %v", x.Name, err)
		return
	}
	crash := func(point string) bool {
		if x.effect != nil && x.effect(point) {
			w.Stop(x)
			return true
		}
		return false
	}
	if crash("before persist") {
		return
	}
	if err := x.Store.Commit(&fx.Persist); err != nil {
		w.fail("commit of %s: %v", x.Name, err)
		return
	}
	if crash("after persist") {
		return
	}
	for _, p := range fx.Publish {
		w.publish(x, p)
		if crash("while publishing") {
			return
		}
	}
	x.Cluster.carryOut(&fx, x.Store)
	if crash("after apply") {
		return
	}
	x.Reports = append(x.Reports, fx.Report...)
	if len(x.Reports) > 4096 {
		x.Reports = slices.Delete(x.Reports, 0, len(x.Reports)-2048)
	}
}

func (w *World) publish(x *Node, p replica.Published) {
	k := w.know(p.Row)
	if !k.holds {
		return // whatever comes alone is verified by itself
	}
	k.in.From = x.Key.Public()
	for _, y := range w.Nodes {
		if y == x || !w.Linked(x, y) || !x.Admits(y) || !y.Admits(x) {
			continue
		}
		copies := 1
		if w.Lossy {
			switch w.Rand.IntN(10) {
			case 0, 1, 2:
				copies = 0
			case 3:
				copies = 2
			}
		}
		for range copies {
			y.inbox = append(y.inbox, message{x, k.in})
		}
	}
}

func (w *World) trust(t oplog.TrustOp, from *Node) replica.ArrivedTrust {
	k := w.know(oplog.Row{Header: t.Header, Body: t.Body})
	if !k.holds {
		w.fail("%s passes a statement on that nobody signed", from.Name)
	}
	return replica.ArrivedTrust{Op: k.in.Op, Event: k.in.Event, From: from.Key.Public()}
}

// Admits reports whether a node is up and takes another one for a member.
func (x *Node) Admits(y *Node) bool {
	return x.Replica != nil && x.Replica.TrustView().Admitted(y.Key.Public())
}

// Meet has two nodes that are linked show each other what admits them, and reports whether they talk.
func (w *World) Meet(x, y *Node) bool {
	for _, pair := range [][2]*Node{{x, y}, {y, x}} {
		guest, host := pair[0], pair[1]
		if guest.Replica == nil || host.Admits(guest) {
			continue
		}
		for _, t := range guest.Replica.Credentials() {
			w.Do(host, w.trust(t, guest))
		}
		if !host.Admits(guest) && !guest.Former.IsZero() {
			w.Do(host, replica.HandedOver{From: guest.Former, To: guest.Key.Public()})
		}
	}
	return x.Admits(y) && y.Admits(x)
}

// Cut cuts or heals the link between two nodes.
func (w *World) Cut(x, y *Node, cut bool) {
	i, j := w.index(x), w.index(y)
	w.cut[[2]int{min(i, j), max(i, j)}] = cut
}

// Heal restores every link.
func (w *World) Heal() { clear(w.cut) }

// Linked reports whether two nodes can talk.
func (w *World) Linked(x, y *Node) bool {
	i, j := w.index(x), w.index(y)
	return !w.cut[[2]int{min(i, j), max(i, j)}]
}

// Sync runs one sync round in which y gets from x what it lacks.
func (w *World) Sync(x, y *Node) {
	if x.Replica == nil || y.Replica == nil || !w.Linked(x, y) || !w.Meet(x, y) {
		return
	}
	theirs := y.Replica.Haves()
	ours := x.Replica.Haves()
	w.Do(x, replica.Haves{From: y.Key.Public(), Logs: theirs})
	w.Do(y, replica.Haves{From: x.Key.Public(), Logs: ours})
	if x.Replica == nil || y.Replica == nil {
		return
	}
	if y.Replica.TrustDigest() != x.Replica.TrustDigest() {
		for _, t := range x.Replica.Trust() {
			w.Do(y, w.trust(t, x))
			if y.Replica == nil {
				return
			}
		}
	}
	sends, err := oplog.Diff(x.Replica.Haves(), theirs, x.Store.RowID)
	if err != nil {
		w.fail("diff of %s for %s: %v", x.Name, y.Name, err)
		return
	}
	for _, s := range sends {
		for _, in := range w.arrivals(y, w.rows(x, s), x) {
			w.Do(y, in)
			if y.Replica == nil {
				return
			}
		}
	}
	w.Do(y, replica.Compared{From: x.Key.Public()})
}

func (w *World) rows(x *Node, s oplog.Send) []oplog.Row {
	if s.Evidence {
		all, err := x.Store.Evidence()
		if err != nil {
			w.fail("evidence of %s: %v", x.Name, err)
		}
		for _, e := range all {
			if e.Log == s.Log {
				return []oplog.Row{e.A, e.B}
			}
		}
		return nil
	}
	var out []oplog.Row
	for from := s.From; from < s.To; {
		rows, err := x.Store.Rows(s.Log, from, s.To, 1<<30)
		if err != nil {
			w.fail("rows of %s: %v", x.Name, err)
		}
		if len(rows) == 0 {
			break
		}
		out = append(out, rows...)
		from = rows[len(rows)-1].Seq + 1
	}
	return out
}

// Deliver hands one message that is on its way to a node over, or one report of its cluster, or has the
// cluster do one thing asked of it. It reports whether there was any.
func (w *World) Deliver(x *Node) bool {
	if x.Replica == nil {
		return false
	}
	var kinds []int
	if len(x.inbox) > 0 {
		kinds = append(kinds, 0)
	}
	if len(x.Cluster.queue) > 0 {
		kinds = append(kinds, 1)
	}
	if len(x.Cluster.asked) > 0 && x.Cluster.Mounted {
		kinds = append(kinds, 2)
	}
	if len(kinds) == 0 {
		return false
	}
	switch kinds[w.Rand.IntN(len(kinds))] {
	case 0:
		i := 0
		if w.Lossy {
			i = w.Rand.IntN(len(x.inbox))
		}
		m := x.inbox[i]
		x.inbox = slices.Delete(x.inbox, i, i+1)
		w.Do(x, m.input)
	case 1:
		in := x.Cluster.queue[0]
		x.Cluster.queue = slices.Delete(x.Cluster.queue, 0, 1)
		w.Do(x, in)
	case 2:
		do := x.Cluster.asked[0]
		x.Cluster.asked = slices.Delete(x.Cluster.asked, 0, 1)
		do()
	}
	return true
}

// Drain delivers until nothing is on its way any more.
func (w *World) Drain() {
	for n := 0; ; n++ {
		if n > 1_000_000 {
			w.fail("the mesh doesn't come to rest")
			return
		}
		busy := false
		for _, x := range w.Nodes {
			busy = w.Deliver(x) || busy
		}
		if !busy || w.Err != nil {
			return
		}
	}
}

// Advance lets time pass and wakes every node whose deadline came.
func (w *World) Advance(d time.Duration) {
	w.Now = w.Now.Add(d)
	for _, x := range w.Nodes {
		for n := 0; x.Replica != nil; n++ {
			at := x.Replica.Deadline()
			if at.IsZero() || at.After(w.clock(x)) {
				break
			}
			if n > 100_000 {
				w.fail("%s asks to be woken without end", x.Name)
				return
			}
			w.Do(x, replica.Tick{})
		}
	}
}

// Settle lets a healed mesh come to rest: rounds of sync between all pairs until nothing changes any more.
func (w *World) Settle() {
	lossy := w.Lossy
	w.Lossy = false
	defer func() { w.Lossy = lossy }()
	quiet := 0
	for round := 0; quiet < 3; round++ {
		if round > 200 {
			w.fail("no rest after %d rounds", round)
			return
		}
		before := w.fingerprint()
		w.Advance(11 * time.Second)
		w.Drain()
		for _, x := range w.Nodes {
			for _, y := range w.Nodes {
				if x != y {
					w.Sync(x, y)
					w.Drain()
				}
			}
		}
		w.CheckAll()
		w.Drain()
		if w.Err != nil {
			return
		}
		if w.fingerprint() == before {
			quiet++
		} else {
			quiet = 0
		}
	}
}

// fingerprint changes when any node's logs or any cluster's objects change.
func (w *World) fingerprint() mesh.Hash {
	var b []byte
	for _, x := range w.Nodes {
		if x.Replica == nil {
			continue
		}
		for _, h := range x.Replica.Haves() {
			b = fmt.Appendf(b, "%v %d %d %s\n", h.Instance, h.Start, h.Next, h.Head)
		}
		b = fmt.Append(b, x.Replica.Counts(), x.Replica.TrustDigest())
		for _, k := range sortedKeys(x.Cluster.Local) {
			b = fmt.Appendf(b, "%s %s\n", k, x.Cluster.Local[k])
		}
		for _, k := range sortedKeys(x.Cluster.Replicas) {
			b = fmt.Appendf(b, "%s %v\n", k, x.Cluster.Replicas[k])
		}
	}
	return mesh.Sum(b)
}

// User actions: what a person does to a zone's own objects.

// Write saves an object among a zone's own.
func (w *World) Write(x *Node, k mesh.ObjectKey, payload string) {
	if x.Cluster.Mounted {
		x.Cluster.Local[k] = payload
		x.Cluster.look(k)
	}
}

// Delete removes an object from among a zone's own.
func (w *World) Delete(x *Node, k mesh.ObjectKey) {
	if x.Cluster.Mounted {
		delete(x.Cluster.Local, k)
		x.Cluster.look(k)
	}
}

// Object names a ConfigMap.
func Object(name string) mesh.ObjectKey {
	if namespace, rest, ok := strings.Cut(name, "/"); ok {
		return mesh.ObjectKey{Kind: "ConfigMap", Namespace: namespace, Name: rest}
	}
	return mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: name}
}

// Claims returns the claims that a node's store holds, as one line each, in order.
func (x *Node) Claims() []string {
	idx, err := x.Store.Load()
	if err != nil {
		return []string{err.Error()}
	}
	var out []string
	for _, c := range idx.Claims {
		out = append(out, fmt.Sprintf("%s by %s: %s v%d e%d b%d %s", c.Object, c.Zone, c.Kind, c.Version, c.Epoch, c.Birth, c.Content.Short()))
	}
	return out
}
