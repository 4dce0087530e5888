package node

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTwoNodesSync(t *testing.T) {
	a, b := newMember(t, 1), newMember(t, 2)
	a.knows(b)
	b.knows(a)
	a.start()
	a.write(3, 10) // before they meet: by a round
	b.start()
	until(t, "b holds what a wrote before", func() bool { return b.holds(a) == 3 })
	until(t, "both compared", func() bool { return a.core.comparedWith(b.public()) > 0 && b.core.comparedWith(a.public()) > 0 })
	a.write(5, 10) // while linked: live
	b.write(2, 10)
	until(t, "live operations", func() bool { return b.holds(a) == 8 && a.holds(b) == 2 })
}
