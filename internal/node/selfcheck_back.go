package node

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// The dialback protocol answers one question: do you reach me? A member asks over an open connection and names nothing;
// the other dials the endpoints at which it knows the asker, from sockets of its own, demanding the asker's key, and says
// how each went. So nobody can have a node dial for them what it wouldn't dial by itself. The asker chooses what it says
// about itself, though, and must not look around here by that: what it tells leads neither to this machine nor to its link,
// and only where the asker is seen to be, or where an operator says that it is, is it told more than whether it answered.

const (
	maxBackTries  = 4                // endpoints of the asker that are dialled
	backAtOnce    = 2                // askers that are served at the same time
	backEvery     = 2 * time.Second  // between two questions of one asker; one that comes sooner is refused
	backTries     = 3                // of an asker that was refused because it came too soon
	backQuestion  = 5 * time.Second  // until the asker has asked
	backPatience  = 20 * time.Second // of the asker, for the whole exchange
	maxAsked4Back = 3                // peers that are asked
)

// kindDialBack asks, kindDialedBack answers.
const (
	kindDialBack   kind = 48
	kindDialedBack kind = 49
)

// codeBusy refuses a question that comes too soon, or beside too many others.
const codeBusy network.StreamErrorCode = 0x2006

// BackTry is one endpoint of this node, and how a peer came by dialling it.
type BackTry struct {
	At        string // host:port
	QUIC, TCP Reach
}

// DialedBack is what one peer said.
type DialedBack struct {
	Peer  keys.Public
	Tried []BackTry
	Err   string // why it didn't say; empty: it did
}

// backDesk is what serves the protocol.
type backDesk struct {
	id   protocol.ID
	room chan struct{} // one token per asker that is served
	now  func() time.Time

	mu     sync.Mutex
	last   map[keys.Public]time.Time // of the askers' last questions, as long as they count
	served map[keys.Public]bool      // who is just being served
}

func newBackDesk(n mesh.NetworkID) *backDesk {
	return &backDesk{id: protocolOf(n, "dialback"), room: make(chan struct{}, backAtOnce), now: time.Now,
		last: map[keys.Public]time.Time{}, served: map[keys.Public]bool{}}
}

// admit reports whether a question may be answered now: one of each asker at a time. Then done has to follow.
func (d *backDesk) admit(k keys.Public) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	for k, at := range d.last {
		if now.Sub(at) >= backEvery {
			delete(d.last, k)
		}
	}
	if _, soon := d.last[k]; soon || d.served[k] {
		return false
	}
	select {
	case d.room <- struct{}{}:
		d.last[k], d.served[k] = now, true
		return true
	default:
		return false
	}
}

// done ends what admit let in.
func (d *backDesk) done(k keys.Public) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.served, k)
	<-d.room
}

// answerDialBack serves the protocol to members.
func (n *Node) answerDialBack(s network.Stream) {
	key, err := keyOf(s.Conn().RemotePeer())
	var p *peerEntry
	if err == nil {
		p = n.peers.get(key)
	}
	if p == nil || n.isStranger(s.Conn()) {
		n.metrics.refused(refusedNotAdmitted)
		_ = s.ResetWithError(codeNotAdmitted)
		return
	}
	if !n.back.admit(key) {
		n.metrics.refused(refusedBusy)
		_ = s.ResetWithError(codeBusy)
		return
	}
	served := n.start(func(ctx context.Context) {
		defer n.back.done(key)
		stop := context.AfterFunc(ctx, func() { _ = s.ResetWithError(codeStopped) })
		defer stop()
		if err := n.dialBack(ctx, s, p); err != nil {
			n.log.Debug("dial back", "peer", key, "err", err)
			_ = s.ResetWithError(codeProtocol)
			return
		}
		_ = s.Close()
	})
	if !served {
		n.back.done(key)
		_ = s.ResetWithError(codeStopped)
	}
}

// dialBack hears the question, dials and answers.
func (n *Node) dialBack(ctx context.Context, s network.Stream, p *peerEntry) error {
	ctx, cancel := context.WithTimeout(ctx, backPatience)
	defer cancel()
	// Whoever opens the stream asks at once; until then nobody else is served.
	_ = s.SetDeadline(time.Now().Add(backQuestion)) // a closed stream shows itself below
	k, b, err := newFrameReader(s, nil).next()
	if err == nil && k != kindDialBack {
		err = malformed("kind %d as a question", k)
	}
	if err == nil {
		_, err = decodeNothing(b)
	}
	if isLate(err) {
		n.metrics.refused(refusedSlow)
	} else if errors.Is(err, errMalformed) || errors.Is(err, errFrameTooLarge) {
		n.metrics.refused(refusalOf(err))
	}
	if err != nil {
		return err
	}
	_ = s.SetDeadline(time.Now().Add(backPatience))
	ways := n.waysBack(p)
	prober, err := n.newProber()
	if err != nil {
		return err
	}
	defer prober.close()
	from, _ := addrPortOf(s.Conn().RemoteMultiaddr())
	tried := make([]BackTry, len(ways))
	var wg sync.WaitGroup
	for i := range ways {
		wg.Go(func() {
			at := backWay{asker: from.Addr().Unmap(), configured: ways[i].Configured, loopback: n.book.loopback}
			prober.try(ctx, &ways[i], at.allows)
			tried[i] = BackTry{ways[i].At, at.tell(ways[i].QUIC), at.tell(ways[i].TCP)}
		})
	}
	wg.Wait()
	_, err = s.Write(encodeDialedBack(tried))
	return err
}

// backWay is what may be dialled behind one endpoint of an asker, and told about it.
type backWay struct {
	asker                netip.Addr // from where its link comes
	configured, loopback bool       // an operator wrote the endpoint; all nodes are on this machine
	away                 bool       // the endpoint stands for another address than the asker's
}

// allows reports whether an address may be dialled.
func (w *backWay) allows(ip netip.Addr) bool {
	if ip == w.asker || w.configured {
		return true
	}
	w.away = true
	if ip.IsLoopback() {
		return w.loopback
	}
	return !ip.IsUnspecified() && !ip.IsLinkLocalUnicast() && !ip.IsMulticast()
}

// tell is what the asker is told of how it went.
func (w *backWay) tell(r Reach) Reach {
	if r == "" || w.away && r != ReachAnswered {
		return ReachOther
	}
	return r
}

// waysBack lists at which endpoints an asker is known here: those that it tells, then those that are configured.
func (n *Node) waysBack(p *peerEntry) (out []Way) {
	told := n.book.toldBy(p.key)
	p.mu.Lock()
	configured := slices.Clone(p.endpoints)
	p.mu.Unlock()
	for _, at := range append(told, configured...) {
		if len(out) < maxBackTries && !slices.ContainsFunc(out, func(w Way) bool { return w.At == at }) {
			out = append(out, Way{Peer: p.key, At: at, Configured: slices.Contains(configured, at)})
		}
	}
	return out
}

// toldBy lists the endpoints that a member's newest record names, else those of its heartbeats.
func (b *book) toldBy(k keys.Public) (out []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.byKey[k]
	if c == nil {
		return nil
	}
	if len(c.record.endpoints) > 0 {
		return slices.DeleteFunc(slices.Clone(c.record.endpoints), func(at string) bool { return isLocal(at) && !b.loopback })
	}
	for _, w := range b.ranked(c, nil) {
		if w.from == fromMember {
			out = append(out, w.at)
		}
	}
	return out
}

// AskDialBack asks up to three linked peers whether they reach this node, those first whose link this node opened: the
// others have shown it. Safe for concurrent use.
func (n *Node) AskDialBack(ctx context.Context) []DialedBack {
	var ours, theirs []*link
	for _, e := range n.peers.all() {
		if ls := e.current(); len(ls) > 0 {
			if l := ls[len(ls)-1]; l.ours {
				ours = append(ours, l)
			} else {
				theirs = append(theirs, l)
			}
		}
	}
	ask := append(ours, theirs...)
	ask = ask[:min(len(ask), maxAsked4Back)]
	out := make([]DialedBack, len(ask))
	var wg sync.WaitGroup
	for i, l := range ask {
		wg.Go(func() {
			out[i].Peer = l.key()
			tried, err := n.askBackPatiently(ctx, l)
			if out[i].Tried = tried; err != nil {
				out[i].Err = backError(err)
			}
		})
	}
	wg.Wait()
	return out
}

// askBackPatiently asks again where the last question was a moment ago.
func (n *Node) askBackPatiently(ctx context.Context, l *link) (tried []BackTry, err error) {
	for i := range backTries {
		if i > 0 {
			t := time.NewTimer(backEvery)
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				return nil, err
			}
		}
		if tried, err = n.askBack(ctx, l); !isBusy(err) {
			break
		}
	}
	return tried, err
}

func isBusy(err error) bool {
	var reset *network.StreamError
	return errors.As(err, &reset) && reset.ErrorCode == codeBusy
}

func (n *Node) askBack(ctx context.Context, l *link) ([]BackTry, error) {
	ctx, cancel := context.WithTimeout(ctx, backPatience)
	defer cancel()
	s, err := openStream(ctx, l.s.Conn(), n.back.id)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.ResetWithError(codeStopped) })
	defer stop()
	if _, err := s.Write(encodeDialBack()); err != nil {
		return nil, err
	}
	k, b, err := newFrameReader(s, nil).next()
	if err == nil && k != kindDialedBack {
		err = malformed("kind %d as an answer", k)
	}
	var tried []BackTry
	if err == nil {
		tried, err = decodeDialedBack(b)
	}
	if err != nil {
		_ = s.Reset()
		return nil, err
	}
	_ = s.Close() // the answer is here
	return tried, nil
}

// backError says why a peer didn't answer.
func backError(err error) string {
	switch {
	case wasRefused(err):
		return "its version cannot dial back"
	case isBusy(err):
		return "it is busy with others who ask"
	case errors.Is(err, errMalformed), errors.Is(err, errFrameTooLarge):
		return "its answer makes no sense"
	}
	return "it did not answer in time"
}

// reaches are the outcomes in the order of their numbers on the wire; 0 is none of them.
var reaches = []Reach{ReachAnswered, ReachSilent, ReachRefused, ReachOther}

func encodeDialBack() []byte { return seal(begin(kindDialBack)) }

func encodeDialedBack(tried []BackTry) []byte {
	b := append(begin(kindDialedBack), byte(len(tried)))
	for _, t := range tried {
		b = appendText(b, t.At)
		b = append(b, byte(slices.Index(reaches, t.QUIC)+1), byte(slices.Index(reaches, t.TCP)+1))
	}
	return seal(b)
}

func decodeDialedBack(b []byte) ([]BackTry, error) {
	p := parser{b: b}
	n := int(p.u8())
	if n > maxBackTries {
		return nil, malformed("%d endpoints, at most %d", n, maxBackTries)
	}
	var out []BackTry
	for range n {
		t := BackTry{At: p.text(), QUIC: p.reach(), TCP: p.reach()}
		if p.err != nil {
			break
		}
		if _, err := dialAddrs(t.At); err != nil {
			return nil, malformed("%v", err)
		}
		out = append(out, t)
	}
	if err := p.done(); err != nil {
		return nil, err
	}
	return out, nil
}

func (p *parser) reach() Reach {
	n := int(p.u8())
	if p.err == nil && (n < 1 || n > len(reaches)) {
		p.err = malformed("outcome %d", n)
	}
	if p.err != nil {
		return ""
	}
	return reaches[n-1]
}
