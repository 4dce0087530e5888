package admin_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
)

// The newest are kept, in order; a flood of details pushes out no warning.
func TestNoticesAreKept(t *testing.T) {
	t.Parallel()
	var s admin.Notices
	if got := s.After(0); got != nil {
		t.Errorf("notices of nothing: %v", got)
	}
	s.Tell(mesh.Notice{Kind: mesh.NoticePeer, Level: mesh.LevelBad, Text: "gone"})
	for i := range 5000 {
		s.Tell(mesh.Notice{Kind: mesh.NoticeMerge, Level: mesh.LevelDebug, Text: fmt.Sprint(i)})
	}
	all := s.After(0)
	if len(all) != 251 || all[0].Text != "gone" || all[250].ID != 5001 || all[250].Text != "4999" {
		t.Fatalf("%d notices, from %+v to %+v", len(all), all[0], all[len(all)-1])
	}
	for i := range 2000 {
		s.Tell(mesh.Notice{Kind: mesh.NoticeApply, Level: mesh.LevelInfo, Text: fmt.Sprint(i)})
	}
	all = s.After(5001)
	if len(all) != 1000 || all[0].Text != "1000" || all[999].Text != "1999" {
		t.Fatalf("%d notices, from %+v", len(all), all[0])
	}
	for i := range all[1:] {
		if all[i+1].ID != all[i].ID+1 || all[i].Time.IsZero() {
			t.Fatalf("notice %+v after %+v", all[i+1], all[i])
		}
	}
	if rest := s.After(7000); len(rest) != 1 || rest[0].ID != 7001 {
		t.Errorf("after 7000: %+v", rest)
	}
	if rest := s.After(7001); rest != nil {
		t.Errorf("after the last one: %+v", rest)
	}
}

// What came from elsewhere can't steer a terminal or fill it.
func TestNoticesAreOneLine(t *testing.T) {
	t.Parallel()
	var s admin.Notices
	s.Tell(mesh.Notice{Text: "a\x1b]0;title\x07\nb\tc\u202ed\xffe", Object: "ConfigMap/default/\x1b[2J", Zone: "e\nast", Reason: "\x00"})
	s.Tell(mesh.Notice{Text: strings.Repeat("ü", 10_000)})
	n := s.After(0)
	if n[0].Text != "a?]0;title? b c?d?e" || n[0].Object != "ConfigMap/default/?[2J" || n[0].Zone != "e ast" || n[0].Reason != "?" {
		t.Errorf("%+q", []string{n[0].Text, n[0].Object, string(n[0].Zone), n[0].Reason})
	}
	if len(n[1].Text) > 410 || !utf8.ValidString(n[1].Text) || !strings.HasSuffix(n[1].Text, "ü ...") {
		t.Errorf("%d bytes: %q", len(n[1].Text), n[1].Text)
	}
}
