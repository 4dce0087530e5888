package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/folder"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/logging"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/node"
	"dcp.hiro.io/mesh/internal/replica"
	"dcp.hiro.io/mesh/internal/store"
	"dcp.hiro.io/mesh/internal/token"
)

const (
	// graceTime is how long a node takes to stop at most: Kubernetes kills after 30 s, people sooner. Of it the
	// node itself has nodeGrace; the rest is for requests under way and for closing the store.
	graceTime = 10 * time.Second
	nodeGrace = 6 * time.Second
	// readyEvery is how often a starting node is looked at: it delays the first answer by as much.
	readyEvery = 5 * time.Millisecond
	// stallLimit is how long the loop may take for one round before only a restart helps. A commit to a slow
	// disk takes a second, a stalled disk some more.
	stallLimit = time.Minute
)

// running is a node and everything around it.
type running struct {
	e      *env
	cfg    *config.Config
	opts   config.Options // to read the configuration again
	logs   *logging.Logs
	log    *slog.Logger
	format logging.Format

	key        keys.Private
	keyCreated bool
	handOver   *token.HandOver // to this node's key; nil: none
	strictPort bool
	invite     bool
	store      *store.Store
	kube       *kubernetes  // nil: no cluster of Kubernetes
	cluster    node.Cluster // nil: none
	registry   *prometheus.Registry
	node       *node.Node // set when built is closed
	built      chan struct{}
	admin      *admin.Server
	notices    admin.Notices
	begun      time.Time

	members members
	leads   atomic.Bool   // the node runs, and not only the process
	ready   chan struct{} // closed when the node is
	changed chan struct{} // capacity 1: MeshPeers admit others than before

	values atomic.Pointer[[]admin.ConfigValue] // of the configuration in force, for whoever asks
}

// runOptions are what flags say beside the configuration.
type runOptions struct {
	strictPort bool // fail where a port is taken
	invite     bool // print an invitation when the node is ready
}

// runNode runs a node until ctx ends or it cannot go on.
func runNode(ctx context.Context, e *env, cfg *config.Config, opts config.Options, o runOptions) (err error) {
	r := &running{e: e, cfg: cfg, opts: opts, strictPort: o.strictPort, invite: o.invite, built: make(chan struct{}), begun: time.Now(),
		ready: make(chan struct{}), changed: make(chan struct{}, 1)}
	r.members.configure(cfg.Nodes)
	if err := r.openLogs(); err != nil {
		return err
	}
	if err := r.openKey(); err != nil {
		return err
	}
	if err := r.openStore(); err != nil {
		return err
	}
	defer func() {
		if cerr := r.store.Close(); cerr != nil && err == nil {
			err = runError(r, cerr)
		}
	}()
	must, err := r.mustJoin()
	if err != nil {
		return err
	}
	r.registry = newRegistry(cfg)
	if err := r.build(); err != nil {
		return runError(r, err)
	}
	if must == nil {
		if err := r.buildNode(); err != nil {
			return runError(r, err)
		}
	}
	if err := r.admin.Listen(); err != nil {
		return runError(r, err)
	}
	return runError(r, r.run(ctx, must))
}

// openLogs decides where log lines go and in which form.
func (r *running) openLogs() error {
	format, err := logging.ParseFormat(r.cfg.LogFormat, r.e.isTerminal(r.e.stderr))
	if err != nil {
		return err
	}
	filter, err := logging.ParseFilter(r.cfg.LogLevel)
	if err != nil {
		return err
	}
	r.format = format
	r.logs = logging.New(r.e.stderr, format, filter)
	r.logs.Capture()
	r.log = r.logs.For(logging.Mesh)
	return nil
}

func (r *running) openKey() error {
	_, missing := os.Stat(r.e.path(r.cfg.Key.Path))
	key, err := nodeKey(r.e, r.cfg, true)
	if err != nil {
		return err
	}
	if err := r.cfg.CheckOwnKey(key.Public()); err != nil {
		return configError(err)
	}
	_, inEnvironment := r.cfg.Key.Secret()
	r.key, r.keyCreated = key, missing != nil && !inEnvironment
	if !inEnvironment {
		r.openHandOver(r.cfg.Key.Path + handOverSuffix)
	}
	return nil
}

// dataDir is where the store and the socket are.
func (r *running) dataDir() string { return r.e.path(r.cfg.DataDir) }

func (r *running) openStore() error {
	if err := os.MkdirAll(r.dataDir(), 0o700); err != nil {
		return &cliError{Code: "MESH-1401", What: "cannot make the data directory " + r.cfg.DataDir, Cause: reason(err),
			Next: []string{"mesh run --data-dir DIR"}, Err: err}
	}
	path := filepath.Join(r.dataDir(), storeName)
	o := store.Options{
		Owner: store.Identity{Network: r.cfg.NetworkID, Zone: r.cfg.Mesh.Zone, Author: r.key.Public()},
		Log:   r.logs.For(logging.Log),
	}
	if r.cfg.Join.TokenFile != "" && r.cfg.Origin("network_id").Layer == config.FromDefault {
		o.Owner.Network = "" // the token says it, or the store itself
	}
	if r.handOver != nil {
		o.Former = r.handOver.From
	}
	s, err := store.Open(path, o)
	if err != nil {
		return storeOpenError(path, err)
	}
	r.store = s
	return nil
}

// buildNode makes the node, of what the store holds by now.
func (r *running) buildNode() (err error) {
	nc := nodeConfig(r.cfg)
	nc.Replica.Bootstrap = nc.Replica.Bootstrap || r.invite
	if r.handOver != nil {
		nc.HandOver = r.handOver.String()
	}
	if err := r.inherit(); err != nil {
		return err
	}
	nc.Nodes = r.members.all()
	nc.Key, nc.Store, nc.Cluster, nc.StrictPort = r.key, r.store, r.cluster, r.strictPort
	nc.DiskLow, nc.FilesGone = r.store.Low, filesGone
	if r.kube != nil {
		nc.Decided = r.decided
	}
	nc.Tell = r.notices.Tell
	nc.Logger, nc.JoinLogger, nc.Registerer = r.logs.For(logging.Net), r.logs.For(logging.Join), r.registry
	if r.node, err = node.New(nc); err != nil {
		return err
	}
	close(r.built)
	return nil
}

// filesGone reports whether this process, or the machine, may open no more files. It tries.
func filesGone() bool {
	f, err := os.Open(os.DevNull)
	if err == nil {
		_ = f.Close() // nothing was written
	}
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// build makes what is around the node. None of it does anything yet.
func (r *running) build() (err error) {
	if err := r.openCluster(); err != nil {
		return err
	}
	ac := admin.Config{
		HTTPAddress: r.cfg.HTTPBindAddress.String(), HTTPPort: int(r.cfg.HTTPBindPort), StrictPort: r.strictPort,
		DataDir: r.dataDir(), Checks: r.checks(), Debug: r.debug(), Registry: r.registry, Notices: &r.notices, Proxy: r.cfg.API.Proxy, Log: r.logs.For(logging.HTTP),
	}
	if path, ok := strings.CutPrefix(r.cfg.API.Listen, "unix:"); ok {
		ac.Socket = r.e.path(path)
	} else {
		ac.APIListen = r.cfg.API.Listen
	}
	r.admin, err = admin.New(ac)
	return err
}

// openCluster makes the place where objects live, if one is configured.
func (r *running) openCluster() (err error) {
	switch k := r.cfg.Kubernetes; {
	case k.Connects():
		return r.openKubernetes()
	case k.Folder != "":
		// Not assigned at once: a nil *Folder would be a cluster.
		f, err := folder.New(folder.Config{Dir: r.e.path(k.Folder), Zone: r.cfg.Mesh.Zone, Reader: r.store, Logger: r.logs.For(logging.Folder), Tell: r.tellOwn})
		if err != nil {
			return err
		}
		r.cluster = f
	}
	return nil
}

// nodeConfig turns the configuration into that of the node.
func nodeConfig(cfg *config.Config) node.Config {
	nc := node.DefaultConfig()
	nc.Zone, nc.Network = cfg.Mesh.Zone, cfg.NetworkID
	for _, a := range cfg.BindAddress {
		nc.BindAddresses = append(nc.BindAddresses, a.String())
	}
	nc.Port = int(cfg.BindPort)
	for _, a := range cfg.Advertise {
		if a.Port == 0 {
			a.Port = cfg.BindPort
		}
		nc.Advertise = append(nc.Advertise, a.String())
	}
	nc.Nodes = nodePeers(cfg.Nodes)
	nc.AdmissionOpen = cfg.Admission == config.Open
	nc.HeartbeatInterval = cfg.Heartbeat
	nc.ResyncInterval = cfg.Protocol.ResyncInterval
	nc.PeerUnavailableAfter = cfg.Mesh.PeerUnavailableAfter
	nc.Grace = nodeGrace
	nc.Gossip = cfg.Gossip
	nc.Records, nc.MDNS = cfg.Discovery.Records, cfg.Discovery.MDNS
	nc.Version = buildVersion().Version
	nc.Replica = replica.Config{
		OnConflict: replica.OnConflict(cfg.Mesh.OnConflict),
		BrakeMin:   cfg.Mesh.Brake.Min, BrakeShare: cfg.Mesh.Brake.Share, BrakeWindow: cfg.Mesh.Brake.Window,
		SnapshotMaxLog: cfg.Mesh.SnapshotMaxLog, SnapshotInterval: cfg.Mesh.SnapshotInterval,
		TombstoneRetention: cfg.Mesh.TombstoneRetention, Bootstrap: cfg.Mesh.Bootstrap,
		Publishes: cfg.Publishes, Applies: cfg.Applies, Outside: func(k mesh.ObjectKey) string { return cfg.Flow(k).Reason },
		Rules: rules(cfg.Nodes),
	}
	return nc
}

// checks are what /livez and /readyz look at. One that stands by is ready to take over: it listens to nobody.
func (r *running) checks() []admin.Check {
	checks := []admin.Check{
		{Name: "loop", Live: true, Run: func(context.Context) error {
			if !r.isBuilt() {
				return nil // it joins first, and that takes as long as it takes
			}
			if d := r.node.Stalled(); d > stallLimit {
				return fmt.Errorf("no round for %s", d.Truncate(time.Second))
			}
			return nil
		}},
		{Name: "listeners", Run: r.ifLeading(func() error {
			if !r.isBuilt() {
				return errors.New("not a member yet: the inviter has not answered")
			}
			if !r.node.Ready() {
				return errors.New("not listening for peers")
			}
			return nil
		})},
		{Name: "cluster", Run: r.ifLeading(func() error {
			if r.cluster == nil {
				return nil
			}
			if s := r.cluster.Status(); !s.Connected {
				return fmt.Errorf("the %s cannot be read, or not wholly", strings.TrimSpace(s.Kind+" "+s.Location))
			}
			return nil
		})},
	}
	// Not ready would be wrong: it serves what it holds and its own changes, and Kubernetes would cut it off.
	checks = append(checks, admin.Check{Name: "disk", Note: true, Run: r.ifLeading(func() error {
		if r.isBuilt() && r.node.DiskLow() {
			return errors.New("nearly full: operations of other zones are refused until there is room")
		}
		return nil
	})})
	if r.kube != nil {
		checks = append(checks, admin.Check{Name: "meshpeers", Run: r.ifLeading(r.kube.shown.served)}, admin.Check{Name: "lease", Run: func(context.Context) error { return r.kube.ready() }})
	}
	return checks
}

// isBuilt reports whether there is a node, so that r.node may be looked at.
func (r *running) isBuilt() bool {
	select {
	case <-r.built:
		return true
	default:
		return false
	}
}

// ifLeading makes a check of one that holds only for a node that runs.
func (r *running) ifLeading(check func() error) func(context.Context) error {
	return func(context.Context) error {
		if r.kube != nil && !r.leads.Load() {
			return nil
		}
		return check()
	}
}

// run starts everything and waits for its end. The node stops first, so that whoever asks meanwhile is still
// answered. Before the node there may be an invitation to redeem.
func (r *running) run(ctx context.Context, must *token.Token) error {
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	working, stopWorking := context.WithCancel(ctx)
	defer stopWorking()

	var group errgroup.Group
	group.Go(func() error {
		defer stopWorking() // without its API a node is out of reach
		return r.admin.Run(serving)
	})
	group.Go(func() error {
		defer stopServing()
		defer stopWorking()
		if must != nil {
			if err := r.joinByFile(working, *must); working.Err() != nil {
				return nil // it was told to stop
			} else if err != nil && !r.goesOn(working, err) {
				return err
			}
			if err := r.buildNode(); err != nil {
				return err
			}
		}
		if r.kube == nil {
			return r.lead(working)
		}
		return r.elect(working)
	})
	group.Go(func() error { return r.reloadOnHangup(working) })
	group.Go(func() error {
		select {
		case <-working.Done():
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			r.sayStopping()
		}
		return nil
	})
	return group.Wait()
}

// lead runs the node until ctx ends.
func (r *running) lead(ctx context.Context) error {
	if r.kube != nil {
		r.install(ctx, installFirst)
	}
	r.leads.Store(true)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var group errgroup.Group
	group.Go(func() error {
		defer stop()
		return r.node.Run(ctx)
	})
	group.Go(func() error { return r.announce(ctx) })
	if r.kube != nil {
		group.Go(func() error { return r.showMesh(ctx) })
	}
	return group.Wait()
}

// inspector answers from the node.
func (r *running) inspector() *inspector {
	return &inspector{node: r.node, store: r.store, zone: r.cfg.Mesh.Zone, network: r.cfg.NetworkID, self: r.key.Public(), listen: r.listen, kube: r.kube,
		endpoints: r.node.Endpoints, doctor: r.doctor, choosy: r.cfg.Choosy, now: r.e.now, rand: r.e.rand}
}

// announce waits until the node is ready, opens the API and says so.
func (r *running) announce(ctx context.Context) error {
	for !r.node.Ready() {
		if sleep(ctx, readyEvery) != nil {
			return nil // it never became ready; Run says why
		}
	}
	close(r.ready)
	r.admin.Start(r.inspector())
	if err := r.sayReady(ctx); err != nil {
		r.log.Warn("ready, but nobody listens on standard output", "err", err)
	}
	return nil
}
