package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/kube/meshpeer"
	"dcp.hiro.io/mesh/internal/logging"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

const (
	// installTime bounds one attempt to install the definition of MeshPeer.
	installTime = time.Minute
	// installFirst bounds the one that the node's start waits for: a cluster that is new to mesh has it in a moment.
	installFirst = 5 * time.Second
	// installRetry is how soon another one follows, and markRetry another attempt to mark the pod.
	installRetry = 5 * time.Second
	markRetry    = 5 * time.Second
)

// shown is the cluster with what keeps MeshPeers from being right among its problems.
type shown struct {
	*kube.Cluster
	keeper *meshpeer.Keeper

	mu  sync.Mutex
	crd *mesh.Problem // nil: MeshPeers are served
}

func (s *shown) Status() mesh.ClusterStatus {
	st := s.Cluster.Status()
	st.Problems = append(st.Problems, s.keeper.Problems()...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.crd != nil {
		st.Problems = append(st.Problems, *s.crd)
	}
	return st
}

// served says why the cluster knows no MeshPeers, if it is known not to.
func (s *shown) served() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.crd != nil {
		return errors.New(s.crd.Text)
	}
	for _, p := range s.keeper.Problems() { // the definition may go while the node runs
		if p.Reason == meshpeer.ReasonNotServed {
			return errors.New(p.Text)
		}
	}
	return nil
}

// openMeshPeers makes the cluster and what shows the mesh in it.
func (r *running) openMeshPeers() (err error) {
	k := r.kube
	k.recorder = meshpeer.NewRecorder(k.conn, r.logs.For(logging.Kube))
	k.keeper, err = meshpeer.New(meshpeer.Config{
		Conn: k.conn, Self: r.key.Public(), Zone: r.cfg.Mesh.Zone, Version: buildVersion().Version,
		Advertise:   func() []string { return nodeConfig(r.cfg).Advertise },
		Incarnation: func() mesh.Incarnation { return r.node.Incarnation() },
		Ready:       func() bool { return r.node.Ready() },
		Peers: func(ctx context.Context) ([]mesh.Peer, error) {
			peers, err := r.node.Peers(ctx)
			return admittedPeers(peers), err
		},
		Standing: r.standing,
		OnAdmitted: func(list []meshpeer.Admitted) {
			r.members.admit(list)
			r.admitted()
		},
		Recorder: k.recorder, Logger: r.logs.For(logging.Kube),
	})
	if err != nil {
		return err
	}
	if k.cluster, err = kube.New(r.kubeConfig(k.keeper, k.recorder)); err != nil {
		return err
	}
	k.shown = &shown{Cluster: k.cluster, keeper: k.keeper}
	r.cluster = k.shown
	return nil
}

// admitted has the node told what MeshPeers admit, if it runs.
func (r *running) admitted() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// followAdmissions tells the node its peers whenever MeshPeers change them.
func (r *running) followAdmissions(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.changed:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.ready:
		}
		r.setNodes(ctx)
	}
}

// showMesh keeps MeshPeers and Events until ctx ends. The node runs beside it.
func (r *running) showMesh(ctx context.Context) error {
	var group errgroup.Group
	group.Go(func() error { return r.kube.recorder.Run(ctx) })
	group.Go(func() error {
		for !r.install(ctx, installTime) {
			if sleep(ctx, installRetry) != nil {
				return nil
			}
		}
		return nil
	})
	group.Go(func() error { return r.kube.keeper.Run(ctx) })
	group.Go(func() error { return r.followAdmissions(ctx) })
	group.Go(func() error { r.markPod(ctx, true); return nil })
	return group.Wait()
}

// install has the cluster serve MeshPeers, within a time, and reports whether it does.
func (r *running) install(ctx context.Context, within time.Duration) bool {
	attempt, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	changed, err := meshpeer.Install(attempt, r.kube.conn)
	if errors.Is(err, meshpeer.ErrForbidden) {
		if served := meshpeer.Served(attempt, r.kube.conn); served == nil {
			err = nil
		} else if errors.Is(served, meshpeer.ErrNotServed) {
			err = errors.Join(served, err)
		}
	}
	if changed {
		r.log.Info("installed the definition of MeshPeer")
	}
	s := r.kube.shown
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.crd
	s.crd = nil
	if err != nil && ctx.Err() == nil {
		s.crd = &mesh.Problem{Reason: "MeshPeersNotServed", Since: time.Now().UTC().Round(0), Text: oneLine(clipText(err.Error(), maxServerText))}
		if old != nil {
			s.crd.Since = old.Since
		}
	}
	return err == nil
}

// podName is empty unless the pod is one of several: then the chart tells it.
func (r *running) podName() string { return r.e.getenv("POD_NAME") }

// markPod lets the service for peers find, or not find, this pod.
func (r *running) markPod(ctx context.Context, leads bool) {
	name := r.podName()
	if name == "" {
		return
	}
	for {
		err := r.kube.conn.MarkPod(ctx, name, leads)
		if err == nil || ctx.Err() != nil {
			return
		}
		r.log.Warn("the pod is not marked, peers may not find it", "err", err)
		if sleep(ctx, markRetry) != nil {
			return
		}
	}
}

// decided tells the cluster's users what the engine decided about their objects and their peers.
func (r *running) decided(d replica.Decision) {
	k := r.kube
	object := func(warning bool, reason, note string) {
		k.recorder.Object(d.Object, k.cluster.APIVersion(d.Object), "", warning, reason, note)
	}
	switch d.Reason {
	case replica.Contested:
		object(true, "OwnershipConflict", "created independently by several zones; each keeps its own copy until mesh adopt is called in one of them")
	case replica.Yielded:
		object(true, "OwnershipConflict", "the claim of zone "+string(d.Zone)+" is stronger and takes its place; what stood here is kept: mesh log show --lost")
	case replica.Withheld:
		object(true, "Withheld", "its labels name zone "+string(d.Zone)+", which claims it; it is not published until mesh adopt is called here")
	case replica.Forked:
		k.keeper.Event(d.Log.Author, true, meshpeer.ForkDetected, "its key signed two histories; its log is frozen until a new one covers it")
	case replica.DeleteHeld:
		if d.Zone == r.cfg.Mesh.Zone { // of others the Keeper tells
			k.keeper.Event(r.key.Public(), true, meshpeer.DeletesHeld, "deletions made here are held back; mesh peers accept-deletes "+string(d.Zone))
		}
	case replica.IdentityClash:
		k.keeper.Event(r.keyOf(d), true, meshpeer.IdentityConflict, "this key and zone "+string(d.Zone)+" are not bound to each other")
	}
}

// keyOf finds whom a decision is about; zero if nobody knows.
func (r *running) keyOf(d replica.Decision) keys.Public {
	switch {
	case !d.Peer.IsZero():
		return d.Peer
	case d.Zone == r.cfg.Mesh.Zone:
		return r.key.Public()
	}
	for _, p := range r.members.all() {
		if p.Zone == d.Zone {
			return p.Key
		}
	}
	return keys.Public{}
}
