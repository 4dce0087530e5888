package node

import (
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// The messages of the sync stream. Their bytes are laid out in the package documentation.
type (
	// haveMsg says "this is what I hold, send me what I lack". Round is echoed by the answer.
	haveMsg struct {
		Round uint32
		Logs  []oplog.Have
	}
	// preSyncMsg opens the answer to a Have. Both figures are estimates, for progress only.
	preSyncMsg struct {
		Round        uint32
		Count, Bytes uint64
	}
	// opMsg is one operation: Operation frames answer a Have, Live frames come by themselves.
	opMsg struct{ Header, Body []byte }
	// head announces how far the sender holds a log.
	head struct {
		Key      mesh.LogKey
		Instance mesh.Instance
		Next     uint32
		Head     mesh.Hash
	}
	// pongMsg answers a ping and tells the clock of the sender, Unix microseconds.
	pongMsg struct {
		ID    uint64
		Clock int64
	}
)

const (
	flagStaged = 1 << 0
	flagFrozen = 1 << 1
)

func encodeTrustDigest(h mesh.Hash) []byte { return seal(append(begin(kindTrustDigest), h[:]...)) }

func decodeTrustDigest(b []byte) (mesh.Hash, error) {
	p := parser{b: b}
	h := p.hash()
	return h, p.done()
}

// encodeTrustOps puts as many operations as fit into one frame and returns the rest.
func encodeTrustOps(ops []oplog.TrustOp) (frame []byte, rest []oplog.TrustOp) {
	b := be.AppendUint32(begin(kindTrustOps), 0)
	n := 0
	for n < len(ops) && n < maxTrust && len(b) < trustBite {
		b = appendBytes(appendBytes(b, ops[n].Header), ops[n].Body)
		n++
	}
	be.PutUint32(b[5:], uint32(n))
	return seal(b), ops[n:]
}

func decodeTrustOps(b []byte) ([]opMsg, error) {
	p := parser{b: b}
	ops := make([]opMsg, p.count(maxTrust, 8))
	for i := range ops {
		ops[i] = opMsg{p.bytes(maxHeader), p.bytes(maxBody)}
	}
	return ops, p.done()
}

func encodeHave(m haveMsg) []byte {
	b := be.AppendUint32(begin(kindHave), m.Round)
	b = be.AppendUint32(b, uint32(len(m.Logs)))
	for _, h := range m.Logs {
		b = appendHave(b, h)
	}
	return seal(b)
}

func appendHave(b []byte, h oplog.Have) []byte {
	b = appendLog(b, h.Key, h.Instance)
	b = be.AppendUint32(b, h.Start)
	b = be.AppendUint32(b, h.Next)
	b = append(b, h.Head[:]...)
	var flags byte
	if h.Staged != nil {
		flags |= flagStaged
	}
	if h.Frozen {
		flags |= flagFrozen
	}
	b = append(b, flags)
	if s := h.Staged; s != nil {
		b = be.AppendUint32(b, s.Begin)
		b = be.AppendUint32(b, s.Next)
		b = append(b, s.Head[:]...)
	}
	return b
}

func decodeHave(b []byte) (haveMsg, error) {
	p := parser{b: b}
	m := haveMsg{Round: p.u32()}
	m.Logs = make([]oplog.Have, p.count(maxHaves, 64+2+8+8+32+1))
	for i := range m.Logs {
		h := &m.Logs[i]
		h.Key, h.Instance = p.log()
		h.Start, h.Next, h.Head = p.u32(), p.u32(), p.hash()
		flags := p.u8()
		if flags&^(flagStaged|flagFrozen) != 0 {
			return m, malformed("unknown flags %#x", flags)
		}
		h.Frozen = flags&flagFrozen != 0
		if flags&flagStaged != 0 {
			h.Staged = &oplog.Run{Begin: p.u32(), Next: p.u32(), Head: p.hash()}
		}
		if p.err == nil && i > 0 && m.Logs[i-1].Key.Compare(h.Key) >= 0 {
			return m, malformed("logs out of order")
		}
	}
	return m, p.done()
}

func encodePreSync(m preSyncMsg) []byte {
	b := be.AppendUint32(begin(kindPreSync), m.Round)
	return seal(be.AppendUint64(be.AppendUint64(b, m.Count), m.Bytes))
}

func decodePreSync(b []byte) (preSyncMsg, error) {
	p := parser{b: b}
	m := preSyncMsg{p.u32(), p.u64(), p.u64()}
	return m, p.done()
}

func encodeOp(k kind, header, body []byte) []byte {
	return appendOp(make([]byte, 0, 5+8+len(header)+len(body)), k, header, body)
}

// opFrameSize is the length of the frame of a row.
func opFrameSize(row oplog.Row) int { return 5 + 8 + len(row.Header) + len(row.Body) }

// appendOp appends the frame of an operation.
func appendOp(b []byte, k kind, header, body []byte) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0, byte(k))
	b = appendBytes(appendBytes(b, header), body)
	seal(b[at:])
	return b
}

func decodeOp(b []byte) (opMsg, error) {
	p := parser{b: b}
	m := opMsg{p.bytes(maxHeader), p.bytes(maxBody)}
	return m, p.done()
}

func encodeDone(round uint32) []byte { return seal(be.AppendUint32(begin(kindDone), round)) }

func decodeDone(b []byte) (uint32, error) {
	p := parser{b: b}
	r := p.u32()
	return r, p.done()
}

// encodeHeads takes at most maxHeads announcements.
func encodeHeads(hs []head) []byte {
	b := be.AppendUint32(begin(kindHeads), uint32(len(hs)))
	for _, h := range hs {
		b = appendLog(b, h.Key, h.Instance)
		b = append(be.AppendUint32(b, h.Next), h.Head[:]...)
	}
	return seal(b)
}

func decodeHeads(b []byte) ([]head, error) {
	p := parser{b: b}
	hs := make([]head, p.count(maxHeads, 64+2+8+4+32))
	for i := range hs {
		h := &hs[i]
		h.Key, h.Instance = p.log()
		h.Next, h.Head = p.u32(), p.hash()
	}
	return hs, p.done()
}

func encodePing(id uint64) []byte { return seal(be.AppendUint64(begin(kindPing), id)) }

func decodePing(b []byte) (uint64, error) {
	p := parser{b: b}
	id := p.u64()
	return id, p.done()
}

func encodePong(m pongMsg) []byte {
	return seal(be.AppendUint64(be.AppendUint64(begin(kindPong), m.ID), uint64(m.Clock)))
}

func decodePong(b []byte) (pongMsg, error) {
	p := parser{b: b}
	m := pongMsg{p.u64(), int64(p.u64())}
	return m, p.done()
}

func encodeGoodbye(reason string) []byte { return seal(appendText(begin(kindGoodbye), reason)) }

func decodeGoodbye(b []byte) (string, error) {
	p := parser{b: b}
	s := p.text()
	return s, p.done()
}

// encodeRecords puts as many peer records as fit into one frame and returns the rest.
func encodeRecords(raws [][]byte) (frame []byte, rest [][]byte) {
	b := be.AppendUint32(begin(kindRecords), 0)
	n := 0
	for n < len(raws) && n < maxRecords && len(b) < recordBite {
		b = appendBytes(b, raws[n])
		n++
	}
	be.PutUint32(b[5:], uint32(n))
	return seal(b), raws[n:]
}

func decodeRecords(b []byte) ([][]byte, error) {
	p := parser{b: b}
	raws := make([][]byte, p.count(maxRecords, 4))
	for i := range raws {
		raws[i] = p.bytes(oplog.MaxRecord)
	}
	return raws, p.done()
}
