package lease

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// FuzzLease reads Leases that anybody may have written: what they say is bounded, the same when it is read again, and
// never lets two candidates both take what the other holds.
func FuzzLease(f *testing.F) {
	for _, s := range []string{
		`{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"mesh-eu","resourceVersion":"7"},"spec":{"holderIdentity":"mesh-0_x",
			"leaseDurationSeconds":10,"acquireTime":"2026-11-22T14:03:22.000000Z","renewTime":"2026-11-22T14:03:22.000000Z","leaseTransitions":3}}`,
		`{"spec":{"holderIdentity":"self","leaseDurationSeconds":-1}}`,
		`{"spec":{"holderIdentity":"","leaseDurationSeconds":2147483647,"leaseTransitions":-2147483648}}`,
		`{"spec":{"leaseDurationSeconds":1e9,"renewTime":7}}`,
		`{"spec":null,"metadata":[]}`,
		`{"spec":{"renewTime":"0000-01-01T00:00:00Z"}}`,
	} {
		f.Add([]byte(s), int64(9))
	}
	f.Fuzz(func(t *testing.T, b []byte, seconds int64) {
		u := &unstructured.Unstructured{}
		if utiljson.Unmarshal(b, &u.Object) != nil || u.Object == nil {
			return
		}
		l, err := typed(u)
		if err != nil {
			return
		}
		at := termsOf(l)
		if at.duration < minRecord || at.duration > maxRecord {
			t.Errorf("it lasts %s", at.duration)
		}
		if again := termsOf(l.DeepCopy()); !again.same(at) {
			t.Errorf("%+v is %+v when it is read again", at, again)
		}
		ago := time.Duration(seconds)
		for _, self := range []string{"self", at.holder} {
			free, held := judge(at, self, ago, false), judge(at, self, ago, true)
			if self == at.holder && (free != keep || held != keep) {
				t.Errorf("the holder %q does %d and %d", self, free, held)
			}
			if self != at.holder && (held != lost || free == keep || free == lost || free == take && at.holder != "" && ago < at.duration) {
				t.Errorf("%q, of what %q holds, does %d and %d", self, at.holder, free, held)
			}
		}
		if p := printable(at.holder); len(p) > 4*253 {
			t.Errorf("a holder of %d bytes is shown", len(p))
		}
	})
}
