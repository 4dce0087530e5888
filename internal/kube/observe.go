package kube

import (
	"maps"
	"slices"
	"strings"
	"unique"

	"k8s.io/apimachinery/pkg/labels"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/object"
	"dcp.hiro.io/mesh/internal/replica"
)

// partOf marks what belongs to mesh itself: its configuration, its key, its service account.
const (
	partOf     = "app.kubernetes.io/part-of"
	partOfMesh = "mesh"
)

// keyOf names a live object. ok is false for what no API server sends.
func (e *entry) keyOf(live map[string]any) (mesh.ObjectKey, bool) {
	meta := section(live, "metadata")
	name, _ := meta["name"].(string)
	ns, _ := meta["namespace"].(string)
	k := mesh.ObjectKey{Group: e.Group, Kind: e.Kind, Namespace: ns, Name: name}
	asked := text(live, "kind") == e.Kind && text(live, "apiVersion") == e.gv.String()
	return k, asked && k.Validate() == nil && e.covers(k)
}

func section(m map[string]any, path ...string) map[string]any {
	for _, p := range path {
		m, _ = m[p].(map[string]any)
	}
	return m
}

func text(m map[string]any, key string) string {
	s, _ := m[key].(string)
	return s
}

// observe takes in a live object, which it consumes, and reports what the engine doesn't know yet. asked: the engine
// wants a report in any case.
func (c *Cluster) observe(e *entry, live map[string]any, from uint8, asked bool) {
	k, ok := e.keyOf(live)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.proofs.seen(k, true) || asked {
		c.problems.clear(subject{k, topicProof})
	}
	if !c.take(e, live, from, asked) && asked {
		c.proofs.ask(k, true)
	}
}

// take does so under mu, which is held. It returns false if the state is older than what is known: there was nothing
// to report then.
func (c *Cluster) take(e *entry, live map[string]any, from uint8, asked bool) bool {
	k, ok := e.keyOf(live)
	if !ok {
		return true
	}
	meta := section(live, "metadata")
	uid, v := text(meta, "uid"), number(text(meta, "resourceVersion"))
	x := c.at(k)
	defer c.forgetIfEmpty(k)
	x.from |= from
	if x.busy {
		x.keep(&sighting{live, from, asked})
		return true
	}
	if v < x.version && v != 0 { // versions are comparable also between objects that had one name one after the other
		return false
	}
	if uid == x.uid && v == x.version && v != 0 && x.told && !asked {
		return true
	}
	if zone, is := c.replicaOf(x, meta, uid); is {
		c.observeReplica(e, k, x, live, zone, asked)
	} else {
		c.observeLocal(e, k, x, live, asked)
	}
	return true
}

// keep remembers what is seen during a write: the newest state, and whether the engine waits for a report.
func (x *known) keep(s *sighting) {
	if old := x.later; old != nil {
		s.asked = s.asked || old.asked
		if s.live != nil && old.live != nil && versionOf(s.live) < versionOf(old.live) {
			s.live = old.live
		}
	}
	x.later = s
}

func versionOf(live map[string]any) uint64 {
	return number(text(section(live, "metadata"), "resourceVersion"))
}

// replicaOf tells a replica: it is the very object that was written, or mesh wrote the label that names its zone.
// Labels that somebody else wrote prove nothing.
func (c *Cluster) replicaOf(x *known, meta map[string]any, uid string) (mesh.Zone, bool) {
	zone, err := mesh.ParseZone(text(section(meta, "labels"), object.LabelZone))
	if err != nil || zone == c.cfg.Zone {
		zone = ""
	}
	if x.standing == standsReplica && x.uid == uid && uid != "" {
		if zone == "" {
			zone = x.zone
		}
		return zone, true
	}
	return zone, zone != "" && ownsLabel(meta)
}

// ownsLabel reports whether the label that names the zone was written by mesh.
func ownsLabel(meta map[string]any) bool {
	list, _ := meta["managedFields"].([]any)
	for _, m := range list {
		m, _ := m.(map[string]any)
		if m["manager"] != FieldManager {
			continue
		}
		if _, owned := section(m, "fieldsV1", "f:metadata", "f:labels")["f:"+object.LabelZone]; owned {
			return true
		}
	}
	return false
}

func (c *Cluster) observeReplica(e *entry, k mesh.ObjectKey, x *known, live map[string]any, zone mesh.Zone, asked bool) {
	meta := section(live, "metadata")
	uid, rival := text(meta, "uid"), rivalOf(meta)
	if x.standing != standsReplica {
		x.told, x.base, x.content = false, mesh.Hash{}, mesh.Hash{}
	}
	if x.owned == (unique.Handle[string]{}) {
		x.owned = c.ownedByClaim(e, k, zone)
	}
	x.uid, x.version, x.standing, x.shape = uid, number(text(meta, "resourceVersion")), standsReplica, shapeOf(live)
	seen, err := replicated(e, live, x.owned)
	if err != nil {
		c.problems.put(subject{k, topicObject}, ReasonInvalidObject, "cannot be read: "+err.Error())
		return
	}
	content := x.content
	if seen != x.base {
		content = seen
		if c.cfg.Drift == Observe && !x.base.IsZero() {
			content = x.content
			c.problems.put(subject{k, topicObject}, ReasonDrifted, "was altered here, "+byWhom(rival)+"; it stays so until its owner changes it")
		}
	} else {
		c.problems.clear(subject{k, topicObject})
	}
	news := !x.told || seen != x.seen || zone != x.zone || x.drifted && content == x.content
	x.zone, x.seen = zone, seen
	if !news && !asked {
		return
	}
	x.told, x.drifted = true, content != x.content
	if x.drifted && !x.base.IsZero() {
		c.fights.altered(k, rival)
	}
	c.out.add(replica.ReplicaSeen{Object: k, Zone: zone, Content: content})
}

func byWhom(manager string) string {
	if manager == "" {
		return "by somebody"
	}
	return "by " + manager
}

// ownedByClaim names the labels and annotations of the claim that a replica stands for, in a run that has not
// written it yet.
func (c *Cluster) ownedByClaim(e *entry, k mesh.ObjectKey, zone mesh.Zone) unique.Handle[string] {
	p, err := c.cfg.Reader.Payload(mesh.ClaimRef{Object: k, Zone: zone})
	if err != nil || p == nil {
		return intern(ownedNames(nil, nil))
	}
	tree, err := object.DecodeJSON(p)
	if err != nil {
		return intern(ownedNames(nil, nil))
	}
	_, root, err := object.Clean(tree, e.opt)
	if err != nil {
		return intern(ownedNames(nil, nil))
	}
	meta := section(root, "metadata")
	return intern(ownedNames(section(meta, "labels"), section(meta, "annotations")))
}

// ownedNames lists what mesh owns on a replica: the keys of its claim and the bookkeeping labels.
func ownedNames(labels, notes map[string]any) []string {
	out := []string{ownedLabel + object.LabelZone, ownedLabel + object.LabelVersion, ownedLabel + object.LabelEpoch}
	for l := range labels {
		out = append(out, ownedLabel+l)
	}
	for a := range notes {
		out = append(out, ownedAnnotation+a)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// shapeOf says what a patch has to know of a live object.
func shapeOf(live map[string]any) unique.Handle[string] {
	var out []string
	for _, s := range slices.Sorted(maps.Keys(live)) {
		if !isHead(s) {
			out = append(out, s)
		}
	}
	meta := section(live, "metadata")
	if _, ok := meta["labels"].(map[string]any); ok {
		out = append(out, shapeLabels)
	}
	if _, ok := meta["annotations"].(map[string]any); ok {
		out = append(out, shapeNotes)
	}
	return intern(out)
}

// isHead reports whether a top-level key is none of the replicated sections.
func isHead(key string) bool {
	return key == "apiVersion" || key == "kind" || key == "metadata" || key == "status"
}

// replicated hashes what is replicated of a live object, which it consumes: its sections without what is cleaned
// away, and of labels and annotations those that mesh owns.
func replicated(e *entry, live map[string]any, owned unique.Handle[string]) (mesh.Hash, error) {
	meta := section(live, "metadata")
	labels, notes := section(meta, "labels"), section(meta, "annotations")
	ours := map[string]any{}
	for _, name := range spread(owned) {
		var v any
		var has bool
		if l, is := strings.CutPrefix(name, ownedLabel); is {
			v, has = labels[l]
		} else {
			v, has = notes[strings.TrimPrefix(name, ownedAnnotation)]
		}
		if has {
			ours[name] = v
		}
	}
	tree, err := object.FromValues(live)
	if err != nil {
		return mesh.Hash{}, err
	}
	_, root, err := object.Clean(tree, e.opt)
	if err != nil {
		return mesh.Hash{}, err
	}
	all := map[string]any{"metadata": ours}
	for k, v := range root {
		if !isHead(k) || k == "status" && e.Status {
			all[k] = v
		}
	}
	b, err := object.Canonical(all)
	if err != nil {
		return mesh.Hash{}, err
	}
	return mesh.Sum(append([]byte("mesh replica v1\n"), b...)), nil
}

// rivalOf names the manager that changed an object last, if it wasn't mesh. Times are in whole seconds: of changes in
// one second, the other's is taken for the last.
func rivalOf(meta map[string]any) string {
	list, _ := meta["managedFields"].([]any)
	var who, when, ours string
	for _, m := range list {
		m, _ := m.(map[string]any)
		at, name := text(m, "time"), text(m, "manager")
		switch {
		case text(m, "subresource") != "":
		case name == FieldManager:
			ours = max(ours, at)
		case at >= when:
			who, when = name, at
		}
	}
	if when < ours {
		return ""
	}
	return clipName(who)
}

// clipName bounds a name that others chose.
func clipName(s string) string {
	if len(s) > 64 {
		s = s[:64]
	}
	return strings.ToValidUTF8(s, "")
}

func (c *Cluster) observeLocal(e *entry, k mesh.ObjectKey, x *known, live map[string]any, asked bool) {
	meta := section(live, "metadata")
	uid, v := text(meta, "uid"), number(text(meta, "resourceVersion"))
	wasReplica := x.standing == standsReplica
	if wasReplica { // somebody deleted the replica and made an object of their own
		x.base, x.content, x.zone = mesh.Hash{}, mesh.Hash{}, ""
		x.told = false
	}
	wasLocal := x.standing == standsLocal
	x.owned = ownedHere(meta)
	x.shape = shapeOf(live)
	var o object.Object
	var err error
	matches := c.letsOut(e, k, live)
	if matches { // only then is it worth the work
		o, err = parse(live, e.opt)
		matches = !e.excludes(o.Excluded)
	}
	if !matches {
		x.standing, x.told = standsNothing, false
		x.uid, x.version = uid, v
		c.problems.clear(subject{k, topicObject})
		if wasLocal || asked {
			c.out.add(replica.LocalUnmatched{Object: k})
		}
		if wasReplica {
			c.out.add(replica.ReplicaSeen{Object: k})
		}
		return
	}
	x.standing, x.uid, x.version = standsLocal, uid, v
	if err != nil {
		c.problems.put(subject{k, topicObject}, ReasonInvalidObject, "cannot be published: "+err.Error())
		return
	}
	c.problems.clear(subject{k, topicObject})
	content := o.Content()
	label := o.Labelled
	if label == c.cfg.Zone {
		label = ""
	}
	if x.told && content == x.content && label == x.label && !asked {
		return
	}
	x.told, x.content, x.label = true, content, label
	c.out.add(replica.Local{Object: k, Payload: o.Payload, Labelled: label})
}

// letsOut reports whether the configuration publishes an object of ours. What the object is may still exclude it.
func (c *Cluster) letsOut(e *entry, k mesh.ObjectKey, live map[string]any) bool {
	set := labelSet(section(live, "metadata"))
	return e.Publish && e.selector.Matches(set) && c.cfg.Publishes(k) && !c.private(k, live, set)
}

// excludes says whether what the object is keeps it here. Namespaces are the configuration's business.
func (e *entry) excludes(reason string) bool {
	switch reason {
	case "", object.ExcludedNamespace:
		return false
	case object.ExcludedControlled:
		return !e.IncludeControlled
	}
	return true
}

// private reports whether an object is mesh's own, or a Secret with this node's key.
func (c *Cluster) private(k mesh.ObjectKey, live map[string]any, set labels.Set) bool {
	if set[partOf] == partOfMesh {
		return true
	}
	return k.Group == "" && k.Kind == "Secret" && c.holdsKey(section(live, "data"))
}

// ownedHere names the bookkeeping labels that stand on an object of ours, such as one that was adopted.
func ownedHere(meta map[string]any) unique.Handle[string] {
	var out []string
	for l := range section(meta, "labels") {
		if l == object.LabelZone || l == object.LabelVersion || l == object.LabelEpoch {
			out = append(out, ownedLabel+l)
		}
	}
	slices.Sort(out)
	return intern(out)
}

func labelSet(meta map[string]any) labels.Set {
	set := labels.Set{}
	for k, v := range section(meta, "labels") {
		set[k], _ = v.(string)
	}
	return set
}
