package meshpeer

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
)

// maxObjects is how many MeshPeers are kept: far more than zones of any mesh. Of more than that those stay that
// were known before.
const maxObjects = 4096

// maxAdmitted is how many admissions are taken, the oldest objects first.
const maxAdmitted = 1024

// maxOwn is how many objects of the own key are told apart. There should be one.
const maxOwn = 16

// registry is what the cluster holds, as the last list and the watch since then told. Safe for concurrent use.
// Objects in it are never changed, only replaced.
type registry struct {
	mu       sync.Mutex
	objects  map[string]*object
	listed   bool // there was a whole list
	tooMany  bool
	self     keys.Public
	own      []string                 // UIDs of our own objects in the last list that held one
	gone     map[keys.Public][]string // admitted ones whose objects vanished, and own when they did
	goneFrom time.Time                // when the first of gone vanished
}

func newRegistry(self keys.Public) *registry {
	return &registry{objects: map[string]*object{}, gone: map[keys.Public][]string{}, self: self}
}

// replace takes a whole list. Objects that were admitted and are missing in it are remembered as gone.
func (r *registry) replace(list []*object, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fresh := make(map[string]*object, len(list))
	for _, known := range []bool{true, false} { // those known before come first
		for _, o := range list {
			if old := r.objects[o.name]; (old != nil && old.uid == o.uid) == known && len(fresh) < maxObjects {
				fresh[o.name] = o
			}
		}
	}
	r.tooMany = len(fresh) < len(list)
	old := r.objects
	r.objects, r.listed = fresh, true
	for name, o := range old {
		if fresh[name] == nil || fresh[name].uid != o.uid {
			r.vanished(o, now)
		}
	}
	var own []string
	for _, o := range list {
		if o.keyErr == "" && o.key == r.self && !o.deleting {
			own = append(own, o.uid)
		}
	}
	if len(own) > 0 {
		r.own = own[:min(len(own), maxOwn)]
	}
}

// put takes one object of a watch. again asks for a new list: this is an object of ours that no list has shown
// beside the others.
func (r *registry) put(o *object, now time.Time) (again bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	again = o.keyErr == "" && o.key == r.self && len(r.own) < maxOwn && !slices.Contains(r.own, o.uid)
	old := r.objects[o.name]
	if old == nil && len(r.objects) >= maxObjects {
		r.tooMany = true
		return again
	}
	r.objects[o.name] = o
	if old != nil && old.uid != o.uid {
		r.vanished(old, now)
	}
	return again
}

// wrote takes what the API server answered to a write that was made for a state of the object, unless the watch
// has told of a later one.
func (r *registry) wrote(o *object, rv string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.objects[o.name]; old == nil && rv == "" && len(r.objects) < maxObjects || old != nil && old.uid == o.uid && old.rv == rv {
		r.objects[o.name] = o
	}
}

func (r *registry) remove(o *object, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.objects[o.name]
	if old == nil || old.uid != o.uid {
		return
	}
	delete(r.objects, o.name)
	r.vanished(old, now)
}

// vanished remembers an admission that can't be seen any more.
func (r *registry) vanished(o *object, now time.Time) {
	if !o.admitted || o.keyErr != "" {
		return
	}
	if len(r.gone) == 0 {
		r.goneFrom = now
	}
	r.gone[o.key] = r.own
}

// withdrawn forgets an admission: it is proven to be over, or never counted.
func (r *registry) withdrawn(key keys.Public) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.gone, key)
}

// missing returns the keys whose admitted objects vanished and that have no other, each with the UIDs of our own
// objects that stood beside it, and since when.
func (r *registry) missing() (map[keys.Public][]string, time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.objects {
		if o.keyErr == "" {
			delete(r.gone, o.key) // an object says now what holds, whether it admits or not
		}
	}
	return maps.Clone(r.gone), r.goneFrom
}

// view is the registry at one moment, in an order that doesn't change: of several objects of one key the one that
// counts comes first.
type view struct {
	objects []*object
	listed  bool
	tooMany bool
}

func (r *registry) view() view {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := view{listed: r.listed, tooMany: r.tooMany, objects: make([]*object, 0, len(r.objects))}
	for _, o := range r.objects {
		v.objects = append(v.objects, o)
	}
	slices.SortFunc(v.objects, r.byPrecedence)
	return v
}

// byPrecedence orders objects of one key: what people admitted counts before what is only shown, the older before
// the younger, so that nobody takes a key over by creating another object for it. To admit the own key means nothing.
func (r *registry) byPrecedence(a, b *object) int {
	wants := func(o *object) bool { return o.admitted && o.key != r.self }
	if wants(a) != wants(b) {
		if wants(a) {
			return -1
		}
		return 1
	}
	return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.name, b.name))
}

// first returns for each key the object that counts.
func (v view) first() map[keys.Public]*object {
	m := make(map[keys.Public]*object, len(v.objects))
	for _, o := range v.objects {
		if o.keyErr == "" && m[o.key] == nil {
			m[o.key] = o
		}
	}
	return m
}

// admissions tells what is admitted and what became of each object that wants to be, by name.
func (v view) admissions(self keys.Public) ([]Admitted, map[string]verdict) {
	verdicts := map[string]verdict{}
	first := v.first()
	var out []Admitted
	for _, o := range v.objects {
		switch {
		case o.keyErr != "":
			verdicts[o.name] = verdict{ReasonInvalidKey, "The key is none: " + o.keyErr + "."}
		case !o.admitted:
			if o.endpointErr != "" {
				verdicts[o.name] = verdict{ReasonInvalidEndpoint, "The endpoints can't be used: " + o.endpointErr + "."}
			}
		case o.key == self:
			verdicts[o.name] = verdict{ReasonOwnKey, "This is the node's own key, which needs no admission."}
		case first[o.key] != o:
			verdicts[o.name] = verdict{ReasonDuplicateKey, "MeshPeer " + first[o.key].name + " has the same key and is the one that counts."}
		case o.endpointErr != "":
			verdicts[o.name] = verdict{ReasonInvalidEndpoint, "Not admitted: " + o.endpointErr + "."}
		case o.zoneErr != "":
			verdicts[o.name] = verdict{ReasonInvalidZone, "Not admitted: " + o.zoneErr + "."}
		case len(out) >= maxAdmitted:
			verdicts[o.name] = verdict{ReasonTooMany, "Not admitted: too many MeshPeers are, and older ones come first."}
		default:
			verdicts[o.name] = verdict{ReasonAdmitted, "This MeshPeer admits the key here."}
			out = append(out, Admitted{o.key, o.zone, o.endpoints})
		}
	}
	slices.SortFunc(out, func(a, b Admitted) int { return a.Key.Compare(b.Key) })
	return out, verdicts
}
