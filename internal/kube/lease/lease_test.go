package lease_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/kube/lease"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
)

func TestMain(m *testing.M) { kubetest.Main(m) }

// patience is far beyond what any step takes on a busy machine.
const patience = 90 * time.Second

// cable is the way to the API server; cut, everything that is sent waits for ever.
type cable struct {
	http.RoundTripper
	cut atomic.Bool
}

func (c *cable) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.cut.Load() {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return c.RoundTripper.RoundTrip(r)
}

// candidate is a process that wants to lead.
type candidate struct {
	*lease.Lease
	cable *cable
	stop  context.CancelFunc // asks it to end
	ended chan error         // what Run returned

	mu      sync.Mutex
	told    []time.Time // when Confirmed changed, beginning with true
	leading bool
}

// connection is an administrator's, or of who has the token.
func connection(t *testing.T, s *kubetest.Server, namespace, token string) *kube.Connection {
	t.Helper()
	c := &kube.Connection{Namespace: namespace, Config: &rest.Config{Host: s.URL, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAData: s.CAData}}}
	var err error
	if c.Dynamic, err = dynamic.NewForConfig(c.Config); err != nil {
		t.Fatal(err)
	}
	return c
}

// holder is who holds the lease mesh-east by what stands in it.
func holder(t *testing.T, s *kubetest.Server, namespace string) string {
	t.Helper()
	term, there, err := lease.Look(t.Context(), connection(t, s, namespace, s.Token), "mesh-east")
	if err != nil || !there {
		t.Fatalf("there is a lease: %t, %v", there, err)
	}
	return term.Holder
}

// start runs a candidate for the lease mesh-east until the test ends.
func start(t *testing.T, s *kubetest.Server, namespace, identity, token string) *candidate {
	t.Helper()
	c := &candidate{cable: &cable{}, ended: make(chan error, 1)}
	conn := connection(t, s, namespace, token)
	conn.Config.Wrap(func(rt http.RoundTripper) http.RoundTripper { c.cable.RoundTripper = rt; return c.cable })
	var err error
	c.Lease, err = lease.New(lease.Config{
		Conn: conn, Name: "mesh-east", Identity: identity, Logger: slog.New(slog.NewTextHandler(testWriter{t}, nil)).With("self", identity),
		Confirmed: func(on bool) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if on != (len(c.told)%2 == 0) {
				t.Errorf("%s: Confirmed(%v) twice in a row", identity, on)
			}
			c.told = append(c.told, time.Now())
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.ended <- c.Run(ctx, c.lead)
	}()
	t.Cleanup(func() { stop(); <-done })
	return c
}

// testWriter puts log lines into the test's output.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func (c *candidate) lead(ctx context.Context) error {
	set := func(on bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.leading = on
	}
	set(true)
	defer set(false)
	<-ctx.Done()
	return nil
}

func (c *candidate) leads() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leading
}

// changes returns when Confirmed changed.
func (c *candidate) changes() []time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]time.Time(nil), c.told...)
}

func (c *candidate) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-c.ended:
		return err
	case <-time.After(patience):
		t.Fatalf("Run goes on: %+v", c.Status())
		return nil
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func (c *candidate) await(t *testing.T, state lease.State, holder string) {
	t.Helper()
	until(t, string(state)+" "+holder, func() bool { s := c.Status(); return s.State == state && s.Holder == holder })
}

// One of two leads; when it stops, the other follows at once and not when the record has run out.
func TestHandOver(t *testing.T) {
	t.Parallel()
	s := kubetest.Shared(t)
	ns := s.Namespace(t)
	a := start(t, s, ns, "a", s.Token)
	a.await(t, lease.Held, "a")
	b := start(t, s, ns, "b", s.Token)
	b.await(t, lease.Standby, "a")
	until(t, "a leads", a.leads)
	until(t, "a is confirmed", a.Confirmed)
	if b.leads() || b.Confirmed() {
		t.Errorf("b leads %v, is confirmed %v", b.leads(), b.Confirmed())
	}
	a.stop()
	if err := a.end(t); err != nil || a.leads() || a.Confirmed() {
		t.Errorf("Run of a = %v, leads %v, confirmed %v", err, a.leads(), a.Confirmed())
	}
	if h := holder(t, s, ns); h == "a" {
		t.Error("a has ended and not given the lease back")
	}
	b.await(t, lease.Held, "b")
	until(t, "b leads", b.leads)
	b.stop()
	if err := b.end(t); err != nil {
		t.Error(err)
	}
	if st := b.Status(); st.State != lease.Released {
		t.Errorf("at the end: %+v", st)
	}
}

// A holder that is cut off is succeeded; it has stopped being certain before the other begins, and ends when it sees
// who leads.
func TestCutOffHolderIsSucceeded(t *testing.T) {
	t.Parallel()
	s := kubetest.Shared(t)
	ns := s.Namespace(t)
	a := start(t, s, ns, "a", s.Token)
	a.await(t, lease.Held, "a")
	b := start(t, s, ns, "b", s.Token)
	b.await(t, lease.Standby, "a")
	a.cable.cut.Store(true)
	cut := time.Now()
	b.await(t, lease.Held, "b")
	t.Logf("succeeded after %s", time.Since(cut))
	a.await(t, lease.Unconfirmed, "a")
	if !a.leads() || a.Confirmed() {
		t.Errorf("a leads %v, confirmed %v: it goes on for its peers, unconfirmed", a.leads(), a.Confirmed())
	}
	until(t, "both have told", func() bool { return len(a.changes()) > 1 && len(b.changes()) > 0 }) // the status is a moment ahead
	if lost, won := a.changes()[1], b.changes()[0]; !lost.Before(won) {
		t.Errorf("a was certain until %s, b from %s on", lost, won)
	}
	a.cable.cut.Store(false)
	var lost *lease.LostError
	if err := a.end(t); !errors.As(err, &lost) || lost.Holder != "b" || a.leads() {
		t.Errorf("Run of a = %v, leads %v, want it ended by b", err, a.leads())
	}
	until(t, "b is confirmed", b.Confirmed)
}

// While the API server is away the holder goes on, unconfirmed. Back, it is confirmed, and no standby was faster:
// the outage is no fault of the holder.
func TestHolderOutlivesTheAPIServer(t *testing.T) {
	t.Parallel()
	s := kubetest.Start(t)
	a := start(t, s, "default", "a", s.Token)
	a.await(t, lease.Held, "a")
	b := start(t, s, "default", "b", s.Token)
	b.await(t, lease.Standby, "a")
	s.KillAPIServer(t)
	killed := time.Now()
	a.await(t, lease.Unconfirmed, "a")
	b.await(t, lease.Waiting, "a")
	until(t, "longer away than a record lasts", func() bool { return time.Since(killed) > lease.Duration+time.Second })
	if !a.leads() || a.Status().Err == nil {
		t.Errorf("a leads %v, %+v", a.leads(), a.Status())
	}
	s.StartAPIServer(t)
	a.await(t, lease.Held, "a")
	b.await(t, lease.Standby, "a")
	until(t, "a has told", func() bool { return len(a.changes()) >= 3 }) // the status is a moment ahead
	if n := len(a.changes()); n != 3 || !a.leads() || len(b.changes()) != 0 {
		t.Errorf("a was told %d changes, want certain, not certain, certain; leads %v; b was told %d", n, a.leads(), len(b.changes()))
	}
}

// An API server that is away at the start is waited for.
func TestStartWithoutAPIServer(t *testing.T) {
	t.Parallel()
	s := kubetest.Start(t)
	s.KillAPIServer(t)
	a := start(t, s, "default", "a", s.Token)
	until(t, "a says why it waits", func() bool { return a.Status().Err != nil })
	if st := a.Status(); st.State != lease.Waiting || a.leads() {
		t.Errorf("%+v, leads %v", st, a.leads())
	}
	s.StartAPIServer(t)
	a.await(t, lease.Held, "a")
	until(t, "a leads", a.leads)
}

// Whoever deletes the Lease takes it from nobody; who writes another name into it ends the holder, and so does a
// record that was taken and given back.
func TestMeddling(t *testing.T) {
	t.Parallel()
	s := kubetest.Shared(t)
	path := func(ns string) string { return "/apis/coordination.k8s.io/v1/namespaces/" + ns + "/leases/mesh-east" }
	ns := s.Namespace(t)
	a := start(t, s, ns, "a", s.Token)
	until(t, "a leads", a.leads)
	if status, answer := s.Do(t, http.MethodDelete, path(ns), nil); status != http.StatusOK {
		t.Fatalf("delete: %d %s", status, answer)
	}
	until(t, "the Lease is there again", func() bool {
		status, _ := s.Do(t, http.MethodGet, path(ns), nil)
		return status == http.StatusOK
	})
	if !a.leads() || len(a.changes()) != 1 {
		t.Errorf("a leads %v, was told %d changes", a.leads(), len(a.changes()))
	}
	for holder, want := range map[string]string{"": "was taken by another candidate and given back", "evil\x1b[2J": "was taken by evil?[2J"} {
		ns := s.Namespace(t)
		c := start(t, s, ns, "c", s.Token)
		until(t, "c leads", c.leads)
		status, answer := s.Do(t, http.MethodPatch, path(ns), map[string]any{"spec": map[string]any{"holderIdentity": holder}})
		if status != http.StatusOK {
			t.Fatalf("patch to %q: %d %s", holder, status, answer)
		}
		if err := c.end(t); err == nil || !strings.Contains(err.Error(), want) || c.leads() {
			t.Errorf("Run after the holder became %q = %v, leads %v, want %s", holder, err, c.leads(), want)
		}
	}
}

// Without the right to use Leases nothing is led, and the status says why.
func TestForbidden(t *testing.T) {
	t.Parallel()
	s := kubetest.SharedAs(t, "users", kubetest.User("nobody"))
	a := start(t, s, "default", "a", s.UserToken(t, "nobody"))
	until(t, "a says why it waits", func() bool { return apierrors.IsForbidden(a.Status().Err) })
	if st := a.Status(); st.State != lease.Waiting || !strings.HasPrefix(st.Err.Error(), "read lease default/mesh-east: ") {
		t.Errorf("%+v", st)
	}
	a.stop()
	if err := a.end(t); err != nil {
		t.Error(err)
	}
}

// What lead returns is what Run returns, and the lease is free at once.
func TestLeadFails(t *testing.T) {
	t.Parallel()
	s := kubetest.Shared(t)
	ns := s.Namespace(t)
	l, err := lease.New(lease.Config{Name: "mesh-east", Identity: "a", Conn: connection(t, s, ns, s.Token)})
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the disk is full")
	if err := l.Run(context.Background(), func(context.Context) error { return broken }); err != broken {
		t.Errorf("Run = %v, want the error of lead", err)
	}
	if err := l.Run(context.Background(), nil); err == nil {
		t.Error("a second Run was accepted")
	}
	if h := holder(t, s, ns); h != "" {
		t.Errorf("the lease is held by %q", h)
	}
	start(t, s, ns, "b", s.Token).await(t, lease.Held, "b")
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	conn := &kube.Connection{Config: &rest.Config{}}
	for _, cfg := range []lease.Config{{}, {Conn: conn, Name: "x"}, {Conn: conn, Identity: "x"}, {Conn: conn, Name: "x", Identity: strings.Repeat("x", 254)}} {
		if _, err := lease.New(cfg); err == nil {
			t.Errorf("New(%+v) was accepted", cfg)
		}
	}
}
