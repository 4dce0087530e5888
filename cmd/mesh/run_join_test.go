package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/node"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/store"
	"dcp.hiro.io/mesh/internal/token"
)

// fileWorld is a machine whose node joins by a token file.
func fileWorld(t *testing.T, change func(*token.Token)) *joinWorld {
	t.Helper()
	w := newJoinWorld(t)
	w.writeFile(t, "token", fakeToken(change).String()+"\n", 0o600)
	w.writeFile(t, "private.key", otherSeed, 0o600)
	for k, v := range map[string]string{"BIND_PORT": "0", "HTTP_BIND_PORT": "0", "BIND_ADDRESS": "[127.0.0.1]", "HTTP_BIND_ADDRESS": "127.0.0.1", "LOG_FORMAT": "text", "LOG_LEVEL": "INFO"} {
		w.vars["MESH_"+k] = v
	}
	return w
}

// What stands against joining ends the process before anybody is asked, with its code.
func TestRunWithATokenFileRefused(t *testing.T) {
	t.Parallel()
	var told strings.Builder
	for _, tt := range []struct {
		name, args string
		change     func(*token.Token)
		exit       int
		code       string
	}{
		{"no file", "--join-file nothere", nil, 2, "MESH-2501"},
		{"no token", "--join-file private.key", nil, 6, "MESH-6504"},
		{"another zone", "--join-file token --zone north", nil, 6, "MESH-6513"},
		{"no zone", "--join-file token", func(t *token.Token) { t.Zone = "" }, 2, "MESH-2001"},
		{"another network", "--join-file token --network-id other", nil, 6, "MESH-6505"},
		{"for another", "--join-file token", func(t *token.Token) { t.For = seedKey(8).Public() }, 6, "MESH-6507"},
		{"its own", "--join-file token -k own.key", func(t *token.Token) { t.Inviter = seedKey(9).Public() }, 2, "MESH-2502"},
	} {
		w := fileWorld(t, tt.change)
		w.writeFile(t, "own.key", seedKey(9).Hex(), 0o600)
		got := w.mesh(t, append([]string{"run"}, strings.Fields(tt.args)...)...)
		w.tell(&told, "mesh run "+tt.args+"    # "+tt.name, got)
		if got != tt.exit || !strings.Contains(w.stderr.String(), "docs:  mesh help "+tt.code+"\n") || len(w.asked) > 0 {
			t.Errorf("%s: exit %d, want %d %s, asked %d:\n%s", tt.name, got, tt.exit, tt.code, len(w.asked), w.stderr.String())
		}
	}
	golden(t, "run-join-refused", told.String())
}

// The inviter is asked again while it cannot answer; what it refuses ends the process.
func TestRunWithATokenFileRepeats(t *testing.T) {
	t.Parallel()
	w := fileWorld(t, nil)
	answers := []error{&node.JoinUnreachable{Tries: []node.JoinTry{{Endpoint: "203.0.113.7:9102", Cause: "the connection was refused"}}}, &node.JoinRefused{Code: "revoked"}}
	w.join = func(_ context.Context, c node.JoinConfig) (node.Joined, error) {
		w.asked = append(w.asked, c)
		return node.Joined{}, answers[len(w.asked)-1]
	}
	if got := w.mesh(t, "run", "--join-file", "token"); got != 6 || len(w.asked) != 2 || w.asked[0].Zone != "west" {
		t.Errorf("exit %d, asked %d:\n%s", got, len(w.asked), w.stderr.String())
	}
	out := w.stderr.String()
	if !strings.Contains(out, "WARN mesh.join not joined yet again=1s") || !strings.Contains(out, "203.0.113.7:9102  the connection was refused") || !strings.Contains(out, "docs:  mesh help MESH-6503\n") {
		t.Errorf("stderr\n%s", out)
	}
	if strings.Contains(out+w.stdout.String(), "meshinv1_") {
		t.Error("the token is in the log")
	}
	if s, err := store.OpenReadOnly(w.path(".mesh/mesh.db")); err != nil {
		t.Error(err)
	} else if index, err := s.Load(); err != nil || len(index.Contacts) > 0 {
		t.Errorf("the store holds %+v, %v", index, err)
	} else if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A node that waits for its inviter answers probes, and stops when it is told to.
func TestRunStopsWhileItJoins(t *testing.T) {
	t.Parallel()
	w := fileWorld(t, nil)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	w.join = func(context.Context, node.JoinConfig) (node.Joined, error) {
		if _, err := os.Stat(w.path(".mesh/api.sock")); err == nil { // it listens while it joins
			stop()
		}
		return node.Joined{}, &node.JoinRefused{Code: "not_ready"}
	}
	if got := run(ctx, []string{"mesh", "run", "--join-file", "token"}, w.env); got != 0 {
		t.Errorf("exit %d:\n%s", got, w.stderr.String())
	}
	if _, err := os.Stat(w.path(".mesh/api.sock")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}

// A node that was admitted never looks at the file again: neither through the inviter that its store names, nor through a
// statement about its key.
func TestRunIgnoresATokenFileOnceAdmitted(t *testing.T) {
	t.Parallel()
	own := keys.Public{}
	if err := own.UnmarshalText([]byte(otherPublic)); err != nil {
		t.Fatal(err)
	}
	admit := trustOp(t, seedKey(1), event.Event{Kind: event.KindAdmit, Admit: &event.Admit{Key: own, Zone: "west"}})
	other := trustOp(t, seedKey(1), event.Event{Kind: event.KindAdmit, Admit: &event.Admit{Key: seedKey(2).Public(), Zone: "lab"}})
	inviter := oplog.Contact{Key: seedKey(1).Public(), Endpoints: []string{"127.0.0.1:9"}, Inviter: true}
	meta := &oplog.Meta{Network: "prod", Zone: "west", Author: own, Created: 1_700_000_000_000}
	for _, tt := range []struct {
		name  string
		batch oplog.Batch
		joins bool
		zone  mesh.Zone
		net   mesh.NetworkID
	}{
		{"new", oplog.Batch{}, true, "west", "default"},
		{"others only", oplog.Batch{Trust: []oplog.TrustOp{other}, Contacts: []oplog.Contact{{Key: seedKey(2).Public(), Endpoints: []string{"127.0.0.1:9"}}}}, true, "west", "default"},
		{"inviter", oplog.Batch{Contacts: []oplog.Contact{inviter}, Meta: meta}, false, "west", "prod"},
		{"admission", oplog.Batch{Trust: []oplog.TrustOp{admit}}, false, "west", "default"},
	} {
		w := fileWorld(t, nil)
		cfg, err := loadConfig(w.env, config.Options{Overrides: []config.Override{{Key: "join.token_file", Origin: "--join-file", Values: []string{"token"}}}, RequireZone: true})
		if err != nil {
			t.Fatal(err)
		}
		s, err := store.Open(w.path("mesh.db"), store.Options{Ballast: -1})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(&tt.batch); err != nil {
			t.Fatal(err)
		}
		key, err := w.readKey("private.key")
		if err != nil {
			t.Fatal(err)
		}
		r := &running{e: w.env, cfg: cfg, store: s, key: key}
		must, err := r.mustJoin()
		if err != nil || (must != nil) != tt.joins || cfg.Mesh.Zone != tt.zone || cfg.NetworkID != tt.net {
			t.Errorf("%s: %+v, %v, zone %s, network %s", tt.name, must, err, cfg.Mesh.Zone, cfg.NetworkID)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// trustOp is a signed statement as a store keeps it.
func trustOp(t *testing.T, key keys.Private, ev event.Event) oplog.TrustOp {
	t.Helper()
	ev.Instance = mesh.Instance{Zone: "east", Incarnation: mesh.Incarnation(fakeNow.Add(-time.Hour).UnixMilli())}
	body, err := event.Encode(&ev)
	if err != nil {
		t.Fatal(err)
	}
	op, err := operation.Sign(key, operation.Header{Log: mesh.LogIDOf("default", ev.Instance), Timestamp: 1}, body)
	if err != nil {
		t.Fatal(err)
	}
	return oplog.TrustOp{ID: op.ID, Header: op.Raw, Body: op.Body}
}

// Started with a new key, a node talks to those that its former key knew: what that key stated counts no more with a node
// that nobody admitted yet.
func TestInherit(t *testing.T) {
	t.Parallel()
	w := fileWorld(t, nil)
	old, own := seedKey(1), keys.Public{}
	if err := own.UnmarshalText([]byte(otherPublic)); err != nil {
		t.Fatal(err)
	}
	west, lab, north := seedKey(2).Public(), seedKey(3).Public(), seedKey(4).Public()
	w.writeFile(t, "private.key"+handOverSuffix, token.SignHandOver(old, own, fakeNow).String()+"\n", 0o644)
	s, err := store.Open(w.path("mesh.db"), store.Options{Ballast: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Commit(&oplog.Batch{
		Trust: []oplog.TrustOp{
			trustOp(t, old, event.Event{Kind: event.KindAdmit, Admit: &event.Admit{Key: west, Zone: "west"}}),
			trustOp(t, seedKey(8), event.Event{Kind: event.KindAdmit, Admit: &event.Admit{Key: lab, Zone: "lab"}}), // by nobody known
			{ID: mesh.Sum([]byte("x")), Header: []byte("x"), Body: []byte("y")},
		},
		Contacts: []oplog.Contact{{Key: north, Endpoints: []string{"127.0.0.1:9"}, Inviter: true}, {Key: lab, Endpoints: []string{"127.0.0.1:9"}}},
	}); err != nil {
		t.Fatal(err)
	}
	cfg, err := loadConfig(w.env, config.Options{Peers: []string{testPublic + "@127.0.0.1:9"}})
	if err != nil {
		t.Fatal(err)
	}
	key, err := w.readKey("private.key")
	if err != nil {
		t.Fatal(err)
	}
	r := &running{e: w.env, cfg: cfg, store: s, key: key}
	r.members.configure(cfg.Nodes)
	r.openHandOver("private.key" + handOverSuffix)
	if err := r.inherit(); err != nil || r.handOver == nil || r.handOver.From != old.Public() {
		t.Fatalf("%+v, %v: %s", r.handOver, err, w.stderr.String())
	}
	var got []keys.Public
	for _, p := range r.members.all() {
		got = append(got, p.Key)
	}
	want := []keys.Public{cfg.Nodes[0].Key, west, north}
	slices.SortFunc(got, keys.Public.Compare)
	slices.SortFunc(want, keys.Public.Compare)
	if !slices.Equal(got, want) {
		t.Errorf("it talks to %v, want %v", got, want)
	}
}

// A hand-over that is no use is told, and does no harm.
func TestHandOverThatIsNoUse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"rubbish": "private.key.handover is not used: no hand-over",
		token.SignHandOver(seedKey(1), seedKey(2).Public(), fakeNow).String(): "private.key.handover is not used: it is for the key 8139770e, and this node has 3d4017c3",
	} {
		w := fileWorld(t, nil)
		w.writeFile(t, "private.key"+handOverSuffix, text, 0o644)
		key, err := w.readKey("private.key")
		if err != nil {
			t.Fatal(err)
		}
		r := &running{e: w.env, key: key}
		if r.openHandOver("private.key" + handOverSuffix); r.handOver != nil || !strings.Contains(w.stderr.String(), want) {
			t.Errorf("%+v, stderr %s", r.handOver, w.stderr.String())
		}
	}
}
