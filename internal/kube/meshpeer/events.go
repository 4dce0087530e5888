package meshpeer

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/mesh"
)

// ReportingController is the name under which Kubernetes Events are reported.
const ReportingController = "dcp.hiro.io/mesh-controller"

const (
	maxEvents = 256 // that wait; later ones are dropped and counted
	maxNote   = 1000
	maxReason = 128 // the API server's own cap, as that of a note, 1024

	// maxSeries is how many series are followed at once.
	maxSeries = 1024
	// seriesEvery is how often the count of a series is written, seriesFor how long one goes on without news.
	seriesEvery = 10 * time.Second
	seriesFor   = 6 * time.Minute

	// eventBurst Events may come at once, later ones eventRate a second: a cluster is no log.
	eventBurst = 50
	eventRate  = 5
	eventTries = 5
)

var eventResource = schema.GroupVersionResource{Group: "events.k8s.io", Version: "v1", Resource: "events"}

// Recorder writes Kubernetes Events (events.k8s.io/v1). Events of the same object and reason that follow each other
// within six minutes become one with a count. Notes and reasons come from this software and hold no object content.
// Its methods never block. Safe for concurrent use.
//
// client-go's own recorder is not used: it keeps a goroutine for each Event that can't be written, outlives its
// context, and has no bound but the rate at which Events come.
type Recorder struct {
	events   dynamic.NamespaceableResourceInterface
	log      *slog.Logger
	instance string
	queue    chan happening // never closed
	dropped  atomic.Uint64

	// What follows is owned by the goroutine of Run.
	series    map[seriesKey]*series
	forbidden bool // was logged
	tokens    float64
	at        time.Time
}

// reference names the object that an Event is about.
type reference struct {
	apiVersion, kind, namespace, name, uid string
}

type seriesKey struct {
	about  reference
	reason string
}

type happening struct {
	seriesKey
	at      time.Time
	warning bool
	note    string
}

// series is an Event that was written, and how often it happened since.
type series struct {
	namespace, name string
	count           int32
	written         int32 // of count
	last            time.Time
}

// NewRecorder prepares a Recorder. It sends no request. Nil logger: discard.
func NewRecorder(conn *kube.Connection, logger *slog.Logger) *Recorder {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	host, _ := os.Hostname()
	instance := ReportingController + "-" + host
	return &Recorder{
		events: conn.Dynamic.Resource(eventResource), log: logger, instance: instance[:min(len(instance), maxReason)],
		queue: make(chan happening, maxEvents), series: map[seriesKey]*series{}, tokens: eventBurst,
	}
}

// Object records an Event on a replicated object. uid may be empty where it isn't known. The note is at most 1000
// bytes and says nothing of what the object contains.
func (r *Recorder) Object(key mesh.ObjectKey, apiVersion, uid string, warning bool, reason, note string) {
	r.put(reference{apiVersion, key.Kind, key.Namespace, key.Name, uid}, warning, reason, note)
}

func (r *Recorder) meshPeer(namespace, name, uid string, warning bool, reason, note string) {
	r.put(reference{Resource.GroupVersion().String(), "MeshPeer", namespace, name, uid}, warning, reason, note)
}

// Dropped returns how many Events were not written, because too many came or the API server didn't take them.
func (r *Recorder) Dropped() uint64 { return r.dropped.Load() }

func (r *Recorder) put(about reference, warning bool, reason, note string) {
	select {
	case r.queue <- happening{seriesKey{about, clip(reason, maxReason)}, time.Now(), warning, clip(note, maxNote)}:
	default:
		r.dropped.Add(1)
	}
}

// Run writes Events until ctx ends. What waits then is not written.
func (r *Recorder) Run(ctx context.Context) error {
	tick := time.NewTicker(seriesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case h := <-r.queue:
			r.record(ctx, h)
		case <-tick.C:
			r.renew(ctx, time.Now())
		}
	}
}

func (r *Recorder) record(ctx context.Context, h happening) {
	if s := r.series[h.seriesKey]; s != nil && h.at.Sub(s.last) < seriesFor {
		s.count, s.last = min(s.count+1, 1<<30), h.at
		if s.written == 1 { // that there is a series shows at once, how long it grows later
			r.write(ctx, h.seriesKey, s)
		}
		return
	}
	now := time.Now()
	r.tokens, r.at = min(eventBurst, r.tokens+now.Sub(r.at).Seconds()*eventRate), now
	if r.tokens < 1 || len(r.series) >= maxSeries {
		r.dropped.Add(1)
		return
	}
	r.tokens--
	u := r.event(h)
	err := r.try(ctx, func(ctx context.Context) error {
		_, err := r.events.Namespace(u.GetNamespace()).Create(ctx, u, metav1.CreateOptions{FieldManager: fieldManager})
		return err
	})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		r.lost(err)
		return
	}
	r.series[h.seriesKey] = &series{namespace: u.GetNamespace(), name: u.GetName(), count: 1, written: 1, last: h.at}
}

// event is the first of a series.
func (r *Recorder) event(h happening) *unstructured.Unstructured {
	kind := "Normal"
	if h.warning {
		kind = "Warning"
	}
	about := map[string]any{"apiVersion": h.about.apiVersion, "kind": h.about.kind, "name": h.about.name}
	for field, value := range map[string]string{"namespace": h.about.namespace, "uid": h.about.uid} {
		if value != "" {
			about[field] = value
		}
	}
	namespace := h.about.namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault // where Events of cluster-scoped objects live
	}
	u := &unstructured.Unstructured{Object: map[string]any{
		"eventTime": micro(h.at), "type": kind, "reason": h.reason, "action": h.reason, "note": h.note,
		"regarding": about, "reportingController": ReportingController, "reportingInstance": r.instance,
	}}
	u.SetAPIVersion(eventResource.GroupVersion().String())
	u.SetKind("Event")
	u.SetNamespace(namespace)
	u.SetName(eventName(h.about.name))
	return u
}

// eventName begins with the object's name, as others do it, where that may stand in the name of an Event.
func eventName(object string) string {
	suffix := strings.ToLower(rand.Text())[:16]
	if len(object) > 200 || strings.Trim(object, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" ||
		strings.Trim(object, ".-") != object || strings.Contains(object, "..") || strings.Contains(object, ".-") ||
		strings.Contains(object, "-.") || object == "" {
		return "mesh." + suffix
	}
	return object + "." + suffix
}

// renew writes counts that grew and forgets series that ended.
func (r *Recorder) renew(ctx context.Context, now time.Time) {
	for key, s := range r.series {
		if s.written != s.count && ctx.Err() == nil {
			r.write(ctx, key, s)
		}
		if now.Sub(s.last) >= seriesFor {
			delete(r.series, key)
		}
	}
}

func (r *Recorder) write(ctx context.Context, key seriesKey, s *series) {
	patch, err := json.Marshal(map[string]any{"series": map[string]any{"count": s.count, "lastObservedTime": micro(s.last)}})
	if err != nil {
		return
	}
	err = r.try(ctx, func(ctx context.Context) error {
		_, err := r.events.Namespace(s.namespace).Patch(ctx, s.name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
		return err
	})
	switch {
	case apierrors.IsNotFound(err): // Events live for an hour; the next one begins anew
		delete(r.series, key)
	case err != nil:
		r.lost(err)
	}
	s.written = s.count
}

// try tries a few times while nobody answers.
func (r *Recorder) try(ctx context.Context, do func(context.Context) error) error {
	wait := firstRetry
	for n := 1; ; n++ {
		attempt, cancel := context.WithTimeout(ctx, requestTimeout)
		err := do(attempt)
		cancel()
		if err == nil || !lostContact(err) || n == eventTries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		wait *= 2
	}
}

// lost counts an Event that was not written. That we may not write any is said once.
func (r *Recorder) lost(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	r.dropped.Add(1)
	if !apierrors.IsForbidden(err) {
		r.log.Debug("a Kubernetes Event was not written", "err", clip(err.Error(), maxSentence))
		return
	}
	if !r.forbidden {
		r.log.Warn("this account may not write Kubernetes Events", "err", clip(err.Error(), maxSentence))
	}
	r.forbidden = true
}

func micro(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z07:00") }
