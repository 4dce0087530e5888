package meshpeer

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// The last write of a keeper is made, also on a machine that does much else.
func init() { farewell = 30 * time.Second }

func TestCheckEndpoint(t *testing.T) {
	t.Parallel()
	for s, fine := range map[string]bool{
		"a.example.org:1": true, "a_b:65535": true, "10.0.0.1:9102": true, "[2001:db8::1]:9102": true,
		"": false, "a": false, "a:": false, ":1": false, "a:0": false, "a:65536": false, "a:+1": false, "a:x": false,
		"0.0.0.0:1": false, "[::]:1": false, "224.0.0.1:1": false, "[fe80::1%eth0]:1": false, "[10.0.0.1]:1": false,
		"2001:db8::1:9102": false, "999.1.1.1:1": false, "-a:1": false, "a..b:1": false, "http://a:1": false,
		"a b:1": false, strings.Repeat("a", 300) + ":1": false, "[a]:1": false,
	} {
		if err := checkEndpoint(s); (err == nil) != fine {
			t.Errorf("checkEndpoint(%q) = %v, want fine: %t", s, err, fine)
		}
	}
}

func at(sec int64) time.Time { return time.Unix(1700000000+sec, 0) }

// settle judges again and again as the keeper does, writing what it would.
func settle(o *object, f facts) change {
	s := f.judge(o)
	c := compare(o, s)
	if c != same {
		o.status, o.odd = s, false
	}
	return c
}

// A node that is a few operations behind for a moment is in sync; one that stays behind isn't. Neither is a
// transition that has to be written at once.
func TestSyncedIsDamped(t *testing.T) {
	t.Parallel()
	lag, version, transport := uint64(3), "v1", "quic"
	p := &mesh.Peer{Zone: "west", State: mesh.Ready, LagOperations: &lag, Version: &version, Transport: &transport}
	o := &object{generation: 1}
	f := facts{now: at(0), version: "v1", peer: p, behindSince: at(0)}
	if c := settle(o, f); c != news {
		t.Fatalf("the first status is %d, want news", c)
	}
	if got := o.status.condition(Synced).Status; got != "True" {
		t.Errorf("Synced = %s after a moment behind", got)
	}
	f.now = at(29)
	if c := settle(o, f); c != same {
		t.Errorf("29 s behind is %d, want the same", c)
	}
	f.now = at(30)
	if c := settle(o, f); c != refresh || o.status.condition(Synced).Reason != ReasonBehind {
		t.Errorf("30 s behind is %d, Synced %+v", c, o.status.condition(Synced))
	}
}

// lastTransitionTime moves with the status of a condition, not with its reason.
func TestTransitionTimes(t *testing.T) {
	t.Parallel()
	p := &mesh.Peer{State: mesh.NotReady, Reasons: []string{"ProbesMissed"}}
	o := &object{generation: 1}
	f := facts{now: at(0), peer: p}
	settle(o, f)
	p.State, p.Reasons, f.now = mesh.Unavailable, []string{"TimedOut"}, at(90)
	if c := settle(o, f); c != news {
		t.Errorf("NotReady to Unavailable is %d, want news", c)
	}
	if c := o.status.condition(Ready); c.LastTransitionTime != stamp(at(0)) || c.Reason != "TimedOut" {
		t.Errorf("Ready = %+v", c)
	}
	p.State, f.now = mesh.Ready, at(100)
	settle(o, f)
	if c := o.status.condition(Ready); c.LastTransitionTime != stamp(at(100)) {
		t.Errorf("Ready = %+v", c)
	}
}

// A peer of another release speaks the same protocol; one that was refused for its protocol doesn't.
func TestVersionCompatible(t *testing.T) {
	t.Parallel()
	newer, transport := "v2.0.0", "tcp"
	p := &mesh.Peer{State: mesh.Ready, Version: &newer, Transport: &transport}
	f := facts{now: at(0), version: "v1.0.0", peer: p}
	if c := f.judge(&object{}).condition(VersionCompatible); c.Status != "True" || c.Reason != ReasonOtherVersion {
		t.Errorf("another release: %+v", c)
	}
	*p = mesh.Peer{State: mesh.Unknown, LastError: "speaks protocol versions [9], we speak [1]"}
	if c := f.judge(&object{}).condition(VersionCompatible); c.Status != "False" || c.Reason != ReasonNoCommonProtocol {
		t.Errorf("another protocol: %+v", c)
	}
}

// Whatever stands in a status, what is written instead is small and makes sense.
func TestHostileStatus(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1000)
	for _, raw := range []any{
		"x", []any{}, map[string]any{"status": 1}, map[string]any{"status": long, "zone": long, "version": long, "lastSeen": long},
		map[string]any{"conditions": strings.Repeat("x", maxStatus)},
		map[string]any{"status": "Ready", "instance": map[string]any{"zone": "west", "start_timestamp": int64(-1)}},
		map[string]any{"status": "Ready", "updateTime": "x", "conditions": []any{}, "instance": map[string]any{
			"zone": "west", "start_time": "x", "start_timestamp": int64(mesh.MaxIncarnation) + 1}},
	} {
		o := &object{generation: 1}
		o.status, o.odd = readStatus(raw)
		s := facts{now: at(0)}.judge(o)
		if compare(o, s) != news {
			t.Errorf("%.60v stays", raw)
		}
		if len(s.Zone) > 63 || len(s.Version) > maxVersion || s.LastSeen != "" || s.Instance != nil {
			t.Errorf("of %.60v stays %+v", raw, s)
		}
	}
}

// Of more objects than are kept those known before stay.
func TestRegistryIsBounded(t *testing.T) {
	t.Parallel()
	r := newRegistry(keys.Public{})
	known := &object{name: "zzz", uid: "known"}
	r.replace([]*object{known}, at(0))
	var flood []*object
	for i := range maxObjects + 10 {
		flood = append(flood, &object{name: "a" + stamp(at(int64(i))), uid: "x"})
	}
	r.replace(append(flood, known), at(1))
	v := r.view()
	if len(v.objects) != maxObjects || !v.tooMany || r.objects["zzz"] != known {
		t.Errorf("%d objects, too many %t, known %v", len(v.objects), v.tooMany, r.objects["zzz"])
	}
	if r.put(&object{name: "b", uid: "y"}, at(2)); len(r.objects) != maxObjects {
		t.Errorf("%d objects after another one", len(r.objects))
	}
}

func TestReadObjectIsBounded(t *testing.T) {
	t.Parallel()
	var many []any
	for range 1000 {
		many = append(many, strings.Repeat("a", 1000)+":1")
	}
	for _, spec := range []any{nil, "x", map[string]any{"identity": "x"}, map[string]any{"admitted": "yes"},
		map[string]any{"identity": map[string]any{"publicKey": 1, "endpoints": many}, "zone": strings.Repeat("z", 1000)},
		map[string]any{"identity": map[string]any{"publicKey": strings.Repeat("0", 64), "endpoints": []any{1, nil}}},
	} {
		o := readObject(&unstructured.Unstructured{Object: map[string]any{"spec": spec, "metadata": map[string]any{}}})
		if o.keyErr == "" || o.admitted || len(o.endpoints) != 0 || o.zone != "" {
			t.Errorf("%.60v reads as %+v", spec, o)
		}
	}
}

// An object that somebody keeps changing is written ten times and then now and then.
func TestPacing(t *testing.T) {
	t.Parallel()
	p := newPacing()
	n := 0
	for sec := range int64(60) {
		if p.object("uid", at(sec)) {
			n++
		}
	}
	if n < objectBurst || n > objectBurst+7 {
		t.Errorf("%d writes of one object in a minute", n)
	}
	p.pause(opCreate, at(0), 0)
	if p.may(opCreate, at(0)) || !p.may(opCreate, at(1)) || !p.may(opStatus, at(0)) {
		t.Error("a failure of one kind of request pauses another, or none, or for ever")
	}
}
