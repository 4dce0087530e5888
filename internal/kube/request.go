package kube

import (
	"context"
	"fmt"
	"strings"
	"unique"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	k8stypes "k8s.io/apimachinery/pkg/types"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/object"
	"dcp.hiro.io/mesh/internal/replica"
)

// look reads the object live.
func (a *application) look(ctx context.Context) error {
	t, err := a.c.types.resolve(ctx, a.e, a.e.Version, false)
	if err != nil {
		return err
	}
	live, err := a.c.api(t, a.w.Object).Get(ctx, a.w.Object.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		a.raw, a.now.standing, a.now.uid = nil, standsNothing, ""
		return nil
	}
	if err != nil {
		return err
	}
	a.raw = live.Object
	meta := section(a.raw, "metadata")
	uid := text(meta, "uid")
	if meta["deletionTimestamp"] != nil && a.w.Kind != replica.RemoveReplica && a.w.Kind != replica.RemoveLocal {
		return waitError{text: "the one that stands there is being deleted" + finalizers(meta)}
	}
	if zone, is := a.c.replicaOf(&a.now, meta, uid); is {
		a.now.standing, a.now.zone = standsReplica, zone
		if a.now.owned == (unique.Handle[string]{}) {
			a.now.owned = a.c.ownedByClaim(a.e, a.w.Object, zone)
		}
	} else {
		o, err := parse(runtimeCopy(a.raw), a.e.opt)
		if err != nil {
			return err
		}
		a.foreign = !a.c.letsOut(a.e, a.w.Object, a.raw) || a.e.excludes(o.Excluded)
		a.now.standing, a.now.content, a.now.owned = standsLocal, o.Content(), ownedHere(meta)
	}
	a.now.uid, a.now.version, a.now.shape = uid, number(text(meta, "resourceVersion")), shapeOf(a.raw)
	return nil
}

// finalizers words what a deletion waits for.
func finalizers(meta map[string]any) string {
	list, _ := meta["finalizers"].([]any)
	var names []string
	for _, f := range list[:min(len(list), 3)] {
		s, _ := f.(string)
		names = append(names, clipName(s))
	}
	if len(names) == 0 {
		return ""
	}
	return " and waits for its finalizers: " + strings.Join(names, ", ")
}

func (a *application) create(ctx context.Context, want *wanted) (map[string]any, error) {
	k := a.w.Object
	meta := map[string]any{"name": k.Name, "labels": want.labels}
	if k.Namespace != "" {
		meta["namespace"] = k.Namespace
	}
	if len(want.notes) > 0 {
		meta["annotations"] = want.notes
	}
	body := map[string]any{"apiVersion": a.t.gvr.GroupVersion().String(), "kind": k.Kind, "metadata": meta}
	for s, v := range want.sections {
		body[s] = v
	}
	if want.status != nil && !a.t.status {
		body["status"] = want.status
	}
	u := &unstructured.Unstructured{Object: body}
	for made := false; ; made = true {
		if err := a.allowed(ctx); err != nil {
			return nil, err
		}
		got, err := a.c.api(a.t, k).Create(ctx, u, metav1.CreateOptions{FieldManager: FieldManager})
		switch {
		case err == nil:
			return got.Object, nil
		case !namespaceMissing(err) || made:
			return nil, err
		case !a.e.CreateNamespaces:
			return nil, fmt.Errorf("namespace %s does not exist", k.Namespace)
		}
		if err := a.c.createNamespace(ctx, k.Namespace); err != nil {
			return nil, err
		}
	}
}

func (c *Cluster) createNamespace(ctx context.Context, name string) error {
	ns := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name},
	}}
	_, err := c.cfg.Conn.Dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).
		Create(ctx, ns, metav1.CreateOptions{FieldManager: FieldManager})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create namespace %s: %w", name, err)
	}
	return nil
}

// change patches the object that stands there. Where this cluster keeps fields of its own within the sections, or
// some are to be ignored, they are taken from a live read.
func (a *application) change(ctx context.Context, want *wanted) (map[string]any, error) {
	if a.raw == nil && (a.e.keepsFields() || a.now.version == 0) {
		if err := a.look(ctx); err != nil {
			return nil, err
		}
		if a.now.standing == standsNothing {
			return a.create(ctx, want)
		}
	}
	full, owned := want, a.now.owned
	if a.raw != nil {
		meta := section(a.raw, "metadata")
		owned = present(owned, section(meta, "labels"), section(meta, "annotations"))
		if a.e.keepsFields() {
			var err error
			if full, err = want.keeping(a.raw, a.e.opt); err != nil {
				return nil, err
			}
		}
	}
	if want.status != nil && !a.t.status { // then it is a section like the others
		all := *full
		all.sections = without(full.sections, "status")
		all.sections["status"] = want.status
		full = &all
	}
	b, err := full.patch(fmt.Sprint(a.now.version), a.now.shape, owned)
	if err != nil {
		return nil, finalError{err}
	}
	got, err := a.patch(ctx, b, "")
	if err != nil {
		a.raw = nilUnlessFinal(a.raw, err)
	}
	return got, err
}

// nilUnlessFinal forgets a live object that a conflict proved to be outdated.
func nilUnlessFinal(raw map[string]any, err error) map[string]any {
	if apierrors.IsConflict(err) {
		return nil
	}
	return raw
}

// allowed waits until it is certain that nobody else writes. A write may take several requests.
func (a *application) allowed(ctx context.Context) error {
	if !a.c.gate.wait(ctx) {
		return ctx.Err()
	}
	return nil
}

func (a *application) patch(ctx context.Context, body []byte, subresource string) (map[string]any, error) {
	if err := a.allowed(ctx); err != nil {
		return nil, err
	}
	var sub []string
	if subresource != "" {
		sub = []string{subresource}
	}
	got, err := a.c.api(a.t, a.w.Object).Patch(ctx, a.w.Object.Name, k8stypes.JSONPatchType, body,
		metav1.PatchOptions{FieldManager: FieldManager}, sub...)
	if err != nil {
		return nil, err
	}
	return got.Object, nil
}

// finish writes the status where it is replicated, and takes in what the API server made of the object.
func (a *application) finish(ctx context.Context, want *wanted, got map[string]any, becomes standing) error {
	if want.status != nil && a.t.status {
		b, err := encode([]patchOp{{"add", "/status", notNull{want.status}}})
		if err != nil {
			return finalError{err}
		}
		if got, err = a.patch(ctx, b, "status"); err != nil {
			return fmt.Errorf("write the status: %w", err)
		}
	}
	a.reportDropped(want, got)
	if want.version != a.e.Version { // what is compared later comes in the version of the entry
		t, err := a.c.types.resolve(ctx, a.e, a.e.Version, false)
		if err != nil {
			return err
		}
		live, err := a.c.api(t, a.w.Object).Get(ctx, a.w.Object.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		got = live.Object
	}
	return a.took(got, want.owned, becomes)
}

// topicFields is what an API server left out of an object.
const topicFields = "fields"

func (a *application) reportDropped(want *wanted, got map[string]any) {
	about := subject{a.w.Object, topicFields}
	sections := want.sections
	if a.e.Group == "" && a.e.Kind == "Secret" {
		sections = without(sections, "stringData") // is written, never read
	}
	if want.status != nil {
		sections = without(sections, "status")
		sections["status"] = want.status
	}
	tree, err := object.FromValues(runtimeCopy(got))
	if err != nil {
		return
	}
	if paths := dropped(sections, tree, "", nil); len(paths) > 0 {
		a.c.problems.put(about, ReasonFieldsDropped, "this cluster doesn't know, and dropped: "+strings.Join(paths, ", "))
		return
	}
	a.c.problems.clear(about)
}

// took takes in an answer of the API server.
func (a *application) took(got map[string]any, owned unique.Handle[string], becomes standing) error {
	a.wrote = true
	meta := section(got, "metadata")
	a.now.uid, a.now.version = text(meta, "uid"), number(text(meta, "resourceVersion"))
	a.now.standing, a.now.owned, a.now.shape = becomes, owned, shapeOf(got)
	if becomes == standsLocal {
		o, err := parse(got, a.e.opt)
		if err != nil {
			return err
		}
		a.now.content, a.now.base, a.now.seen, a.now.zone, a.now.label = o.Content(), mesh.Hash{}, mesh.Hash{}, "", ""
		return nil
	}
	base, err := replicated(a.e, got, owned)
	if err != nil {
		return err
	}
	a.now.base, a.now.seen, a.now.content, a.now.zone = base, base, a.w.Content, a.w.Zone
	a.now.stated, a.now.epoch = a.w.Version, a.w.Epoch
	return nil
}
