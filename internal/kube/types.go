package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

// errNotServed says that the API server has no such type, or is about to remove it.
var errNotServed = errors.New("is not served by this API server")

// notServed says so of the type of an entry in a version.
func (e *entry) notServed(version string) error {
	return fmt.Errorf("%s in version %s %w", e, version, errNotServed)
}

// typesFresh is how long discovery is believed where nothing is proven by it.
const typesFresh = time.Minute

// served is a type as the API server offers it.
type served struct {
	gvr        schema.GroupVersionResource
	namespaced bool
	status     bool // has a status subresource
}

// misfit says why a key can't be that of an object of the type. The API server ignores a namespace that an object can't
// have, so that such a key would lead to the object of another one.
func (t served) misfit() error {
	if t.namespaced {
		return errors.New("its key names no namespace, and its kind lives in one")
	}
	return errors.New("its key names a namespace, and its kind lives in none")
}

// types knows which types are served. Safe for concurrent use.
type types struct {
	api discovery.ServerResourcesInterfaceWithContext
	mu  sync.Mutex
	of  map[schema.GroupVersion]*group
}

type group struct {
	at   time.Time
	list *metav1.APIResourceList
}

func newTypes(api discovery.DiscoveryInterface) *types {
	return &types{api: discovery.ToServerResourcesInterfaceWithContext(api), of: map[schema.GroupVersion]*group{}}
}

// resolve finds the type of an entry in a version. fresh asks the API server whatever is known. errNotServed:
// there is none, or its definition is being deleted; then nothing that is missing was deleted by anybody.
func (t *types) resolve(ctx context.Context, e *entry, version string, fresh bool) (served, error) {
	gv := schema.GroupVersion{Group: e.Group, Version: version}
	t.mu.Lock()
	g := t.of[gv]
	t.mu.Unlock()
	if g == nil || fresh || time.Since(g.at) > typesFresh {
		list, err := t.api.ServerResourcesForGroupVersionWithContext(ctx, gv.String())
		if apierrors.IsNotFound(err) {
			t.forget(gv)
			return served{}, e.notServed(version)
		}
		if err != nil {
			return served{}, fmt.Errorf("ask which types of %s exist: %w", gv, err)
		}
		g = &group{at: time.Now(), list: list}
		t.mu.Lock()
		t.of[gv] = g
		t.mu.Unlock()
	}
	return find(g.list, e, gv)
}

func find(list *metav1.APIResourceList, e *entry, gv schema.GroupVersion) (served, error) {
	var s served
	for _, r := range list.APIResources {
		plural, sub, _ := strings.Cut(r.Name, "/")
		if sub != "" || r.Kind != e.Kind || e.Plural != "" && plural != e.Plural {
			continue
		}
		if slices.Contains(r.Verbs, "delete") && !slices.Contains(r.Verbs, "create") {
			return s, fmt.Errorf("%s in version %s is being removed and %w", e, gv.Version, errNotServed)
		}
		s = served{gvr: gv.WithResource(plural), namespaced: r.Namespaced}
	}
	if s.gvr.Resource == "" {
		return s, e.notServed(gv.Version)
	}
	s.status = slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == s.gvr.Resource+"/status" })
	return s, nil
}

// forget makes the next question a fresh one.
func (t *types) forget(gv schema.GroupVersion) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.of, gv)
}

// builtin lists the API groups that are part of the API server: their types don't go away.
var builtin = []string{
	"", "admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "apps", "autoscaling", "batch",
	"certificates.k8s.io", "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io", "flowcontrol.apiserver.k8s.io",
	"networking.k8s.io", "node.k8s.io", "policy", "rbac.authorization.k8s.io", "resource.k8s.io",
	"scheduling.k8s.io", "storage.k8s.io", "storagemigration.k8s.io",
}

// lasting reports whether the type of an entry can't be removed.
func (e *entry) lasting() bool { return slices.Contains(builtin, e.Group) }
