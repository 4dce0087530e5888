package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

// This file asks an API server about itself and about what this account may do, for whoever looks for a fault. It changes
// nothing: access reviews are questions, though they are sent as creations.

// Version asks the API server for its version, such as v1.34.1.
func (c *Connection) Version(ctx context.Context) (string, error) {
	v, err := discovery.ToDiscoveryInterfaceWithContext(c.Discovery).ServerVersionWithContext(ctx)
	if err != nil {
		return "", err
	}
	return clipName(v.GitVersion), nil
}

var reviewOfSelf = schema.GroupVersionResource{Group: "authentication.k8s.io", Version: "v1", Resource: "selfsubjectreviews"}

// Account asks the API server whom it takes this process for, such as system:serviceaccount:mesh:mesh.
func (c *Connection) Account(ctx context.Context) (string, error) {
	answer, err := c.Dynamic.Resource(reviewOfSelf).Create(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": reviewOfSelf.GroupVersion().String(), "kind": "SelfSubjectReview",
	}}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	name, _, err := unstructured.NestedString(answer.Object, "status", "userInfo", "username")
	return name, err
}

// Unanswered reports whether an error of a request is the want of an answer rather than one.
func Unanswered(err error) bool { return err != nil && !answered(err) }

// Type is the type of an entry as the API server offers it.
type Type struct {
	Plural     string
	Namespaced bool
}

// ErrNotServed says that the API server doesn't offer a type, or is about to remove it.
var ErrNotServed = errNotServed

// Offered looks for the type of an entry. ErrNotServed: there is none, or its definition is being deleted.
func (c *Connection) Offered(ctx context.Context, e Entry) (Type, error) {
	x := &entry{Entry: e}
	s, err := newTypes(c.Discovery).resolve(ctx, x, e.Version, true)
	if err != nil {
		return Type{}, err
	}
	if e.Status && !s.status {
		return Type{}, fmt.Errorf("%s has no status subresource, and the entry replicates it", x)
	}
	return Type{s.gvr.Resource, s.namespaced}, nil
}

// Right is one thing that an account may do or not.
type Right struct {
	Verb, Group, Resource string
	Subresource           string
	Namespace             string // empty: all of them, or a resource that lives in none
	Name                  string // empty: any
}

// What names the resource as RBAC does: deployments.apps/status.
func (r Right) What() string {
	s := r.Resource
	if r.Group != "" {
		s += "." + r.Group
	}
	if r.Subresource != "" {
		s += "/" + r.Subresource
	}
	return s
}

// Where says in words where the right holds.
func (r Right) Where() string {
	if r.Namespace == "" {
		return "in the whole cluster"
	}
	return "in namespace " + r.Namespace
}

func (r Right) compare(o Right) int {
	return cmp.Or(cmp.Compare(r.Namespace, o.Namespace), cmp.Compare(r.Group, o.Group), cmp.Compare(r.Resource, o.Resource),
		cmp.Compare(r.Subresource, o.Subresource), cmp.Compare(r.Name, o.Name), cmp.Compare(r.Verb, o.Verb))
}

const eventsGroup = "events.k8s.io"

// Rights lists what an adapter with this entry, whose type is t, asks of an API server.
func (e Entry) Rights(t Type) []Right {
	places := e.Namespaces
	if len(places) == 0 || !t.Namespaced || e.Apply && e.CreateNamespaces {
		places = []string{""}
	}
	var out []Right
	for _, ns := range places {
		add := func(group, resource, sub string, verbs ...string) {
			for _, v := range verbs {
				out = append(out, Right{Verb: v, Group: group, Resource: resource, Subresource: sub, Namespace: ns})
			}
		}
		add(e.Group, t.Plural, "", "get", "list", "watch")
		if e.Apply {
			add(e.Group, t.Plural, "", "create", "patch", "delete")
			if e.Status {
				add(e.Group, t.Plural, "status", "patch")
			}
			if e.CreateNamespaces {
				add("", "namespaces", "", "create")
			}
		}
		add(eventsGroup, "events", "", "create", "patch")
	}
	return out
}

// OwnRights lists what a node asks of the API server for itself, in its namespace. lease is the name of its Lease; marks:
// it labels its pod while it leads.
func OwnRights(namespace, lease string, marks bool) []Right {
	var out []Right
	add := func(group, resource, sub, name string, verbs ...string) {
		for _, v := range verbs {
			out = append(out, Right{v, group, resource, sub, namespace, name})
		}
	}
	add("dcp.hiro.io", "meshpeers", "", "", "get", "list", "watch", "create", "patch")
	add("dcp.hiro.io", "meshpeers", "status", "", "patch")
	add("coordination.k8s.io", "leases", "", "", "create")
	add("coordination.k8s.io", "leases", "", lease, "get", "update")
	add(eventsGroup, "events", "", "", "create", "patch")
	if marks {
		add("", "pods", "", "", "patch")
	}
	return out
}

const (
	// maxReviewed bounds the rights that are asked about, reviewsAtOnce how many at the same time.
	maxReviewed   = 1000
	reviewsAtOnce = 8
)

var reviews = schema.GroupVersionResource{Group: "authorization.k8s.io", Version: "v1", Resource: "selfsubjectaccessreviews"}

// Missing asks the API server which of these rights this account lacks, in order and each once. asked is how many it
// asked about: at most 1,000. An error says that some question was not answered.
func (c *Connection) Missing(ctx context.Context, rights []Right) (missing []Right, asked int, err error) {
	rights = slices.Clone(rights)
	slices.SortFunc(rights, Right.compare)
	rights = slices.Compact(rights)
	rights = rights[:min(len(rights), maxReviewed)]
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	allowed, errs := make([]bool, len(rights)), make([]error, len(rights))
	room := make(chan struct{}, reviewsAtOnce)
	var wg sync.WaitGroup
	for i, r := range rights {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			if allowed[i], errs[i] = c.review(ctx, r); errs[i] != nil {
				cancel() // the others would fail alike
			}
		})
	}
	wg.Wait()
	for i, r := range rights {
		if errs[i] != nil && (err == nil || errors.Is(err, context.Canceled)) {
			err = errs[i]
		}
		if !allowed[i] && errs[i] == nil {
			missing = append(missing, r)
		}
	}
	return missing, len(rights), err
}

func (c *Connection) review(ctx context.Context, r Right) (bool, error) {
	attributes := map[string]any{"verb": r.Verb, "resource": r.Resource}
	for field, value := range map[string]string{"group": r.Group, "subresource": r.Subresource, "namespace": r.Namespace, "name": r.Name} {
		if value != "" {
			attributes[field] = value
		}
	}
	answer, err := c.Dynamic.Resource(reviews).Create(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": reviews.GroupVersion().String(), "kind": "SelfSubjectAccessReview", "spec": map[string]any{"resourceAttributes": attributes},
	}}, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	allowed, _, err := unstructured.NestedBool(answer.Object, "status", "allowed")
	return allowed, err
}

// Brief words an error of a request in one line of bounded length, which holds nothing of an object.
func Brief(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	return clip(text)
}
