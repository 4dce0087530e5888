package kube

import (
	"math"
	"strconv"
	"strings"
	"unique"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

// standing says what stands in the cluster under an object's key.
type standing uint8

const (
	standsNothing standing = iota // nothing, as far as the watches show
	standsLocal                   // an object of ours
	standsReplica                 // a replica
)

// known is what is kept of an object: no content, so that memory is a few hundred bytes whatever the objects weigh.
// Guarded by Cluster.mu.
type known struct {
	standing standing
	from     uint8 // sources that show it
	busy     bool  // a write is being carried out: what is seen meanwhile waits in later
	told     bool  // something was reported in this run and still holds
	drifted  bool  // a replica that was last reported as altered or missing

	uid     string
	version uint64       // its resourceVersion; 0: not known
	zone    mesh.Zone    // of a replica
	content mesh.Hash    // of a local object: its payload; of a replica: the payload that was written
	base    mesh.Hash    // of a replica: its replicated sections as the cluster answered the write
	seen    mesh.Hash    // of a replica: its replicated sections as last seen
	stated  mesh.Version // of a replica: the version and epoch that its labels tell
	epoch   mesh.Epoch
	label   mesh.Zone // of a local object: whom its labels name
	owned   unique.Handle[string]
	shape   unique.Handle[string]

	later *sighting
}

// isReplicaOf reports whether the replica stands just as a write wants it: the engine asks again for what it decided
// whenever it isn't certain that it was done.
func (x *known) isReplicaOf(w replica.Write) bool {
	return x.standing == standsReplica && !x.base.IsZero() && x.seen == x.base && !x.drifted && x.zone == w.Zone &&
		x.content == w.Content && x.stated == w.Version && x.epoch == w.Epoch
}

// sighting is something seen of an object.
type sighting struct {
	live  map[string]any // nil: it is not there any more
	from  uint8
	asked bool // the engine waits for a report about it
}

// ownedKeys names labels and annotations that mesh wrote, "l/" and "a/" before each, and shape what of a live
// object decides how a patch to it looks: whether it has labels and annotations, and its sections. Both are kept as
// one interned text, since thousands of objects share them.
const (
	ownedLabel      = "l/"
	ownedAnnotation = "a/"
	shapeLabels     = "metadata.labels"
	shapeNotes      = "metadata.annotations"
)

func intern(parts []string) unique.Handle[string] { return unique.Make(strings.Join(parts, "\n")) }

// spread is the opposite of intern. The zero handle has no parts.
func spread(h unique.Handle[string]) []string {
	if h == (unique.Handle[string]{}) || h.Value() == "" {
		return nil
	}
	return strings.Split(h.Value(), "\n")
}

// number reads a resourceVersion as a number: since Kubernetes 1.35 they are promised to be comparable, and always
// were. 0: it isn't one.
func number(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n == math.MaxUint64 {
		return 0
	}
	return n
}

// at returns what is known of an object, making it if needed. mu is held.
func (c *Cluster) at(k mesh.ObjectKey) *known {
	x := c.index[k]
	if x == nil {
		x = &known{}
		c.index[k] = x
	}
	return x
}

// forgetIfEmpty drops an entry that says nothing any more. mu is held.
func (c *Cluster) forgetIfEmpty(k mesh.ObjectKey) {
	if x := c.index[k]; x != nil && x.standing == standsNothing && !x.busy {
		delete(c.index, k)
	}
}

// absent notes that nothing stands under a key any more, and reports it if it was a replica; the absence of an
// object of ours has to be proven first. mu is held.
func (c *Cluster) absent(k mesh.ObjectKey, x *known) {
	was := x.standing
	zone := x.zone
	*x = known{busy: x.busy, later: x.later}
	c.problems.clear(subject{k, topicObject})
	switch was {
	case standsReplica:
		c.out.add(replica.ReplicaSeen{Object: k, Zone: zone})
		if !c.writes.hurry(k) {
			c.fights.altered(k, "") // nobody here wanted it to go
		}
	case standsLocal:
		c.proofs.suspect(k)
	}
	c.forgetIfEmpty(k)
}

const topicObject = "object" // what is wrong with an object as it stands
