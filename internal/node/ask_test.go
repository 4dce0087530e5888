package node

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

func holdsNothing(mesh.LogKey) uint32 { return 0 }

// asked runs an asker as askRounds does, over d of virtual time, and returns when rounds began.
func asked(a *asker, d time.Duration, resync time.Duration, held func(mesh.LogKey) uint32, answer func(round uint32)) (at []time.Duration) {
	began := time.Now()
	next := began.Add(resync)
	for time.Since(began) < d {
		round, wait, _ := a.due(next, held)
		if round != 0 {
			at = append(at, time.Since(began))
			next = time.Now().Add(resync)
			answer(round)
			continue
		}
		time.Sleep(min(wait, d-time.Since(began)))
	}
	return at
}

func newAsker() *asker { return &asker{wake: make(chan struct{}, 1)} }

func TestRoundsAreRegularAndHaveNoLastTry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAsker()
		n := len(asked(a, time.Hour, time.Minute, nil, func(r uint32) { a.finish(r, holdsNothing) }))
		if n != 60 && n != 59 {
			t.Errorf("%d rounds in an hour that brought nothing, want one a minute", n)
		}
		lost := len(asked(a, time.Hour, time.Minute, nil, func(uint32) {}))
		if lost < 35 {
			t.Errorf("%d rounds in an hour without an answer, want it tried again and again", lost)
		}
	})
}

func TestAHundredReasonsMakeOneRound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAsker()
		for i := range 100 {
			a.soon(time.Duration(i) * time.Millisecond)
		}
		if at := asked(a, 30*time.Second, time.Minute, nil, func(r uint32) { a.finish(r, holdsNothing) }); len(at) != 1 {
			t.Errorf("rounds at %v, want one", at)
		}
	})
}

func TestNewsThatCameAnotherWayAskForNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, k := newAsker(), mesh.LogKey{}
		a.unless(hintDelay, k, 5)
		if at := asked(a, 30*time.Second, time.Minute, func(mesh.LogKey) uint32 { return 5 }, nil); len(at) != 0 {
			t.Errorf("rounds at %v although it came", at)
		}
		a.unless(hintDelay, k, 6)
		at := asked(a, 30*time.Second, time.Minute, func(mesh.LogKey) uint32 { return 5 }, func(r uint32) { a.finish(r, holdsNothing) })
		if len(at) != 1 || at[0] != hintDelay {
			t.Errorf("rounds at %v, want one after %s", at, hintDelay)
		}
	})
}

// A peer that announces what it never delivers is asked less and less often; one success makes it fast again.
func TestFutileRoundsSlowDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, next := newAsker(), uint32(0)
		futile := func(r uint32) {
			a.finish(r, holdsNothing)
			next++
			a.unless(0, mesh.LogKey{}, next)
		}
		none := func(mesh.LogKey) uint32 { return 0 }
		next++
		a.unless(0, mesh.LogKey{}, next)
		if n := len(asked(a, 10*time.Minute, time.Hour, none, futile)); n > 18 {
			t.Errorf("%d futile rounds in ten minutes", n)
		}
		fruitful := func(r uint32) { a.gain(1); futile(r); time.Sleep(time.Second) }
		if n := len(asked(a, 10*time.Minute, time.Hour, none, fruitful)); n < 300 {
			t.Errorf("%d fruitful rounds in ten minutes, want no pause", n)
		}
	})
}

func TestASpoiledRoundIsRepeatedAndComparesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAsker()
		a.soon(0)
		at := asked(a, time.Minute, time.Hour, nil, func(r uint32) {
			a.spoil()
			if !a.spoiled() || !a.current(r) || a.current(r+1) {
				t.Error("the round doesn't know its state")
			}
			a.finish(r, holdsNothing)
		})
		if len(at) != 2 || at[1] != diskLowRetry {
			t.Errorf("rounds at %v, want the second after %s", at, diskLowRetry)
		}
	})
}

// A mesh at rest doesn't compare again and again what its heartbeats say is the same.
func TestRoundsAreSparedAtRest(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		same  bool
		least int
		most  int
	}{"the same": {true, 6, 8}, "not the same": {false, 55, 67}} { // an hour; the first round is asked for at once
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newResting(t, 2)
			o := x.others[0]
			synctest.Test(t, func(t *testing.T) {
				o.link.ask.wake = make(chan struct{}, 1)
				o.link.peer.beat = &heartbeat{Digest: mesh.Hash{1}}
				if tt.same {
					o.link.peer.beat.Digest = x.node.loop.view.Load().digest()
				}
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- o.link.askRounds(ctx) }()
				rounds := 0
				for range 3600 {
					time.Sleep(time.Second)
					for {
						frame, _, ok := o.link.nextFrame()
						if !ok {
							break
						}
						if kind(frame[4]) == kindHave {
							rounds++
							o.link.ask.finish(uint32(rounds), holdsNothing)
						}
					}
				}
				cancel()
				<-ended
				if rounds < tt.least || rounds > tt.most {
					t.Errorf("%d rounds in an hour, want %d to %d", rounds, tt.least, tt.most)
				}
			})
		})
	}
}
