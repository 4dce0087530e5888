package meshpeer_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"dcp.hiro.io/mesh/internal/kube/meshpeer"
	"dcp.hiro.io/mesh/internal/mesh"
)

const westKey = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"

// shown is a MeshPeer with a status that our own code wrote, with something replaced.
func shown(old, new string) string {
	text := `{"apiVersion":"dcp.hiro.io/v1","kind":"MeshPeer",
		"metadata":{"name":"peer-3d4017c3","namespace":"mesh-system","creationTimestamp":"2026-11-19T10:02:11Z"},
		"spec":{"identity":{"publicKey":"` + westKey + `","endpoints":["203.0.113.20:9102"]}},
		"status":{"status":"NotReady","zone":"west","version":"0.4.0","lastSeen":"2026-11-22T14:03:08Z","updateTime":"2026-11-22T14:03:09Z",
			"instance":{"zone":"west","start_time":"2026-11-19T10:01:58.000Z","start_timestamp":1795082518000},
			"conditions":[{"type":"Ready","status":"False","reason":"ProbesMissed","lastTransitionTime":"2026-11-22T14:03:08Z"},
				{"type":"Connected","status":"False","reason":"NotConnected"},{"type":"Synced","status":"True","reason":"InSync"}]}}`
	return strings.Replace(text, old, new, 1)
}

func show(t *testing.T, text string) (meshpeer.Shown, bool) {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := json.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return meshpeer.Show(u)
}

func TestShow(t *testing.T) {
	t.Parallel()
	s, ok := show(t, shown("", ""))
	at := time.Date(2026, 11, 22, 14, 3, 8, 0, time.UTC)
	p := s.Peer
	if !ok || p.Name != "west" || p.Zone != "west" || p.State != mesh.NotReady || !p.Since.Equal(at) || !p.LastSeen.Equal(at) ||
		p.PublicKey != westKey || p.PeerID != "12D3KooWDwTirQce1RRKnasT5fPVFgzXCy6SiRgSwrwPGLC7zE91" || p.Endpoints[0] != "203.0.113.20:9102" ||
		*p.Version != "0.4.0" || p.Incarnation.UnixMilli() != 1795082518000 || p.FirstSeen.Day() != 19 || p.Reasons[0] != "ProbesMissed" ||
		p.Namespace != "mesh-system" || p.Object != "meshpeer.dcp.hiro.io/peer-3d4017c3" || !p.Partial || p.RTTSeconds != nil || p.LagOperations != nil {
		t.Errorf("it shows %+v, %t", p, ok)
	}
	if s.Self || s.Ready || !s.Synced || !s.Written.Equal(at.Add(time.Second)) {
		t.Errorf("it shows %+v", s)
	}
	for _, tt := range []struct {
		what, old, new string
		fine           func(meshpeer.Shown, bool) bool
	}{
		{"no key", westKey, "west", func(_ meshpeer.Shown, ok bool) bool { return !ok }},
		{"another MeshPeer counts", "ProbesMissed", "DuplicateKey", func(_ meshpeer.Shown, ok bool) bool { return !ok }},
		{"the node itself", "NotConnected", "Self", func(s meshpeer.Shown, ok bool) bool { return ok && s.Self }},
		{"the node itself, stopped", "NotConnected", "Stopped", func(s meshpeer.Shown, ok bool) bool { return ok && s.Self }},
		{"ready", `"status":"NotReady"`, `"status":"Ready"`, func(s meshpeer.Shown, _ bool) bool { return s.Peer.State == mesh.Ready && len(s.Peer.Reasons) == 0 }},
		{"a state of its own", `"status":"NotReady"`, `"status":"Great"`, func(s meshpeer.Shown, _ bool) bool { return s.Peer.State == mesh.Unknown }},
		{"a zone that is none", `"zone":"west","version"`, `"zone":"../x","version"`, func(s meshpeer.Shown, _ bool) bool { return s.Peer.Name == "peer-3d4017c3" && s.Peer.Zone == "" }},
		{"no status", `"status":{"status"`, `"was":{"status"`, func(s meshpeer.Shown, ok bool) bool {
			return ok && s.Peer.State == mesh.Unknown && s.Peer.Version == nil && s.Peer.LastSeen == nil
		}},
		{"times that are none", "2026-11-22T14:03:08Z", "today", func(s meshpeer.Shown, ok bool) bool { return ok && s.Peer.LastSeen == nil }},
		{"an endpoint that is none", "203.0.113.20:9102", "\\u001b[31m", func(s meshpeer.Shown, ok bool) bool { return ok && len(s.Peer.Endpoints) == 0 }},
	} {
		if s, ok := show(t, shown(tt.old, tt.new)); !tt.fine(s, ok) {
			t.Errorf("%s: it shows %+v, %t", tt.what, s, ok)
		}
	}
}

// FuzzShow reads objects that anybody may have written: what is shown is bounded and fit for a terminal.
func FuzzShow(f *testing.F) {
	f.Add(shown("", ""))
	f.Add(shown(`"reason":"ProbesMissed"`, `"reason":"\u001b[2J\n\u202e"`))
	f.Add(shown(`"start_timestamp":1795082518000`, `"start_timestamp":18446744073709551615`))
	f.Add(shown(`"endpoints":["203.0.113.20:9102"]`, `"endpoints":[{},null]`))
	f.Add(shown(`"conditions":[`, `"conditions":[7,`))
	f.Fuzz(func(t *testing.T, text string) {
		u := &unstructured.Unstructured{}
		if json.Unmarshal([]byte(text), &u.Object) != nil || u.Object == nil {
			return
		}
		s, ok := meshpeer.Show(u)
		if !ok {
			return
		}
		p := s.Peer
		words := append([]string{p.Name, string(p.Zone), string(p.State), p.PublicKey, p.PeerID, p.Namespace, p.Object}, append(p.Endpoints, p.Reasons...)...)
		if p.Version != nil {
			words = append(words, *p.Version)
		}
		for _, w := range words {
			if len(w) > 300 || strings.ContainsFunc(w, unicode.IsControl) {
				t.Errorf("it shows %q", w)
			}
		}
		if len(p.PublicKey) != 64 || p.Name == "" || len(p.Endpoints) > 16 || p.Incarnation != nil && p.Incarnation.UnixMilli() < 0 {
			t.Errorf("it shows %+v", p)
		}
		if _, err := json.Marshal(p); err != nil {
			t.Error(err)
		}
	})
}
