package remote

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"dcp.hiro.io/mesh/internal/kube/meshpeer"
	"dcp.hiro.io/mesh/internal/mesh"
)

// FuzzPod reads pods that anybody may have made: ports are ports, the order of any two is one, and no phase steers a
// terminal.
func FuzzPod(f *testing.F) {
	for _, s := range []string{
		`{"metadata":{"name":"mesh-0","namespace":"ns","labels":{"dcp.hiro.io/active":"true"},"creationTimestamp":"2026-11-22T14:03:22Z"},
			"spec":{"containers":[{"ports":[{"name":"api","containerPort":4001},{"name":"http","containerPort":70000}]}]},
			"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"},7]}}`,
		`{"metadata":{"name":7,"labels":[]},"spec":{"containers":[{"ports":[{"name":"api","containerPort":-1},[],{"name":"http","containerPort":1.5}]},null]},"status":{"phase":"\u001b[2J","conditions":{}}}`,
		`{"metadata":{"labels":{"app.kubernetes.io/component":"x"}}}`,
	} {
		f.Add([]byte(s), []byte(s))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var both []pod
		for _, text := range [][]byte{a, b} {
			u := &unstructured.Unstructured{}
			if utiljson.Unmarshal(text, &u.Object) != nil || u.Object == nil {
				return
			}
			if p, ok := readPod(u); ok {
				both = append(both, p)
			}
		}
		for _, p := range both {
			if p.api < 1 || p.api > 65535 || p.http < 1 || p.http > 65535 || p.phase == "" || strings.ContainsFunc(p.phase, unicode.IsControl) {
				t.Errorf("%+v", p)
			}
		}
		if len(both) == 2 && better(both[0], both[1]) != -better(both[1], both[0]) {
			t.Errorf("%+v and %+v are both better than the other", both[0], both[1])
		}
	})
}

// FuzzAnswers joins MeshPeers that anybody may have written with peers that a pod lists which may be no node at all:
// each key of a namespace stands there once, each with a name, and the status made of MeshPeers counts them all.
func FuzzAnswers(f *testing.F) {
	const peer = `{"metadata":{"name":"west","namespace":"ns","resourceVersion":"7"},"spec":{"identity":{"publicKey":"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"}},
		"status":{"status":"Ready","zone":"west","updateTime":"2026-11-22T14:03:22Z","conditions":[]}}`
	f.Add([]byte(`[`+peer+`]`), []byte(`{"items":[{"name":"east","publicKey":"ab","zone":"west","state":"Ready"}]}`))
	f.Add([]byte(`[`+peer+`,`+strings.Replace(peer, "3d4017c3", "3d4017C3", 1)+`,`+strings.Replace(peer, "NotConnected", "Self", 1)+`]`), []byte(`{"items":[]}`))
	f.Add([]byte(`[]`), []byte(`{"items":null,"error":{"message":"x"}}`))
	f.Fuzz(func(t *testing.T, objects, answer []byte) {
		var list []map[string]any
		var live struct {
			Items []mesh.Peer `json:"items"`
		}
		if utiljson.Unmarshal(objects, &list) != nil || json.Unmarshal(answer, &live) != nil {
			return
		}
		var shown []meshpeer.Shown
		for _, o := range list {
			if o == nil {
				continue
			}
			if s, ok := meshpeer.Show(&unstructured.Unstructured{Object: o}); ok {
				shown = append(shown, s)
			}
		}
		out := merge(shown, map[string][]mesh.Peer{"ns": live.Items})
		if len(out) < len(live.Items) || len(out) > len(live.Items)+len(shown) {
			t.Errorf("%d of %d and %d", len(out), len(live.Items), len(shown))
		}
		for _, p := range out[len(live.Items):] {
			if p.Name == "" || len(p.PublicKey) != 64 {
				t.Errorf("%+v", p)
			}
		}
		if s, _ := partial(shown, "ns", time.Unix(1_800_000_000, 0)); s.Peers.Total != s.Peers.Ready+s.Peers.NotReady+s.Peers.Unavailable+s.Peers.Unknown || s.Peers.Total > len(shown) {
			t.Errorf("%+v of %d", s.Peers, len(shown))
		}
		if _, err := json.Marshal(out); err != nil {
			t.Error(err)
		}
	})
}
