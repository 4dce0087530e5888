package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dcp.hiro.io/mesh/internal/kube/meshpeer"
	"dcp.hiro.io/mesh/internal/mesh"
)

const (
	// pageSize is how many MeshPeers are asked for at once, and maxPeers how many are taken: some of them are of many
	// namespaces, one has some hundreds.
	pageSize = 500
	maxPeers = 20_000
	// maxAsked is how many nodes are asked at the same time.
	maxAsked = 4
	// maxAnswer bounds the list of peers that a node sends, in bytes: far above that of some thousands.
	maxAnswer = 32 << 20
	// maxElsewhere is how many namespaces are named.
	maxElsewhere = 10
)

// listEvery is how old a list of MeshPeers may be.
const listEvery = 5 * time.Second

// stale is when a node's own MeshPeer says that nobody writes it: a node does every minute.
const stale = 3 * time.Minute

// apiVersion stands in every document of the API.
const apiVersion = "mesh.dcp.hiro.io/v1"

// peers answers /api/v1/peers: the node's list with the objects that show it, and what only MeshPeers tell.
func (c *Cluster) peers(req *http.Request) (*http.Response, error) {
	namespace := c.cfg.Namespace
	if c.cfg.AllNamespaces {
		namespace = metav1.NamespaceAll
	}
	var shown []meshpeer.Shown
	var listErr, liveErr error
	live := map[string][]mesh.Peer{} // by namespace
	var group errgroup.Group
	group.Go(func() error {
		shown, listErr = c.listed(req.Context(), namespace)
		return nil
	})
	if !c.cfg.AllNamespaces {
		group.Go(func() error {
			live[namespace], liveErr = c.livePeers(req, namespace)
			return nil
		})
	}
	_ = group.Wait() // it has no errors of its own
	switch {
	case req.Context().Err() != nil:
		return nil, req.Context().Err()
	case c.cfg.AllNamespaces && listErr != nil:
		return nil, listErr
	case c.cfg.AllNamespaces:
		live = c.liveEverywhere(req, shown)
	case listErr != nil && liveErr != nil:
		return nil, listErr
	case listErr != nil:
		c.notLive(namespace, listErr)
	case liveErr != nil && len(shown) > 0:
		c.notLive(namespace, liveErr)
	}
	if len(shown) == 0 && listErr == nil && liveErr != nil {
		c.elsewhere(req.Context())
	}
	return document(req, "PeerList", struct {
		Items []mesh.Peer `json:"items"`
	}{merge(shown, live)})
}

// liveEverywhere asks the node of every namespace that has MeshPeers.
func (c *Cluster) liveEverywhere(req *http.Request, shown []meshpeer.Shown) map[string][]mesh.Peer {
	namespaces := map[string]bool{}
	for _, s := range shown {
		namespaces[s.Peer.Namespace] = true
	}
	live := map[string][]mesh.Peer{}
	var mu sync.Mutex // of live
	var group errgroup.Group
	group.SetLimit(maxAsked)
	for _, namespace := range slices.Sorted(maps.Keys(namespaces)) {
		group.Go(func() error {
			peers, err := c.livePeers(req, namespace)
			if err != nil {
				c.notLive(namespace, err)
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			live[namespace] = peers
			return nil
		})
	}
	_ = group.Wait() // it has no errors of its own
	return live
}

// merge joins what is shown and what nodes say, by namespace and key. The node knows better; whom it does not list, such
// as a key that nobody admitted, is shown as its MeshPeer says.
func merge(shown []meshpeer.Shown, live map[string][]mesh.Peer) []mesh.Peer {
	type place struct{ namespace, key string }
	at := map[place]meshpeer.Shown{}
	for _, s := range shown {
		at[place{s.Peer.Namespace, s.Peer.PublicKey}] = s
	}
	out := []mesh.Peer{}
	for _, namespace := range slices.Sorted(maps.Keys(live)) {
		for _, p := range live[namespace] {
			where := place{namespace, p.PublicKey}
			p.Namespace, p.Object = namespace, at[where].Peer.Object
			out = append(out, p)
			delete(at, where)
		}
	}
	var rest []mesh.Peer
	zones := map[place]int{}
	for _, s := range at {
		if !s.Self {
			rest = append(rest, s.Peer)
			zones[place{s.Peer.Namespace, string(s.Peer.Zone)}]++
		}
	}
	for _, p := range out {
		zones[place{p.Namespace, string(p.Zone)}]++
	}
	for i, p := range rest {
		if p.Zone != "" && zones[place{p.Namespace, string(p.Zone)}] > 1 {
			rest[i].Name = "peer-" + p.PublicKey[:8]
		}
	}
	slices.SortFunc(rest, func(a, b mesh.Peer) int {
		return slices.Compare([]string{a.Namespace, a.Name, a.PublicKey}, []string{b.Namespace, b.Name, b.PublicKey})
	})
	return append(out, rest...)
}

// status answers /api/v1/status: the node's own, or what its MeshPeer and those of the others make of it.
func (c *Cluster) status(req *http.Request) (*http.Response, error) {
	first, cancel := part(req.Context())
	defer cancel()
	resp, err := c.node(c.cfg.Namespace).roundTrip(req.WithContext(first), recent)
	if err == nil {
		return whole(resp, err)
	}
	if errors.Is(req.Context().Err(), context.Canceled) {
		return nil, err
	}
	shown, listErr := c.meshPeers(req.Context(), c.cfg.Namespace)
	if listErr != nil {
		return nil, firstOf(listErr, err)
	}
	s, ok := partial(shown, c.cfg.Namespace, time.Now())
	if len(shown) == 0 {
		if others := c.others(req.Context()); len(others) > 0 {
			return nil, &NoNodeError{Namespace: c.cfg.Namespace, Elsewhere: others}
		}
	}
	if !ok {
		var none *NoNodeError
		if errors.As(err, &none) {
			none.Elsewhere = c.others(req.Context())
		}
		return nil, err
	}
	c.notLive(c.cfg.Namespace, err)
	return document(req, "Status", s)
}

// firstOf chooses what to tell of two failures: that there is no node says more than that MeshPeers may not be read, and
// all else about the API server less.
func firstOf(list, live error) error {
	var refused *ForbiddenError
	if errors.As(list, &refused) && !errors.As(live, &refused) {
		return live
	}
	return list
}

// partial is the status that MeshPeers tell; false if none of them is the node's own.
func partial(shown []meshpeer.Shown, namespace string, now time.Time) (mesh.Status, bool) {
	s := mesh.Status{Partial: true, Listen: []string{}, Replication: []mesh.Replication{}, Findings: []mesh.Finding{},
		Cluster: mesh.ClusterStatus{Kind: "kubernetes", Location: "namespace " + namespace, Connected: true, Problems: []mesh.Problem{}}}
	own := false
	for _, one := range shown {
		p := one.Peer
		if one.Self {
			own = true
			s.Zone, s.PublicKey, s.PeerID, s.Incarnation = p.Zone, p.PublicKey, p.PeerID, p.Incarnation
			s.Ready, s.InSync = one.Ready, one.Synced
			if age := now.Sub(one.Written); age > stale {
				s.Findings = append(s.Findings, mesh.Finding{ID: "kubernetes.meshpeer", Status: "warn",
					Text: "the node has not written its MeshPeer since " + one.Written.Format(time.RFC3339) + "; it may be gone, and what is shown here old"})
			}
			if p.Version != nil {
				s.Version = *p.Version
			}
			continue
		}
		s.Peers.Total++
		switch p.State {
		case mesh.Ready:
			s.Peers.Ready++
		case mesh.NotReady:
			s.Peers.NotReady++
		case mesh.Unavailable:
			s.Peers.Unavailable++
		default:
			s.Peers.Unknown++
		}
	}
	return s, own
}

// listed is meshPeers for who asks every second: the node writes its objects when something happens, and the API server
// should not have to list them more often than that matters.
func (c *Cluster) listed(ctx context.Context, namespace string) ([]meshpeer.Shown, error) {
	c.mu.Lock()
	last := c.list
	c.mu.Unlock()
	if last.namespace == namespace && time.Since(last.at) < listEvery {
		return last.shown, nil
	}
	shown, err := c.meshPeers(ctx, namespace)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = list{namespace, shown, time.Now()}
	return shown, nil
}

// list is what was listed last. It is not changed any more.
type list struct {
	namespace string
	shown     []meshpeer.Shown
	at        time.Time // zero: never
}

// meshPeers lists those of a namespace, or of all.
func (c *Cluster) meshPeers(ctx context.Context, namespace string) ([]meshpeer.Shown, error) {
	var out []meshpeer.Shown
	page := metav1.ListOptions{Limit: pageSize}
	for {
		list, err := c.dynamic.Resource(meshpeer.Resource).Namespace(namespace).List(ctx, page)
		if apierrors.IsNotFound(err) {
			return nil, &NotInstalledError{}
		}
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, explain(err, c.host(), "list", meshpeer.Resource.GroupResource().String(), namespace)
		}
		for i := range list.Items {
			if s, ok := meshpeer.Show(&list.Items[i]); ok {
				out = append(out, s)
			}
		}
		if page.Continue = list.GetContinue(); page.Continue == "" || len(out) >= maxPeers {
			return out, nil
		}
	}
}

// livePeers asks the node of a namespace for its list.
func (c *Cluster) livePeers(req *http.Request, namespace string) ([]mesh.Peer, error) {
	ctx, cancel := context.WithTimeout(req.Context(), openTime)
	if end, ok := req.Context().Deadline(); ok { // leave time to answer without it
		cancel()
		ctx, cancel = context.WithTimeout(req.Context(), time.Until(end)*3/4)
	}
	defer cancel()
	resp, err := c.node(namespace).roundTrip(req.WithContext(ctx), recent)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct {
		Items []mesh.Peer `json:"items"`
		Error *struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&answer); err != nil {
		return nil, fmt.Errorf("read the answer of the node in namespace %s: %w", namespace, plainError{err})
	}
	switch {
	case answer.Error != nil:
		return nil, errors.New("the node in namespace " + namespace + " answers: " + line(answer.Error.Message))
	case resp.StatusCode != http.StatusOK:
		return nil, errors.New("the node in namespace " + namespace + " answers " + line(resp.Status))
	}
	return answer.Items, nil
}

// notLive tells why an answer lacks what a live node knows, or what MeshPeers say.
func (c *Cluster) notLive(namespace string, why error) {
	if c.cfg.NotLive != nil && !errors.Is(why, ErrViaNone) {
		c.once("live "+namespace, func() { c.cfg.NotLive(namespace, why) })
	}
}

// elsewhere tells which namespaces have MeshPeers.
func (c *Cluster) elsewhere(ctx context.Context) {
	if c.cfg.Elsewhere != nil && !c.cfg.AllNamespaces {
		c.once("elsewhere", func() { c.cfg.Elsewhere(c.others(ctx)) })
	}
}

// others are the namespaces with MeshPeers beside the one that is asked about, as far as they may be known.
func (c *Cluster) others(ctx context.Context) []string {
	ctx, cancel := part(ctx)
	defer cancel()
	shown, _ := c.meshPeers(ctx, metav1.NamespaceAll) // who may not see them is told of none
	names := map[string]bool{}
	for _, s := range shown {
		if s.Peer.Namespace != c.cfg.Namespace {
			names[s.Peer.Namespace] = true
		}
	}
	all := slices.Sorted(maps.Keys(names))
	return all[:min(len(all), maxElsewhere)]
}

// Namespaces lists those of the cluster, as far as the caller may.
func (c *Cluster) Namespaces(ctx context.Context) ([]string, error) {
	list, err := c.dynamic.Resource(namespaces).List(ctx, metav1.ListOptions{Limit: pageSize})
	if err != nil {
		return nil, explain(err, c.host(), "list", "namespaces", "")
	}
	var names []string
	for i := range list.Items {
		names = append(names, line(list.Items[i].GetName()))
	}
	return names, nil
}

// document is an answer of the API that was made here.
func document(req *http.Request, kind string, v any) (*http.Response, error) {
	head, err := json.Marshal(map[string]string{"apiVersion": apiVersion, "kind": kind})
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	body = append(append(head[:len(head)-1], ','), body[1:]...)
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, ContentLength: int64(len(body)),
		Body: io.NopCloser(bytes.NewReader(body)), Request: req,
	}, nil
}

// whole reads an answer now, because the context of its request ends with the caller.
func whole(resp *http.Response, err error) (*http.Response, error) {
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, plainError{err}
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, nil
}
