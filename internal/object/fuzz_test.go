package object_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"dcp.hiro.io/mesh/internal/object"
)

// FuzzJSON reads JSON as another zone may have signed it. What is accepted has one canonical form: reading that form
// gives the same bytes, and so does the way by a JSON library's own values.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"b"},"data":{"k":"v"}}`,
		`{"b":1.50,"a":[1e2,-0,0.0,123456789012345678901234567890,1E-7,1e400]}`,
		`"\u2028<&>\ud83d\ude00\u0000"`, `"\ud800"`, `[[[[]]]]`, `{"a":1,"a":2}`, `{"":{"":[]}}`, "null", " true ", "1 2", `"` + "\xff" + `"`,
		`9007199254740993`, `-9223372036854775808`, `18446744073709551616`, `0.1`, `1e21`, `5e-324`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		tree, err := object.DecodeJSON(b)
		if err != nil {
			if tree != nil {
				t.Fatalf("%v beside %v", tree, err)
			}
			return
		}
		if !json.Valid(b) {
			t.Fatalf("%q was taken for JSON", b)
		}
		form, err := object.Canonical(tree)
		if err != nil {
			if !errors.Is(err, object.ErrTooLarge) {
				t.Fatalf("the canonical form of %q: %v", b, err)
			}
			return
		}
		if len(form) > 6*len(b)+32 {
			t.Fatalf("%d bytes became %d", len(b), len(form))
		}
		if was, is := tokens(b), tokens(form); was != is {
			t.Fatalf("of the %d tokens of %q the canonical form %q has %d", was, b, form, is)
		}
		again, err := object.DecodeJSON(form)
		if err != nil {
			t.Fatalf("the canonical form %q is refused: %v", form, err)
		}
		if twice, err := object.Canonical(again); err != nil || !bytes.Equal(twice, form) {
			t.Fatalf("%q is written as %q, and that as %q, %v", b, form, twice, err)
		}
		// As values of a JSON library that keeps numbers as they are written.
		in := json.NewDecoder(bytes.NewReader(form))
		in.UseNumber()
		var v any
		if err := in.Decode(&v); err != nil {
			t.Fatal(err)
		}
		if v, err = object.FromValues(v); err != nil {
			t.Fatalf("%q by values: %v", form, err)
		}
		if other, err := object.Canonical(v); err != nil || !bytes.Equal(other, form) {
			t.Fatalf("%q by values is %q, %v", form, other, err)
		}
	})
}

// tokens counts those of a JSON text: nothing is dropped, a key that stands twice neither.
func tokens(b []byte) (n int) {
	for in := json.NewDecoder(bytes.NewReader(b)); ; n++ {
		if _, err := in.Token(); err != nil {
			return n
		}
	}
}

// FuzzYAML reads one YAML document, with a limit on what aliases may make of it, and as JSON what it says.
func FuzzYAML(f *testing.F) {
	for _, s := range []string{
		"a: &x [1, 2]\nb: *x\n", "a: &a [*a]\n", "? [1]\n: 2\n", "a: !!binary aGk=\n", "<<: {a: 1}\nb: 0o17\n", "x: 1_000\ny: 0x1f\nz: .inf\n", "2026-01-01: now\n",
		"a: |\n  x\n\n  y\nb: >-\n  z\n", "- - - 1\n", "a: 1\na: 2\n", "%YAML 1.2\n---\na\n...\n",
		"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		tree, err := object.DecodeYAML(b, 1)
		if err != nil {
			return
		}
		form, err := object.Canonical(tree)
		if err != nil {
			return
		}
		again, err := object.DecodeJSON(form)
		if err != nil {
			t.Fatalf("%q says %q, which is refused as JSON: %v", b, form, err)
		}
		if twice, err := object.Canonical(again); err != nil || !bytes.Equal(twice, form) {
			t.Fatalf("%q says %q, and that %q, %v", b, form, twice, err)
		}
	})
}
