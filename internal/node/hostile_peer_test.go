package node

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
)

// assailant is a peer that misbehaves towards a victim, over one real connection or several.
type assailant struct {
	t    *testing.T
	v    *victim
	key  keys.Private
	zone mesh.Zone
	over string // udp or tcp
	host host.Host
	conn network.Conn
	run  runID

	ctx  context.Context // ends with the attack
	stop context.CancelFunc
	wg   sync.WaitGroup

	saying sync.Mutex
}

// hostileKey is that of the attacker of one attack.
func hostileKey(i int) keys.Private {
	return keys.FromSeed([keys.SeedSize]byte{0x66, byte(i), byte(i >> 8), 1})
}

func hostileZone(i int) mesh.Zone { return mesh.Zone(fmt.Sprintf("evil%d", i)) }

// honestKey is that of the peer beside them.
func honestKey() keys.Private { return testKey(2) }

func newAssailant(t *testing.T, v *victim, i int, over string) *assailant {
	t.Helper()
	a := &assailant{t: t, v: v, key: hostileKey(i), zone: hostileZone(i), over: over, run: runID{byte(i), 0xee}}
	a.ctx, a.stop = context.WithCancel(t.Context())
	a.host = a.newHost(a.key)
	return a
}

func (a *assailant) newHost(key keys.Private) host.Host {
	a.t.Helper()
	cfg := DefaultConfig()
	cfg.Key = key
	h, err := newHost(&cfg, newGater(true))
	if err != nil {
		a.t.Fatal(err)
	}
	return h
}

// end stops whatever the attack still does.
func (a *assailant) end() {
	a.stop()
	_ = a.host.Close()
	a.wg.Wait()
}

// goOn does something until the attack ends.
func (a *assailant) goOn(f func()) { a.wg.Go(f) }

func (a *assailant) victimID() peer.ID {
	id, err := peerIDOf(testKey(1).Public())
	if err != nil {
		a.t.Fatal(err)
	}
	return id
}

// dial connects h to the victim.
func (a *assailant) dial(h host.Host) (network.Conn, error) {
	addrs, err := dialAddrs(a.v.endpoint())
	if err != nil {
		return nil, err
	}
	for _, at := range addrs {
		if strings.Contains(at.String(), "/"+a.over+"/") {
			ctx, cancel := context.WithTimeout(a.ctx, patience)
			defer cancel()
			err = h.Connect(ctx, peer.AddrInfo{ID: a.victimID(), Addrs: []ma.Multiaddr{at}})
		}
	}
	if err != nil {
		return nil, err
	}
	if conns := h.Network().ConnsToPeer(a.victimID()); len(conns) > 0 {
		return conns[0], nil
	}
	return nil, errSilent
}

// connect makes the connection of the attack, whatever became of the last one.
func (a *assailant) connect() {
	a.t.Helper()
	if a.conn != nil && !a.conn.IsClosed() {
		return
	}
	until(a.t, "a connection to the victim", func() bool {
		c, err := a.dial(a.host)
		a.conn = c
		return err == nil && !c.IsClosed()
	})
}

func (a *assailant) hello() hello {
	return hello{Versions: protocolVersions, Software: "hostile", Network: testNetwork,
		Instance: mesh.Instance{Zone: a.zone, Incarnation: 1000}, Run: a.run, Started: 1}
}

// open opens a stream on the connection.
func (a *assailant) open(id protocol.ID) (network.Stream, error) {
	ctx, cancel := context.WithTimeout(a.ctx, 5*time.Second)
	defer cancel()
	return openStream(ctx, a.conn, id)
}

// greet says hello and returns what is answered.
func (a *assailant) greet(h hello) (kind, error) {
	st, err := a.open(protocolOf(testNetwork, "hello"))
	if err != nil {
		return 0, err
	}
	defer st.Close()
	if _, err := st.Write(encodeHello(h)); err != nil {
		return 0, err
	}
	k, _, err := newFrameReader(st, st).next()
	return k, err
}

// link becomes a linked member, and answers what keeps the link up.
func (a *assailant) link() network.Stream {
	a.t.Helper()
	st := a.linkMute()
	a.goOn(func() { a.answerRounds(st) })
	return st
}

// linkMute is link, but reads nothing.
func (a *assailant) linkMute() (st network.Stream) {
	a.t.Helper()
	until(a.t, "a link to the victim", func() bool {
		a.connect()
		var err error
		st, err = a.tryLink()
		return err == nil
	})
	return st
}

// tryLink says hello and opens the long stream.
func (a *assailant) tryLink() (network.Stream, error) {
	k, err := a.greet(a.hello())
	if err == nil && k != kindHello {
		err = errUnexpected
	}
	if err != nil {
		return nil, err
	}
	return a.open(protocolOf(testNetwork, "sync"))
}

// flood sends what f makes until the attack or the stream ends, or n times; it returns at the first end.
func (a *assailant) flood(st network.Stream, n int, f func(i int) []byte) {
	for i := 0; i < n && a.ctx.Err() == nil; i++ {
		if a.say(st, f(i)) != nil {
			return
		}
	}
}

// say writes, one at a time: closing wakes only one of two writers that wait.
func (a *assailant) say(st network.Stream, b []byte) error {
	a.saying.Lock()
	defer a.saying.Unlock()
	_ = st.SetWriteDeadline(time.Now().Add(patience))
	_, err := st.Write(b)
	return err
}

// pen writes operations of the attacker's own log, or of what it says is one.
type pen struct {
	key  keys.Private
	inst mesh.Instance
	next uint32
	head mesh.Hash
	time uint64
}

func (a *assailant) pen(inc mesh.Incarnation) *pen {
	return &pen{key: a.key, inst: mesh.Instance{Zone: a.zone, Incarnation: inc}, time: 1}
}

func (p *pen) sign(body []byte, prune bool) *operation.Operation {
	op, err := operation.Sign(p.key, operation.Header{Seq: p.next, Backlink: p.head,
		Log: mesh.LogIDOf(testNetwork, p.inst), Timestamp: p.time, Prune: prune}, body)
	if err != nil {
		panic(err)
	}
	p.next, p.head = p.next+1, op.ID
	return op
}

func (p *pen) write(ev *event.Event) *operation.Operation {
	ev.Instance = p.inst
	body, err := event.Encode(ev)
	if err != nil {
		panic(err)
	}
	return p.sign(body, ev.SnapshotBegin != nil)
}

// begin writes the empty snapshot that a log starts with.
func (p *pen) begin() []*operation.Operation {
	_, digest := event.NewDigest().Sum()
	return []*operation.Operation{
		p.write(&event.Event{Kind: event.KindSnapshotBegin, SnapshotBegin: &event.SnapshotBegin{}}),
		p.write(&event.Event{Kind: event.KindSnapshotEnd, SnapshotEnd: &event.SnapshotEnd{Digest: digest}}),
	}
}

func (p *pen) update(name string, size int) *operation.Operation {
	return p.write(&event.Event{Kind: event.KindUpdate, Update: &event.Update{Object: victimObject(name),
		Payload: []byte(`{"d":"` + strings.Repeat("x", size) + `"}`), Version: mesh.Version(p.next + 1), Epoch: 1, Birth: 1}})
}

func live(ops ...*operation.Operation) (frames []byte) {
	for _, op := range ops {
		frames = append(frames, encodeOp(kindLive, op.Raw, op.Body)...)
	}
	return frames
}

// beat is a heartbeat of the attacker that nothing is wrong with.
func (a *assailant) beat(counter uint64) *heartbeat {
	return &heartbeat{Key: a.key.Public(), Network: testNetwork, Instance: mesh.Instance{Zone: a.zone, Incarnation: 1000},
		Run: a.run, Life: 1000, Started: 1, Counter: counter, Clock: math.MaxInt64}
}
