package kube

import (
	"bytes"
	"context"
	"errors"
	"testing"

	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/discovery"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/object"
	"dcp.hiro.io/mesh/internal/replica"
)

type noClaims struct{}

func (noClaims) Payload(mesh.ClaimRef) ([]byte, error) { return nil, nil }

type noWitness struct{}

func (noWitness) ReadWitness(context.Context) (event.Witness, bool, mesh.Incarnation, error) {
	return event.Witness{}, false, 0, nil
}
func (noWitness) WriteWitness(context.Context, event.Witness) error { return nil }

func offline(t testing.TB) *Cluster {
	t.Helper()
	d, err := discovery.NewDiscoveryClientForConfig(&rest.Config{Host: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{
		Conn: &Connection{Discovery: d}, Zone: "east", Reader: noClaims{}, Witness: noWitness{},
		Entries: []Entry{{Version: "v1", Kind: "Secret", Publish: true, Apply: true, Status: true, Ignore: []string{"/data/*/x", "/spec"}}},
		Secret:  func(b []byte) bool { return bytes.Equal(b, []byte("key")) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// FuzzObserve shows that no object an API server may send, seen twice, before or after a write or during one, panics,
// and that what is published is canonical.
func FuzzObserve(f *testing.F) {
	for _, s := range []string{
		`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a","namespace":"b","uid":"u","resourceVersion":"7"},"data":{"k":"a2V5"}}`,
		`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a","namespace":"b","uid":"u","resourceVersion":"9","labels":{"dcp.hiro.io/owner-zone":"west"},
			"managedFields":[{"manager":"mesh","time":"2026-01-01T00:00:00Z","fieldsV1":{"f:metadata":{"f:labels":{"f:dcp.hiro.io/owner-zone":{}}}}}]},"data":{"k":"v"}}`,
		`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a","labels":[],"annotations":7,"managedFields":[7,{"fieldsV1":{"f:metadata":7}}],"ownerReferences":{"controller":true}}}`,
		`{"apiVersion":7,"kind":null,"metadata":{"name":"a","resourceVersion":"-1","labels":{"x":1e300}}}`,
		`{"apiVersion":"v1","kind":"Secret","metadata":null,"data":[[[[]]]],"spec":{"a":1.50,"b":123456789012345678901234567890}}`,
	} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, text []byte, busy bool) {
		var live map[string]any
		if utiljson.Unmarshal(text, &live) != nil {
			return
		}
		c := offline(t)
		e := c.entries[0]
		k, ok := e.keyOf(live)
		if ok {
			c.at(k).busy = busy
		}
		c.observe(e, runtimeCopy(live), fromMatching, false)
		c.observe(e, runtimeCopy(live), fromMatching, true)
		if ok {
			x := c.at(k)
			later := x.later
			x.busy, x.later = false, nil
			if later != nil {
				c.catchUp(k, later)
			}
			c.deleted(e, k, x.uid, fromMatching)
		}
		rivalOf(section(live, "metadata"))
		finalizers(section(live, "metadata"))
		for _, in := range c.out.list {
			l, is := in.(replica.Local)
			if !is {
				continue
			}
			o, err := object.ParseJSON(l.Payload, e.opt)
			if err != nil || !bytes.Equal(o.Payload, l.Payload) || o.Key != k {
				t.Fatalf("published %s: %v", l.Payload, err)
			}
		}
	})
}

// FuzzQuiet shows that the wording of a refusal never holds the value that was refused, of a Secret nothing it quotes.
func FuzzQuiet(f *testing.F) {
	f.Add("Invalid value: \"SECRET\": must be base64", "data[k]", "FieldValueInvalid")
	f.Add("Unsupported value: \"SECRET\": supported values: \"a\"", "type", "FieldValueNotSupported")
	f.Add("Duplicate value: \"SECRET\"", "x", "FieldValueDuplicate")
	f.Fuzz(func(t *testing.T, message, field, cause string) {
		err := &apierrors.StatusError{ErrStatus: metav1.Status{Code: 422, Reason: metav1.StatusReasonInvalid, Message: message,
			Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: metav1.CauseType(cause), Message: message, Field: field}}}}}
		const marker = "SECRET"
		contains := func(s string) bool { return bytes.Contains([]byte(s), []byte(marker)) }
		if contains(field) || contains(cause) {
			return
		}
		secret := mesh.ObjectKey{Kind: "Secret", Namespace: "n", Name: "s"}
		for _, code := range []int32{400, 403, 422, 500} {
			err.ErrStatus.Code = code
			if code != 422 {
				err.ErrStatus.Reason = metav1.StatusReasonForbidden
			} else {
				err.ErrStatus.Reason = metav1.StatusReasonInvalid
			}
			if got := quiet(secret, err); contains(got) && !byRBAC.MatchString(message) {
				t.Fatalf("%d: %s", code, got)
			}
		}
	})
}

// Values are left out of what a validation says about any kind.
func TestQuietLeavesValuesOut(t *testing.T) {
	k := mesh.ObjectKey{Group: "example.org", Kind: "Thing", Namespace: "n", Name: "x"}
	for cause, message := range map[metav1.CauseType]string{
		metav1.CauseTypeFieldValueInvalid:      `Invalid value: "VALUE": must be less: than that`,
		metav1.CauseTypeFieldValueNotSupported: `Unsupported value: "VALUE": supported values: "a", "b"`,
		metav1.CauseTypeFieldValueDuplicate:    `Duplicate value: "VALUE"`,
		metav1.CauseTypeTypeInvalid:            `Invalid value: {"a":"VALUE"}: must be of type string: "object"`,
	} {
		err := &apierrors.StatusError{ErrStatus: metav1.Status{Code: 422, Reason: metav1.StatusReasonInvalid, Message: `Thing "x" is invalid: spec.y: ` + message,
			Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: cause, Message: message, Field: "spec.y"}}}}}
		if got := quiet(k, err); bytes.Contains([]byte(got), []byte("VALUE")) || !bytes.Contains([]byte(got), []byte("spec.y")) {
			t.Errorf("quiet(%s) = %s", message, got)
		}
	}
	if got := quiet(k, errors.New("plain")); got != "plain" {
		t.Errorf("quiet = %s", got)
	}
}
