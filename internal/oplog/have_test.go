package oplog_test

import (
	"slices"
	"testing"

	"dcp.hiro.io/mesh/internal/oplog"
)

// TestDiff goes through what two nodes can hold of one log.
func TestDiff(t *testing.T) {
	t.Parallel()
	long := history{"rival", 300}
	for _, test := range []struct {
		name         string
		ours, theirs *holding // theirs nil: nothing
		want         *oplog.Send
	}{
		{"both nothing", holds(trunk, 0, 0), nil, nil},
		{"they have nothing", holds(trunk, 2, 6), nil, &oplog.Send{From: 2, To: 6}},
		{"they know the log and have nothing", holds(trunk, 2, 6), holds(trunk, 0, 0), &oplog.Send{From: 2, To: 6}},
		{"they lack the end", holds(trunk, 2, 6), holds(trunk, 0, 4), &oplog.Send{From: 4, To: 6}},
		{"they end where we start", holds(trunk, 4, 6), holds(trunk, 0, 4), &oplog.Send{From: 4, To: 6}},
		{"they lack what is pruned", holds(trunk, 4, 6), holds(trunk, 0, 2), &oplog.Send{From: 4, To: 6}},
		{"the same", holds(trunk, 2, 6), holds(trunk, 0, 6), nil},
		{"they have more", holds(trunk, 0, 6), holds(trunk, 5, 9), nil},

		{"their part of our run", holds(trunk, 5, 9), holds(trunk, 0, 2).staging(trunk, 5, 7), &oplog.Send{From: 7, To: 9}},
		{"their part is of another history", holds(trunk, 5, 9), holds(trunk, 0, 2).staging(rival, 5, 7), &oplog.Send{From: 5, To: 9}},
		{"their part is of an older run", holds(trunk, 5, 9), holds(trunk, 0, 2).staging(trunk, 4, 7), &oplog.Send{From: 5, To: 9}},
		{"their part is longer than ours", holds(trunk, 5, 9), holds(trunk, 0, 2).staging(trunk, 5, 12), &oplog.Send{From: 5, To: 9}},
		{"they hold only a part of a run", holds(trunk, 5, 9), holds(trunk, 0, 0).staging(trunk, 5, 7), &oplog.Send{From: 7, To: 9}},
		{"our own part of a run", holds(trunk, 0, 0).staging(trunk, 5, 7), holds(trunk, 0, 0), nil},

		{"their head is another one", holds(trunk, 0, 6), holds(rival, 0, 5), &oplog.Send{From: 0, To: 5}},
		{"their head of the same height is another one", holds(trunk, 3, 6), holds(rival, 0, 6), &oplog.Send{From: 3, To: 6}},
		{"only the window before it", holds(trunk, 0, 600), holds(long, 0, 500), &oplog.Send{From: 244, To: 500}},

		{
			"we know of a fork, they don't", holds(trunk, 0, 6).limit(oplog.Limit{Height: 3, Hash: trunk.id(3)}),
			holds(rival, 0, 6), &oplog.Send{Evidence: true},
		},
		{
			"nothing of our log stands", holds(trunk, 0, 6).limit(oplog.Limit{None: true}),
			holds(rival, 0, 6), &oplog.Send{Evidence: true},
		},
		{
			"they are below the limit", holds(trunk, 0, 6).limit(oplog.Limit{Height: 3, Hash: trunk.id(3)}),
			holds(trunk, 0, 2), &oplog.Send{From: 2, To: 4},
		},
		{
			"both know of it", holds(trunk, 0, 6).limit(oplog.Limit{Height: 3, Hash: trunk.id(3)}),
			holds(rival, 0, 6).limit(oplog.Limit{Height: 3, Hash: trunk.id(3)}), nil,
		},
		{"they know of it and we don't", holds(trunk, 0, 6), holds(rival, 0, 6).limit(oplog.Limit{Height: 3, Hash: trunk.id(3)}), nil},
	} {
		var theirs []oplog.Have
		if test.theirs != nil {
			theirs = append(theirs, test.theirs.State())
		}
		got, err := oplog.Diff([]oplog.Have{test.ours.State()}, theirs, test.ours.ids)
		var want []oplog.Send
		if test.want != nil {
			test.want.Log = test.ours.Key
			want = append(want, *test.want)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: Diff = %+v, %v, want %+v", test.name, got, err, want)
		}
	}
}

// TestDiffOrder sends logs in the order in which they are stated, and each for itself.
func TestDiffOrder(t *testing.T) {
	t.Parallel()
	a, b := holds(trunk, 0, 3).State(), holds(trunk, 0, 5).State()
	b.Key.Log[0]++
	got, err := oplog.Diff([]oplog.Have{b, a}, []oplog.Have{{Key: a.Key, Next: 1, Head: trunk.id(0)}}, holds(trunk, 0, 5).ids)
	want := []oplog.Send{{Log: b.Key, From: 0, To: 5}, {Log: a.Key, From: 1, To: 3}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Diff = %+v, %v, want %+v", got, err, want)
	}
}
