package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"dcp.hiro.io/mesh/internal/mesh"
)

// Func finds out what one check is about. It returns one result for what is well, and one for each subject that is not;
// group, id and seconds are filled in by the run. It returns when ctx ends.
type Func func(ctx context.Context) []mesh.CheckResult

// Suite holds what can be found out, by the ids of the checks. One that is missing is skipped.
type Suite map[string]Func

// Options choose among the checks.
type Options struct {
	Groups []string         // only these; empty: all
	Skip   []string         // ids that are left out: they are told as skipped, and what needs them does without
	Now    func() time.Time // nil: time.Now
}

// Bounds of what one check tells. A mesh of hundreds of nodes that are away is told by the first of them.
const (
	maxResults = 20
	maxLine    = 600 // bytes of a message or cause: an API server may answer with pages
	maxNext    = 4
)

// Run goes through the groups in order and hands every result to emit, in the order of [Pages] and as soon as it is
// there. It calls emit from this goroutine alone, and leaves nothing running. The error is that of ctx: then emit was not
// told everything.
func Run(ctx context.Context, s Suite, o Options, emit func(mesh.CheckResult)) error {
	r := &run{suite: s, now: o.Now, skip: o.Skip, pages: map[string]Page{}, jobs: map[string]*job{}}
	if r.now == nil {
		r.now = time.Now
	}
	all := Pages()
	for _, p := range all {
		r.pages[p.ID] = p
	}
	defer r.working.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, g := range groups {
		if len(o.Groups) > 0 && !slices.Contains(o.Groups, g) {
			continue
		}
		var jobs []*job
		for _, p := range all {
			if p.Group == g {
				jobs = append(jobs, r.start(ctx, p))
			}
		}
		for _, j := range jobs {
			select {
			case <-j.done:
			case <-ctx.Done():
				return ctx.Err()
			}
			if ctx.Err() != nil { // what was found out meanwhile says that it was stopped
				return ctx.Err()
			}
			for _, x := range j.results {
				emit(x)
			}
		}
	}
	return nil
}

// run is one run. Its jobs are started by one goroutine at a time: that of Run, or that of a job, which mu orders.
type run struct {
	suite   Suite
	now     func() time.Time
	skip    []string
	pages   map[string]Page
	working sync.WaitGroup

	mu   sync.Mutex
	jobs map[string]*job // by id
}

// job is one check under way. A check of another group that this one needs is run once, and told in its turn if at all.
type job struct {
	done    chan struct{}      // closed when results is there
	results []mesh.CheckResult // at least one
}

// start begins a check unless it was begun.
func (r *run) start(ctx context.Context, p Page) *job {
	r.mu.Lock()
	defer r.mu.Unlock()
	if j := r.jobs[p.ID]; j != nil {
		return j
	}
	j := &job{done: make(chan struct{})}
	r.jobs[p.ID] = j
	r.working.Go(func() {
		defer close(j.done)
		begun := r.now()
		found := r.find(ctx, p)
		seconds := max(r.now().Sub(begun).Seconds(), 0)
		for i := range found {
			x := &found[i]
			x.Group, x.ID, x.Seconds = p.Group, p.ID, seconds
			x.Message, x.Cause = clip(x.Message), clip(x.Cause)
			x.Next = x.Next[:min(len(x.Next), maxNext)]
		}
		j.results = found
	})
	return j
}

// find runs a check, if what it needs is well.
func (r *run) find(ctx context.Context, p Page) []mesh.CheckResult {
	if slices.Contains(r.skip, p.ID) {
		return Skip("left out by --skip")
	}
	for _, id := range p.Needs {
		if slices.Contains(r.skip, id) {
			continue
		}
		need := r.start(ctx, r.pages[id])
		select {
		case <-need.done:
		case <-ctx.Done():
			return Skip("stopped")
		}
		for _, x := range need.results {
			switch x.Status {
			case mesh.CheckSkip:
				return Skip(x.Message)
			case mesh.CheckFail:
				return Skip("needs " + id)
			}
		}
	}
	look := r.suite[p.ID]
	if look == nil {
		return Skip("this cannot be found out here")
	}
	limited, cancel := context.WithTimeout(ctx, p.Deadline)
	defer cancel()
	found := look(limited)
	if len(found) == 0 {
		cause := "it found nothing out, which is a defect of mesh"
		if errors.Is(limited.Err(), context.DeadlineExceeded) {
			cause = fmt.Sprintf("no answer within %s", p.Deadline)
		}
		return []mesh.CheckResult{{Status: mesh.CheckWarn, Message: "not found out: " + p.Title, Cause: cause, Next: []string{"mesh doctor --group " + p.Group}}}
	}
	return bound(found)
}

// bound keeps the worst of too many results, in their order, and says how many more there are.
func bound(all []mesh.CheckResult) []mesh.CheckResult {
	if len(all) <= maxResults {
		return all
	}
	kept := slices.Clone(all)
	slices.SortStableFunc(kept, func(a, b mesh.CheckResult) int { return severity(b.Status) - severity(a.Status) })
	more := kept[maxResults-1:]
	return append(kept[:maxResults-1:maxResults-1], mesh.CheckResult{Status: more[0].Status, Message: fmt.Sprintf("and %d more", len(more)), Next: more[0].Next})
}

// severity orders the outcomes.
func severity(s mesh.CheckStatus) int {
	return slices.Index([]mesh.CheckStatus{mesh.CheckOK, mesh.CheckSkip, mesh.CheckWarn, mesh.CheckFail}, s)
}

// clip cuts a text of elsewhere between two characters.
func clip(s string) string {
	if len(s) <= maxLine {
		return s
	}
	cut := maxLine
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}

// OK is the result of a check that found nothing wrong.
func OK(format string, args ...any) []mesh.CheckResult {
	return []mesh.CheckResult{{Status: mesh.CheckOK, Message: fmt.Sprintf(format, args...)}}
}

// Skip is the result of a check that has nothing to look at.
func Skip(why string) []mesh.CheckResult {
	return []mesh.CheckResult{{Status: mesh.CheckSkip, Message: why}}
}

// Warn is a result that is worth a look, Fail one that is a fault.
func Warn(subject, message, cause string, next ...string) mesh.CheckResult {
	return mesh.CheckResult{Subject: subject, Status: mesh.CheckWarn, Message: message, Cause: cause, Next: next}
}

// Fail is a result that is a fault.
func Fail(subject, message, cause string, next ...string) mesh.CheckResult {
	return mesh.CheckResult{Subject: subject, Status: mesh.CheckFail, Message: message, Cause: cause, Next: next}
}
