package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"golang.org/x/sync/errgroup"
)

// errRanTwice answers a second Run.
var errRanTwice = errors.New("a node runs only once")

// Run works until ctx ends, then says goodbye and returns nil; or until something makes going on impossible,
// which it returns: a port that cannot be had, a store that doesn't take a commit. Nothing that it started is
// left when it returns. The store is the caller's to close.
//
// The order of the end is: the cluster adapter stops reporting, the loop takes what was reported, the peers
// hear goodbye, streams and host are closed. All of it is bounded by Config.Grace.
func (n *Node) Run(ctx context.Context) error {
	if n.ran.Swap(true) {
		return errRanTwice
	}
	base := context.WithoutCancel(ctx)
	fatal, fail := context.WithCancelCause(base)
	defer fail(nil)
	loopCtx, stopLoop := context.WithCancel(base)
	defer stopLoop()
	netCtx, stopNet := context.WithCancel(base)
	defer stopNet()
	clusterCtx, stopCluster := context.WithCancel(base)
	defer stopCluster()

	var loop, net, cluster errgroup.Group
	work := func(g *errgroup.Group, ctx context.Context, f func(context.Context) error) {
		g.Go(func() error {
			err := f(ctx)
			if err != nil {
				fail(err)
			}
			return err
		})
	}
	work(&loop, loopCtx, n.loop.run)
	stop := n.allowSpawn(&net, netCtx)
	err := n.openNetwork(netCtx, func(f func(context.Context) error) { work(&net, netCtx, f) })
	if err == nil {
		work(&cluster, clusterCtx, n.keepBook) // ends before the loop does, which takes its last word
		if n.cfg.Cluster != nil {
			work(&cluster, clusterCtx, n.runCluster)
		}
		n.ready.Store(true)
		select {
		case <-ctx.Done():
		case <-fatal.Done():
			err = context.Cause(fatal)
		}
		n.ready.Store(false)
	}

	deadline := time.Now().Add(n.cfg.Grace)
	stopCluster()
	if !within(deadline, &cluster) {
		err = errors.Join(err, fmt.Errorf("stop the cluster adapter: it was not done within %s", n.cfg.Grace))
	}
	stopLoop()
	_ = loop.Wait() // its error is in fatal
	n.stopping.Store(true)
	if n.host != nil {
		n.sayGoodbye(deadline)
	}
	stop()
	stopNet()
	if n.host != nil {
		err = errors.Join(err, n.host.Close())
	}
	_ = net.Wait()
	if err == nil {
		err = context.Cause(fatal) // of something that failed while stopping
	}
	return err
}

// runCluster keeps an error of the adapter, unless it only says that it was stopped.
func (n *Node) runCluster(ctx context.Context) error {
	err := n.cfg.Cluster.Run(ctx, n.sink)
	switch {
	case ctx.Err() != nil:
		return nil
	case err == nil:
		return errors.New("run the cluster adapter: it ended by itself")
	}
	return fmt.Errorf("run the cluster adapter: %w", err)
}

// within waits for a group until a deadline.
func within(deadline time.Time, g *errgroup.Group) bool {
	done := make(chan struct{})
	go func() {
		_ = g.Wait() // the error is in fatal
		close(done)
	}()
	t := time.NewTimer(time.Until(deadline))
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// allowSpawn lets handlers and links start goroutines in g until the returned function is called.
func (n *Node) allowSpawn(g *errgroup.Group, ctx context.Context) (stop func()) {
	n.spawning.Lock()
	defer n.spawning.Unlock()
	n.spawn = func(f func(context.Context)) bool {
		g.Go(func() error { f(ctx); return nil })
		return true
	}
	return func() {
		n.spawning.Lock()
		defer n.spawning.Unlock()
		n.spawn = nil
	}
}

// start runs f in a goroutine that Run waits for; false when the node is not running.
func (n *Node) start(f func(context.Context)) bool {
	n.spawning.Lock()
	defer n.spawning.Unlock()
	return n.spawn != nil && n.spawn(f)
}

// openNetwork builds the host, its handlers and gossip, and only then listens and dials.
func (n *Node) openNetwork(ctx context.Context, work func(func(context.Context) error)) error {
	var err error
	if n.host, err = newHost(&n.cfg, n.gater); err != nil {
		return fmt.Errorf("start the network: %w", err)
	}
	n.host.SetStreamHandler(n.helloID, n.answerHello)
	n.host.SetStreamHandler(n.syncID, n.answerSync)
	n.host.SetStreamHandler(n.desk.id, n.answerJoin)
	n.host.SetStreamHandler(n.back.id, n.answerDialBack)
	n.host.Network().Notify(&network.NotifyBundle{DisconnectedF: func(_ network.Network, c network.Conn) { n.door.leave(c.ID()) }})
	if n.cfg.Gossip {
		g, err := newGossip(ctx, n)
		if err != nil {
			return fmt.Errorf("start gossip: %w", err)
		}
		n.gossip.Store(g)
		work(func(ctx context.Context) error { return n.readGossip(ctx, g) })
		work(func(ctx context.Context) error { return n.writeGossip(ctx, g) })
	}
	work(func(ctx context.Context) error { return n.verifier.run(ctx, runtime.GOMAXPROCS(0)) })
	work(n.checker.run)
	select {
	case <-n.loop.begun: // what the store holds has said who is a member
	case <-n.loop.stopped:
		return errStopped
	}
	n.takeMembers()
	work(n.keepMembers)
	err = listen(n.host, &n.cfg, func(got int, err error) {
		n.log.Warn("the port is taken: listening on another one, which peers must be told", "wanted", n.cfg.Port, "port", got, "err", err)
	})
	if err != nil {
		return err
	}
	n.port.Store(int32(boundPort(n.host)))
	if n.cfg.AdmissionOpen {
		n.log.Warn("admission is open: every node that knows the network id may join, read and write")
	}
	work(n.presence.run)
	work(n.probeLinks)
	work(n.announceHeads)
	work(n.watchAddresses)
	if n.cfg.MDNS {
		work(n.lookAround)
	}
	for _, p := range n.peers.all() {
		n.keepDialling(p)
	}
	return nil
}

// answerSync takes a long stream that the other side opened after its hello was accepted.
func (n *Node) answerSync(s network.Stream) {
	key, err := keyOf(s.Conn().RemotePeer())
	if err == nil {
		if p := n.peers.get(key); p != nil {
			if h, ok := p.takeGreeting(s.Conn().ID()); ok {
				n.startLink(p, s, h, false)
				return
			}
		}
	}
	n.metrics.refused(refusedOrder)
	_ = s.ResetWithError(codeNoHello)
}

// startLink makes a stream the link to a peer, unless the one that is there stays.
func (n *Node) startLink(p *peerEntry, s network.Stream, h hello, ours bool) {
	l := newLink(n, p, s, h, ours)
	if !s.Conn().As(&l.quic) {
		l.quic = nil
	}
	l.vigil.stream = l.quic == nil
	n.book.linked(p.key, h.Instance.Zone)
	for _, o := range p.install(l, n.self) {
		if o == l {
			n.metrics.refused(refusedDuplicate)
			_ = s.ResetWithError(codeDuplicate)
			p.closeUnused(s.Conn(), codeDuplicate)
			return
		}
		o.end(errReplaced)
	}
	if !n.start(func(ctx context.Context) { n.runLink(ctx, p, l) }) {
		p.remove(l)
		_ = s.Reset()
	}
}

func (n *Node) runLink(ctx context.Context, p *peerEntry, l *link) {
	n.tellLinked(l)
	n.presence.linkUp(l)
	n.watch.poke()
	err := l.run(ctx)
	n.tellUnlinked(l, err)
	if !p.remove(l) && !(refusedAsDuplicate(err) && p.linkedWithin(ctx, otherLinkGrace)) {
		n.presence.linkDown(p.key)
	}
	if !refusedAsDuplicate(err) { // the link that is kept may be about to begin on this very connection
		p.closeUnused(l.s.Conn(), l.code(err))
	}
	if errors.Is(err, errSilent) {
		n.closeAsOld(p, l)
	}
	level := slog.LevelDebug
	if !isClosed(err) {
		level = slog.LevelWarn
		n.metrics.failed(componentNet)
		p.failed(fmt.Errorf("the link ended: %w", err))
	}
	n.log.Log(ctx, level, "link ended", "peer", p.key, "zone", string(l.hello.Instance.Zone), "err", err)
}

// closeAsOld closes what else is open to a peer that fell silent and was opened before that: it is no better, and the next
// dial would wait for an answer on it.
func (n *Node) closeAsOld(p *peerEntry, silent *link) {
	before := time.Now().Add(-deadProbes * n.cfg.ProbeInterval)
	for _, c := range n.host.Network().ConnsToPeer(p.id) {
		if c.Stat().Opened.Before(before) {
			p.closeUnused(c, silent.code(errSilent))
		}
	}
}

// refusedAsDuplicate reports whether the other side ended a link because it keeps another one. It closes the connection
// if it doesn't use it.
func refusedAsDuplicate(err error) bool {
	var reset *network.StreamError
	var closed *network.ConnError
	return errors.As(err, &reset) && reset.Remote && reset.ErrorCode == codeDuplicate ||
		errors.As(err, &closed) && closed.Remote && closed.ErrorCode == network.ConnErrorCode(codeDuplicate)
}

// sayGoodbye tells the peers that we stop, and waits until they have read it or time is up.
func (n *Node) sayGoodbye(deadline time.Time) {
	const reason = "stopping"
	var wg sync.WaitGroup
	for _, l := range n.peers.links() {
		if !l.sendLive(encodeGoodbye(reason)) { // behind the operations just published
			l.send(encodeGoodbye(reason))
		}
		wg.Go(func() {
			t := time.NewTimer(min(2*goodbyeWait, time.Until(deadline)))
			defer t.Stop()
			select {
			case <-l.gone:
			case <-t.C:
			}
		})
	}
	wg.Wait()
}
