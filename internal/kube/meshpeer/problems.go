package meshpeer

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"dcp.hiro.io/mesh/internal/mesh"
)

// problems keeps what is wrong, one of each subject, and logs what is new. Safe for concurrent use.
type problems struct {
	log *slog.Logger
	now func() time.Time
	mu  sync.Mutex
	of  map[string]mesh.Problem
}

func (p *problems) put(subject, reason, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old, was := p.of[subject]
	now := mesh.Problem{Reason: reason, Text: clip(text, maxSentence), Since: p.now().UTC().Round(0)}
	if was && old.Reason == reason {
		now.Since = old.Since
	} else {
		p.log.Warn("MeshPeers can't be kept as they should be", "reason", reason, "err", now.Text)
	}
	p.of[subject] = now
}

func (p *problems) clear(subject string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, was := p.of[subject]; was {
		p.log.Info("what was wrong with MeshPeers is over", "reason", old.Reason)
		delete(p.of, subject)
	}
}

func (p *problems) list() []mesh.Problem {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]mesh.Problem, 0, len(p.of))
	for _, x := range p.of {
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b mesh.Problem) int {
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		return strings.Compare(a.Text, b.Text)
	})
	return out
}

// failed notes a request that failed, and when the next of its kind is worth trying.
func (k *Keeper) failed(o op, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	reason, pause := reasonOf(err)
	k.pacing.pause(o, k.cfg.Now(), pause)
	k.problems.put(string(o), reason, string(o)+" MeshPeers: "+err.Error())
}

// worked notes a request that succeeded.
func (k *Keeper) worked(o op) {
	k.pacing.resume(o)
	k.problems.clear(string(o))
}

// reasonOf says what kind of failure it is, and how long to wait; 0: longer each time.
func reasonOf(err error) (reason string, pause time.Duration) {
	var status apierrors.APIStatus
	switch {
	case errors.Is(err, errUnproven):
		return ReasonWithdrawalUnproven, 0
	case apierrors.IsForbidden(err) && apierrors.HasStatusCause(err, "NamespaceTerminating"):
		return ReasonNamespaceMissing, 0
	case apierrors.IsForbidden(err):
		return ReasonForbidden, forbiddenPause
	case lostContact(err):
		return ReasonUnreachable, 0
	case apierrors.IsNotFound(err) && errors.As(err, &status) && status.Status().Details != nil &&
		status.Status().Details.Kind == "namespaces":
		return ReasonNamespaceMissing, 0
	case apierrors.IsNotFound(err), apierrors.IsMethodNotSupported(err):
		return ReasonNotServed, 0
	}
	return ReasonRejected, time.Second
}
