package store

import (
	"sync"
	"testing"

	"dcp.hiro.io/mesh/internal/meshtest/storetest"
)

// TestReadsBesideCommits reads everything while commits go on, then closes under the readers: each call answers
// from one committed state, or says that the store is closed.
func TestReadsBesideCommits(t *testing.T) {
	t.Parallel()
	s := newTest(t)
	c := newChain(1)
	log := storetest.Log(1, 1)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				rows, err := s.Rows(log, 0, 1<<32-1, 1<<20)
				if err != nil {
					return
				}
				for i := 1; i < len(rows); i++ {
					if rows[i].Seq != rows[i-1].Seq+1 {
						t.Errorf("row %d follows row %d", rows[i].Seq, rows[i-1].Seq)
						return
					}
				}
				x, err := s.Load()
				if err != nil {
					return
				}
				for _, l := range x.Logs {
					id, held, err := s.RowID(log, l.Height())
					if err != nil {
						return
					}
					if !held || id != l.Head {
						t.Errorf("head %d is %v, %v, want %v", l.Height(), id, held, l.Head)
						return
					}
				}
				for _, claim := range x.Claims {
					if _, err := s.Payload(claim.Ref()); err != nil {
						return
					}
				}
				s.Low()
			}
		})
	}
	for range 100 {
		if err := s.Commit(c.next()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
}
