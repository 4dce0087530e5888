package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
	"dcp.hiro.io/mesh/internal/token"
)

// JoinConfig is what Join is told.
type JoinConfig struct {
	Key     keys.Private // to be admitted; required
	Token   token.Token  // the invitation; required
	Zone    mesh.Zone    // to be admitted as; empty: the invitation's
	DryRun  bool         // ask whether it would be granted; nothing is reserved and nobody is admitted
	Version string       // of the software, for people
	// Progress is told what happens, by the goroutine that called Join. Nil: nobody is.
	Progress func(JoinStep)
}

// JoinStage says what a JoinStep is about.
type JoinStage string

const (
	// JoinDialled: a connection is open and the node at its end has the inviter's key. Endpoint, Transport and RTT
	// are set.
	JoinDialled JoinStage = "dialled"
	// JoinWaiting: the inviter cannot answer yet, or the connection was lost: the same is asked again. Text says why.
	JoinWaiting JoinStage = "waiting"
	// JoinAdmitted: the inviter granted the request.
	JoinAdmitted JoinStage = "admitted"
)

// JoinStep tells how far a join has come.
type JoinStep struct {
	Stage     JoinStage
	Endpoint  string        // of the invitation, host:port
	Transport string        // quic or tcp
	RTT       time.Duration // of one exchange over the connection
	Text      string
}

// Joined is what a node learns when it is admitted.
type Joined struct {
	Zone        mesh.Zone     // that it is admitted as
	InviterZone mesh.Zone     //
	Inviter     keys.Public   //
	Address     string        // the endpoint of the invitation that answered, host:port
	Transport   string        // quic or tcp
	RTT         time.Duration // of one exchange over the connection
	// Contacts are the other members that the inviter named, without itself.
	Contacts []oplog.Contact
	// Trust proves the admission to them: verified operations, one of which admits the key. Empty after a dry run.
	Trust []oplog.TrustOp
}

// JoinRefused reports that the inviter was asked and said no, or that the node which answered is not the inviter:
// then it was told nothing.
type JoinRefused struct {
	// Code is a replica.Denial, or wrong_network, incompatible, rate_limited or identity_mismatch.
	Code string
	Text string      // one sentence for people
	By   keys.Public // who has what was asked for, or who answered in the inviter's place; zero: nobody in particular
}

func (e *JoinRefused) Error() string { return fmt.Sprintf("refused (%s): %s", e.Code, e.Text) }

// JoinUnreachable reports that no endpoint of the invitation led to the inviter.
type JoinUnreachable struct{ Tries []JoinTry }

// JoinTry is what became of one endpoint.
type JoinTry struct{ Endpoint, Cause string }

func (e *JoinUnreachable) Error() string {
	var causes []string
	for _, t := range e.Tries {
		causes = append(causes, t.Endpoint+": "+t.Cause)
	}
	return "the inviter cannot be reached: " + strings.Join(causes, "; ")
}

const (
	// joinRepeats is how often a request is sent at most, joinPause lies between two. The inviter answers the same
	// key the same, so nothing is lost by asking again.
	joinRepeats = 10
	joinPause   = 2 * time.Second
)

// Join redeems an invitation with a node's key and returns what the node needs to begin. It makes a host of its
// own for that, which listens nowhere and is gone when it returns. Whoever answers at an endpoint and hasn't the
// inviter's key is told nothing. The caller keeps the key before it calls: the same key may redeem the same
// invitation again until that expires, as after an answer that was lost.
//
// The error is a *JoinRefused, a *JoinUnreachable, or one that says what is wrong with the configuration.
func Join(ctx context.Context, cfg JoinConfig) (Joined, error) {
	if err := cfg.validate(); err != nil {
		return Joined{}, fmt.Errorf("join: %w", err)
	}
	inviter, err := peerIDOf(cfg.Token.Inviter)
	if err != nil {
		return Joined{}, fmt.Errorf("join: %w", err)
	}
	g := newGater(false)
	g.set([]peer.ID{inviter})
	h, err := newHost(&Config{Key: cfg.Key, Version: cfg.Version}, g)
	if err != nil {
		return Joined{}, fmt.Errorf("join: %w", err)
	}
	j := &joiner{cfg: cfg, host: h, inviter: inviter, seek: newSeeker(h, inviter, cfg.Token.Endpoints)}
	out, err := j.run(ctx)
	if closed := h.Close(); err == nil && closed != nil {
		return Joined{}, fmt.Errorf("join: %w", closed)
	}
	return out, err
}

func (c *JoinConfig) validate() error {
	var errs []error
	if c.Key.IsZero() {
		errs = append(errs, errors.New("key: missing"))
	}
	if err := c.Token.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("token: %w", err))
	} else if !c.Key.IsZero() && c.Key.Public() == c.Token.Inviter {
		errs = append(errs, errors.New("key: it is the inviter's own"))
	}
	if c.Zone != "" {
		if _, err := mesh.ParseZone(string(c.Zone)); err != nil {
			errs = append(errs, fmt.Errorf("zone: %w", err))
		}
	}
	if len(c.Version) > 64 {
		errs = append(errs, errors.New("version: longer than 64 bytes"))
	}
	return errors.Join(errs...)
}

// joiner redeems one invitation.
type joiner struct {
	cfg     JoinConfig
	host    host.Host
	inviter peer.ID
	seek    *seeker
}

// errLost is a request whose answer didn't come: it may be repeated.
var errLost = errors.New("the connection was lost before the answer came")

func (j *joiner) tell(s JoinStep) {
	if j.cfg.Progress != nil {
		j.cfg.Progress(s)
	}
}

// run asks until there is an answer that asking again would not change.
func (j *joiner) run(ctx context.Context) (Joined, error) {
	for i := 1; ; i++ {
		out, err := j.once(ctx)
		var no *JoinRefused
		again := errors.Is(err, errLost) || errors.As(err, &no) && no.Code == string(replica.DenialNotYet)
		if !again {
			return out, err
		}
		if i == joinRepeats || ctx.Err() != nil {
			return Joined{}, j.gaveUp(err)
		}
		j.tell(JoinStep{Stage: JoinWaiting, Endpoint: j.seek.endpoint, Text: err.Error()})
		t := time.NewTimer(joinPause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return Joined{}, j.gaveUp(err)
		}
	}
}

// gaveUp turns an answer that never came into one of the errors of Join.
func (j *joiner) gaveUp(err error) error {
	if errors.Is(err, errLost) {
		return &JoinUnreachable{Tries: []JoinTry{{j.seek.endpoint, err.Error()}}}
	}
	return err
}

// once connects and asks.
func (j *joiner) once(ctx context.Context) (Joined, error) {
	c, err := j.seek.connect(ctx)
	if err != nil {
		return Joined{}, err
	}
	defer c.Close()
	began := time.Now()
	s, err := openStream(ctx, c, protocolOf(j.cfg.Token.Network, "join"))
	if wasRefused(err) {
		return Joined{}, j.otherProtocol()
	}
	if err != nil {
		return Joined{}, fmt.Errorf("%w: %w", errLost, err)
	}
	defer s.Close()
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	transport, _ := describeAddr(c.RemoteMultiaddr())
	out := Joined{Inviter: j.cfg.Token.Inviter, Address: j.seek.endpoint, Transport: transport, RTT: time.Since(began)}
	j.tell(JoinStep{Stage: JoinDialled, Endpoint: out.Address, Transport: transport, RTT: out.RTT})
	if err := j.ask(s, &out); err != nil {
		_ = s.Reset()
		return Joined{}, err
	}
	j.tell(JoinStep{Stage: JoinAdmitted, Endpoint: out.Address, Transport: transport, RTT: out.RTT})
	return out, nil
}

// otherProtocol says why the inviter doesn't serve our join protocol: libp2p told us what it serves.
func (j *joiner) otherProtocol() error {
	ours := string(protocolOf(j.cfg.Token.Network, ""))
	ours = ours[:strings.LastIndex(strings.TrimSuffix(ours, "/1.0.0"), "/")]
	have, _ := j.host.Peerstore().GetProtocols(j.inviter) // nothing is known when this fails
	for _, p := range have {
		if strings.HasPrefix(string(p), ours+"/") {
			return &JoinRefused{Code: deniedIncompatible, Text: "the inviter runs a version of mesh that this one cannot talk to"}
		}
	}
	return &JoinRefused{Code: deniedNetwork, Text: fmt.Sprintf("the inviter doesn't serve network %q any more", j.cfg.Token.Network)}
}

// ask is the exchange on the stream.
func (j *joiner) ask(s network.Stream, out *Joined) error {
	_ = s.SetDeadline(time.Now().Add(signPatience + 2*askTimeout))
	m := redeemMsg{Dry: j.cfg.DryRun, Versions: protocolVersions, Software: j.cfg.Version, Network: j.cfg.Token.Network,
		ID: j.cfg.Token.ID, Secret: j.cfg.Token.Secret, Zone: j.cfg.Zone}
	if _, err := s.Write(encodeRedeem(m)); err != nil {
		return fmt.Errorf("%w: %w", errLost, err)
	}
	r := newFrameReader(io.LimitReader(s, maxGranted+maxAsked), nil)
	k, b, err := r.next()
	if err != nil {
		return fmt.Errorf("%w: %w", errLost, err)
	}
	switch k {
	case kindGranted:
	case kindDenied:
		no, err := decodeDenied(b)
		if err != nil {
			return fmt.Errorf("read the inviter's refusal: %w", err)
		}
		return &JoinRefused{no.Code, no.Text, no.By}
	default:
		return fmt.Errorf("read the inviter's answer: %w", malformed("kind %d", k))
	}
	g, err := decodeGranted(b)
	if err == nil {
		err = j.take(g, out)
	}
	if err != nil {
		return fmt.Errorf("read the inviter's answer: %w", err)
	}
	if !j.cfg.DryRun {
		j.acknowledge(s, r)
	}
	return nil
}

// acknowledge says that we know. We are admitted whether it arrives or not; the use of the invitation stays
// reserved for our key if it doesn't.
func (j *joiner) acknowledge(s network.Stream, r *frameReader) {
	if _, err := s.Write(encodeAck()); err == nil {
		_, _, _ = r.next() // whatever it is
	}
}

// take checks an answer and fills it in.
func (j *joiner) take(g grantMsg, out *Joined) error {
	if want := cmp.Or(j.cfg.Zone, j.cfg.Token.Zone); want != "" && g.Zone != want {
		return fmt.Errorf("it admits as zone %q, not %q", g.Zone, want)
	}
	out.Zone, out.InviterZone = g.Zone, g.Inviter
	if j.cfg.DryRun {
		return nil
	}
	self := j.cfg.Key.Public()
	if err := provesAdmission(j.cfg.Token.Network, g.Trust, self); err != nil {
		return err
	}
	for _, o := range g.Trust {
		out.Trust = append(out.Trust, oplog.TrustOp{ID: mesh.Sum(o.Header), Header: slices.Clone(o.Header), Body: slices.Clone(o.Body)})
	}
	seen := map[keys.Public]bool{self: true, j.cfg.Token.Inviter: true}
	for _, c := range g.Contacts {
		if !seen[c.Key] {
			out.Contacts = append(out.Contacts, oplog.Contact{Key: c.Key, Zone: c.Zone, Endpoints: c.Endpoints})
		}
		seen[c.Key] = true
	}
	return nil
}
