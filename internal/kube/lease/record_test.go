package lease

import (
	"testing"
	"time"

	coordination "k8s.io/api/coordination/v1"
)

// What tests release is released, also on a machine that does much else.
func init() { releaseWithin = 30 * time.Second }

func TestJudge(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		holder string
		ago    time.Duration
		held   bool
		want   verdict
	}{
		{"", 0, false, take},
		{"other", 0, false, look},
		{"other", Duration - 1, false, look},
		{"other", Duration, false, take},
		{"self", 0, false, keep},
		{"self", time.Hour, true, keep},
		{"other", 0, true, lost},
		{"other", time.Hour, true, lost},
		{"", 0, true, lost},
	} {
		if got := judge(terms{holder: tt.holder, duration: Duration}, "self", tt.ago, tt.held); got != tt.want {
			t.Errorf("judge(%q, %s, held %v) = %d, want %d", tt.holder, tt.ago, tt.held, got, tt.want)
		}
	}
}

// What the API server tells is read whatever it is, and within bounds.
func TestTermsOf(t *testing.T) {
	t.Parallel()
	seconds := func(n int32) *int32 { return &n }
	for _, tt := range []struct {
		seconds *int32
		want    time.Duration
	}{{nil, Duration}, {seconds(-1), minRecord}, {seconds(0), minRecord}, {seconds(15), 15 * time.Second}, {seconds(1 << 30), maxRecord}} {
		if got := termsOf(&coordination.Lease{Spec: coordination.LeaseSpec{LeaseDurationSeconds: tt.seconds}}); got.duration != tt.want || got.holder != "" {
			t.Errorf("terms %+v, want %s", got, tt.want)
		}
	}
}

// The margins of the times: a holder is uncertain well before a standby takes over, and a standby is in time.
func TestTimes(t *testing.T) {
	t.Parallel()
	if RenewDeadline+requestWithin >= Duration {
		t.Error("a write that is under way when the lease becomes uncertain is not over when another takes it")
	}
	if renewEvery+2*requestWithin >= RenewDeadline {
		t.Error("one lost renewal makes a lease uncertain")
	}
	if Duration+lookEvery+requestWithin >= 15*time.Second {
		t.Error("a killed holder is not succeeded within 15 s")
	}
}
