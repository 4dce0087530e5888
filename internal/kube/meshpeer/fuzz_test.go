package meshpeer

import (
	"encoding/json"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
)

// FuzzObject reads MeshPeers that anybody with the right to write them made. What is taken from one keeps the caps of
// the definition, whatever the API server let through; what is wrong is said without quoting it; and the status is
// ours only if it reads back the same.
func FuzzObject(f *testing.F) {
	const key = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
	for _, s := range []string{
		`{"metadata":{"name":"west","uid":"u","resourceVersion":"7","generation":2,"creationTimestamp":"2026-11-22T14:03:22Z"},
			"spec":{"identity":{"publicKey":"` + key + `","endpoints":["203.0.113.20:9102","[2001:db8::1]:9102","west.example:1"]},"admitted":true,"zone":"west"},
			"status":{"status":"Ready","updateTime":"2026-11-22T14:03:22Z","instance":{"zone":"west","start_time":"x","start_timestamp":7},"conditions":[{"type":"Ready","status":"True"}]}}`,
		`{"metadata":{"name":7},"spec":{"identity":{"publicKey":7,"endpoints":{"a":1}},"admitted":"true","zone":[]},"status":[]}`,
		`{"spec":{"identity":[],"zone":"../x"},"status":{"conditions":null,"more":1}}`,
		`{"spec":{"identity":{"endpoints":["a:1"` + strings.Repeat(`,"a:1"`, maxEndpoints) + `]}}}`,
		`{"metadata":null,"spec":{"identity":{"endpoints":["[::]:1","[fe80::1%25eth0]:1","10.1:1","x:0",":1","a..b:1"]}}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		u := &unstructured.Unstructured{}
		if utiljson.Unmarshal(b, &u.Object) != nil || u.Object == nil {
			return
		}
		o := readObject(u)
		if (o.keyErr == "") == o.key.IsZero() {
			t.Errorf("key %s, %q", o.key, o.keyErr)
		}
		if len(o.endpoints) > maxEndpoints || o.endpointErr != "" && o.endpoints != nil {
			t.Errorf("%d endpoints, %q", len(o.endpoints), o.endpointErr)
		}
		for _, e := range o.endpoints {
			if checkEndpoint(e) != nil || strings.ContainsAny(e, " /\\@%\x1b\n\x00") {
				t.Errorf("endpoint %q", e)
			}
		}
		if _, err := mesh.ParseZone(string(o.zone)); o.zone != "" && (err != nil || o.zoneErr != "") {
			t.Errorf("zone %q, %q", o.zone, o.zoneErr)
		}
		if o.status != nil && !o.odd {
			if again, odd := readStatus(u.Object["status"]); odd || !sameJSON(again, o.status) {
				t.Errorf("status %+v is %+v when it is read again", o.status, again)
			}
			if text, err := json.Marshal(o.status); err != nil || len(text) > maxStatus+256 {
				t.Errorf("a status of %d bytes, %v", len(text), err)
			}
		}
		for _, text := range []string{o.keyErr, o.endpointErr, o.zoneErr, o.name} {
			if len(text) > 4*253 || strings.ContainsAny(text, "\x1b\n") {
				t.Errorf("it says %q", text)
			}
		}
	})
}

// FuzzWitness holds that the annotation of a witness has one spelling.
func FuzzWitness(f *testing.F) {
	w := event.Witness{Cluster: mesh.Sum([]byte("c")), Counter: 1}
	for _, s := range []string{formatWitness(w), strings.ToUpper(formatWitness(w)), formatWitness(w) + "0", formatWitness(event.Witness{}), "", "/", w.Cluster.String() + "/01"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		w, err := parseWitness(s)
		if err == nil && (formatWitness(w) != s || w.Cluster.IsZero()) || err != nil && w != (event.Witness{}) {
			t.Errorf("%q is %+v, %v", s, w, err)
		}
	})
}
