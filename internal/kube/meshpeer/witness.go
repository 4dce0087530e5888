package meshpeer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// WitnessAnnotation of the own MeshPeer holds the witness: 64 hex digits that name the cluster, /, and a counter.
const WitnessAnnotation = "dcp.hiro.io/witness"

// witnessTries bounds how often a write of somebody else may come between reading and writing.
const witnessTries = 5

var (
	// ErrWitnessMalformed says that an own MeshPeer carries an annotation that nobody can make sense of. It is
	// never taken for none.
	ErrWitnessMalformed = errors.New("the annotation " + WitnessAnnotation + " is no witness")
	// ErrForeignCluster says that another zone's node works on this cluster, in the same namespace: a node that goes on
	// would take its objects for those of its own zone.
	ErrForeignCluster = errors.New("this is the cluster of another zone")
	// ErrWitnessNewer says that the cluster carries a higher counter than the one to be written.
	ErrWitnessNewer = errors.New("the cluster carries a newer witness")
)

// ownObject is one MeshPeer of the own key, as a live read showed it.
type ownObject struct {
	raw     *unstructured.Unstructured
	present bool
	witness event.Witness
	// incarnation that its status names for our zone; 0: none
	incarnation mesh.Incarnation
}

// ReadWitness reads the witness live. present is false only if it is certain that the cluster carries none: the
// MeshPeers of the namespace were read, and where none of them is ours the API server would make one. inc is the
// highest incarnation of this zone that an own MeshPeer names, 0 if none does. Of several own MeshPeers the witness
// with the highest counter counts. Errors: ErrWitnessMalformed, ErrForeignCluster, and whatever kept it from being read.
func (k *Keeper) ReadWitness(ctx context.Context) (w event.Witness, present bool, inc mesh.Incarnation, err error) {
	own, err := k.readOwn(ctx)
	if err != nil {
		return w, false, 0, fmt.Errorf("read the witness: %w", err)
	}
	for _, o := range own {
		inc = max(inc, o.incarnation)
	}
	if len(own) == 0 {
		return w, false, 0, nil
	}
	return own[0].witness, own[0].present, inc, nil
}

// WriteWitness writes the witness, onto a new MeshPeer if this node has none. It is done when the API server said
// so. A counter below that of the same cluster is refused with ErrWitnessNewer; the same one is no write.
func (k *Keeper) WriteWitness(ctx context.Context, w event.Witness) error {
	var err error
	for range witnessTries {
		if err = k.writeWitness(ctx, w); err == nil {
			return nil
		}
		if !errors.Is(err, errRaced) && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			break
		}
	}
	return fmt.Errorf("write the witness: %w", err)
}

func (k *Keeper) writeWitness(ctx context.Context, w event.Witness) error {
	own, err := k.readOwn(ctx)
	if err != nil {
		return err
	}
	text := formatWitness(w)
	if len(own) == 0 {
		_, err := k.create(ctx, k.cfg.Self, k.cfg.Advertise(), map[string]string{WitnessAnnotation: text})
		return err
	}
	for _, o := range own {
		if o.present && o.witness.Cluster == w.Cluster && o.witness.Counter > w.Counter {
			return fmt.Errorf("%w: it stands at %d, to be written was %d", ErrWitnessNewer, o.witness.Counter, w.Counter)
		}
	}
	if !own[0].present || own[0].witness != w {
		o := readObject(own[0].raw)
		fresh, err := k.patch(ctx, o, append(when(o.uid, o.rv), annotate(own[0].raw, WitnessAnnotation, text)...))
		if err != nil {
			return err
		}
		k.registry.wrote(fresh, o.rv)
	}
	for _, other := range own[1:] { // what they carry must not count for more than what was just written
		if !other.present {
			continue
		}
		o := readObject(other.raw)
		path := annotate(other.raw, WitnessAnnotation, "")[0].Path
		if _, err := k.patch(ctx, o, append(when(o.uid, o.rv), patchOp{Op: "remove", Path: path})); err != nil {
			return err
		}
	}
	return nil
}

// readOwn returns the own MeshPeers, the one whose witness counts first. None are returned only where the API
// server would make one.
func (k *Keeper) readOwn(ctx context.Context) ([]ownObject, error) {
	var own []ownObject
	var bad error
	err := k.each(ctx, func(u *unstructured.Unstructured) {
		text, _, _ := unstructured.NestedString(u.Object, "spec", "identity", "publicKey")
		key, err := keys.ParsePublic(text)
		if err == nil && key != k.cfg.Self {
			if zone := k.witnessedBy(u); zone != "" {
				bad = fmt.Errorf("%w: MeshPeer %s carries the witness of zone %s. Use the right context, or delete that MeshPeer if its node is gone for good",
					ErrForeignCluster, clip(u.GetName(), 253), zone)
			}
			return
		}
		if err != nil || len(own) >= maxOwn {
			return
		}
		o := ownObject{raw: u.DeepCopy(), incarnation: k.incarnationOf(u)}
		if text, ok := u.GetAnnotations()[WitnessAnnotation]; ok {
			var err error
			if o.witness, err = parseWitness(text); err != nil {
				bad = fmt.Errorf("MeshPeer %s: %w", clip(u.GetName(), 253), err)
			}
			o.present = true
		}
		own = append(own, o)
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("list MeshPeers: %w", err)
	}
	if bad != nil {
		return nil, bad
	}
	if len(own) == 0 {
		return nil, k.lives(ctx) // a namespace that is missing lists as an empty one
	}
	slices.SortStableFunc(own, func(a, b ownObject) int {
		if a.present != b.present {
			if a.present {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.witness.Counter, a.witness.Counter),
			a.raw.GetCreationTimestamp().Compare(b.raw.GetCreationTimestamp().Time),
			strings.Compare(a.raw.GetName(), b.raw.GetName()))
	})
	return own, nil
}

// witnessedBy returns the other zone whose node keeps its witness in a MeshPeer; empty: none, or a former key of ours.
func (k *Keeper) witnessedBy(u *unstructured.Unstructured) mesh.Zone {
	s, _ := readStatus(u.Object["status"])
	if _, carries := u.GetAnnotations()[WitnessAnnotation]; !carries || s == nil {
		return ""
	}
	named := s.Zone
	if s.Instance != nil {
		named = s.Instance.Zone
	}
	zone, err := mesh.ParseZone(named)
	if err != nil || zone == k.cfg.Zone {
		return ""
	}
	return zone
}

// incarnationOf is what the status of an own MeshPeer names for our zone; 0 for none and for what is none.
func (k *Keeper) incarnationOf(u *unstructured.Unstructured) mesh.Incarnation {
	s, _ := readStatus(u.Object["status"])
	if s == nil || s.Instance == nil || s.Instance.Zone != string(k.cfg.Zone) ||
		s.Instance.StartTimestamp > uint64(mesh.MaxIncarnation) {
		return 0
	}
	return mesh.Incarnation(s.Instance.StartTimestamp)
}

func formatWitness(w event.Witness) string { return fmt.Sprintf("%s/%d", w.Cluster, w.Counter) }

// parseWitness accepts exactly what formatWitness writes.
func parseWitness(s string) (w event.Witness, err error) {
	cluster, counter, _ := strings.Cut(s, "/")
	if w.Cluster, err = mesh.ParseHash(cluster); err != nil {
		return event.Witness{}, ErrWitnessMalformed
	}
	if w.Counter, err = strconv.ParseUint(counter, 10, 64); err != nil || formatWitness(w) != s || w.Cluster.IsZero() {
		return event.Witness{}, ErrWitnessMalformed
	}
	return w, nil
}
