package kube

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// Reasons of problems.
const (
	ReasonAPIServerUnreachable = "APIServerUnreachable"
	ReasonWitnessUnreadable    = "WitnessUnreadable"
	ReasonTypeNotServed        = "TypeNotServed"
	ReasonForbidden            = "Forbidden"
	ReasonListFailed           = "ListFailed"
	ReasonInvalidObject        = "InvalidObject"
	ReasonApplyRejected        = "ApplyRejected"
	ReasonDeletionPending      = "DeletionPending"
	ReasonContested            = "Contested"
	ReasonDrifted              = "Drifted"
	ReasonFieldsDropped        = "FieldsDropped"
	ReasonNotProven            = "DeletionNotProven"
)

// maxProblems is how many problems are kept: more than anybody reads, less than hurts.
const maxProblems = 1000

// subject is what a problem is about: at most one of each kind is kept.
type subject struct {
	key   mesh.ObjectKey
	topic string
}

// problems keeps what is wrong. Safe for concurrent use.
type problems struct {
	log  *slog.Logger
	tell func(mesh.Notice)
	mu   sync.Mutex
	of   map[subject]mesh.Problem
}

// newProblems keeps none. tell may be nil.
func newProblems(log *slog.Logger, tell func(mesh.Notice)) *problems {
	if tell == nil {
		tell = func(mesh.Notice) {}
	}
	return &problems{log: log, tell: tell, of: map[subject]mesh.Problem{}}
}

// put notes a problem. One that is new is logged and told, one that stays keeps the time it began. It returns whether
// it is new.
func (p *problems) put(s subject, reason, text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := mesh.Problem{Reason: reason, Text: clip(text), Since: time.Now().UTC().Round(0)}
	if s.key != (mesh.ObjectKey{}) {
		now.Object = s.key.String()
	}
	old, was := p.of[s]
	if was && old.Reason == reason {
		now.Since = old.Since
	} else if !was && len(p.of) >= maxProblems {
		return false
	}
	p.of[s] = now
	fresh := !was || old.Reason != reason
	if fresh {
		p.log.Warn("problem in the cluster", "object", now.Object, "reason", reason, "text", now.Text)
		p.tell(mesh.Notice{Kind: mesh.NoticeKube, Level: levelOf(reason), Object: now.Object, Reason: reason, Text: now.Text})
	}
	return fresh
}

func (p *problems) clear(s subject) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old, was := p.of[s]
	if !was {
		return
	}
	delete(p.of, s)
	p.tell(mesh.Notice{Kind: mesh.NoticeKube, Level: mesh.LevelInfo, Object: old.Object, Reason: old.Reason,
		Text: fmt.Sprintf("well again after %s: %s", time.Since(old.Since).Round(time.Second), old.Text)})
}

// levelOf says how much a problem matters: without the API server nothing goes on.
func levelOf(reason string) string {
	switch reason {
	case ReasonAPIServerUnreachable, ReasonWitnessUnreadable:
		return mesh.LevelBad
	}
	return mesh.LevelWarn
}

func (p *problems) list() []mesh.Problem {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]mesh.Problem, 0, len(p.of))
	for _, x := range p.of {
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b mesh.Problem) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Text, b.Text))
	})
	return out
}

// maxText is the longest text of a problem, in bytes: API servers and webhooks may answer with pages.
const maxText = 500

func clip(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "..."
	}
	return string([]rune(s)) // not cut within a character
}
