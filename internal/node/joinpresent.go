package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
	"dcp.hiro.io/mesh/internal/token"
	"dcp.hiro.io/mesh/internal/trust"
)

// A node waits before it shows a peer the same papers again, which didn't help before: the peer may have heard of
// who signed them since. The pause doubles between these two and keeps well below what the peer counts as too many.
const (
	presentAgain    = time.Minute
	presentAgainMax = 16 * time.Minute
)

// handOverPause lies between two tries to sign a hand-over while this node doesn't sign yet; each is a decision
// of the replica that an operator may see.
const handOverPause = 2 * time.Second

// answerPresent hears what a key shows for its admission. What it proves is for the replica to judge, as if it
// had come by sync.
func (n *Node) answerPresent(ctx context.Context, s network.Stream, c caller, m presentMsg) error {
	_ = s.SetDeadline(time.Now().Add(n.desk.patience + n.desk.timeout))
	no, err := n.present(ctx, c, m)
	if err != nil {
		return err
	}
	_ = s.SetDeadline(time.Now().Add(n.desk.timeout))
	if no != nil {
		return n.deny(s, c, n.desk.presents, *no)
	}
	_, err = s.Write(encodeAccepted())
	return err
}

func (n *Node) present(ctx context.Context, c caller, m presentMsg) (*denialMsg, error) {
	switch {
	case n.isMember(c.key):
		return nil, nil
	case n.desk.presents.exhausted(c.source):
		return &denialMsg{Code: deniedTries, Text: "too many bad tries from this address: wait a minute"}, nil
	}
	var gone trust.Expulsion
	var removed bool
	if err := n.consult(ctx, func(l ledger) { gone, removed = l.TrustView().Expelled(c.key) }); err != nil {
		return nil, err
	}
	switch {
	case removed && !gone.To.IsZero():
		return &denialMsg{Code: string(replica.DenialRemoved), By: gone.To,
			Text: fmt.Sprintf("the zone of the key was handed over to key %s, and a former key is never admitted again", gone.To.Short())}, nil
	case removed:
		return &denialMsg{Code: string(replica.DenialRemoved), By: gone.By, Text: removedText}, nil
	}
	vouched := map[keys.Public]bool{} // by operations before
	taken := 0
	for _, o := range m.Ops {
		j := n.verifier.checkOne(o)
		if j.reason != "" {
			n.metrics.refused(j.reason)
			return &denialMsg{Code: deniedProof, Text: "an operation that was presented is not valid"}, nil
		}
		switch {
		case j.held:
			continue
		case j.hint || !j.event.AboutTrust():
			return &denialMsg{Code: deniedProof, Text: "an operation that was presented says nothing about admission"}, nil
		case j.op.Author != n.self && !vouched[j.op.Author] && !n.isMember(j.op.Author):
			continue // of somebody who is not known here
		}
		if k := j.event.Admits(); !k.IsZero() {
			vouched[k] = true
		}
		taken++
		e := entry{in: replica.ArrivedTrust{Op: j.op, Event: j.event, From: c.key}, size: len(o.Header) + len(o.Body) + itemOverhead}
		if err := n.through(ctx, n.loop.remote, e); err != nil {
			return nil, err
		}
	}
	if taken > 0 && n.isMember(c.key) {
		return nil, nil
	}
	if m.HandOver != "" {
		return n.takeHandOver(ctx, c, m.HandOver)
	}
	return &denialMsg{Code: deniedProof, Text: "what was presented doesn't admit the key here"}, nil
}

// takeHandOver hands the zone of a key over to the caller, if that key signed that it is to be so and is bound to
// a zone now.
func (n *Node) takeHandOver(ctx context.Context, c caller, text string) (*denialMsg, error) {
	h, err := token.ParseHandOver(text)
	switch {
	case err != nil:
		return &denialMsg{Code: deniedProof, Text: err.Error()}, nil
	case h.To != c.key:
		return &denialMsg{Code: deniedProof, Text: "the hand-over is to another key"}, nil
	case !n.isMember(h.From):
		return &denialMsg{Code: deniedProof, Text: fmt.Sprintf("key %s, which the hand-over is from, is no member here", h.From.Short())}, nil
	}
	var zone mesh.Zone
	var doubted bool
	if err := n.consult(ctx, func(l ledger) {
		zone = l.ZoneOf(h.From)
		doubted = slices.ContainsFunc(l.TrustView().Proposals(), func(p trust.Proposal) bool { return p.Key == h.From })
	}); err != nil {
		return nil, err
	}
	if doubted { // it may be stolen: whoever has it must not save itself into a new one
		return &denialMsg{Code: deniedProof, Text: fmt.Sprintf("the removal of key %s, which the hand-over is from, is on its way", h.From.Short())}, nil
	}
	if zone == "" {
		return &denialMsg{Code: deniedProof, Text: fmt.Sprintf("key %s, which the hand-over is from, is bound to no zone", h.From.Short())}, nil
	}
	deadline := time.Now().Add(n.desk.patience)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if err := n.Do(ctx, replica.HandedOver{From: h.From, To: h.To}); err != nil {
			return nil, err
		}
		if n.isMember(c.key) {
			n.cfg.JoinLogger.Info("zone handed over", "peer", c.key, "from", h.From, "zone", string(zone))
			return nil, nil
		}
		if time.Now().After(deadline) {
			return &denialMsg{Code: string(replica.DenialNotYet), Text: "this node can't sign the hand-over yet: ask again in a moment"}, nil
		}
		pause.Reset(handOverPause)
	}
}

// papers are what this node can show for its admission.
func (n *Node) papers(ctx context.Context) (presentMsg, error) {
	m := presentMsg{HandOver: n.cfg.HandOver}
	err := n.consult(ctx, func(l ledger) {
		m.Ops = proof(l.Credentials(), maxAsked-64-len(m.HandOver))
	})
	if err != nil {
		return presentMsg{}, err
	}
	return m, nil
}

// shown is what a peer was shown last, and what it made of it.
type shown struct {
	papers []byte
	at     time.Time
	pause  time.Duration // before it is shown the same again
	err    error
}

// introduce shows our papers to a peer that just said that it doesn't admit us, and reports whether it does now.
// A peer that was shown the same a moment ago is left alone.
func (n *Node) introduce(ctx context.Context, p *peerEntry) bool {
	m, err := n.papers(ctx)
	if err != nil || m.HandOver == "" && len(m.Ops) == 0 {
		return false
	}
	frame := encodePresent(m)
	p.mu.Lock()
	last := p.shown
	p.mu.Unlock()
	again := bytes.Equal(last.papers, frame)
	if again && time.Since(last.at) < last.pause {
		p.failed(last.err) // it says more than that we are not admitted
		return false
	}
	now := shown{papers: frame, at: time.Now(), pause: presentAgain}
	if again {
		now.pause = min(2*last.pause, presentAgainMax)
	}
	now.err = n.show(ctx, p, frame)
	p.mu.Lock()
	p.shown = now
	p.mu.Unlock()
	if now.err != nil {
		p.failed(now.err)
		n.cfg.JoinLogger.Info("a peer doesn't take what admits this node", "peer", p.key, "err", now.err)
		return false
	}
	n.cfg.JoinLogger.Info("a peer took what admits this node", "peer", p.key)
	return true
}

// show connects to a peer, sends it papers and reads the answer. The connection is a stranger's and ends here; as
// a member we come with a new one.
func (n *Node) show(ctx context.Context, p *peerEntry, frame []byte) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout+2*askTimeout+signPatience)
	defer cancel()
	c, err := n.connect(ctx, p)
	if err != nil {
		return err
	}
	defer c.Close()
	s, err := openStream(ctx, c, n.desk.id)
	if err != nil {
		return fmt.Errorf("open the join stream: %w", err)
	}
	defer s.Close()
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	if _, err := s.Write(frame); err != nil {
		return err
	}
	k, b, err := newFrameReader(io.LimitReader(s, maxAsked), nil).next()
	if err != nil {
		return err
	}
	switch k {
	case kindAccepted:
		_, err := decodeNothing(b)
		return err
	case kindDenied:
		no, err := decodeDenied(b)
		if err != nil {
			return err
		}
		return fmt.Errorf("the other side doesn't admit our key (%s): %s", no.Code, no.Text)
	}
	return malformed("kind %d as an answer to what was presented", k)
}

// wantsPapers reports an answer to our hello that what we can show may change.
func wantsPapers(err error) bool {
	var r refusalMsg
	return errors.As(err, &r) && r.Reason == refusedNotAdmitted
}

// provesAdmission reports whether operations admit a key: what an inviter hands to whoever joins through it. Each
// of them is verified.
func provesAdmission(network mesh.NetworkID, ops []opMsg, key keys.Public) error {
	admitted := false
	for _, o := range ops {
		st, err := trust.Verify(network, o.Header, o.Body)
		if err != nil {
			return err
		}
		admitted = admitted || st.Event.Admits() == key
	}
	if !admitted {
		return errors.New("no operation in it admits the key")
	}
	return nil
}
