package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/kube/lease"
	"dcp.hiro.io/mesh/internal/kube/remote"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/store"
)

// Refusals that no other transcript shows, each as its command prints it.
func TestRefusals(t *testing.T) {
	t.Parallel()
	var told strings.Builder
	ran := func(te *testEnv, line string) {
		te.tell(&told, line, te.mesh(t, strings.Fields(line)[1:]...))
	}

	te := newTestEnv(t)
	te.env.files.openFile = nil
	ran(te, "mesh keygen new.key")
	te = newTestEnv(t)
	te.env.stdout = brokenPipe{}
	ran(te, "mesh completion bash")
	te = newTestEnv(t)
	te.tempDir = te.path("missing")
	ran(te, "mesh demo")

	w := fileWorld(t, nil)
	w.writeFile(t, "file", "", 0o600)
	ran(w.testEnv, "mesh run --zone east --data-dir file/x")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	for _, which := range []string{"MESH_HTTP_BIND_PORT", "MESH_BIND_PORT"} {
		w = fileWorld(t, nil)
		w.vars[which] = port
		ran(w.testEnv, "mesh run --zone east --strict-port")
	}
	w = fileWorld(t, nil)
	ran(w.testEnv, "mesh run --zone east --incluster")

	text := told.String()
	for _, hide := range [][2]string{{`(report is in |send the report: )\S+`, "${1}REPORT"}, {`(127\.0\.0\.1:|on port )` + port, "${1}PORT"}} {
		text = regexp.MustCompile(hide[0]).ReplaceAllString(text, hide[1])
	}
	golden(t, "refusals", text)
}

// What a node refuses.
func TestRefusalsOfANode(t *testing.T) {
	t.Parallel()
	var told strings.Builder
	node := newFakeNode(t)
	dir := serveFake(t, node)
	asked := func(line string, prepare func(*testEnv)) {
		te := inspectEnv(t)
		te.vars["MESH_NODE"] = "unix:" + admin.SocketPath(dir)
		if prepare != nil {
			prepare(te)
		}
		te.tell(&told, line, te.mesh(t, strings.Fields(line)[1:]...))
	}
	set := func(refusal, broken error) {
		node.mu.Lock()
		defer node.mu.Unlock()
		node.refusal, node.broken = refusal, broken
	}
	set(nil, errors.New("read page 7: input/output error"))
	asked("mesh status", nil)
	set(nil, nil)

	i := &inspector{self: inviteKey(1), zone: "east"}
	gone := func(k byte) *event.Event {
		return &event.Event{Kind: event.KindRemove, Remove: &event.Remove{Key: inviteKey(k), Cuts: []event.Cut{event.NothingStands}}}
	}
	for _, refusal := range []error{
		i.cannotInvite(inviteView(), admin.InviteRequest{For: inviteKey(1)}), i.cannotInvite(inviteView(), admin.InviteRequest{Zone: "east"}),
		i.cannotInvite(inviteView(gone(3)), admin.InviteRequest{For: inviteKey(3)}), i.cannotInvite(inviteView(gone(1)), admin.InviteRequest{}),
		unreached(), tooManyInvites(), zoneTaken("west", inviteKey(2), mesh.NotReady),
		&admin.Error{Code: admin.CodeBadRequest, Message: "the request was not understood", Cause: "ttlSeconds 0: want 1 to 604800", // of a client of another version
			Next: []string{"mesh version, which tells both versions"}},
	} {
		set(refusal, nil)
		asked("mesh invite --zone west", nil)
	}
	set(notSigned(), nil)
	asked("mesh peers remove lab -y", nil)
	set(notAdoptable(mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: "app"}, "the start has not been compared with the other nodes yet"), nil)
	asked("mesh adopt ConfigMap/default/app -y", nil)
	set(nil, nil)
	asked("mesh peers accept-deletes west", func(te *testEnv) { // while the question is being read, the set grows
		te.isTerminal = func(s any) bool { return s == te.stdin }
		te.stdin = &changingAnswer{Reader: strings.NewReader("y\n"), change: func() {
			node.mu.Lock()
			defer node.mu.Unlock()
			node.held[0].Digest = mesh.Sum([]byte("abc")).String()
		}}
	})
	asked("mesh log show --show-secrets -y -o json --object Secret/default/token", func(te *testEnv) {
		te.vars["MESH_NODE"] = "http://" + serveTCP(t, newFakeNode(t))
	})
	silent, err := net.Listen("unix", filepath.Join(dir, "silent.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	asked("mesh status --timeout 50ms", func(te *testEnv) { te.vars["MESH_NODE"] = "unix:" + silent.Addr().String() })

	locked := storeOf(t, newFakeNode(t))
	s, err := store.Open(filepath.Join(locked, storeName), store.Options{Ballast: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	asked("mesh log ls --data-dir STORE", func(te *testEnv) {
		te.dir = filepath.Dir(locked)
		if err := os.Symlink(locked, filepath.Join(te.dir, "STORE")); err != nil {
			t.Fatal(err)
		}
	})
	golden(t, "refusals-node", regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(strings.ReplaceAll(told.String(), dir, "DIR"), "127.0.0.1:PORT"))
}

// changingAnswer changes the world when it is read.
type changingAnswer struct {
	io.Reader
	change func()
}

func (a *changingAnswer) Read(p []byte) (int, error) {
	if a.change != nil {
		a.change()
		a.change = nil
	}
	return a.Reader.Read(p)
}

// What cannot be brought about here without a full disk, another process or a cluster is worded all the same.
func TestWordsOfRefusals(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	r := &running{cfg: &config.Config{DataDir: ".mesh", Mesh: config.Mesh{Zone: "east"}}, log: log}
	secret := secretName{namespace: "shop", name: "mesh-key"}
	secrets := schema.GroupResource{Resource: "secrets"}
	own := store.Identity{Network: "default", Zone: "east", Author: seedKey(1).Public()}
	other := store.Identity{Network: "default", Zone: "west", Author: seedKey(2).Public()}
	te := newTestEnv(t)
	te.dir = "FOLDER"
	forbidden := &remote.ForbiddenError{User: "jane", Verb: "create", Resource: "pods/portforward", Namespace: "mesh-system"}
	var told strings.Builder
	for _, err := range []error{
		storeOpenError(".mesh/mesh.db", &store.ForeignError{Path: ".mesh/mesh.db", Have: other, Want: own}),
		storeOpenError(".mesh/mesh.db", store.ErrLocked),
		storeOpenError(".mesh/mesh.db", store.ErrNewer),
		storeOpenError(".mesh/mesh.db", fmt.Errorf("%w: %w", store.ErrDiskFull, syscall.ENOSPC)),
		storeOpenError(".mesh/mesh.db", fmt.Errorf("open: %w", syscall.EACCES)),
		runError(r, admin.ErrSocketInUse),
		runError(r, &lease.LostError{Holder: "mesh-1_9f8e7d6c"}),
		runError(r, errors.New("commit: input/output error")),
		(&demo{e: te.env, step: "a change reaches west", dir: "/tmp/mesh-demo-1"}).failure(errors.New("not within 1m0s: west/manifests/mesh/east/default/configmap/shop.yaml holds version 2")),
		secretError(secret, "kind-east", apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "shop")),
		secretError(secret, "kind-east", apierrors.NewInternalError(errors.New("x"))),
		secretError(secret, "kind-east", apierrors.NewForbidden(secrets, "mesh-key", errors.New("no"))),
		secretHolds(secret, "it has no secretKey"),
		kubeError(te.env, forbidden),
		kubeError(te.env, errors.Join(remote.ErrReadOnly, forbidden)),
		kubeError(te.env, remote.ErrReadOnly),
		kubeError(te.env, remote.ErrViaNone),
		kubeError(te.env, &remote.UnauthenticatedError{Text: "the token has expired"}),
		kubeError(te.env, &remote.NotInstalledError{}),
		kubeError(te.env, &remote.NoNodeError{Namespace: "default"}),
		kubeError(te.env, &remote.NoNodeError{Namespace: "default", Elsewhere: []string{"mesh-system"}}),
		kubeError(te.env, &remote.NoNodeError{Namespace: "mesh-system", Pod: "mesh-0", Phase: "Pending"}),
		kubeError(te.env, &remote.PodError{Namespace: "mesh-system", Pod: "mesh-0", Via: "proxy", Err: remote.ErrNoProxy}),
		kubeError(te.env, &remote.PodError{Namespace: "mesh-system", Pod: "mesh-0", Via: "port-forward", Err: errors.New("connection refused")}),
		kubeError(te.env, &remote.UnreachableError{Host: "https://127.0.0.1:6443", Err: syscall.ECONNREFUSED}),
	} {
		te.stdout.Reset()
		te.stderr.Reset()
		te.tell(&told, "", te.fail(err, false))
	}
	golden(t, "refusals-words", strings.ReplaceAll(told.String(), "$ \n", ""))
}

// shownByScripts has the codes that no golden file shows, why, and the script that does.
var shownByScripts = map[string]struct{ script, why string }{
	"MESH-2005": {"testdata/run/config.txtar", "file modes are the machine's"},
	"MESH-2702": {"testdata/run/config.txtar", "client-go reads KUBECONFIG of the process, which parallel tests share"},
	"MESH-3701": {"testdata/kubernetes/away.txtar", "it takes an API server that goes away"},
	"MESH-3702": {"testdata/kubernetes/lease.txtar", "it takes two processes and a Lease"},
	"MESH-6701": {"testdata/kubernetes/lost.txtar", "it takes an API server that refuses a Lease"},
}

// Every code is shown by a golden file, but for those of which shownByScripts names the script.
func TestEveryCodeIsShown(t *testing.T) {
	t.Parallel()
	shown := map[string]bool{}
	code := regexp.MustCompile(`(?:docs:  mesh help |"code":")(MESH-[0-9]{4})`)
	for _, pattern := range []string{"testdata/golden/*.txt", "testdata/script/*.txtar"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range code.FindAllSubmatch(text, -1) {
				shown[string(m[1])] = true
			}
		}
	}
	for _, c := range errorCodes() {
		by, listed := shownByScripts[c.Code]
		switch {
		case listed && shown[c.Code]:
			t.Errorf("%s is shown by a golden file; take it out of shownByScripts", c.Code)
		case listed:
			if text, err := os.ReadFile(by.script); err != nil || !bytes.Contains(text, []byte(c.Code)) {
				t.Errorf("%s is not in %s (%v)", c.Code, by.script, err)
			}
		case !shown[c.Code]:
			t.Errorf("no golden file shows %s (%s): add a command that is refused with it to a transcript", c.Code, c.Title)
		}
	}
}

// Every failure that a golden file shows names its cause, or details, and the next command.
func TestRefusalsSayWhyAndWhatNext(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/golden/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var what, rest string
		for line := range strings.Lines(string(text)) {
			line, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "! ")
			if _, after, asked := strings.Cut(line, "[y/N] error: "); asked {
				line = "error: " + after
			}
			switch {
			case !ok:
				what = ""
			case strings.HasPrefix(line, "error: "):
				what, rest = line, ""
			case strings.HasPrefix(line, "  docs:") && what != "":
				if !strings.Contains(rest, "  next:  ") || strings.HasPrefix(rest, "  next:") && !strings.Contains(what[len("error: "):], ": ") {
					t.Errorf("%s: %s\n%s", name, what, rest)
				}
				what = ""
			default:
				rest += line + "\n"
			}
		}
	}
}

// Exit codes are the first digit of the code, for whatever fails.
func TestExitCodesFollowFromCodes(t *testing.T) {
	t.Parallel()
	for _, c := range errorCodes() {
		if got, want := (&cliError{Code: c.Code}).exitCode(), int(c.Code[5]-'0'); got != want {
			t.Errorf("%s exits with %d", c.Code, got)
		}
		if !slices.ContainsFunc(exitCodes(), func(m meaning) bool { return m.name == c.Code[5:6] }) {
			t.Errorf("%s: its exit code is not explained", c.Code)
		}
	}
}

// serveTCP serves a node on loopback, as api.listen does, and returns the address.
func serveTCP(t *testing.T, node *fakeNode) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	serveFakeAt(t, node, address)
	return address
}
