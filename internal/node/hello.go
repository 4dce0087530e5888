package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	mss "github.com/multiformats/go-multistream"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/membership"
	"dcp.hiro.io/mesh/internal/mesh"
)

// runID is drawn at random when a process starts.
type runID = membership.RunID

// protocolVersion is what this software speaks; protocolVersions lists all that it can.
const protocolVersion = 1

var protocolVersions = []uint16{protocolVersion}

const (
	maxVersions  = 16
	helloTimeout = 10 * time.Second // for the whole exchange
)

// Codes with which streams are reset; the other side sees them.
const (
	codeProtocol  network.StreamErrorCode = 0x2001 // malformed or unexpected frame
	codeDuplicate network.StreamErrorCode = 0x2002 // another link between the two is kept
	codeStopped   network.StreamErrorCode = 0x2003 // this side ends the link
	codeNoHello   network.StreamErrorCode = 0x2004 // a sync stream before the hello
)

// hello is what two nodes tell each other before either counts as up.
type hello struct {
	Versions []uint16 // of the sync protocol, that the sender can speak
	Software string
	Network  mesh.NetworkID
	Instance mesh.Instance // incarnation 0 while nothing was signed
	Run      runID
	Started  uint64 // process start by the sender's clock, Unix ms; it orders runs and nothing else
}

// refusalMsg answers a hello that is not accepted. The text is for people.
type refusalMsg struct {
	Reason refusal
	Text   string
}

func (r refusalMsg) Error() string { return fmt.Sprintf("refused (%s): %s", r.Reason, r.Text) }

func encodeHello(h hello) []byte {
	b := appendVersions(begin(kindHello), h.Versions)
	b = appendText(b, h.Software)
	b = appendText(b, string(h.Network))
	b = appendText(b, string(h.Instance.Zone))
	b = be.AppendUint64(b, uint64(h.Instance.Incarnation))
	b = append(b, h.Run[:]...)
	return seal(be.AppendUint64(b, h.Started))
}

func decodeHello(b []byte) (hello, error) {
	p := parser{b: b}
	h := hello{Versions: p.versions()}
	h.Software = p.text()
	h.Network = mesh.NetworkID(p.text())
	h.Instance.Zone = p.zone()
	h.Instance.Incarnation = mesh.Incarnation(p.u64())
	h.Run, h.Started = p.id(), p.u64()
	return h, p.done()
}

func encodeRefusal(r refusalMsg) []byte {
	return seal(appendText(appendText(begin(kindRefusal), string(r.Reason)), r.Text))
}

func decodeRefusal(b []byte) (refusalMsg, error) {
	p := parser{b: b}
	r := refusalMsg{refusal(p.text()), p.text()}
	return r, p.done()
}

// protocolIDs carry the network id, so that nodes of different networks have nothing to say to each other.
func protocolIDs(n mesh.NetworkID) (helloID, syncID protocol.ID) {
	return protocolOf(n, "hello"), protocolOf(n, "sync")
}

func protocolOf(n mesh.NetworkID, name string) protocol.ID {
	return protocol.ID("/mesh/" + mesh.Sum([]byte(n)).String()[:16] + "/" + name + "/1.0.0")
}

// openStream opens a stream of a protocol on one particular connection.
func openStream(ctx context.Context, c network.Conn, id protocol.ID) (network.Stream, error) {
	s, err := c.NewStream(ctx)
	if err != nil {
		return nil, err
	}
	_ = s.SetDeadline(time.Now().Add(helloTimeout)) // a closed stream shows itself below
	if err := s.SetProtocol(id); err != nil {
		_ = s.Reset()
		return nil, err
	}
	if err := mss.SelectProtoOrFail(id, s); err != nil {
		_ = s.Reset()
		var unsupported mss.ErrNotSupported[protocol.ID]
		if errors.As(err, &unsupported) {
			return nil, refusalMsg{refusedNetwork, "it serves another network id, or another version of mesh"}
		}
		return nil, err
	}
	_ = s.SetDeadline(time.Time{})
	return s, nil
}

func (n *Node) ownHello() hello {
	v := n.loop.view.Load()
	return hello{Versions: protocolVersions, Software: n.cfg.Version, Network: n.cfg.Network,
		Instance: v.instance, Run: n.run.ID, Started: n.run.Start}
}

// greet says hello on a connection that we opened. It returns the other side's answer once both accepted.
func (n *Node) greet(ctx context.Context, c network.Conn) (hello, error) {
	key, err := keyOf(c.RemotePeer())
	if err != nil {
		return hello{}, err
	}
	s, err := openStream(ctx, c, n.helloID)
	if err != nil {
		return hello{}, fmt.Errorf("hello: %w", err)
	}
	h, err := n.exchangeHello(s, key)
	switch {
	case wasRefused(err):
		turnAway(s)
		return hello{}, err
	case err != nil:
		_ = s.Reset()
		return hello{}, fmt.Errorf("hello: %w", err)
	}
	return h, s.Close()
}

// maxFarewell is more than whoever was refused has left to say.
const maxFarewell = 4 << 10

// turnAway ends a connection whose hello one side refused, once the other side has read why or is out of time.
// An admitted key is connected before it says hello: gossip would go on with it.
func turnAway(s network.Stream) {
	_ = s.CloseWrite()
	_, _ = io.Copy(io.Discard, io.LimitReader(s, maxFarewell))
	_ = s.Close()
	_ = s.Conn().Close()
}

// exchangeHello is the part of the side that speaks first.
func (n *Node) exchangeHello(s network.Stream, key keys.Public) (hello, error) {
	_ = s.SetDeadline(time.Now().Add(helloTimeout))
	if _, err := s.Write(encodeHello(n.ownHello())); err != nil {
		return hello{}, err
	}
	k, b, err := newFrameReader(s, nil).next()
	if err != nil {
		return hello{}, err
	}
	switch k {
	case kindRefusal:
		r, err := decodeRefusal(b)
		if err != nil {
			return hello{}, err
		}
		return hello{}, fmt.Errorf("the other side %w", r)
	case kindHello:
	default:
		return hello{}, malformed("kind %d as an answer to hello", k)
	}
	h, err := decodeHello(b)
	if err != nil {
		return hello{}, err
	}
	if r := n.judge(key, h); r != nil {
		n.metrics.refused(r.Reason)
		_, _ = s.Write(encodeRefusal(*r)) // so that it is shown there, too
		return hello{}, *r
	}
	return h, nil
}

// answerHello serves the hello protocol: the other side opened the connection and speaks first.
func (n *Node) answerHello(s network.Stream) {
	_ = s.SetDeadline(time.Now().Add(helloTimeout))
	switch err := n.hearHello(s); {
	case err == nil:
		_ = s.Close()
	case wasRefused(err):
		turnAway(s)
	case errors.Is(err, errTooFast):
		_ = s.Conn().CloseWithError(network.ConnErrorCode(codeBusy))
	default:
		n.refuseLate(err)
		n.log.Debug("hello", "peer", s.Conn().RemotePeer().String(), "err", err)
		_ = s.Reset()
	}
}

// hearHello returns nil once everything was said, and a refusalMsg if we refused and said so.
func (n *Node) hearHello(s network.Stream) error {
	key, err := keyOf(s.Conn().RemotePeer())
	if err != nil {
		return err
	}
	if p := n.peers.get(key); p != nil && !p.visits.take(helloPace, time.Now(), 1) {
		n.metrics.refused(refusedFast)
		return errTooFast
	}
	r := newFrameReader(s, nil)
	k, b, err := r.next()
	if errors.Is(err, errMalformed) || errors.Is(err, errFrameTooLarge) {
		n.metrics.refused(refusalOf(err))
	}
	if err != nil {
		return err
	}
	if k != kindHello {
		n.metrics.refused(refusedOrder)
		return errUnexpected
	}
	h, err := decodeHello(b)
	if err != nil {
		n.metrics.refused(refusalOf(err))
		return err
	}
	no := n.judge(key, h)
	if no == nil && n.isStranger(s.Conn()) {
		no = &refusalMsg{refusedNotAdmitted, "admitted since this connection was opened: connect anew"}
	}
	if no != nil {
		n.metrics.refused(no.Reason)
		level := slog.LevelWarn
		if no.Reason == refusedNotAdmitted {
			level = slog.LevelInfo // a stranger may keep coming; a peer whose admission one side forgot sees it in its status
		}
		n.log.Log(context.Background(), level, "refused a hello", "peer", key, "zone", string(h.Instance.Zone), "reason", string(no.Reason), "detail", no.Text)
		if p := n.peers.get(key); p != nil {
			p.failed(*no)
		}
		if _, err := s.Write(encodeRefusal(*no)); err != nil {
			return err
		}
		return *no
	}
	p := n.peers.get(key)
	if p == nil {
		return errors.New("no member any more")
	}
	p.greeted(s.Conn().ID(), h)
	if _, err := s.Write(encodeHello(n.ownHello())); err != nil {
		return err
	}
	// The other side ends the stream when it accepted ours; a refusal is shown here, too.
	if k, b, err := r.next(); err == nil && k == kindRefusal {
		if no, err := decodeRefusal(b); err == nil {
			p.failed(fmt.Errorf("the other side %w", no))
		}
	}
	return nil
}

// judge says why a hello is not acceptable, or nil. In an open mesh the sender becomes a member here.
func (n *Node) judge(key keys.Public, h hello) *refusalMsg {
	refuse := func(r refusal, format string, args ...any) *refusalMsg {
		return &refusalMsg{r, fmt.Sprintf(format, args...)}
	}
	switch {
	case !slices.Contains(h.Versions, protocolVersion):
		return refuse(refusedProtocol, "speaks protocol versions %v, we speak %v", h.Versions, protocolVersions)
	case h.Network != n.cfg.Network:
		return refuse(refusedNetwork, "network %q, ours is %q", h.Network, n.cfg.Network)
	case h.Instance.Incarnation > mesh.MaxIncarnation:
		return refuse(refusedMalformed, "incarnation %d lies beyond the year 9999", h.Instance.Incarnation)
	case n.peers.get(key) == nil && !n.cfg.AdmissionOpen: // before anything that would tell a stranger who we are
		return refuse(refusedNotAdmitted, "key %s is not admitted", key.Short())
	case h.Instance.Zone == n.cfg.Zone:
		return refuse(refusedZone, "zone %q is the zone of another key", h.Instance.Zone)
	}
	p := n.peers.get(key)
	if p == nil && n.cfg.AdmissionOpen {
		p = n.admit(key)
	}
	if p == nil {
		return refuse(refusedNotAdmitted, "key %s is not admitted", key.Short())
	}
	if z := p.boundZone(); z != "" && z != h.Instance.Zone {
		return refuse(refusedZone, "key %s is bound to zone %q, not %q", key.Short(), z, h.Instance.Zone)
	}
	return nil
}
