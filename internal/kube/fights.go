package kube

import (
	"sync"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

const (
	// A replica that is put back more than fightLimit times within fightWindow is contested: somebody else wants it
	// otherwise, and neither gives way.
	fightLimit  = 5
	fightWindow = time.Minute
	// fightPause is how long the next correction of a contested replica waits; it doubles up to fightMost.
	fightPause = 10 * time.Second
	fightMost  = 10 * time.Minute
)

// fights counts how often replicas are altered. It holds an entry for each that was altered lately. Safe for
// concurrent use.
type fights struct {
	mu sync.Mutex
	of map[mesh.ObjectKey]*fight
}

type fight struct {
	at    []time.Time // of the last alterations, at most fightLimit+1
	rival string      // the manager that altered it last
	pause time.Duration
	until time.Time // no correction before
}

func newFights() *fights { return &fights{of: map[mesh.ObjectKey]*fight{}} }

// altered notes that a replica was found altered.
func (f *fights) altered(k mesh.ObjectKey, rival string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	x := f.of[k]
	if x == nil {
		f.tidy(now)
		x = &fight{}
		f.of[k] = x
	}
	if rival != "" {
		x.rival = rival
	}
	if n := len(x.at); n > 0 && now.Sub(x.at[n-1]) > 2*fightMost {
		*x = fight{rival: x.rival}
	}
	x.at = append(x.at, now)
	if len(x.at) > fightLimit+1 {
		x.at = x.at[1:]
	}
}

// wait returns how long a correction is to wait, and against whom; 0: it may be made now. A correction that may be
// made counts as made.
func (f *fights) wait(k mesh.ObjectKey) (time.Duration, string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.of[k]
	now := time.Now()
	switch {
	case x == nil:
		return 0, ""
	case now.Before(x.until):
		return x.until.Sub(now), x.rival
	case x.pause > 0 || len(x.at) > fightLimit && now.Sub(x.at[0]) < fightWindow:
		first := x.pause == 0
		x.pause = min(max(fightPause, 2*x.pause), fightMost)
		x.until = now.Add(x.pause)
		if first {
			return x.pause, x.rival
		}
	}
	return 0, x.rival
}

// tidy drops what is long over. mu is held.
func (f *fights) tidy(now time.Time) {
	if len(f.of)%100 != 99 {
		return
	}
	for k, x := range f.of {
		if now.Sub(x.at[len(x.at)-1]) > 2*fightMost {
			delete(f.of, k)
		}
	}
}

// over forgets the fight about an object that isn't a replica any more.
func (f *fights) over(k mesh.ObjectKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.of, k)
}
