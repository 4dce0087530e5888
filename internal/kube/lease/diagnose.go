package lease

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"dcp.hiro.io/mesh/internal/kube"
)

// Term is what a Lease says to whoever is no candidate.
type Term struct {
	Holder  string    // empty: nobody. Printable
	Renewed time.Time // by the clock of the holder
	RunsOut time.Time
}

// Look reads a Lease. false: there is none yet.
func Look(ctx context.Context, conn *kube.Connection, name string) (Term, bool, error) {
	l, err := leases{conn.Dynamic.Resource(leaseResource).Namespace(conn.Namespace)}.get(ctx, name)
	if apierrors.IsNotFound(err) {
		return Term{}, false, nil
	}
	if err != nil {
		return Term{}, false, err
	}
	t := termsOf(l)
	return Term{Holder: printable(t.holder), Renewed: t.renewed, RunsOut: t.renewed.Add(t.duration)}, true, nil
}
