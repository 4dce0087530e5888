package meshpeer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/dynamic"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/mesh"
)

const (
	requestTimeout = 10 * time.Second
	// peersTimeout bounds a question to the node itself, which is asked again in a moment.
	peersTimeout = 2 * time.Second
	// lookEvery is how often the node is asked for its peers, and so the longest that a transition waits.
	lookEvery = time.Second
	// settleFor lets changes that come together be one.
	settleFor = 50 * time.Millisecond
)

// farewell bounds the last write of a keeper that stops. Tests give it longer.
var farewell = 2 * time.Second

// Config is what a Keeper works with. Its functions are called from one goroutine each and may block for a moment.
type Config struct {
	Conn *kube.Connection // required; MeshPeers live in its Namespace
	Self keys.Public      // required: the key of this node
	Zone mesh.Zone        // required: the zone of this node

	Version string // of this software

	// Advertise returns where this node can be reached, HOST:PORT. Nil: nowhere.
	Advertise func() []string
	// Incarnation returns the one that this node writes under, 0 while it isn't chosen. Nil: never.
	Incarnation func() mesh.Incarnation
	// Ready reports whether this node is ready. Nil: it is.
	Ready func() bool
	// Peers returns all nodes that this node knows, but itself. Required.
	Peers func(ctx context.Context) ([]mesh.Peer, error)
	// Standing returns, of the keys that have a MeshPeer, those that the mesh has more to say about than this node's
	// admissions do. Nil: nothing is said about any.
	Standing func(ctx context.Context, of []keys.Public) (map[keys.Public]Ruling, error)
	// OnAdmitted is told the whole set of keys that MeshPeers admit, in the order of the keys, when it was first
	// read and whenever it changed. The slice is the callee's. It is not told while what is gone is not proven to
	// be withdrawn. Nil: nobody is told.
	OnAdmitted func([]Admitted)

	Recorder *Recorder        // nil: no Kubernetes Events
	Logger   *slog.Logger     // nil: discard
	Now      func() time.Time // nil: time.Now
}

// Keeper keeps the MeshPeers of a cluster. Safe for concurrent use.
type Keeper struct {
	cfg      Config
	peers    dynamic.ResourceInterface
	registry *registry
	wake     chan struct{} // capacity 1, never closed: something changed
	problems problems
	pacing   pacing

	own sync.Mutex // held while the own MeshPeer is created

	// What follows is owned by the goroutine of Run.
	last     []mesh.Peer // as the node told last
	rulings  map[keys.Public]Ruling
	asked    bool // it told once
	behind   map[keys.Public]time.Time
	noted    map[keys.Public]mesh.PeerState // of which an Event told last
	flags    map[keys.Public]map[string]bool
	told     []Admitted // to OnAdmitted
	toldOnce bool
	withdrew map[keys.Public]time.Time
	renewAt  time.Time // the earliest time for another status that is only renewed
}

// New prepares a Keeper. It sends no request.
func New(cfg Config) (*Keeper, error) {
	if cfg.Conn == nil || cfg.Conn.Dynamic == nil || cfg.Peers == nil || cfg.Self.IsZero() {
		return nil, errors.New("meshpeer: connection, own key and the list of peers are required")
	}
	if _, err := mesh.ParseZone(string(cfg.Zone)); err != nil {
		return nil, fmt.Errorf("meshpeer: %w", err)
	}
	if cfg.Advertise == nil {
		cfg.Advertise = func() []string { return nil }
	}
	if cfg.Incarnation == nil {
		cfg.Incarnation = func() mesh.Incarnation { return 0 }
	}
	if cfg.Ready == nil {
		cfg.Ready = func() bool { return true }
	}
	if cfg.Standing == nil {
		cfg.Standing = func(context.Context, []keys.Public) (map[keys.Public]Ruling, error) { return nil, nil }
	}
	if cfg.OnAdmitted == nil {
		cfg.OnAdmitted = func([]Admitted) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Keeper{
		cfg: cfg, peers: cfg.Conn.Dynamic.Resource(Resource).Namespace(cfg.Conn.Namespace), registry: newRegistry(cfg.Self),
		wake: make(chan struct{}, 1), problems: problems{log: cfg.Logger, now: cfg.Now, of: map[string]mesh.Problem{}},
		pacing: newPacing(), behind: map[keys.Public]time.Time{}, noted: map[keys.Public]mesh.PeerState{},
		flags: map[keys.Public]map[string]bool{}, withdrew: map[keys.Public]time.Time{},
	}, nil
}

// Run works until ctx ends, then says so on the own MeshPeer and returns nil. Nothing of it is left then. Whatever
// fails is tried again; [Keeper.Problems] tells.
//
// An admission whose object is gone is withdrawn only after a whole list without it that holds the own MeshPeer,
// after which an attempt to create an object was not refused (which it is while the namespace or the definition is
// being deleted), after which the own MeshPeer is still the same one. So neither a namespace nor a definition that
// goes takes admissions with it, even if it is made again at once.
func (k *Keeper) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { k.follow(ctx) })
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			wg.Wait()
			k.leave(context.WithoutCancel(ctx))
			return nil
		case <-k.wake:
			select {
			case <-ctx.Done():
				continue
			case <-time.After(settleFor):
			}
		case <-timer.C:
		}
		k.look(ctx)
		timer.Reset(lookEvery)
	}
}

// Listed reports whether the MeshPeers of the cluster were read in this run.
func (k *Keeper) Listed() bool { return k.registry.view().listed }

// Problems lists what keeps MeshPeers from being right, the oldest first. Empty: nothing.
func (k *Keeper) Problems() []mesh.Problem { return k.problems.list() }

// Event puts a Kubernetes Event on the MeshPeer of a key, if there is one. The note holds no object content.
func (k *Keeper) Event(key keys.Public, warning bool, reason, note string) {
	if o := k.registry.view().first()[key]; o != nil {
		k.event(o, warning, reason, note)
	}
}

func (k *Keeper) event(o *object, warning bool, reason, note string) {
	if k.cfg.Recorder != nil {
		k.cfg.Recorder.meshPeer(k.cfg.Conn.Namespace, o.name, o.uid, warning, reason, note)
	}
}

func (k *Keeper) nudge() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// look compares what stands in the cluster with what the node knows, once.
func (k *Keeper) look(ctx context.Context) {
	k.ask(ctx)
	v := k.registry.view()
	if !v.listed || ctx.Err() != nil {
		return
	}
	if v.tooMany {
		k.problems.put(ReasonTooManyObjects, ReasonTooManyObjects, fmt.Sprintf("there are more than %d MeshPeers; the rest is not looked at", maxObjects))
	} else {
		k.problems.clear(ReasonTooManyObjects)
	}
	k.announce(ctx, v)
	k.askStanding(ctx, v)
	round := k.newRound(v)
	if v.first()[k.cfg.Self] == nil {
		round.create(ctx, k.cfg.Self, k.cfg.Advertise(), nil)
	}
	for i := range k.last {
		round.peer(ctx, &k.last[i])
	}
	for _, o := range v.objects {
		round.object(ctx, o)
	}
	k.tell(round)
	k.forget(round)
}

// ask asks the node for its peers. While it is too busy to answer, what it told last holds.
func (k *Keeper) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, peersTimeout)
	defer cancel()
	peers, err := k.cfg.Peers(ctx)
	if err != nil {
		return
	}
	peers = slices.Clone(peers)
	slices.SortFunc(peers, func(a, b mesh.Peer) int {
		if a.PublicKey < b.PublicKey {
			return -1
		}
		return 1
	})
	k.last, k.asked = peers[:min(len(peers), maxObjects)], true
	now := k.cfg.Now()
	for _, p := range k.last {
		key, err := keys.ParsePublic(p.PublicKey)
		switch {
		case err != nil:
		case p.LagOperations == nil || *p.LagOperations == 0:
			delete(k.behind, key)
		case k.behind[key].IsZero():
			k.behind[key] = now
		}
	}
}

// leave says on the own MeshPeer that nobody keeps it from now on.
func (k *Keeper) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, farewell)
	defer cancel()
	v := k.registry.view()
	o := v.first()[k.cfg.Self]
	if o == nil {
		return
	}
	f := k.newRound(v).facts(o)
	f.self.stopped = true
	if s := f.judge(o); compare(o, s) == news {
		if _, err := k.patchStatus(ctx, o, s); err != nil {
			k.cfg.Logger.Debug("the own MeshPeer doesn't say that its node stopped", "err", err)
		}
	}
}
