package node

import (
	"strings"
	"unicode"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/token"
)

// Caps of the join protocol.
const (
	// maxAsked is what the side that opened a stream may send on it in all: a stranger's exchange.
	maxAsked = 4 << 10
	// maxGranted is the largest answer: the operations that prove an admission, and how to reach others.
	maxGranted = 256 << 10
	// maxGrantedOps bounds the operations of a message by number, maxProof those of an answer by size.
	maxGrantedOps = 64
	maxProof      = 100 << 10
	// maxContacts is how many others are named to whoever joined; it hears of the rest from them.
	maxContacts         = 64
	maxContactEndpoints = 8
	invitationID        = 8 // characters
)

// flagDry asks what would be answered, and for nothing else.
const flagDry = 1 << 0

// The messages of the join protocol. Their bytes are laid out in the package documentation.
type (
	// redeemMsg asks for the admission of the key that sends it.
	redeemMsg struct {
		Dry      bool
		Versions []uint16 // as in hello
		Software string
		Network  mesh.NetworkID
		ID       string
		Secret   [token.SecretSize]byte
		Zone     mesh.Zone // may be empty: the invitation's
	}
	// grantMsg answers: admitted.
	grantMsg struct {
		Zone, Inviter mesh.Zone
		Trust         []opMsg
		Contacts      []contactMsg
	}
	// contactMsg names a member and where others reach it.
	contactMsg struct {
		Key       keys.Public
		Zone      mesh.Zone // may be empty
		Endpoints []string
	}
	// denialMsg answers: not admitted. The text is for people; By is who has what was asked for, or zero.
	denialMsg struct {
		Code string
		Text string
		By   keys.Public
	}
	// presentMsg shows what admits its sender: a hand-over of another key's zone, or operations of members.
	presentMsg struct {
		HandOver string // may be empty
		Ops      []opMsg
	}
)

func encodeRedeem(m redeemMsg) []byte {
	var flags byte
	if m.Dry {
		flags |= flagDry
	}
	b := appendVersions(append(begin(kindRedeem), flags), m.Versions)
	b = appendText(b, m.Software)
	b = appendText(b, string(m.Network))
	b = appendText(b, m.ID)
	b = append(b, m.Secret[:]...)
	return seal(appendText(b, string(m.Zone)))
}

func decodeRedeem(b []byte) (redeemMsg, error) {
	p := parser{b: b}
	var m redeemMsg
	flags := p.u8()
	if flags&^flagDry != 0 {
		return m, malformed("unknown flags %#x", flags)
	}
	m.Dry = flags&flagDry != 0
	m.Versions = p.versions()
	m.Software = p.text()
	m.Network = mesh.NetworkID(p.text())
	m.ID = p.text()
	if p.err == nil && len(m.ID) != invitationID {
		return m, malformed("an id of %d characters", len(m.ID))
	}
	copy(m.Secret[:], p.take(len(m.Secret)))
	m.Zone = p.zoneOrNone()
	return m, p.done()
}

func encodeGranted(m grantMsg) []byte {
	b := appendText(begin(kindGranted), string(m.Zone))
	b = appendText(b, string(m.Inviter))
	b = appendOps(b, m.Trust)
	b = be.AppendUint32(b, uint32(len(m.Contacts)))
	for _, c := range m.Contacts {
		b = append(b, c.Key[:]...)
		b = append(appendText(b, string(c.Zone)), byte(len(c.Endpoints)))
		for _, e := range c.Endpoints {
			b = appendText(b, e)
		}
	}
	return seal(b)
}

func decodeGranted(b []byte) (grantMsg, error) {
	p := parser{b: b}
	m := grantMsg{Zone: p.zone(), Inviter: p.zone(), Trust: p.ops()}
	m.Contacts = make([]contactMsg, p.count(maxContacts, keys.PublicSize+2))
	for i := range m.Contacts {
		c := &m.Contacts[i]
		c.Key = p.key()
		c.Zone = p.zoneOrNone()
		n := int(p.u8())
		if n > maxContactEndpoints {
			return m, malformed("%d endpoints", n)
		}
		for range n {
			e := p.text()
			if p.err != nil {
				break
			}
			if _, err := dialAddrs(e); err != nil {
				return m, malformed("%v", err)
			}
			c.Endpoints = append(c.Endpoints, e)
		}
	}
	return m, p.done()
}

func encodeDenied(m denialMsg) []byte {
	b := appendText(appendText(begin(kindDenied), m.Code), m.Text)
	return seal(append(b, m.By[:]...))
}

// decodeDenied refuses a text that a terminal would take for more than text.
func decodeDenied(b []byte) (denialMsg, error) {
	p := parser{b: b}
	m := denialMsg{Code: p.text(), Text: p.text()}
	copy(m.By[:], p.take(keys.PublicSize))
	if strings.ContainsFunc(m.Code+m.Text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return m, malformed("a text that cannot be printed")
	}
	return m, p.done()
}

func encodeAck() []byte { return seal(begin(kindAck)) }

func encodeAccepted() []byte { return seal(begin(kindAccepted)) }

// decodeNothing is for messages that say everything by their kind.
func decodeNothing(b []byte) (struct{}, error) {
	p := parser{b: b}
	return struct{}{}, p.done()
}

func encodePresent(m presentMsg) []byte {
	return seal(appendOps(appendText(begin(kindPresent), m.HandOver), m.Ops))
}

func decodePresent(b []byte) (presentMsg, error) {
	p := parser{b: b}
	m := presentMsg{HandOver: p.text(), Ops: p.ops()}
	return m, p.done()
}

func appendVersions(b []byte, vs []uint16) []byte {
	b = append(b, byte(len(vs)))
	for _, v := range vs {
		b = be.AppendUint16(b, v)
	}
	return b
}

func appendOps(b []byte, ops []opMsg) []byte {
	b = be.AppendUint32(b, uint32(len(ops)))
	for _, o := range ops {
		b = appendBytes(appendBytes(b, o.Header), o.Body)
	}
	return b
}

// proof is as many operations as fit into limit bytes of a message.
func proof(ops []oplog.TrustOp, limit int) []opMsg {
	var out []opMsg
	for _, o := range ops {
		if limit -= 8 + len(o.Header) + len(o.Body); limit < 0 || len(out) == maxGrantedOps {
			break
		}
		out = append(out, opMsg{o.Header, o.Body})
	}
	return out
}

func (p *parser) ops() []opMsg {
	ops := make([]opMsg, p.count(maxGrantedOps, 8))
	for i := range ops {
		ops[i] = opMsg{p.bytes(maxHeader), p.bytes(maxGranted)}
	}
	return ops
}

func (p *parser) versions() (vs []uint16) {
	n := p.u8()
	if p.err == nil && (n == 0 || n > maxVersions) {
		p.err = malformed("%d protocol versions", n)
	}
	for i := 0; p.err == nil && i < int(n); i++ {
		vs = append(vs, p.u16())
	}
	return vs
}

func (p *parser) zoneOrNone() mesh.Zone {
	if len(p.b) > 0 && p.b[0] == 0 {
		p.u8()
		return ""
	}
	return p.zone()
}

func (p *parser) key() keys.Public {
	b := p.take(keys.PublicSize)
	if b == nil {
		return keys.Public{}
	}
	k, err := keys.PublicFromBytes(b)
	if err != nil {
		p.err = malformed("%v", err)
	}
	return k
}
