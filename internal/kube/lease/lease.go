package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"dcp.hiro.io/mesh/internal/kube"
)

// The times of an election. They are told in no configuration: candidates that disagree about them would
// disagree about who leads.
const (
	Duration      = 10 * time.Second // of a record that isn't renewed, until somebody else may take it
	RenewDeadline = 7 * time.Second  // how long a renewal confirms the lease
	renewEvery    = 2 * time.Second
	lookEvery     = time.Second     // of a standby, and after a failure
	requestWithin = 2 * time.Second // one request: three fail before a lease is unconfirmed
)

// releaseWithin is what giving the lease back takes, of the time that a node has to stop. Tests have more of it.
var releaseWithin = time.Second

// maxIdentity is the longest identity in bytes: what the API server accepts as a holder is longer than any
// name of a pod.
const maxIdentity = 253

// Config says which lease is wanted, and by whom.
type Config struct {
	Conn     *kube.Connection // required; the Lease is in its namespace
	Name     string           // of the Lease; required
	Identity string           // of this candidate, unlike that of every other process ever; required, at most 253 bytes

	// Confirmed is told, in order, when it becomes certain that nobody else holds the lease, and when that is no
	// longer so. It must return at once. Nil: nobody is told.
	Confirmed func(bool)
	Logger    *slog.Logger // nil: discard
}

// State is how a candidate stands.
type State string

// The states.
const (
	Waiting     State = "Waiting"     // the API server doesn't tell who holds the lease
	Standby     State = "Standby"     // another candidate holds it
	Held        State = "Held"        // certainly ours
	Unconfirmed State = "Unconfirmed" // ours when we last heard; another candidate may take it
	Lost        State = "Lost"        // another candidate took it from us
	Released    State = "Released"    // given back, or never taken, at the end
)

// Status says how a candidate stands and since when.
type Status struct {
	State  State
	Holder string    // who was last seen to hold the lease; empty: nobody. At most 253 printable characters
	Since  time.Time // of State and Holder
	Err    error     // why the last request failed; nil: it didn't
}

// Lease is one candidate.
type Lease struct {
	cfg    Config
	log    *slog.Logger
	client leases
	ran    atomic.Bool

	mu     sync.Mutex
	status Status
	until  time.Time // the lease is confirmed before it, on the monotonic clock

	record record // of the campaign alone
}

// New checks the configuration. It sends no request and starts nothing.
func New(cfg Config) (*Lease, error) {
	if cfg.Conn == nil || cfg.Name == "" || cfg.Identity == "" {
		return nil, errors.New("lease: connection, name and identity are required")
	}
	if len(cfg.Identity) > maxIdentity {
		return nil, fmt.Errorf("lease: an identity of %d bytes, at most %d are possible", len(cfg.Identity), maxIdentity)
	}
	if cfg.Confirmed == nil {
		cfg.Confirmed = func(bool) {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	// A renewal must not wait behind a limit that is meant for objects.
	own := rest.CopyConfig(cfg.Conn.Config)
	own.QPS, own.Burst = -1, 0
	client, err := dynamic.NewForConfig(own)
	if err != nil {
		return nil, fmt.Errorf("lease: prepare the client: %w", err)
	}
	return &Lease{
		cfg: cfg, log: cfg.Logger.With("lease", cfg.Conn.Namespace+"/"+cfg.Name),
		client: leases{client.Resource(leaseResource).Namespace(cfg.Conn.Namespace)},
		status: Status{State: Waiting, Since: time.Now()},
	}, nil
}

// Status says how this candidate stands. Safe for concurrent use.
func (l *Lease) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

// Confirmed reports whether this candidate certainly holds the lease, which it does for some seconds more. Safe
// for concurrent use.
func (l *Lease) Confirmed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status.State == Held && time.Now().Before(l.until)
}

// LostError says that another candidate holds the lease that this one led by.
type LostError struct {
	Lease  string // namespace/name
	Holder string // empty: it was taken and given back meanwhile
}

func (e *LostError) Error() string {
	if e.Holder == "" {
		return fmt.Sprintf("lease %s was taken by another candidate and given back", e.Lease)
	}
	return fmt.Sprintf("lease %s was taken by %s", e.Lease, e.Holder)
}

// errRanTwice answers a second Run.
var errRanTwice = errors.New("a lease is run only once")

// Run waits until this candidate holds the lease and then calls lead, once. The context of lead ends with ctx,
// or when another candidate is seen to hold the lease; then Run returns a *LostError after lead returned.
// Otherwise the lease is given back once lead returned, and Run returns the error of lead. It returns nil when
// ctx ends before anything was led. No goroutine is left when it returns.
func (l *Lease) Run(ctx context.Context, lead func(context.Context) error) error {
	if l.ran.Swap(true) {
		return errRanTwice
	}
	// The lease is renewed until lead has returned, however long after the end of ctx.
	electing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	leading, end := context.WithCancel(ctx)
	defer end()

	won := make(chan struct{})        // closed by the campaign
	campaigned := make(chan error, 1) // its end: nil, or a *LostError
	go func() { campaigned <- l.campaign(electing, won) }()

	var err, lost error
	select {
	case <-ctx.Done():
	case <-won:
		led := make(chan error, 1)
		go func() { led <- lead(leading) }()
		select {
		case err = <-led:
		case lost = <-campaigned:
			end()
			<-led // it was told to end; how it did is not the cause
			return lost
		}
	}
	stop()
	if lost = <-campaigned; lost != nil {
		return lost
	}
	l.release(context.WithoutCancel(ctx))
	return err
}

// campaign tries to get and keep the lease until ctx ends, which returns nil, or another candidate takes it.
func (l *Lease) campaign(ctx context.Context, won chan<- struct{}) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	held := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		l.expire()
		wait, err := l.try(ctx, held)
		if lost := (*LostError)(nil); errors.As(err, &lost) {
			l.set(Lost, lost.Holder, nil)
			return lost
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			l.failed(err)
		}
		if !held && l.Confirmed() {
			held = true
			close(won)
		}
		timer.Reset(l.soon(wait))
	}
}

// soon shortens a wait to the moment in which the lease is no longer confirmed.
func (l *Lease) soon(wait time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.status.State == Held {
		wait = min(wait, time.Until(l.until))
	}
	return max(wait, 0)
}

// expire notes when the lease is no longer confirmed.
func (l *Lease) expire() {
	l.mu.Lock()
	due := l.status.State == Held && !time.Now().Before(l.until)
	err := l.status.Err
	l.mu.Unlock()
	if due {
		l.set(Unconfirmed, l.cfg.Identity, err)
	}
}

// failed notes why a request failed. A standby that has heard nothing for as long as a record lasts doesn't
// know any more who leads.
func (l *Lease) failed(err error) {
	s := l.Status()
	if s.State == Standby && time.Since(l.record.heard) > Duration {
		s.State = Waiting
	}
	l.set(s.State, s.Holder, err)
}

// set changes the status, and tells those who want to know.
func (l *Lease) set(state State, holder string, err error) {
	holder = printable(holder)
	l.mu.Lock()
	old := l.status
	l.status.Err = err
	if old.State != state || old.Holder != holder {
		l.status = Status{State: state, Holder: holder, Since: time.Now(), Err: err}
	}
	l.mu.Unlock()
	if (old.State == Held) != (state == Held) {
		l.cfg.Confirmed(state == Held)
	}
	l.tell(old, state, holder, err)
}

// tell logs what an operator wants to know of a change.
func (l *Lease) tell(old Status, state State, holder string, err error) {
	switch changed := old.State != state || old.Holder != holder; {
	case changed && state == Held && old.State == Unconfirmed:
		l.log.Info("the lease is confirmed again: writing goes on")
	case changed && state == Held:
		l.log.Info("this candidate holds the lease and leads")
	case changed && state == Standby:
		l.log.Info("another candidate leads; standing by", "holder", holder)
	case changed && state == Unconfirmed:
		l.log.Warn("the lease could not be renewed: nothing is written to the cluster until it is", "err", err)
	case changed && state == Lost:
		l.log.Error("another candidate took the lease: this one ends", "holder", holder)
	case err != nil && old.Err == nil && state != Held: // one lost renewal is no news
		l.log.Warn("the lease could not be read or written", "err", err)
	}
}

// printable keeps what the API server tells fit for a terminal and a log.
func printable(s string) string {
	out := make([]rune, 0, min(len(s), maxIdentity))
	for _, r := range s {
		if len(out) == maxIdentity {
			break
		}
		if r <= ' ' || r > '~' {
			r = '?'
		}
		out = append(out, r)
	}
	return string(out)
}
