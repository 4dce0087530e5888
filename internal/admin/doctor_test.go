package admin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
)

// Results arrive as they are found, and the question reaches the node.
func TestDoctorStreams(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	told := make(chan struct{})
	var asked admin.DoctorQuery
	node.doctor = func(ctx context.Context, q admin.DoctorQuery, sink func(mesh.CheckResult)) error {
		asked = q
		sink(mesh.CheckResult{Group: "config", ID: "config.valid", Status: mesh.CheckOK, Message: "first"})
		select {
		case <-told: // the client has the first one before the second is found
		case <-ctx.Done():
			return ctx.Err()
		}
		sink(mesh.CheckResult{Group: "peers", ID: "peers.lag", Subject: "west", Status: mesh.CheckFail, Message: "second", Cause: "why", Next: []string{"mesh log ls"}, Seconds: 0.5})
		sink(mesh.CheckResult{Group: "system", ID: "system.clock", Status: mesh.CheckOK, Message: "not asked for"})
		return nil
	}
	s := serve(t, node, nil)
	c := client(t, "unix:"+s.Socket())
	var got []string
	q := admin.DoctorQuery{Groups: []string{"config", "peers"}, Skip: []string{"peers.loss"}}
	err := c.Doctor(context.Background(), q, func(x mesh.CheckResult) {
		got = append(got, fmt.Sprintf("%s %s %s %s %s %s %v %v", x.Group, x.ID, x.Subject, x.Status, x.Message, x.Cause, x.Next, x.Seconds))
		if len(got) == 1 {
			close(told)
		}
	})
	want := []string{"config config.valid  ok first  [] 0", "peers peers.lag west fail second why [mesh log ls] 0.5"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Doctor = %v\n%q, want\n%q", err, got, want)
	}
	if !slices.Equal(asked.Groups, q.Groups) || !slices.Equal(asked.Skip, q.Skip) {
		t.Errorf("the node was asked %+v, want %+v", asked, q)
	}
}

// A run that breaks off is not taken for one that was told to its end.
func TestDoctorCutOff(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	node.doctor = func(_ context.Context, _ admin.DoctorQuery, sink func(mesh.CheckResult)) error {
		sink(mesh.CheckResult{Group: "config", ID: "config.valid", Status: mesh.CheckOK})
		return errors.New("broken")
	}
	s := serve(t, node, nil)
	n := 0
	var unreachable *admin.UnreachableError
	if err := client(t, "unix:"+s.Socket()).Doctor(context.Background(), admin.DoctorQuery{}, func(mesh.CheckResult) { n++ }); n != 1 || !errors.As(err, &unreachable) {
		t.Errorf("%d results and %v, want 1 and an error of the node", n, err)
	}
}

// Two runs at once, and no third; one that nobody waits for any more ends.
func TestDoctorIsBounded(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	begun, ended := make(chan struct{}, 3), make(chan struct{}, 3)
	node.doctor = func(ctx context.Context, _ admin.DoctorQuery, sink func(mesh.CheckResult)) error {
		begun <- struct{}{}
		<-ctx.Done()
		sink(mesh.CheckResult{}) // too late for anybody, and blocks nobody
		ended <- struct{}{}
		return ctx.Err()
	}
	s := serve(t, node, nil)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 2)
	for range 2 {
		go func() {
			done <- client(t, "unix:"+s.Socket()).Doctor(ctx, admin.DoctorQuery{}, func(mesh.CheckResult) {})
		}()
		<-begun
	}
	var refused *admin.Error
	err := client(t, "unix:"+s.Socket()).Doctor(context.Background(), admin.DoctorQuery{}, func(mesh.CheckResult) {})
	if !errors.As(err, &refused) || refused.Code != admin.CodeStarting {
		t.Errorf("the third run: %v, want %s", err, admin.CodeStarting)
	}
	cancel()
	for range 2 {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Doctor = %v, want %v", err, context.Canceled)
		}
		<-ended
	}
}

// What makes no sense as a question is refused, and so is what makes none as an answer.
func TestDoctorRefusals(t *testing.T) {
	t.Parallel()
	s := serve(t, newFakeNode(t), nil)
	err := client(t, "unix:"+s.Socket()).Doctor(context.Background(), admin.DoctorQuery{Skip: make([]string, 65)}, func(mesh.CheckResult) {})
	var refused *admin.Error
	if !errors.As(err, &refused) || refused.Code != admin.CodeBadRequest {
		t.Errorf("65 ids = %v, want %s", err, admin.CodeBadRequest)
	}
	starting := serve(t, nil, nil)
	err = client(t, "unix:"+starting.Socket()).Doctor(context.Background(), admin.DoctorQuery{}, func(mesh.CheckResult) {})
	if !errors.As(err, &refused) || refused.Code != admin.CodeStarting {
		t.Errorf("a node that starts = %v, want %s", err, admin.CodeStarting)
	}
	for name, body := range map[string]string{
		"no JSON":           "data: x\n\n",
		"an unknown status": `data: {"group":"config","id":"config.valid","status":"fine"}` + "\n\n",
		"no end":            `data: {"group":"config","id":"config.valid","status":"ok"}` + "\n\n",
	} {
		c := admin.NewClientOver(answerWith(body), "test", 0)
		if err := c.Doctor(context.Background(), admin.DoctorQuery{}, func(mesh.CheckResult) {}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// answerWith is a node that always answers the same.
type answerWith string

func (a answerWith) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(a))), Request: r}, nil
}
