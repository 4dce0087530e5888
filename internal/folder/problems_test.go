package folder

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// A problem is logged when it comes up, not each time it is seen again.
func TestProblemsAreLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	var told []string
	p := problems{log: slog.New(slog.NewTextHandler(&log, nil)), of: map[string][]mesh.Problem{}, tell: func(n mesh.Notice) {
		told = append(told, fmt.Sprintf("%s %s %s: %s", n.Kind, n.Level, n.Reason, n.Text))
	}}
	bad := mesh.Problem{File: "local/a.yaml", Line: 3, Reason: ReasonInvalidManifest, Text: "kind is missing"}
	begin := time.Unix(1, 0)
	for i := range 3 {
		p.put("local/a.yaml", begin.Add(time.Duration(i)*time.Second), bad)
	}
	if n := strings.Count(log.String(), "\n"); n != 1 {
		t.Errorf("%d lines were logged, want 1:\n%s", n, &log)
	}
	for _, want := range []string{"level=WARN", "file=local/a.yaml", "line=3", "reason=InvalidManifest", `text="kind is missing"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the line lacks %s: %s", want, &log)
		}
	}
	if got := p.list(); len(got) != 1 || !got[0].Since.Equal(begin) {
		t.Errorf("list = %v, want one problem since %v", got, begin)
	}
	log.Reset()
	p.put("local/a.yaml", begin.Add(12*time.Second))
	p.put("local/a.yaml", begin, bad)
	if n := strings.Count(log.String(), "\n"); n != 1 {
		t.Errorf("a problem that came back was logged %d times, want once:\n%s", n, &log)
	}
	p.put(".", begin, mesh.Problem{Reason: ReasonFolderMissing, Text: "is not there any more"})
	want := []string{
		"kube warn InvalidManifest: local/a.yaml:3: kind is missing",
		"kube info InvalidManifest: well again after 12s: local/a.yaml:3: kind is missing",
		"kube warn InvalidManifest: local/a.yaml:3: kind is missing",
		"kube bad FolderMissing: is not there any more",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told %q\nwant %q", told, want)
	}
}
