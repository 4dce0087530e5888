package folder

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// Reasons of problems.
const (
	ReasonFolderMissing     = "FolderMissing"
	ReasonLocalMissing      = "LocalMissing"
	ReasonWitnessUnreadable = "WitnessUnreadable"
	ReasonInvalidManifest   = "InvalidManifest"
	ReasonEmptyFile         = "EmptyFile"
	ReasonNotReadable       = "NotReadable"
	ReasonDuplicateObject   = "DuplicateObject"
	ReasonTooLarge          = "TooLarge"
	ReasonForeignFile       = "ForeignFile"
	ReasonUnwatched         = "Unwatched"
	ReasonWriteFailed       = "WriteFailed"
)

// maxProblems is how many problems Status lists: more than anybody reads, less than hurts.
const maxProblems = 1000

// problems keeps what is wrong, by the thing it is wrong with. Guarded by Folder.mu.
type problems struct {
	log  *slog.Logger
	tell func(mesh.Notice)
	of   map[string][]mesh.Problem
}

// put replaces the problems of a subject; none clears them. A problem that is new is logged and told, one that stays
// keeps the time it began, and the end of one is told.
func (p problems) put(subject string, since time.Time, list ...mesh.Problem) {
	old := p.of[subject]
	for i := range list {
		now := list[i]
		at := slices.IndexFunc(old, func(o mesh.Problem) bool { return o.Reason == now.Reason && o.Object == now.Object })
		if at >= 0 {
			list[i].Since = old[at].Since
			continue
		}
		list[i].Since = since
		p.log.Warn("problem in the folder", "file", now.File, "line", now.Line, "object", now.Object, "reason", now.Reason, "text", now.Text)
		level := mesh.LevelWarn
		if now.Reason == ReasonFolderMissing || now.Reason == ReasonWitnessUnreadable {
			level = mesh.LevelBad // nothing goes on
		}
		p.tell(mesh.Notice{Kind: mesh.NoticeKube, Level: level, Object: now.Object, Reason: now.Reason, Text: inFile(now)})
	}
	for _, o := range old {
		if !slices.ContainsFunc(list, func(now mesh.Problem) bool { return o.Reason == now.Reason && o.Object == now.Object }) {
			p.tell(mesh.Notice{Kind: mesh.NoticeKube, Level: mesh.LevelInfo, Object: o.Object, Reason: o.Reason,
				Text: fmt.Sprintf("well again after %s: %s", since.Sub(o.Since).Round(time.Second), inFile(o))})
		}
	}
	if len(list) == 0 {
		delete(p.of, subject)
		return
	}
	p.of[subject] = list
}

// inFile is what is wrong and where.
func inFile(p mesh.Problem) string {
	switch {
	case p.File == "":
		return p.Text
	case p.Line == 0:
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}

func (p problems) list() []mesh.Problem {
	all := make([]mesh.Problem, 0, len(p.of))
	for _, l := range p.of {
		all = append(all, l...)
	}
	slices.SortFunc(all, func(a, b mesh.Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Object, b.Object), cmp.Compare(a.Reason, b.Reason))
	})
	return all[:min(len(all), maxProblems)]
}
