package meshtest

import (
	"crypto/sha256"
	"maps"
	"slices"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// Standing is a replica as it stands in a cluster.
type Standing struct {
	Zone    mesh.Zone
	Payload string
}

// Disk is what a cluster holds: what a backup copies and a replacement lacks.
type Disk struct {
	Local    map[mesh.ObjectKey]string
	Replicas map[mesh.ObjectKey]Standing
	Witness  *event.Witness
}

// NewDisk returns an empty cluster without a witness.
func NewDisk() *Disk {
	return &Disk{Local: make(map[mesh.ObjectKey]string), Replicas: make(map[mesh.ObjectKey]Standing)}
}

// Clone copies a disk: a backup.
func (d *Disk) Clone() *Disk {
	c := &Disk{Local: maps.Clone(d.Local), Replicas: maps.Clone(d.Replicas)}
	if d.Witness != nil {
		w := *d.Witness
		c.Witness = &w
	}
	return c
}

// Cluster is a cluster adapter in miniature: it reports what it sees, in a queue, and carries out writes. It
// decides nothing.
type Cluster struct {
	*Disk
	Mounted bool
	queue   []replica.Input
	asked   []func() // asked of it and not done yet, in order
}

// start reports everything once, as an adapter does after a restart.
func (c *Cluster) start() {
	c.queue, c.asked = nil, nil
	if !c.Mounted {
		return
	}
	c.readWitness()
	for _, k := range sortedKeys(c.Local) {
		c.queue = append(c.queue, replica.Local{Object: k, Payload: []byte(c.Local[k])})
	}
	for _, k := range sortedKeys(c.Replicas) {
		c.queue = append(c.queue, c.seen(k))
	}
	c.queue = append(c.queue, replica.Listed{})
}

func (c *Cluster) seen(k mesh.ObjectKey) replica.Input {
	s, ok := c.Replicas[k]
	if !ok {
		return replica.ReplicaSeen{Object: k}
	}
	return replica.ReplicaSeen{Object: k, Zone: s.Zone, Content: mesh.Sum([]byte(s.Payload))}
}

func (c *Cluster) readWitness() {
	in := replica.WitnessRead{Present: c.Witness != nil}
	if c.Witness != nil {
		in.Witness = *c.Witness
	}
	c.queue = append(c.queue, in)
}

// look reports one object from a live read.
func (c *Cluster) look(k mesh.ObjectKey) {
	if p, ok := c.Local[k]; ok {
		c.queue = append(c.queue, replica.Local{Object: k, Payload: []byte(p)})
	} else {
		c.queue = append(c.queue, replica.LocalGone{Object: k})
	}
}

// carryOut notes what effects ask of the cluster. It is done later, one by one, and only while it is mounted.
func (c *Cluster) carryOut(fx *replica.Effects, reader oplog.Reader) {
	if w := fx.WriteWitness; w != nil {
		wit := *w
		c.asked = append(c.asked, func() {
			c.Witness = &wit
			c.queue = append(c.queue, replica.WitnessWritten{Witness: wit})
		})
	}
	if fx.CheckWitness {
		c.asked = append(c.asked, c.readWitness)
	}
	for _, w := range fx.Apply {
		c.asked = append(c.asked, func() { c.write(w, reader) })
	}
	for _, k := range fx.Probe {
		c.asked = append(c.asked, func() { c.look(k) })
	}
}

func (c *Cluster) write(w replica.Write, reader oplog.Reader) {
	done := replica.Written{Write: w}
	local, hasLocal := c.Local[w.Object]
	altered := hasLocal && !w.Expect.IsZero() && mesh.Sum([]byte(local)) != w.Expect
	payload := func() (string, bool) {
		p, err := reader.Payload(mesh.ClaimRef{Object: w.Object, Zone: w.Zone})
		if err != nil || p == nil {
			return "", false // the claim went on meanwhile: a later write follows
		}
		return string(p), true
	}
	switch w.Kind {
	case replica.PutReplica, replica.YieldLocal:
		p, ok := payload()
		if !ok {
			return
		}
		c.Replicas[w.Object] = Standing{w.Zone, p}
		if w.Kind == replica.YieldLocal && altered {
			done.Err, done.Altered = "edited meanwhile", true
		} else if w.Kind == replica.YieldLocal {
			delete(c.Local, w.Object)
		}
	case replica.RemoveReplica:
		delete(c.Replicas, w.Object)
	case replica.RemoveLocal:
		if altered {
			done.Err, done.Altered = "edited meanwhile", true
			break
		}
		delete(c.Local, w.Object)
		delete(c.Replicas, w.Object)
	case replica.AdoptLocal:
		if !hasLocal {
			if w.Content.IsZero() {
				s, ok := c.Replicas[w.Object]
				if !ok {
					return
				}
				c.Local[w.Object] = s.Payload
			} else if p, ok := payload(); ok {
				c.Local[w.Object] = p
			} else {
				return
			}
		}
		delete(c.Replicas, w.Object)
		c.look(w.Object)
	}
	c.queue = append(c.queue, done)
}

func sortedKeys[V any](m map[mesh.ObjectKey]V) []mesh.ObjectKey {
	return slices.SortedFunc(maps.Keys(m), mesh.ObjectKey.Compare)
}

// SecretHash is what an inviter keeps of the secret that begins with n and is zero otherwise.
func SecretHash(n byte) mesh.Hash { return sha256.Sum256(append([]byte{n}, make([]byte, 15)...)) }
