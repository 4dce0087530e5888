package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/node"
	"dcp.hiro.io/mesh/internal/replica"
)

// The way of an object joins what the replica decided with what the network and the cluster know.
func TestWayOfAnObject(t *testing.T) {
	t.Parallel()
	app := mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: "app"}
	east, west, lab := seedKey(1).Public(), seedKey(2).Public(), seedKey(4).Public()
	log := mesh.LogKey{Author: east, Log: mesh.LogIDOf("default", mesh.Instance{Zone: "east", Incarnation: 1000})}
	zone := func(key keys.Public, name mesh.Zone, acked *uint32) replica.Recipient {
		return replica.Recipient{Member: replica.Member{Key: key, Zone: name}, Acked: acked}
	}
	stated := func(author mesh.Zone, zones ...replica.Recipient) replica.Trace {
		return replica.Trace{At: &mesh.Position{Log: log, Seq: 7}, Author: author, Zones: zones, Resource: mesh.Resource{Object: app.String()},
			Stated: []mesh.TraceStep{{Name: "owner", Status: mesh.CheckOK}}, Here: []mesh.TraceStep{{Name: "applied", Status: mesh.CheckOK}}}
	}
	unstated := replica.Trace{Resource: mesh.Resource{Object: app.String()},
		Stated: []mesh.TraceStep{{Name: "owner", Status: mesh.CheckFail}, {Name: "published", Status: mesh.CheckFail, Reason: "missing"}}}
	peers := []mesh.Peer{{PublicKey: west.String(), State: mesh.Ready}, {PublicKey: lab.String(), State: mesh.Unavailable, Since: before(9 * time.Minute)}}
	for _, tt := range []struct {
		name string
		way  way
		want []string // of the steps in order: status, name, and what the message holds
	}{
		{"everywhere", way{self: "east", told: stated("east", zone(west, "west", ptr(uint32(9)))), announced: 10},
			[]string{"ok owner", "ok announced up to operation 9", "ok held operation 7 is on disk", "ok applied", "ok held west acknowledged the log up to operation 9"}},
		{"what a peer said", way{self: "east", told: stated("east", zone(west, "west", nil)), holdings: map[keys.Public]node.Holding{west: {Next: 8, Known: true}}},
			[]string{"ok owner", "ok announced", "ok held", "ok applied", "ok held west holds the log up to operation 7"}},
		{"a peer that is behind", way{self: "east", told: stated("east", zone(west, "west", ptr(uint32(3)))), holdings: map[keys.Public]node.Holding{west: {Next: 5, Known: true}}},
			[]string{"ok owner", "ok announced", "ok held", "ok applied", "fail held west holds the log up to operation 4 only"}},
		{"a peer that holds all that we do", way{self: "east", told: stated("east", zone(west, "west", nil)), holdings: map[keys.Public]node.Holding{west: {Same: true}}},
			[]string{"ok owner", "ok announced", "ok held", "ok applied", "ok held west holds exactly what this node holds"}},
		{"a peer that is no neighbour", way{self: "east", told: stated("east", zone(west, "west", nil))},
			[]string{"ok owner", "ok announced", "ok held", "ok applied", "skip held west is not directly connected"}},
		{"a peer that is away", way{self: "east", told: stated("east", zone(lab, "lab", nil))},
			[]string{"ok owner", "ok announced", "ok held", "ok applied", "fail held lab nothing is known of what it holds; it is Unavailable since 9m"}},
		{"a peer that is away and had a part", way{self: "east", told: stated("east", zone(lab, "", ptr(uint32(2))))},
			[]string{"ok owner", "ok announced", "ok held", "ok applied", "fail held peer-" + lab.Short() + " acknowledged the log up to operation 2 only; it is Unavailable"}},
		{"another zone's", way{self: "west", told: stated("east", zone(east, "east", nil)), status: mesh.Status{Replication: []mesh.Replication{{Zone: "east", Announced: 9, Applied: 9}}}},
			[]string{"ok owner", "ok announced 9 operations of east's log", "ok held all of them", "ok applied", "ok held east its own statement"}},
		{"another zone's that is behind", way{self: "west", told: stated("east"), status: mesh.Status{Replication: []mesh.Replication{{Zone: "east", Announced: 9, Applied: 6, LagOperations: 3, LagSeconds: 14}}}},
			[]string{"ok owner", "ok announced", "fail held 3 of them are not here yet, for 14s", "ok applied"}},
		{"of a log that nobody announces", way{self: "west", told: stated("east")},
			[]string{"ok owner", "skip announced nobody announces", "ok held operation 7 is here", "ok applied"}},
		{"problems of the cluster", way{self: "east", told: stated("east"), status: mesh.Status{Cluster: mesh.ClusterStatus{Kind: "kubernetes", Location: "kind-east", Problems: []mesh.Problem{
			{Object: "ConfigMap/default/app", Reason: "ApplyRejected", Text: "the webhook says no"}, {Object: "ConfigMap/default/other", Text: "no"}, {Reason: "Forbidden", Text: "configmaps is forbidden"}, {File: "x.yaml", Text: "no"}}}}},
			[]string{"ok owner", "ok announced", "ok held", "ok applied", "fail cluster kind-east cannot be read", "fail cluster the webhook says no", "warn cluster configmaps is forbidden"}},
		{"unstated in a folder", way{self: "east", told: unstated, status: mesh.Status{Replication: []mesh.Replication{{Zone: "south", LagOperations: 2}},
			Cluster: mesh.ClusterStatus{Kind: "folder", Location: "/srv/east", Connected: true, Problems: []mesh.Problem{
				{File: "local/my-app.yaml", Line: 7, Reason: "InvalidManifest", Text: "did not find expected key"}, {File: "local/all.yaml", Text: "no"}}}}},
			[]string{"fail owner", "fail published", "fail held south announced 2 operations that are not here yet", "fail cluster local/my-app.yaml:7: did not find expected key; it may be defined there", "warn cluster 1 other file"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.way.key, tt.way.now, tt.way.peers = app, fakeNow, peers
			if tt.way.status.Cluster.Kind == "" {
				tt.way.status.Cluster.Kind = "none"
			}
			got := tt.way.trace()
			var told []string
			for i, s := range got.Steps {
				told = append(told, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s", s.Status, s.Name, s.Zone, s.Message)), " "))
				if i >= len(tt.want) {
					continue
				}
				for _, words := range strings.SplitAfterN(tt.want[i], " ", 3) {
					if !strings.Contains(told[i], strings.TrimSpace(words)) {
						t.Errorf("step %d is %q, want %q", i, told[i], tt.want[i])
						break
					}
				}
				if s.Status == mesh.CheckFail && s.Zone != "" && len(s.Next) == 0 {
					t.Errorf("step %q names no command", told[i])
				}
			}
			if len(told) != len(tt.want) {
				t.Errorf("steps are\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
	folder := way{key: app, told: unstated, status: mesh.Status{Cluster: mesh.ClusterStatus{Kind: "folder", Location: "/srv/east", Connected: true}}}
	if got := folder.trace().Steps[1].Next; len(got) != 1 || got[0] != "put its manifest into /srv/east/local" {
		t.Errorf("next in a folder = %q", got)
	}
	cluster := way{key: mesh.ObjectKey{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}, told: unstated, status: mesh.Status{Cluster: mesh.ClusterStatus{Kind: "kubernetes", Connected: true}},
		asks: "labels that match team=a"}
	if got := cluster.trace().Steps[1].Message; !strings.Contains(got, "asks for labels that match team=a") {
		t.Errorf("published = %q, want what the entry asks for", got)
	}
	if got := cluster.trace().Steps[1].Next; len(got) != 1 || got[0] != "kubectl get -n shop Deployment.apps web" {
		t.Errorf("next in a cluster = %q", got)
	}
}
