package store

import (
	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// This file maps records to their bytes and back, except claims and rows, which are read most. The package
// doc is the table of the format; the two change together, with a new format version.

func (w *writer) meta(m *oplog.Meta) {
	w.str(string(m.Network))
	w.str(string(m.Zone))
	w.public(m.Author)
	w.u64(uint64(m.Created))
	w.u64(uint64(m.Incarnation))
	w.u64(uint64(m.LastVersion))
	w.hash(m.Witness.Cluster)
	w.u64(m.Witness.Counter)
	w.u64(m.WitnessNext)
	w.i64(m.LastAck)
	w.i64(m.LastRun)
	w.flag(m.Replaced)
	w.flag(m.Behind)
}

func decodeMeta(v []byte) (oplog.Meta, error) {
	r := reader{b: v}
	m := oplog.Meta{
		Network:     mesh.NetworkID(r.str()),
		Zone:        mesh.Zone(r.str()),
		Author:      r.public(),
		Created:     mesh.Incarnation(r.u64()),
		Incarnation: mesh.Incarnation(r.u64()),
		LastVersion: mesh.Version(r.u64()),
		Witness:     event.Witness{Cluster: r.hash(), Counter: r.u64()},
		WitnessNext: r.u64(),
		LastAck:     r.i64(),
		LastRun:     r.i64(),
		Replaced:    r.flag(),
		Behind:      r.flag(),
	}
	return m, r.end("node record")
}

const (
	logHasRun          = 1
	logHasStaged       = 2
	logHasLimit        = 4
	logLimitNone       = 8
	logFrozen          = 16
	logUnchecked       = 32
	logStagedUnchecked = 64
	logFalse           = 128
)

func (w *writer) log(l *oplog.Log) {
	w.str(string(l.Instance.Zone))
	w.u64(uint64(l.Instance.Incarnation))
	w.u32(l.Start)
	w.u32(l.Next)
	w.hash(l.Head)
	w.u32(l.Pruned)
	w.u32(l.AbsentBelow)
	var flags uint8
	if l.Run != nil {
		flags |= logHasRun
	}
	if l.Staged != nil {
		flags |= logHasStaged
	}
	if l.Limit != nil {
		flags |= logHasLimit
		if l.Limit.None {
			flags |= logLimitNone
		}
	}
	if l.Frozen {
		flags |= logFrozen
	}
	if l.False {
		flags |= logFalse
	}
	if !l.Unchecked.Empty() {
		flags |= logUnchecked
	}
	if !l.StagedUnchecked.Empty() {
		flags |= logStagedUnchecked
	}
	w.u8(flags)
	w.u64(l.Ops)
	w.u64(l.Bytes)
	w.i64(l.Updated)
	w.run(l.Run)
	w.run(l.Staged)
	if l.Limit != nil {
		w.u32(l.Limit.Height)
		w.hash(l.Limit.Hash)
	}
	w.span(l.Unchecked)
	w.span(l.StagedUnchecked)
}

func (w *writer) span(r oplog.Range) {
	if !r.Empty() {
		w.u32(r.From)
		w.u32(r.To)
	}
}

// span refuses what With never makes.
func (r *reader) span() oplog.Range {
	x := oplog.Range{From: r.u32(), To: r.u32()}
	r.bad = r.bad || x.From >= x.To
	return x
}

func (w *writer) run(run *oplog.Run) {
	if run != nil {
		w.u32(run.Begin)
		w.u32(run.Next)
		w.hash(run.Head)
	}
}

func (r *reader) run() *oplog.Run {
	return &oplog.Run{Begin: r.u32(), Next: r.u32(), Head: r.hash()}
}

func decodeLog(k, v []byte) (oplog.Log, error) {
	rk := reader{b: k}
	l := oplog.Log{Key: rk.logKey()}
	if err := rk.end("key of a log"); err != nil {
		return l, err
	}
	r := reader{b: v}
	l.Instance = mesh.Instance{Zone: mesh.Zone(r.str()), Incarnation: mesh.Incarnation(r.u64())}
	l.Start = r.u32()
	l.Next = r.u32()
	l.Head = r.hash()
	l.Pruned = r.u32()
	l.AbsentBelow = r.u32()
	flags := r.u8()
	l.Frozen, l.False = flags&logFrozen != 0, flags&logFalse != 0
	l.Ops = r.u64()
	l.Bytes = r.u64()
	l.Updated = r.i64()
	if flags&logHasRun != 0 {
		l.Run = r.run()
	}
	if flags&logHasStaged != 0 {
		l.Staged = r.run()
	}
	if flags&logHasLimit != 0 {
		l.Limit = &oplog.Limit{None: flags&logLimitNone != 0, Height: r.u32(), Hash: r.hash()}
	}
	if flags&logUnchecked != 0 {
		l.Unchecked = r.span()
	}
	if flags&logStagedUnchecked != 0 {
		l.StagedUnchecked = r.span()
	}
	r.bad = r.bad || flags&logLimitNone != 0 && l.Limit == nil
	return l, r.end("record of a log")
}

func (w *writer) placed(p *oplog.Placed) {
	w.u8(uint8(p.State))
	w.flag(p.Local)
	w.u32(uint32(p.Epoch))
	w.u64(uint64(p.Birth))
	w.u64(uint64(p.Version))
	w.hash(p.Content)
	w.hash(p.Expect)
	w.hash(p.Base.Content)
	w.str(p.Base.UID)
	w.rest(string(p.Zone))
}

func decodePlaced(k, v []byte) (oplog.Placed, error) {
	rk := reader{b: k}
	p := oplog.Placed{Object: rk.object()}
	if err := rk.end("key of a placed object"); err != nil {
		return p, err
	}
	r := reader{b: v}
	p.State = oplog.PlacedState(r.u8())
	p.Local = r.flag()
	p.Epoch = mesh.Epoch(r.u32())
	p.Birth = mesh.Version(r.u64())
	p.Version = mesh.Version(r.u64())
	p.Content = r.hash()
	p.Expect = r.hash()
	p.Base.Content = r.hash()
	p.Base.UID = r.str()
	p.Zone = mesh.Zone(r.restString())
	return p, r.end("record of a placed object")
}

func (w *writer) trust(t *oplog.TrustOp) {
	w.bytes(t.Header)
	w.b = append(w.b, t.Body...)
}

func decodeTrust(k, v []byte) (oplog.TrustOp, error) {
	rk, r := reader{b: k}, reader{b: v}
	t := oplog.TrustOp{ID: rk.hash(), Header: clone(r.bytes()), Body: clone(r.rest())}
	if err := rk.end("key of a trust operation"); err != nil {
		return t, err
	}
	return t, r.end("trust operation")
}

func (w *writer) lost(l *oplog.LostRecord) {
	var object writer
	object.object(l.Object)
	if object.err != nil {
		w.err = object.err
	}
	w.i64(l.At)
	w.u64(uint64(l.Version))
	w.str(string(l.Zone))
	w.str(l.Reason)
	w.str(string(object.b))
	w.b = append(w.b, l.Payload...)
}

// decodeLost leaves the payload alone unless it is wanted.
func decodeLost(k, v []byte, payload bool) (oplog.LostEntry, error) {
	rk, r := reader{b: k}, reader{b: v}
	e := oplog.LostEntry{ID: rk.u64()}
	e.At = r.i64()
	e.Version = mesh.Version(r.u64())
	e.Zone = mesh.Zone(r.str())
	e.Reason = r.str()
	object := reader{b: r.take(int(r.u16()))}
	e.Object = object.object()
	content := r.rest()
	e.Size = len(content)
	if payload {
		e.Payload = clone(content)
	}
	if rk.end("") != nil || object.end("") != nil {
		r.bad = true
	}
	return e, r.end("lost content")
}

func (w *writer) evidence(e *oplog.Evidence) {
	for _, row := range []*oplog.Row{&e.A, &e.B} {
		w.u32(row.Seq)
		w.hash(row.ID)
		w.bytes(row.Header)
		w.bytes(row.Body)
	}
}

func decodeEvidence(k, v []byte) (oplog.Evidence, error) {
	rk, r := reader{b: k}, reader{b: v}
	e := oplog.Evidence{Log: rk.logKey()}
	for _, row := range []*oplog.Row{&e.A, &e.B} {
		*row = oplog.Row{Log: e.Log, Seq: r.u32(), ID: r.hash(), Header: clone(r.bytes()), Body: clone(r.bytes())}
	}
	if err := rk.end("key of a fork's proof"); err != nil {
		return e, err
	}
	return e, r.end("proof of a fork")
}

func (w *writer) binding(b *oplog.Binding) {
	w.flag(b.Conflict)
	w.rest(string(b.Zone))
}

func decodeBinding(k, v []byte) (oplog.Binding, error) {
	rk, r := reader{b: k}, reader{b: v}
	b := oplog.Binding{Key: rk.public(), Conflict: r.flag(), Zone: mesh.Zone(r.restString())}
	if err := rk.end("key of a binding"); err != nil {
		return b, err
	}
	return b, r.end("binding")
}

func (w *writer) brake(b *oplog.Brake) {
	for _, s := range b.Slots {
		w.i64(s.Slot)
		w.u32(s.Count)
	}
	w.flag(b.Held)
}

func decodeBrake(k, v []byte) (oplog.Brake, error) {
	r := reader{b: v}
	b := oplog.Brake{Zone: mesh.Zone(k)}
	for i := range b.Slots {
		b.Slots[i] = oplog.BrakeSlot{Slot: r.i64(), Count: r.u32()}
	}
	b.Held = r.flag()
	return b, r.end("count of deletions")
}

func (w *writer) ackedKey(a *oplog.Acked) {
	w.part(string(a.Zone))
	w.logKey(a.Log)
}

func decodeAcked(k, v []byte) (oplog.Acked, error) {
	rk, r := reader{b: k}, reader{b: v}
	a := oplog.Acked{Zone: mesh.Zone(rk.part()), Log: rk.logKey(), Height: r.u32()}
	if err := rk.end("key of an acknowledgement"); err != nil {
		return a, err
	}
	return a, r.end("acknowledgement")
}

func (w *writer) covers(c *event.SnapshotBegin) {
	w.u64(uint64(c.Floor))
	w.hash(c.Witness.Cluster)
	w.u64(c.Witness.Counter)
	for _, x := range c.Covers {
		w.logKey(x.Log)
		w.u64(uint64(x.Incarnation))
		w.u32(x.Height)
		w.hash(x.Head)
	}
}

func decodeCovers(k, v []byte) (keys.Public, event.SnapshotBegin, error) {
	rk, r := reader{b: k}, reader{b: v}
	author := rk.public()
	c := event.SnapshotBegin{Floor: mesh.Incarnation(r.u64())}
	c.Witness = event.Witness{Cluster: r.hash(), Counter: r.u64()}
	for len(r.b) > 0 {
		c.Covers = append(c.Covers, event.Cover{
			Log: r.logKey(), Incarnation: mesh.Incarnation(r.u64()), Height: r.u32(), Head: r.hash(),
		})
	}
	if err := rk.end("key of covers"); err != nil {
		return author, c, err
	}
	return author, c, r.end("covers")
}
