package tui

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
)

const keysPage = "../../docs/keys.md"

// docs/keys.md is what the table says.
func TestKeysPage(t *testing.T) {
	want := []byte(keysText())
	if *update {
		if err := os.WriteFile(keysPage, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(keysPage); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the table of keys says (%v); go test ./internal/tui -run %s -update", keysPage, err, t.Name())
	}
}

// In one place a key does one thing, and every line of the help fits into its column.
func TestKeysAreClear(t *testing.T) {
	for p := inTopology; p <= onDoctor; p <<= 1 {
		seen := map[string]string{}
		for _, b := range bindings {
			if b.where&p == 0 {
				continue
			}
			for _, k := range b.keys {
				if other, twice := seen[k]; twice {
					t.Errorf("on %s the key %s does two things: %s and %s", placeNames[p], k, other, b.help)
				}
				seen[k] = b.help
			}
			for line := range strings.SplitSeq(b.help, "\n") {
				room := 23 - 7
				if !b.own {
					room = 25 - 7
				}
				if len(line) > room {
					t.Errorf("%s: %q is longer than its column of the help, %d", b.shown, line, room)
				}
			}
		}
		for _, k := range []string{"q", "ctrl+c", "?", "esc", "j", "k"} {
			if seen[k] == "" && bindingFor(k, p, p) == nil {
				t.Errorf("%s does nothing on %s", k, placeNames[p])
			}
		}
	}
}

// What the footer promises a key does, and it fits.
func TestFooter(t *testing.T) {
	for p := inTopology; p <= onDoctor; p <<= 1 {
		last := ""
		for width := 1; width <= 200; width++ {
			got := footerFor(p, p|inTopology, width)
			if len(got) > width {
				t.Fatalf("the footer of %s takes %d of %d columns: %q", placeNames[p], len(got), width, got)
			}
			if len(got) < len(last)-len("   ") && len(strings.Fields(got)) < len(strings.Fields(last)) {
				t.Errorf("the footer of %s says less in %d columns: %q, then %q", placeNames[p], width, last, got)
			}
			last = got
		}
		for _, must := range []string{"? help", "q quit"} {
			if !slices.Contains(strings.Split(strings.TrimSpace(last), "   "), must) {
				t.Errorf("the footer of %s does not offer %q: %q", placeNames[p], must, last)
			}
		}
	}
}
