package node

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/quic-go/quic-go"

	"dcp.hiro.io/mesh/internal/keys"
)

const (
	// Samples of what was sent and lost are taken at most every lossEvery and kept for lossSamples of them: five minutes.
	lossEvery   = 10 * time.Second
	lossSamples = 30
)

// Loss is what was lost of late on the links to a peer.
type Loss struct {
	Sent, Lost uint64
	Packets    bool // packets of QUIC; else probes of this node
}

// lossMeter watches one link. Probes are counted by the prober, packets read from the connection.
type lossMeter struct {
	asked, missed atomic.Uint64 // probes

	mu   sync.Mutex
	ring []lossSample // oldest first
}

type lossSample struct {
	at         time.Time
	sent, lost uint64
}

// count reads what was sent and lost since the link began.
func (m *lossMeter) count(c network.Conn) Loss {
	var q *quic.Conn
	if c.As(&q) {
		s := q.ConnectionStats()
		return Loss{Sent: s.PacketsSent, Lost: s.PacketsLost, Packets: true}
	}
	return Loss{Sent: m.asked.Load(), Lost: m.missed.Load()}
}

// sample remembers how much it is now, so that later the difference can be told.
func (m *lossMeter) sample(c network.Conn, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.ring) > 0 && now.Sub(m.ring[len(m.ring)-1].at) < lossEvery {
		return
	}
	if len(m.ring) >= lossSamples {
		m.ring = m.ring[1:]
	}
	x := m.count(c)
	m.ring = append(m.ring, lossSample{now, x.Sent, x.Lost})
}

// recent is what was sent and lost since the oldest sample.
func (m *lossMeter) recent(c network.Conn) Loss {
	x := m.count(c)
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.ring) > 0 {
		x.Sent -= min(x.Sent, m.ring[0].sent)
		x.Lost -= min(x.Lost, m.ring[0].lost)
	}
	return x
}

// Losses tells, for each linked peer, what was lost in the last five minutes.
func (n *Node) Losses() map[keys.Public]Loss {
	out := map[keys.Public]Loss{}
	for _, l := range n.peers.links() {
		x := l.loss.recent(l.s.Conn())
		if old, ok := out[l.key()]; !ok || x.Sent > old.Sent {
			out[l.key()] = x
		}
	}
	return out
}
