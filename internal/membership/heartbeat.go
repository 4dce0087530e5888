package membership

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// RunID is drawn at random when a process starts.
type RunID [16]byte

// Run names one run of one process of a key. Of two live runs of a key the lower one goes on.
type Run struct {
	Incarnation mesh.Incarnation
	Start       uint64 // process start as that node's clock had it, Unix ms; it orders and nothing else
	ID          RunID
}

// Compare orders by incarnation, process start and run id.
func (r Run) Compare(o Run) int {
	return cmp.Or(cmp.Compare(r.Incarnation, o.Incarnation), cmp.Compare(r.Start, o.Start), bytes.Compare(r.ID[:], o.ID[:]))
}

// Echo repeats the newest counter that a node has heard of us, and the run that sent it. The zero value
// says: nothing heard.
type Echo struct {
	Run     RunID
	Counter uint64 // from 1
}

// Heartbeat is what a verified heartbeat says. Its signature, network and admission were checked before.
type Heartbeat struct {
	Key     keys.Public
	Zone    mesh.Zone
	Run     Run
	Counter uint64 // rises with every heartbeat of a run
	Direct  bool   // came over the signer's own link
	Echo    Echo   // of us
}

// Heard is the answer to a heartbeat.
type Heard struct {
	Changes  []Change
	Fresh    bool      // newer than any held of its run: worth reading and relaying
	Conflict *Conflict // set once per pair of runs
}

// Conflict reports two live runs of one key.
type Conflict struct {
	Key         keys.Public
	Lower       Run  // goes on
	Higher      Run  // has to stop publishing
	Self, Yield bool // it is our own key; we are the higher one and it is proven
	Proven      bool // false: one of the two may be a replay of an earlier run of ours
}

// Sent says that our own heartbeat with counter went out. Counters of a run start at 1 and rise.
func (m *Membership) Sent(counter uint64) { m.sent = max(m.sent, counter) }

// Yielded names the lower run of our own key that made us yield. It stays until this process ends: what the
// other one signed meanwhile is only reconciled by a new start.
func (m *Membership) Yielded() (Run, bool) {
	if m.yield == nil {
		return Run{}, false
	}
	return *m.yield, true
}

// Heartbeat takes a heartbeat of a member, or of another run of our own key. Those of other keys and our
// own coming back are ignored.
func (m *Membership) Heartbeat(now time.Time, h Heartbeat) Heard {
	var out Heard
	out.Changes = m.advance(now)
	if h.Key == m.cfg.Self {
		m.hearSelf(h, &out)
		return out
	}
	p := m.peers[h.Key]
	if p == nil {
		return out
	}
	var proof bool
	out.Fresh, proof = m.hear(&p.runs, h)
	if out.Fresh {
		p.named = h.Zone
	}
	if h.Direct && p.linked {
		out.Changes = m.direct(out.Changes, p)
		proof = out.Fresh
	} else if proof {
		out.Changes = m.relayed(out.Changes, p)
	}
	if proof {
		if other := p.runs.prove(h.Run, m.now, m.sent); other != nil {
			out.Conflict = conflict(h.Key, h.Run, *other)
			out.Conflict.Proven = true
		}
	}
	return out
}

// hearSelf looks for another live run of our own key. Only an echo proves one; a counter that rises is
// reported as a suspicion.
func (m *Membership) hearSelf(h Heartbeat, out *Heard) {
	if h.Run == m.cfg.Run {
		return
	}
	fresh, proof := m.hear(&m.self, h)
	out.Fresh = fresh
	if !proof {
		return
	}
	r := m.self.find(h.Run)
	level := suspected
	if r.echoed > 0 {
		level = certain
	}
	if level <= r.reported {
		return
	}
	r.reported = level
	c := conflict(h.Key, m.cfg.Run, h.Run)
	c.Self, c.Proven = true, level == certain
	c.Yield = c.Proven && c.Higher == m.cfg.Run
	if c.Yield && m.yield == nil {
		m.yield = &c.Lower
	}
	out.Conflict = c
}

func conflict(key keys.Public, a, b Run) *Conflict {
	if a.Compare(b) > 0 {
		a, b = b, a
	}
	return &Conflict{Key: key, Lower: a, Higher: b}
}

// hear records a heartbeat with its run. fresh: it is newer than any held; proof: it shows that its signer
// lived a moment ago.
func (m *Membership) hear(rs *runs, h Heartbeat) (fresh, proof bool) {
	r := rs.find(h.Run)
	if r == nil {
		r = rs.add(h.Run)
		r.counter = h.Counter
		r.risen = m.now
		return true, m.echoes(r, h.Echo)
	}
	if h.Counter <= r.counter {
		return false, false
	}
	r.counter = h.Counter
	if m.now.Sub(r.risen) >= m.cfg.HeartbeatInterval/2 {
		r.rises = min(r.rises+1, provingRises)
		r.risen = m.now
	}
	return true, m.echoes(r, h.Echo) || r.rises == provingRises
}

// echoes reports whether e repeats a counter of this run that the peer had not echoed before and that is
// recent: one held back for longer than UnavailableAfter proves nothing any more.
func (m *Membership) echoes(r *run, e Echo) bool {
	recent := uint64(m.cfg.UnavailableAfter/m.cfg.HeartbeatInterval) + 1
	if e.Run != m.cfg.Run.ID || e.Counter > m.sent || e.Counter <= r.echoed || m.sent-e.Counter > recent {
		return false
	}
	r.echoed = e.Counter
	return true
}

const (
	// provingRises of a counter prove life. One may be the last heartbeat of a dead node coming round late.
	provingRises = 2
	// maxRuns remembered per key: the live one, a rival, and two that ended lately.
	maxRuns = 4
)

// How sure we are of another live run of our own key.
const (
	suspected = 1 + iota
	certain
)

// run is what is held of one run of a key.
type run struct {
	Run
	counter  uint64
	risen    time.Time // when a rise was counted last
	rises    int       // counted, at most provingRises
	echoed   uint64    // highest counter of ours that it echoed
	proved   time.Time // last proof of life; zero: none
	former   bool      // another run proved life after it
	returned bool      // it proved life again after that: two runs are alive
	reported int       // for our own key: suspected or certain
}

// runs are the remembered runs of one key, the one that proved life last first.
type runs []*run

func (rs runs) find(r Run) *run {
	if i := slices.IndexFunc(rs, func(o *run) bool { return o.Run == r }); i >= 0 {
		return rs[i]
	}
	return nil
}

// add remembers a run that was not known. A run that never proved life gives way first, then the one whose
// proof is oldest.
func (rs *runs) add(r Run) *run {
	if len(*rs) >= maxRuns {
		last := len(*rs) - 1
		worst := last
		for i := last; i > 0; i-- {
			if (*rs)[i].proved.Before((*rs)[worst].proved) {
				worst = i
			}
		}
		*rs = slices.Delete(*rs, worst, worst+1)
	}
	n := &run{Run: r}
	*rs = append(*rs, n)
	return n
}

// prove moves a run to the front. It returns the run that was there if that one and r are now known to
// be alive both, and this was not said before. The run that gives way has to prove its life anew, by what it
// sent after this moment: heartbeats of a process that just restarted may still be under way.
func (rs runs) prove(r Run, now time.Time, sent uint64) *Run {
	i := slices.IndexFunc(rs, func(o *run) bool { return o.Run == r })
	n := rs[i]
	n.proved = now
	if i == 0 {
		return nil
	}
	front := rs[0]
	copy(rs[1:i+1], rs[:i])
	rs[0] = n
	if front.proved.IsZero() {
		return nil
	}
	front.former, front.rises, front.echoed = true, 0, max(front.echoed, sent)
	if !n.former || n.returned && front.returned {
		return nil
	}
	n.returned, front.returned = true, true
	return &front.Run
}

// rival returns a second run that is seen alive, with proof since the time given.
func (rs runs) rival(since time.Time) *Run {
	for _, r := range rs[1:] {
		if rs[0].returned && r.returned && r.proved.After(since) {
			o := r.Run
			return &o
		}
	}
	return nil
}

// distrust makes every run prove its life anew.
func (rs runs) distrust() {
	for _, r := range rs {
		r.rises = 0
	}
}
