package merge_test

import (
	"slices"
	"testing"

	"dcp.hiro.io/mesh/internal/merge"
	"dcp.hiro.io/mesh/internal/mesh"
)

// claimsOf makes the claims of up to five zones about one object: three bytes for each.
func claimsOf(b []byte) []mesh.Claim {
	var out []mesh.Claim
	for z := 0; len(b) >= 3 && z < 5; z, b = z+1, b[3:] {
		out = append(out, mesh.Claim{
			Zone: mesh.Zone(rune('a' + z)), Kind: mesh.Live + mesh.ClaimKind(b[0]%3),
			Epoch: mesh.Epoch(1 + b[1]%4), Birth: mesh.Version(1 + b[1]>>4%4), Content: mesh.Hash{b[2] % 3},
		})
	}
	return out
}

// FuzzMerge holds that the winner, the rivals and the epoch of a creation are the same in whatever order and however
// often the claims come, that the winner of parts is the winner of the whole, that it is the one which the rule read
// aloud names, and that all zones that do what is asked of them come to an agreement.
func FuzzMerge(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 1}, []byte{1, 0})
	f.Add([]byte{0, 1, 0, 1, 1, 0, 2, 1, 0}, []byte{2, 0, 1})
	f.Add([]byte{0, 0x10, 0, 1, 0x11, 0, 0, 0x10, 2, 0, 2, 2, 1, 2, 1}, []byte{9, 9, 9})
	f.Fuzz(func(t *testing.T, b, order []byte) {
		claims := claimsOf(b)
		want, ok := naiveWinner(claims)
		if got, is := merge.Winner(claims); got != want || is != ok {
			t.Fatalf("Winner(%+v) = %+v, %v, want %+v, %v", claims, got, is, want, ok)
		}
		// Swaps in any order, and a few of them twice.
		other := slices.Clone(claims)
		for i, x := range order {
			if len(other) > 0 && i < 16 {
				j, k := i%len(other), int(x)%len(other)
				other[j], other[k] = other[k], other[j]
				if x >= 0x80 {
					other = append(other, other[j])
				}
			}
		}
		if got, is := merge.Winner(other); got != want || is != ok {
			t.Fatalf("Winner(%+v) = %+v, %v, want %+v, %v", other, got, is, want, ok)
		}
		if a, b := merge.CreationEpoch(claims), merge.CreationEpoch(other); a != b || a < 1 {
			t.Fatalf("CreationEpoch = %d and %d", a, b)
		}
		rivals := merge.Rivals(claims)
		again := merge.Rivals(other)
		slices.Sort(again)
		if !slices.Equal(rivals, slices.Compact(again)) {
			t.Fatalf("Rivals = %v and %v", rivals, again)
		}
		// Associative: the winner of two parts' winners is that of the whole, wherever it is cut.
		for cut := range len(claims) + 1 {
			var parts []mesh.Claim
			for _, part := range [][]mesh.Claim{claims[:cut], claims[cut:]} {
				if w, ok := merge.Winner(part); ok {
					parts = append(parts, w)
				}
			}
			if got, is := merge.Winner(parts); got != want || is != ok {
				t.Fatalf("the winner of the winners of %+v cut at %d is %+v, want %+v", claims, cut, got, want)
			}
		}
		for _, p := range []merge.Policy{{}, {Oldest: true}} {
			settles(t, slices.Clone(claims), p)
		}
	})
}

// settles lets each zone do what Decide asks of it until nobody changes a claim any more. A deletion is never asked
// for without a tombstone, and everybody names the same claim for the one that decides, or contends with it.
func settles(t *testing.T, claims []mesh.Claim, p merge.Policy) {
	t.Helper()
	for round := 0; ; round++ {
		if round > 10 {
			t.Fatalf("no end of it with %+v", claims)
		}
		changed := false
		for i := range claims {
			act, win := merge.Decide(claims[i].Zone, claims, p)
			switch act {
			case merge.Remove, merge.YieldDeleted:
				if win.Kind != mesh.Deleted {
					t.Fatalf("%d asked of %s by %+v", act, claims[i].Zone, win)
				}
			case merge.Put, merge.Yield:
				if win.Kind != mesh.Live || win.Zone == claims[i].Zone {
					t.Fatalf("%d asked of %s by %+v", act, claims[i].Zone, win)
				}
			}
			switch act {
			case merge.Yield, merge.YieldDeleted:
				claims[i].Kind, changed = mesh.Released, true
			case merge.Restate:
				if win.Epoch <= claims[i].Epoch {
					t.Fatalf("%s is to restate %+v because of %+v", claims[i].Zone, claims[i], win)
				}
				claims[i].Epoch, changed = win.Epoch, true
			}
		}
		if !changed {
			break
		}
	}
	win, ok := merge.Winner(claims)
	for _, zone := range []mesh.Zone{"a", "b", "z"} {
		act, by := merge.Decide(zone, claims, p)
		own := act == merge.Own && by.Zone == zone && by.Content == win.Content // two creators of the same thing
		if ok != (act != merge.Nothing) || ok && by != win && !own {
			t.Fatalf("%s goes by %+v (%d), the winner of %+v is %+v", zone, by, act, claims, win)
		}
	}
}
