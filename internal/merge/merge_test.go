package merge_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"dcp.hiro.io/mesh/internal/merge"
	"dcp.hiro.io/mesh/internal/mesh"
)

// naiveWinner is the rule read aloud, one sentence after the other, as slow as it likes to be.
func naiveWinner(claims []mesh.Claim) (mesh.Claim, bool) {
	var standing []mesh.Claim
	for _, c := range claims {
		if c.Kind != mesh.Released {
			standing = append(standing, c)
		}
	}
	keep := func(better func(a, b mesh.Claim) bool) {
		var out []mesh.Claim
		for _, c := range standing {
			beaten := false
			for _, d := range standing {
				beaten = beaten || better(d, c)
			}
			if !beaten {
				out = append(out, c)
			}
		}
		standing = out
	}
	keep(func(a, b mesh.Claim) bool { return a.Epoch > b.Epoch })
	keep(func(a, b mesh.Claim) bool { return a.Kind == mesh.Live && b.Kind == mesh.Deleted })
	keep(func(a, b mesh.Claim) bool { return a.Birth < b.Birth })
	keep(func(a, b mesh.Claim) bool { return a.Zone < b.Zone })
	if len(standing) == 0 {
		return mesh.Claim{}, false
	}
	return standing[0], true
}

func randomClaims(rng *rand.Rand) []mesh.Claim {
	var out []mesh.Claim
	for z := range rng.IntN(6) {
		out = append(out, mesh.Claim{
			Zone: mesh.Zone(fmt.Sprintf("z%d", z)), Kind: mesh.ClaimKind(1 + rng.IntN(3)),
			Epoch: mesh.Epoch(1 + rng.IntN(3)), Birth: mesh.Version(1 + rng.IntN(3)),
			Content: mesh.Hash{byte(rng.IntN(2))},
		})
	}
	return out
}

func TestWinnerAgreesWithTheRuleReadAloudInAnyOrder(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		claims := randomClaims(rng)
		want, wantOK := naiveWinner(claims)
		shuffled := slices.Clone(claims)
		rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if len(shuffled) > 0 {
			shuffled = append(shuffled, shuffled[rng.IntN(len(shuffled))]) // a duplicate changes nothing
		}
		got, ok := merge.Winner(shuffled)
		if ok != wantOK || got != want {
			t.Fatalf("Winner(%+v) = %+v, %v, want %+v, %v", shuffled, got, ok, want, wantOK)
		}
	}
}

// After every zone did what Decide asks of it, no zone is asked to do anything that changes claims: the rule
// has a fixed point, whatever the claims were.
func TestDecideSettles(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		claims := randomClaims(rng)
		p := merge.Policy{Oldest: rng.IntN(2) == 0}
		for round := 0; ; round++ {
			if round > 10 {
				t.Fatalf("no fixed point for %+v", claims)
			}
			changed := false
			for i := range claims {
				act, win := merge.Decide(claims[i].Zone, claims, p)
				switch act {
				case merge.Yield, merge.YieldDeleted:
					claims[i].Kind, changed = mesh.Released, true
				case merge.Restate:
					claims[i].Epoch, changed = win.Epoch, true
				}
			}
			if !changed {
				break
			}
		}
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	live := func(z mesh.Zone, e mesh.Epoch, birth mesh.Version, content byte) mesh.Claim {
		return mesh.Claim{Zone: z, Kind: mesh.Live, Epoch: e, Birth: birth, Content: mesh.Hash{content}}
	}
	dead := func(z mesh.Zone, e mesh.Epoch, birth mesh.Version) mesh.Claim {
		return mesh.Claim{Zone: z, Kind: mesh.Deleted, Epoch: e, Birth: birth}
	}
	gone := func(z mesh.Zone, e mesh.Epoch) mesh.Claim {
		return mesh.Claim{Zone: z, Kind: mesh.Released, Epoch: e}
	}
	for _, tt := range []struct {
		name   string
		claims []mesh.Claim
		oldest bool
		want   merge.Action
		by     mesh.Zone
	}{
		{name: "no claim", want: merge.Nothing},
		{name: "only releases", claims: []mesh.Claim{gone("eu", 1), gone("us", 2)}, want: merge.Nothing},
		{name: "ours alone", claims: []mesh.Claim{live("us", 1, 5, 1)}, want: merge.Own, by: "us"},
		{name: "theirs alone", claims: []mesh.Claim{live("eu", 1, 5, 1)}, want: merge.Put, by: "eu"},
		{name: "their tombstone", claims: []mesh.Claim{dead("eu", 1, 5)}, want: merge.Remove, by: "eu"},
		{name: "two creators, theirs is older", claims: []mesh.Claim{live("eu", 1, 4, 1), live("us", 1, 5, 2)}, want: merge.Contend, by: "eu"},
		{name: "two creators, ours is older", claims: []mesh.Claim{live("eu", 1, 6, 1), live("us", 1, 5, 2)}, want: merge.Own, by: "us"},
		{name: "two creators of the same content", claims: []mesh.Claim{live("eu", 1, 4, 1), live("us", 1, 5, 1)}, want: merge.Own, by: "us"},
		{name: "two creators, oldest wins", oldest: true, claims: []mesh.Claim{live("eu", 1, 4, 1), live("us", 1, 5, 2)}, want: merge.Yield, by: "eu"},
		{name: "adopted elsewhere", claims: []mesh.Claim{live("eu", 2, 5, 1), live("us", 1, 5, 1)}, want: merge.Yield, by: "eu"},
		{name: "adopted and deleted elsewhere", claims: []mesh.Claim{dead("eu", 2, 5), live("us", 1, 5, 1)}, want: merge.YieldDeleted, by: "eu"},
		{name: "another life was deleted at a higher epoch", claims: []mesh.Claim{dead("eu", 2, 4), live("us", 1, 5, 1)}, want: merge.Restate, by: "eu"},
		{name: "one of two creators deleted its own", claims: []mesh.Claim{dead("eu", 1, 4), live("us", 1, 5, 1)}, want: merge.Own, by: "us"},
		{name: "a release doesn't count", claims: []mesh.Claim{gone("ap", 9), live("eu", 1, 4, 1)}, want: merge.Put, by: "eu"},
	} {
		got, by := merge.Decide("us", tt.claims, merge.Policy{Oldest: tt.oldest})
		if got != tt.want || got != merge.Nothing && by.Zone != tt.by {
			t.Errorf("%s: Decide = %v by %q, want %v by %q", tt.name, got, by.Zone, tt.want, tt.by)
		}
	}
}

func TestCreationEpoch(t *testing.T) {
	t.Parallel()
	claims := []mesh.Claim{{Kind: mesh.Live, Epoch: 7}, {Kind: mesh.Deleted, Epoch: 3}, {Kind: mesh.Released, Epoch: 4}}
	if got := merge.CreationEpoch(claims); got != 4 {
		t.Errorf("CreationEpoch = %d, want 4, the highest of tombstones and releases", got)
	}
	if got := merge.CreationEpoch(nil); got != 1 {
		t.Errorf("CreationEpoch(nil) = %d, want 1", got)
	}
}
