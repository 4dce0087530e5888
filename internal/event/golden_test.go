package event_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/event"
)

var update = flag.Bool("update", false, "rewrite the golden files: only for kinds that no store holds yet")

func goldenFile(name string) string { return filepath.Join("testdata", name+".hex") }

// TestGolden holds the bytes of every kind. They stand in stores and on the wire: a difference here is a
// format change, not a matter of -update.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, s := range samples() {
		body, err := event.Encode(s.event)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if *update {
			if err := os.WriteFile(goldenFile(s.name), []byte(hex.EncodeToString(body)+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want := readGolden(t, s.name); !bytes.Equal(body, want) {
			t.Errorf("%s: Encode = %x, want %x", s.name, body, want)
		}
	}
}

func readGolden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(goldenFile(name))
	if err != nil {
		t.Fatal(err)
	}
	return unhex(t, string(text))
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The example of the package doc.
func TestDocumentedExample(t *testing.T) {
	t.Parallel()
	body := unhex(t, `88 01 02 62 6575 1b 0000018bcfe56800
		84 60 69 436f6e6669674d6170 64 73686f70 61 61 19 012c 01 07`)
	e, err := event.Decode(body)
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	d := e.Delete
	if e.Instance != instance || d == nil || d.Object.String() != "ConfigMap/shop/a" || d.Version != 300 || d.Epoch != 1 || d.Birth != 7 {
		t.Errorf("Decode = %+v, %+v", e, d)
	}
}
