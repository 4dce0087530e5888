package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// Bounds of what is gathered from a node.
const (
	maxBundleObjects = 200_000          // some 64 MiB; of more the first ones
	maxBundleTraces  = 200              // each is a question to the node's loop
	framesWithin     = 10 * time.Second // until a whole frame came; a node tells within a second
)

// Collect asks a node for everything that a bundle holds. What it doesn't answer is noted as missing; an error is that
// of ctx, or says that nothing answers at all. object is one whose way is wanted whatever its state; zero: none.
func (b *Bundle) Collect(ctx context.Context, c *Client, object mesh.ObjectKey) error {
	status, err := c.Status(ctx)
	if err != nil {
		return err
	}
	b.Info.Node = &BundleNode{Zone: status.Zone, NetworkID: status.NetworkID, PublicKey: status.PublicKey, PeerID: status.PeerID, Version: status.Version}
	if err := b.add(bundleStatus, newDocument("Status", status)); err != nil {
		return err
	}
	for _, x := range []struct {
		name, path string
	}{
		{bundlePeers, "/api/v1/peers"}, {bundleHeld, "/api/v1/held"}, {bundleLog, "/api/v1/log"}, {bundleTopology, "/api/v1/topology"},
		{bundleInvites, "/api/v1/invites"}, {bundleConfig, "/api/v1/config"},
		{bundleLogs, "/api/v1/logs"}, {bundleGoroutines, "/api/v1/goroutines"}, {bundleMetrics, "/metrics"},
	} {
		data, err := c.Raw(ctx, x.path, nil)
		if err != nil {
			b.lacks(x.name, err)
			continue
		}
		b.Add(x.name, data)
	}
	resources, err := b.collectResources(ctx, c, status.Resources.Live+status.Resources.Tombstones)
	if err != nil {
		b.lacks(bundleResources, err)
	}
	if err := b.collectTraces(ctx, c, resources, object); err != nil {
		b.lacks(bundleTraces, err)
	}
	if err := b.collectFrames(ctx, c); err != nil {
		b.lacks(bundleFrames, err)
	}
	if err := b.collectChecks(ctx, c); err != nil {
		b.lacks(bundleDoctor, err)
	}
	return ctx.Err()
}

// lacks notes why a node didn't answer.
func (b *Bundle) lacks(name string, err error) {
	var unreachable *UnreachableError
	if errors.As(err, &unreachable) {
		err = unreachable.Err // whose address is of no use to others
	}
	b.Lacks(name, err.Error())
}

// collectResources gathers all pages. The hash of a Secret's content would let somebody check a guess of it.
func (b *Bundle) collectResources(ctx context.Context, c *Client, about int) ([]mesh.Resource, error) {
	all := make([]mesh.Resource, 0, min(about, maxBundleObjects))
	for after := ""; ; {
		page, next, err := c.Resources(ctx, after, MaxPage)
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			all = append(all, withoutHash(r))
		}
		if next == "" || len(page) == 0 {
			break
		}
		if len(all) >= maxBundleObjects {
			b.Lacks(bundleResources, fmt.Sprintf("it has the first %d objects only", len(all)))
			break
		}
		after = next
	}
	return all, b.add(bundleResources, newList("ResourceList", all))
}

// withoutHash leaves out what tells something about the content of a Secret.
func withoutHash(r mesh.Resource) mesh.Resource {
	if k, err := mesh.ParseObjectKey(r.Object); err != nil || isSecret(k) {
		r.Content = ""
	}
	return r
}

// collectTraces gathers the ways of the objects that are not simply live or deleted.
func (b *Bundle) collectTraces(ctx context.Context, c *Client, resources []mesh.Resource, object mesh.ObjectKey) error {
	var keys []mesh.ObjectKey
	if object != (mesh.ObjectKey{}) {
		keys = append(keys, object)
	}
	for _, r := range resources {
		if k, err := mesh.ParseObjectKey(r.Object); err == nil && r.State != "Live" && r.State != "Deleted" && k != object {
			keys = append(keys, k)
		}
	}
	if len(keys) > maxBundleTraces {
		b.Lacks(bundleTraces, fmt.Sprintf("it has the ways of %d objects of %d that are not simply live", maxBundleTraces, len(keys)))
		keys = keys[:maxBundleTraces]
	}
	traces := make([]mesh.Trace, 0, len(keys))
	for _, k := range keys {
		t, err := c.Trace(ctx, k)
		if err != nil {
			return err
		}
		t.Resource = withoutHash(t.Resource)
		traces = append(traces, t)
	}
	return b.add(bundleTraces, newList("TraceList", traces))
}

// collectFrames gathers what a watcher is told first: everything, and the newest notices. All frames of that carry one
// time, for a large picture comes in several.
func (b *Bundle) collectFrames(ctx context.Context, c *Client) error {
	ctx, done := context.WithTimeoutCause(ctx, framesWithin, errSlowFrames)
	defer done()
	var out bytes.Buffer
	var failed error
	id := uint64(0)
	whole := false
	err := c.Frames(ctx, func(f mesh.Frame) {
		if failed != nil || ctx.Err() != nil {
			return
		}
		if !whole && !f.Whole {
			return
		}
		if whole && !f.Time.Equal(b.Info.Time) {
			done()
			return
		}
		whole = true
		b.Info.Time = f.Time.UTC() // the node's clock is what its ages are counted by
		if f.Resources != nil {
			for i, r := range f.Resources.Items {
				f.Resources.Items[i] = withoutHash(r)
			}
		}
		id++
		m, err := encodeMessage(id, f)
		if err != nil || out.Len()+len(m) > MaxBundleEntry {
			failed = errors.Join(err, errors.New("what the node tells its watchers is too much"))
			done()
			return
		}
		out.Write(m)
	})
	switch {
	case failed != nil:
		return failed
	case !whole && errors.Is(context.Cause(ctx), errSlowFrames):
		return errSlowFrames
	case !whole:
		return err
	}
	b.Add(bundleFrames, out.Bytes())
	return nil
}

var errSlowFrames = fmt.Errorf("no whole frame came within %s", framesWithin)

// collectChecks has the node run its checks.
func (b *Bundle) collectChecks(ctx context.Context, c *Client) error {
	var results []mesh.CheckResult
	err := c.Doctor(ctx, DoctorQuery{}, func(r mesh.CheckResult) { results = append(results, r) })
	if err != nil && len(results) > 0 {
		b.lacks(bundleDoctor, fmt.Errorf("the checks were not finished: %w", err))
		err = nil
	}
	if err != nil {
		return err
	}
	return b.AddChecks(results)
}
