package folder

import (
	"cmp"
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
type problems map[string][]mesh.Problem

// put replaces the problems of a subject; none clears them. A problem that stays keeps the time it began.
func (p problems) put(subject string, now time.Time, list ...mesh.Problem) {
	old := p[subject]
	for i := range list {
		list[i].Since = now
		for _, o := range old {
			if o.Reason == list[i].Reason && o.Object == list[i].Object {
				list[i].Since = o.Since
			}
		}
	}
	if len(list) == 0 {
		delete(p, subject)
		return
	}
	p[subject] = list
}

func (p problems) list() []mesh.Problem {
	all := make([]mesh.Problem, 0, len(p))
	for _, l := range p {
		all = append(all, l...)
	}
	slices.SortFunc(all, func(a, b mesh.Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Object, b.Object), cmp.Compare(a.Reason, b.Reason))
	})
	return all[:min(len(all), maxProblems)]
}
