package meshpeer_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/kube/meshpeer"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
)

func TestMain(m *testing.M) { kubetest.Main(m) }

// patience is far beyond what anything takes on a machine that does much else.
const patience = time.Minute

// server returns the shared server, with MeshPeers installed and a user that only RBAC gives rights to.
func server(t *testing.T) *kubetest.Server {
	t.Helper()
	s := kubetest.SharedAs(t, "meshpeer", kubetest.User("limited"))
	install(t, s)
	return s
}

func install(t *testing.T, s *kubetest.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := meshpeer.Install(ctx, connect(t, s, s.Token, "default")); err != nil {
		t.Fatal(err)
	}
}

func connect(t *testing.T, s *kubetest.Server, token, namespace string) *kube.Connection {
	t.Helper()
	c := &kube.Connection{Namespace: namespace, Config: &rest.Config{
		Host: s.URL, BearerToken: token, QPS: -1, TLSClientConfig: rest.TLSClientConfig{CAData: s.CAData},
	}}
	var err error
	if c.Dynamic, err = dynamic.NewForConfig(c.Config); err != nil {
		t.Fatal(err)
	}
	if c.Discovery, err = discovery.NewDiscoveryClientForConfig(c.Config); err != nil {
		t.Fatal(err)
	}
	return c
}

// key makes the key of a name, always the same.
func key(name string) keys.Public {
	return keys.FromSeed(sha256.Sum256([]byte(name))).Public()
}

// own starts a server for tests that take it apart.
func own(t *testing.T) *kubetest.Server {
	t.Helper()
	return kubetest.Start(t, kubetest.User("limited"))
}

func none(context.Context) ([]mesh.Peer, error) { return nil, nil }

// fixture is a Keeper at work whose peers the test decides.
type fixture struct {
	t      *testing.T
	s      *kubetest.Server
	ns     string
	keeper *meshpeer.Keeper
	self   keys.Public
	stop   func()

	mu       sync.Mutex
	peers    []mesh.Peer
	rulings  map[keys.Public]meshpeer.Ruling
	inc      mesh.Incarnation
	admitted []meshpeer.Admitted
	calls    int
}

// start runs a keeper. What it is to find at once is prepared before.
func start(t *testing.T, s *kubetest.Server, ns, token string, prepare ...func(*fixture)) *fixture {
	t.Helper()
	f := &fixture{t: t, s: s, ns: ns, self: key("self"), inc: 1700000000000}
	for _, p := range prepare {
		p(f)
	}
	conn := connect(t, s, token, ns)
	recorder := meshpeer.NewRecorder(conn, nil)
	var err error
	f.keeper, err = meshpeer.New(meshpeer.Config{
		Conn: conn, Self: f.self, Zone: "east", Version: "v1.2.3", Recorder: recorder,
		Advertise:   func() []string { return []string{"east.example.org:9102"} },
		Incarnation: func() mesh.Incarnation { f.mu.Lock(); defer f.mu.Unlock(); return f.inc },
		Peers: func(context.Context) ([]mesh.Peer, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			return slices.Clone(f.peers), nil
		},
		Standing: func(_ context.Context, of []keys.Public) (map[keys.Public]meshpeer.Ruling, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			out := map[keys.Public]meshpeer.Ruling{}
			for _, k := range of {
				if x, ok := f.rulings[k]; ok {
					out[k] = x
				}
			}
			return out, nil
		},
		OnAdmitted: func(a []meshpeer.Admitted) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.admitted = a
			f.calls++
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = f.keeper.Run(ctx) })
	wg.Go(func() { _ = recorder.Run(ctx) })
	f.stop = func() { cancel(); wg.Wait() }
	t.Cleanup(f.stop)
	return f
}

func (f *fixture) set(peers ...mesh.Peer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.peers = peers
}

// rule has the mesh say something about a key.
func (f *fixture) rule(k keys.Public, reason, message string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rulings = maps.Clone(f.rulings)
	if f.rulings == nil {
		f.rulings = map[keys.Public]meshpeer.Ruling{}
	}
	f.rulings[k] = meshpeer.Ruling{Reason: reason, Message: message}
}

// told is what the keeper said is admitted.
func (f *fixture) told() []meshpeer.Admitted {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.admitted
}

func peerOf(k keys.Public, state mesh.PeerState) mesh.Peer {
	lag, version, now := uint64(0), "v1.2.3", time.Now()
	inc := time.UnixMilli(1710000000000)
	p := mesh.Peer{
		Zone: "west", State: state, PublicKey: k.String(), Endpoints: []string{"west.example.org:9102"},
		LagOperations: &lag, Version: &version, LastSeen: &now, Incarnation: &inc, Reasons: []string{},
	}
	switch state {
	case mesh.Ready:
		transport := "quic"
		p.Transport = &transport
	case mesh.NotReady:
		p.Reasons = []string{"ProbesMissed"}
	case mesh.Unavailable:
		p.Reasons = []string{"TimedOut"}
	case mesh.Unknown:
		p.Reasons, p.Version, p.Incarnation, p.LastSeen = []string{"NotHeardYet"}, nil, nil, nil
	}
	return p
}

// object is what the tests look at of a MeshPeer.
type object struct {
	Metadata struct {
		Name, UID, ResourceVersion string
		Annotations                map[string]string
	}
	Spec struct {
		Admitted bool
		Identity struct {
			PublicKey string
			Endpoints []string
		}
	}
	Status struct {
		Status, Zone, Version, UpdateTime, LastSeen string
		ObservedGeneration                          int64
		Instance                                    *struct {
			Zone           string
			StartTime      string `json:"start_time"`
			StartTimestamp uint64 `json:"start_timestamp"`
		}
		Conditions []struct{ Type, Status, Reason, Message, LastTransitionTime string }
	}
}

// is tells a condition as Status/Reason.
func (o object) is(kind string) string {
	for _, c := range o.Status.Conditions {
		if c.Type == kind {
			return c.Status + "/" + c.Reason
		}
	}
	return ""
}

func path(ns string) string { return "/apis/dcp.hiro.io/v1/namespaces/" + ns + "/meshpeers" }

func (f *fixture) list() []object {
	f.t.Helper()
	var l struct{ Items []object }
	f.get(path(f.ns), &l)
	return l.Items
}

func (f *fixture) get(path string, into any) {
	f.t.Helper()
	status, body := f.s.Do(f.t, "GET", path, nil)
	if status != 200 {
		return
	}
	if err := json.Unmarshal(body, into); err != nil {
		f.t.Fatal(err)
	}
}

// of returns the objects of a key.
func (f *fixture) of(k keys.Public) (out []object) {
	f.t.Helper()
	for _, o := range f.list() {
		if strings.EqualFold(o.Spec.Identity.PublicKey, k.String()) {
			out = append(out, o)
		}
	}
	return out
}

// wants waits until the only object of a key has this state and this condition Ready.
func (f *fixture) wants(k keys.Public, state, ready string) object {
	f.t.Helper()
	var o object
	eventually(f.t, func() string {
		all := f.of(k)
		if len(all) != 1 {
			return fmt.Sprintf("%d objects of key %s", len(all), k.Short())
		}
		if o = all[0]; o.Status.Status != state || o.is("Ready") != ready {
			return fmt.Sprintf("%s is %s, Ready %s; want %s, %s", o.Metadata.Name, o.Status.Status, o.is("Ready"), state, ready)
		}
		return ""
	})
	return o
}

func (f *fixture) create(o string) string {
	f.t.Helper()
	status, body := f.s.Do(f.t, "POST", path(f.ns), o)
	if status != 201 {
		f.t.Fatalf("create: %d %s", status, body)
	}
	var made object
	if err := json.Unmarshal(body, &made); err != nil {
		f.t.Fatal(err)
	}
	return made.Metadata.Name
}

func (f *fixture) patch(name, patch string) {
	f.t.Helper()
	if status, body := f.s.Do(f.t, "PATCH", path(f.ns)+"/"+name, patch); status != 200 {
		f.t.Fatalf("patch: %d %s", status, body)
	}
}

func (f *fixture) delete(name string) {
	f.t.Helper()
	if status, body := f.s.Do(f.t, "DELETE", path(f.ns)+"/"+name, nil); status != 200 {
		f.t.Fatalf("delete: %d %s", status, body)
	}
}

func manifest(name string, k keys.Public, spec string) string {
	return fmt.Sprintf(`{"apiVersion":"dcp.hiro.io/v1","kind":"MeshPeer","metadata":{"name":%q},
		"spec":{%s"identity":{"publicKey":%q,"endpoints":["10.0.0.1:9102"]}}}`, name, spec, k)
}

// eventually polls until check says nothing.
func eventually(t *testing.T, check func() string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		why := check()
		if why == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(why)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// admits waits until exactly these keys are admitted.
func (f *fixture) admits(want ...keys.Public) {
	f.t.Helper()
	eventually(f.t, func() string {
		got := f.told()
		if len(got) != len(want) {
			return fmt.Sprintf("%d keys are admitted, want %d; problems: %v", len(got), len(want), f.keeper.Problems())
		}
		for _, k := range want {
			if !slices.ContainsFunc(got, func(a meshpeer.Admitted) bool { return a.Key == k }) {
				return "not admitted: " + k.Short()
			}
		}
		return ""
	})
}

// problem waits until the keeper tells of a problem.
func (f *fixture) problem(reason string) {
	f.t.Helper()
	eventually(f.t, func() string {
		for _, p := range f.keeper.Problems() {
			if p.Reason == reason {
				return ""
			}
		}
		return fmt.Sprintf("no problem %s, but %v", reason, f.keeper.Problems())
	})
}
