package kube

import (
	"testing"
	"time"
)

func TestLastHour(t *testing.T) {
	t.Parallel()
	var h lastHour
	begin := time.Unix(1_800_000_000, 0)
	for _, tt := range []struct {
		after     time.Duration
		add, want int
	}{
		{0, 1, 1}, {time.Second, 2, 3}, {30 * time.Minute, 1, 4}, {59 * time.Minute, 0, 4}, {61 * time.Minute, 0, 1},
		{60 * time.Minute, 1, 2}, // a clock set back
		{89 * time.Minute, 0, 2}, {91 * time.Minute, 0, 1}, {3 * time.Hour, 0, 0}, {1000 * time.Hour, 5, 5}, {1001 * time.Hour, 0, 0},
	} {
		now := begin.Add(tt.after)
		for range tt.add {
			h.add(now)
		}
		if got := h.sum(now); got != tt.want {
			t.Errorf("after %s: %d, want %d", tt.after, got, tt.want)
		}
	}
}
