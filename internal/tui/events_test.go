package tui

import (
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
)

// An event says which object it is about wherever it is shown, and says it once.
func TestNoticeNamesItsObject(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		object, text string
		room         int
		want         string
	}{
		{"ConfigMap/default/hello", "version 41 applied", 60, "ConfigMap/default/hello version 41 applied"},
		{"ConfigMap/default/hello", "version 41 applied", 40, "ConfigMap/default/hello v41 applied"},
		{"ConfigMap/default/hello", "version 41 applied", 30, "ConfigMap/hello v41 applied"},
		{"ConfigMap/default/hello", "version 41 applied", 20, "hello v41 applied"},
		{"Shop.dcp.hiro.io/default/a", "removed here", 60, "Shop/default/a removed here"},
		{"Namespace/shop", "adopted here", 60, "Namespace/shop adopted here"},
		{"Shop.dcp.hiro.io/default/a", "Shop/default/a version 41 applied", 60, "Shop/default/a version 41 applied"},
		{"", "10.77.0.1:9102 connected by quic", 60, "10.77.0.1:9102 connected by quic"},
		{"ConfigMap/default/a\x1b]0;b", "removed here", 60, "ConfigMap/default/a?]0;b removed here"},
	} {
		n := mesh.Notice{Kind: mesh.NoticeApply, Object: tt.object, Text: tt.text}
		if got := noticeText(&n, tt.room); got != tt.want {
			t.Errorf("%q and %q in %d columns: %q, want %q", tt.object, tt.text, tt.room, got, tt.want)
		}
		if line := noticeLine(n); !strings.HasSuffix(line, " "+noticeText(&n, 1000)) {
			t.Errorf("%q and %q appended: %q", tt.object, tt.text, line)
		}
	}
}

// What is found reads as a sentence, whoever words it.
func TestFindingWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ subject, text, want string }{
		{"west", "is not ready", "west is not ready"},
		{"lab", "unavailable since 13:54:19", "lab is unavailable since 13:54:19"},
		{"south", "its key signed two histories", "south: its key signed two histories"},
		{"", "1 object could not be written here", "1 object could not be written here"},
	} {
		if got := findingWords(mesh.Finding{Subject: tt.subject, Text: tt.text}); got != tt.want {
			t.Errorf("%q, %q: %q, want %q", tt.subject, tt.text, got, tt.want)
		}
	}
}
