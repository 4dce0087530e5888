package main

import (
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/token"
)

func TestInviteTranscript(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	dir := serveFake(t, node)
	transcript(t, "invite", dir, "invite ls", "invite --zone west", "invite", "invite create --uses 3 --ttl 48h", "invite --for "+testPublic+" --ttl 90m",
		"invite -q --zone west --endpoint [2001:db8::7] --endpoint east.example", "invite --zone west -o json",
		"invite ls --no-headers", "invite revoke k7q2m9xd", "invite revoke aaaaaaaa", "invite revoke AAAAAAAA", "invite revoke "+fakeToken(nil).String(),
		"invite --zone We_st", "invite --ttl 169h", "invite --ttl 5", "invite --ttl 1ms", "invite --uses 21", "invite --uses 0", "invite --uses 2 --zone west",
		"invite --for 00", "invite --endpoint http://x", "invite crate", "invite -o yaml", "invite revoke")

	node.mu.Lock()
	node.invites = []mesh.Invite{
		{ID: "k7q2m9xd", Zone: ptr(mesh.Zone("west")), Uses: 1, Created: *before(2 * time.Minute), Expires: fakeNow.Add(58 * time.Minute), State: mesh.InvitePending, Redemptions: []mesh.Redemption{}},
		{ID: "usedused", Zone: ptr(mesh.Zone("north")), For: ptr(seedKey(3).Public().String()), Uses: 1, Used: 1, Created: *before(26 * time.Hour), Expires: *before(25 * time.Hour), State: mesh.InviteUsed,
			Redemptions: []mesh.Redemption{{PublicKey: seedKey(3).Public().String(), PeerID: "12D3KooWNorth", Zone: "north", At: *before(25 * time.Hour), Acknowledged: true}}},
		{ID: "several1", Uses: 3, Used: 1, Created: *before(3 * time.Hour), Expires: *before(time.Hour), State: mesh.InviteExpired,
			Redemptions: []mesh.Redemption{{PublicKey: seedKey(4).Public().String(), PeerID: "12D3KooWLab", Zone: "lab", At: *before(2 * time.Hour)}}},
		{ID: "revoked1", Uses: 1, Created: *before(time.Hour), Expires: fakeNow.Add(time.Hour), State: mesh.InviteRevoked, Redemptions: []mesh.Redemption{}},
	}
	node.mu.Unlock()
	transcript(t, "invite-ls", dir, "invite ls", "invite ls -o wide", "invite ls -o json", "invite ls -o yaml", "invite revoke usedused", "invite revoke several1 -o json", "invite revoke several1")

	node.mu.Lock()
	node.takesOver = &mesh.TakenOver{PublicKey: seedKey(4).Public().String(), LastSeen: before(9 * time.Minute)}
	node.mu.Unlock()
	transcript(t, "invite-takes-over", dir, "invite --zone lab")
}

// What the node refuses is told with its code and exit status.
func TestInviteRefused(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	dir := serveFake(t, node)
	for code, exit := range map[string]int{"MESH-2401": 2, "MESH-2402": 2, "MESH-6401": 6, "MESH-6402": 6, "MESH-6403": 6} {
		node.mu.Lock()
		node.refusal = &admin.Error{Code: code, Message: "no invitation was made", Cause: "a reason", Next: []string{"mesh invite ls"}}
		node.mu.Unlock()
		te := inspectEnv(t)
		if got := te.mesh(t, "invite", "--zone", "west", "--data-dir", dir); got != exit {
			t.Errorf("%s: exit %d, want %d", code, got, exit)
		}
		if te.stdout.Len() > 0 || !strings.Contains(te.stderr.String(), "docs:  mesh help "+code) {
			t.Errorf("%s: stdout %q, stderr %q", code, te.stdout.String(), te.stderr.String())
		}
	}
}

// The one line on standard output is what to run elsewhere: what it names, join reads.
func TestInvitePrintsWhatJoinReads(t *testing.T) {
	t.Parallel()
	dir := serveFake(t, newFakeNode(t))
	te := inspectEnv(t)
	if code := te.mesh(t, "invite", "--zone", "west", "--data-dir", dir); code != 0 {
		t.Fatal(te.stderr.String())
	}
	words := strings.Fields(te.stdout.String())
	if len(words) != 3 || strings.Join(words[:2], " ") != "mesh join" {
		t.Fatalf("stdout is %q", te.stdout.String())
	}
	if tk, err := token.Parse(words[2]); err != nil || tk.Zone != "west" || tk.ID != "k7q2m9xd" {
		t.Errorf("Parse = %+v, %v", tk, err)
	}
	if strings.Contains(te.stderr.String(), "meshinv1_") {
		t.Error("the token is on stderr")
	}
}
