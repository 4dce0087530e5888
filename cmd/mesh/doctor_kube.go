package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/doctor"
	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/kube/lease"
	"dcp.hiro.io/mesh/internal/kube/meshpeer"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/readable"
)

const (
	noKubernetes = "no cluster of Kubernetes is configured"
	// leaseSlack is how far the clocks of two machines may be apart before a lease seems to have run out.
	leaseSlack = 30 * time.Second
)

// kubeDoctor looks at the cluster of Kubernetes with the node's own access data. It changes nothing there.
type kubeDoctor struct {
	*setup
	// connect makes the connection, or returns that of the node.
	connect func(*config.Config) (*kube.Connection, error)
	// lease tells how this process stands among those that may lead; nil: the Lease itself is looked at.
	lease func() lease.Status

	once  sync.Once
	conn  *kube.Connection
	cfg   *config.Config
	err   error
	types sync.Once
	found []foundType
}

// foundType is an entry of the configuration and the type that it means, or why there is none.
type foundType struct {
	resource config.Resource
	entry    kube.Entry
	offered  kube.Type
	err      error
}

func (k *kubeDoctor) suite() doctor.Suite {
	return doctor.Suite{
		"kubernetes.api":   k.api,
		"kubernetes.crd":   k.connected(k.definition),
		"kubernetes.types": k.connected(k.offered),
		"kubernetes.rbac":  k.connected(k.rights),
		"cluster.lease":    k.connected(k.leads),
	}
}

// open makes the connection once. Nil without an error: no cluster is configured.
func (k *kubeDoctor) open() (*kube.Connection, error) {
	k.once.Do(func() {
		if k.cfg, k.err = k.read(); k.err == nil && k.cfg.Kubernetes.Connects() {
			k.conn, k.err = k.connect(k.cfg)
		}
	})
	return k.conn, k.err
}

// connected makes a check of one that needs the connection, which kubernetes.api has found well unless it was left out.
func (k *kubeDoctor) connected(look func(context.Context, *kube.Connection) []mesh.CheckResult) doctor.Func {
	return func(ctx context.Context) []mesh.CheckResult {
		switch conn, err := k.open(); {
		case err != nil:
			return doctor.Skip("there is no connection to the cluster")
		case conn == nil:
			return doctor.Skip(noKubernetes)
		default:
			return look(ctx, conn)
		}
	}
}

func (k *kubeDoctor) api(ctx context.Context) []mesh.CheckResult {
	conn, err := k.open()
	switch {
	case err != nil:
		return []mesh.CheckResult{failOf(err)}
	case conn == nil:
		return doctor.Skip(noKubernetes)
	}
	version, err := conn.Version(ctx)
	switch {
	case err == nil:
		return doctor.OK("the API server of %s answers: %s", conn.Location, version)
	case apierrors.IsUnauthorized(err), apierrors.IsForbidden(err):
		return []mesh.CheckResult{doctor.Fail(conn.Location, "the API server of "+conn.Location+" refuses the access data", kube.Brief(err), "kubectl auth whoami", "mesh help kubernetes.api")}
	}
	return []mesh.CheckResult{doctor.Fail(conn.Location, "the API server of "+conn.Location+" does not answer", brief(ctx, err), "kubectl get --raw /readyz", "mesh doctor --group kubernetes")}
}

// brief words an error of a request, or that there was none in time.
func brief(ctx context.Context, err error) string {
	if ctx.Err() != nil && kube.Unanswered(err) {
		return "no answer in time"
	}
	return kube.Brief(err)
}

// unanswered is what is told of a check whose question was not answered.
func unanswered(ctx context.Context, what string, err error) []mesh.CheckResult {
	return []mesh.CheckResult{doctor.Warn("", what, brief(ctx, err), "mesh doctor --group kubernetes")}
}

func (k *kubeDoctor) definition(ctx context.Context, conn *kube.Connection) []mesh.CheckResult {
	d, err := meshpeer.Installed(ctx, conn)
	apply := "mesh crd | kubectl apply --server-side -f -"
	switch {
	case errors.Is(err, meshpeer.ErrNotServed):
		return []mesh.CheckResult{doctor.Fail("", "the definition of MeshPeer is missing: "+rootCause(err).Error(), "the node may not install it, or somebody removed it", apply)}
	case err != nil:
		return unanswered(ctx, "the definition of MeshPeer could not be looked at", err)
	case !d.Known:
		return doctor.OK("MeshPeers are served; their definition may not be read, which is fine")
	case d.Here < d.Ours:
		return []mesh.CheckResult{doctor.Warn("", fmt.Sprintf("the definition of MeshPeer has version %d, this mesh brings %d", d.Here, d.Ours), "it was installed by an older one", apply)}
	case d.Here > d.Ours:
		return doctor.OK("the definition of MeshPeer is newer than this mesh: version %d", d.Here)
	case !d.Same:
		return []mesh.CheckResult{doctor.Warn("", "the definition of MeshPeer was altered", "it has the version of this mesh and another content", apply)}
	}
	return doctor.OK("the definition of MeshPeer has version %d, as this mesh", d.Here)
}

// resolve finds the types of all entries, once.
func (k *kubeDoctor) resolve(ctx context.Context, conn *kube.Connection) []foundType {
	k.types.Do(func() {
		for _, r := range k.cfg.Mesh.Resources {
			if r.Problem != "" {
				continue
			}
			f := foundType{resource: r, entry: kubeEntry(r)}
			f.offered, f.err = conn.Offered(ctx, f.entry)
			k.found = append(k.found, f)
		}
	})
	return k.found
}

func (k *kubeDoctor) offered(ctx context.Context, conn *kube.Connection) []mesh.CheckResult {
	all := k.resolve(ctx, conn)
	var bad []mesh.CheckResult
	for _, f := range all {
		name := f.resource.String()
		next := "kubectl api-resources --api-group=" + shellQuote(f.resource.Group)
		switch {
		case f.err == nil:
		case errors.Is(f.err, kube.ErrNotServed):
			bad = append(bad, doctor.Fail(name, fmt.Sprintf("%s in version %s is not served", name, f.resource.Version), "its definition is not installed, or the entry names another group, version or plural", next))
		case kube.Unanswered(f.err):
			bad = append(bad, doctor.Warn(name, "it could not be found out whether "+name+" is served", brief(ctx, f.err), next))
		default:
			bad = append(bad, doctor.Fail(name, name+" is not served as the entry wants it", kube.Brief(f.err), next))
		}
	}
	switch {
	case len(bad) > 0:
		return bad
	case len(all) == 0:
		return doctor.Skip("mesh.resources names nothing to replicate")
	case len(all) == 1:
		return doctor.OK("the kind of the one entry is served")
	}
	return doctor.OK("the kinds of all %d entries are served", len(all))
}

// rights asks about everything that the node does.
func (k *kubeDoctor) rights(ctx context.Context, conn *kube.Connection) []mesh.CheckResult {
	_, marks := k.e.lookupEnv("POD_NAME")
	rights := kube.OwnRights(conn.Namespace, leaseName(k.cfg.Mesh.Zone), marks)
	unknown := 0
	for _, f := range k.resolve(ctx, conn) {
		if f.err != nil {
			unknown++
			continue
		}
		rights = append(rights, f.entry.Rights(f.offered)...)
	}
	missing, asked, err := conn.Missing(ctx, rights)
	if err != nil {
		return unanswered(ctx, "what mesh may do could not be found out", err)
	}
	if len(missing) == 0 && unknown > 0 {
		return doctor.OK("mesh may do all that was asked about, %s; nothing is known of %s whose kind was not found", readable.Count(asked, "right"), entries(unknown))
	}
	if len(missing) == 0 {
		return doctor.OK("mesh may do all that it has to: %s", readable.Count(asked, "right"))
	}
	account, err := conn.Account(ctx)
	if err != nil || account == "" {
		account = "ACCOUNT"
	}
	var bad []mesh.CheckResult
	for len(missing) > 0 {
		r := missing[0]
		var verbs []string
		missing = slices.DeleteFunc(missing, func(o kube.Right) bool {
			verb := o.Verb
			same := r
			same.Verb = verb
			if o == same {
				verbs = append(verbs, verb)
			}
			return o == same
		})
		what := r.What()
		if r.Name != "" {
			what += " " + r.Name
		}
		bad = append(bad, doctor.Fail(r.What(), fmt.Sprintf("mesh may not %s %s %s", strings.Join(verbs, ", "), what, r.Where()), "no role gives it that right", canI(r, account)))
	}
	return bad
}

// entries counts those of mesh.resources.
func entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

// canI is the command that asks the same as a person.
func canI(r kube.Right, account string) string {
	what := r.Resource
	if r.Group != "" {
		what += "." + r.Group
	}
	if r.Name != "" {
		what += "/" + r.Name
	}
	s := "kubectl auth can-i " + r.Verb + " " + what
	if r.Subresource != "" {
		s += " --subresource=" + r.Subresource
	}
	if s += " --as=" + shellQuote(account); r.Namespace == "" {
		return s + " -A"
	}
	return s + " -n " + r.Namespace
}

func leaseName(z mesh.Zone) string { return "mesh-" + string(z) }

func (k *kubeDoctor) leads(ctx context.Context, conn *kube.Connection) []mesh.CheckResult {
	if k.lease != nil {
		return ownLease(k.lease())
	}
	name := leaseName(k.cfg.Mesh.Zone)
	next := fmt.Sprintf("kubectl -n %s get lease %s", conn.Namespace, name)
	t, there, err := lease.Look(ctx, conn, name)
	switch {
	case err != nil:
		return unanswered(ctx, "the Lease "+name+" could not be read", err)
	case !there || t.Holder == "":
		return []mesh.CheckResult{doctor.Warn(name, "no process leads zone "+string(k.cfg.Mesh.Zone), "no node of the zone runs, or none reaches the API server", next)}
	case k.e.now().After(t.RunsOut.Add(leaseSlack)):
		return []mesh.CheckResult{doctor.Fail(name, t.Holder+" does not renew its lease", "it was renewed last at "+rfc3339(t.Renewed), next)}
	}
	return doctor.OK("%s leads zone %s", t.Holder, k.cfg.Mesh.Zone)
}

// ownLease judges how this process stands.
func ownLease(s lease.Status) []mesh.CheckResult {
	cause := ""
	if s.Err != nil {
		cause = kube.Brief(s.Err)
	}
	next := "mesh help MESH-3701"
	if apierrors.IsForbidden(s.Err) || apierrors.IsUnauthorized(s.Err) {
		next = "mesh help MESH-6701"
	}
	switch s.State {
	case lease.Held:
		return doctor.OK("this process leads its zone")
	case lease.Standby:
		if s.Err != nil {
			return []mesh.CheckResult{doctor.Warn(s.Holder, "this process stands by, and the API server doesn't tell who leads any more", cause, next)}
		}
		return doctor.OK("this process stands by; %s leads", orNobody(s.Holder))
	case lease.Unconfirmed:
		return []mesh.CheckResult{doctor.Fail(s.Holder, "the lease could not be renewed, and nothing is written to the cluster until it is", cause, next)}
	}
	return []mesh.CheckResult{doctor.Fail(s.Holder, "it is not known who leads the zone", cause, next)}
}
