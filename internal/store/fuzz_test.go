package store

import (
	"bytes"
	"os"
	"testing"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/storetest"
	"dcp.hiro.io/mesh/internal/oplog"
)

// record is one sort of record: decoded and encoded again it must give the same key and value.
type record struct {
	name string
	make func() (k, v []byte)
	// again decodes; ok is false when the bytes were refused.
	again func(k, v []byte) (k2, v2 []byte, ok bool)
}

func filled[T any]() *T {
	v := new(T)
	storetest.Fill(v)
	return v
}

func written(fill func(*writer)) []byte {
	var w writer
	fill(&w)
	if w.err != nil {
		panic(w.err)
	}
	return w.b
}

func recordOf[T any](name string, decode func(k, v []byte) (T, error), key, value func(*writer, *T)) record {
	encode := func(t *T) (k, v []byte) {
		return written(func(w *writer) { key(w, t) }), written(func(w *writer) { value(w, t) })
	}
	return record{
		name: name,
		make: func() (k, v []byte) { return encode(filled[T]()) },
		again: func(k, v []byte) (k2, v2 []byte, ok bool) {
			t, err := decode(k, v)
			if err != nil {
				return nil, nil, false
			}
			k2, v2 = encode(&t)
			return k2, v2, true
		},
	}
}

type authorCovers struct {
	author oplog.Binding // for its key
	covers event.SnapshotBegin
}

type heldClaim struct {
	claim mesh.Claim
	holds bool
}

func records() []record {
	logs := &lognos{number: map[mesh.LogKey]logno{}, keys: map[logno]mesh.LogKey{1: storetest.Log(1, 1)}}
	claim := recordOf("claim",
		func(k, v []byte) (heldClaim, error) {
			d := newClaimDecoder(logs)
			c, err := d.decode(k, v)
			return heldClaim{c, d.holds}, err
		},
		func(w *writer, c *heldClaim) { w.claimKey(c.claim.Ref()) },
		func(w *writer, c *heldClaim) { w.claim(&c.claim, 1, c.holds) })
	claim.make = func() (k, v []byte) {
		c := storetest.ClaimOf(object(1), "eu", 7, "payload").Claim
		return written(func(w *writer) { w.claimKey(c.Ref()) }), written(func(w *writer) { w.claim(&c, 1, true) })
	}
	covers := recordOf("covers",
		func(k, v []byte) (authorCovers, error) {
			author, c, err := decodeCovers(k, v)
			return authorCovers{oplog.Binding{Key: author}, c}, err
		},
		func(w *writer, c *authorCovers) { w.public(c.author.Key) },
		func(w *writer, c *authorCovers) { w.covers(&c.covers) })
	covers.make = func() (k, v []byte) {
		key := storetest.Key(1).Public()
		return key[:], written(func(w *writer) { w.covers(filled[event.SnapshotBegin]()) })
	}
	return []record{
		claim, covers,
		recordOf("meta", func(_, v []byte) (oplog.Meta, error) { return decodeMeta(v) },
			func(*writer, *oplog.Meta) {}, (*writer).meta),
		recordOf("log", decodeLog, func(w *writer, l *oplog.Log) { w.logKey(l.Key) }, (*writer).log),
		recordOf("placed", decodePlaced, func(w *writer, p *oplog.Placed) { w.object(p.Object) }, (*writer).placed),
		recordOf("trust", decodeTrust, func(w *writer, t *oplog.TrustOp) { w.hash(t.ID) }, (*writer).trust),
		recordOf("lost", func(k, v []byte) (oplog.LostEntry, error) { return decodeLost(k, v, true) },
			func(w *writer, l *oplog.LostEntry) { w.u64(l.ID) }, func(w *writer, l *oplog.LostEntry) { w.lost(&l.LostRecord) }),
		recordOf("evidence", decodeEvidence, func(w *writer, e *oplog.Evidence) { w.logKey(e.Log) }, (*writer).evidence),
		recordOf("binding", decodeBinding, func(w *writer, b *oplog.Binding) { w.public(b.Key) }, (*writer).binding),
		recordOf("brake", decodeBrake, func(w *writer, b *oplog.Brake) { w.rest(string(b.Zone)) }, (*writer).brake),
		recordOf("acked", decodeAcked, (*writer).ackedKey, func(w *writer, a *oplog.Acked) { w.u32(a.Height) }),
		recordOf("invite", decodeInvite, func(w *writer, v *oplog.Invite) { w.rest(v.ID) }, (*writer).invite),
		recordOf("contact", decodeContact, func(w *writer, c *oplog.Contact) { w.public(c.Key) }, (*writer).contact),
		recordOf("row", func(k, v []byte) (oplog.Row, error) {
			no, seq, err := splitRowKey(k)
			if err != nil || no != 1 {
				return oplog.Row{}, errCorrupt
			}
			return decodeRow(storetest.Log(1, 1), seq, v)
		}, func(w *writer, r *oplog.Row) { w.b = rowKey(1, r.Seq) }, func(w *writer, r *oplog.Row) {
			w.b, w.err = encodeRow(r)
		}),
	}
}

// FuzzRecords feeds hostile bytes to every decoder: what is accepted is written back byte for byte, so nothing
// is read in two ways and nothing is dropped.
func FuzzRecords(f *testing.F) {
	all := records()
	for i, r := range all {
		k, v := r.make()
		f.Add(uint8(i), k, v)
		f.Add(uint8(i), k, v[:len(v)/2])
		f.Add(uint8(i), []byte{}, append(v, 0))
	}
	f.Fuzz(func(t *testing.T, which uint8, k, v []byte) {
		r := all[int(which)%len(all)]
		k2, v2, ok := r.again(k, v)
		if r.name == "meta" {
			k = nil // it has a fixed one
		}
		if ok && (!bytes.Equal(k, k2) || !bytes.Equal(v, v2)) {
			t.Errorf("%s:\nread %x %x\nwrote %x %x", r.name, k, v, k2, v2)
		}
	})
}

// TestRecordsAccepted holds that the seeds are read at all.
func TestRecordsAccepted(t *testing.T) {
	t.Parallel()
	for _, r := range records() {
		k, v := r.make()
		if _, _, ok := r.again(k, v); !ok {
			t.Errorf("%s: refused its own bytes", r.name)
		}
		if _, _, ok := r.again(k, v[:len(v)-1]); ok && !bytes.Contains([]byte("claim placed trust lost binding row"), []byte(r.name)) {
			t.Errorf("%s: accepted a record that lacks a byte", r.name)
		}
	}
}

// FuzzPages patches a small store in one place and has it looked at as before an open. Small positions are
// frequent, so they are spread over the pages.
func FuzzPages(f *testing.F) {
	s := newTest(f)
	c := newChain(1)
	for range 20 {
		if err := s.Commit(c.next()); err != nil {
			f.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(s.Path())
	if err != nil {
		f.Fatal(err)
	}
	h, err := readHeader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		f.Fatal(err)
	}
	data = data[:h.pages*pageSize]
	f.Add(uint16(0), uint16(0), []byte{})
	f.Add(uint16(h.root), uint16(8), []byte{1})
	f.Add(uint16(h.freelist), uint16(10), []byte{255, 255})
	f.Fuzz(func(t *testing.T, number, at uint16, patch []byte) {
		file := bytes.Clone(data)
		place := int(number)%int(h.pages)*pageSize + int(at)%pageSize
		copy(file[place:], patch)
		r := bytes.NewReader(file)
		head, err := readHeader(r, int64(len(file)))
		if err != nil {
			head = h // look at the pages as if the header were fine
		}
		for _, how := range []depth{shallow, deep} {
			err := newWalk(r, head, how).all(head)
			if err != nil && len(patch) == 0 {
				t.Errorf("a sound store: %v", err)
			}
		}
	})
}
