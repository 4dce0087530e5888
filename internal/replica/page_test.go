package replica_test

import (
	"fmt"
	"slices"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest"
	"dcp.hiro.io/mesh/internal/replica"
)

// Pages of any size, one after the other, list every object once and in order.
func TestResourcesInPages(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.open()
	var want []mesh.ObjectKey
	for i := range 100 {
		k := meshtest.Object(fmt.Sprintf("o%02d", i*37%100))
		want = append(want, k)
		b.do(replica.Local{Object: k, Payload: []byte(`{}`)})
	}
	slices.SortFunc(want, mesh.ObjectKey.Compare)
	for _, limit := range []int{1, 7, 50, 99, 100, 1000} {
		var got []mesh.ObjectKey
		var after mesh.ObjectKey
		for {
			page := b.r.Resources(after, limit)
			if len(page) == 0 {
				break
			}
			for i := range page {
				after = want[min(len(got), len(want)-1)]
				if page[i].Object != after.String() {
					t.Fatalf("limit %d: object %d is %s, want %s", limit, len(got), page[i].Object, after)
				}
				got = append(got, after)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: %d objects, want %d", limit, len(got), len(want))
		}
	}
}
