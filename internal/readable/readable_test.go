package readable

import (
	"testing"
	"time"
)

func TestSpans(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, tt := range []struct {
		d           time.Duration
		short, long string
	}{
		{-time.Second, "0s", "0s"},
		{900 * time.Millisecond, "0s", "0s"},
		{119 * time.Second, "119s", "1m59s"},
		{2 * time.Minute, "2m", "2m0s"},
		{119 * time.Minute, "119m", "1h59m"},
		{26 * time.Hour, "26h", "1d2h"},
		{3 * time.Hour, "3h", "3h0m"},
		{3*day + 4*time.Hour + 5*time.Minute, "3d", "3d4h"},
		{2 * day, "2d", "2d"},
	} {
		if got := Span(tt.d); got != tt.short {
			t.Errorf("Span(%s) = %s, want %s", tt.d, got, tt.short)
		}
		if got := LongSpan(tt.d); got != tt.long {
			t.Errorf("LongSpan(%s) = %s, want %s", tt.d, got, tt.long)
		}
	}
}

func TestShortID(t *testing.T) {
	t.Parallel()
	const id = "12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV"
	if got := ShortID(id); got != "12D3KooWQK1w...JgL5pV" {
		t.Errorf("ShortID = %s", got)
	}
	if got := ShortID("peer-3d4017c3"); got != "peer-3d4017c3" {
		t.Errorf("ShortID of a short one = %s", got)
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain - text":        "plain - text",
		"\x1b[2Jgone":         "?[2Jgone",
		"a\nb\tc":             "a?b?c",
		"right \u202eto left": "right ?to left",
		"two\u2028lines":      "two?lines",
		"größe \xff":          "größe ?",
	} {
		if got := Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	if one, two, none := Count(1, "peer"), Count(uint64(2), "peer"), Count(0, "peer"); one != "1 peer" || two != "2 peers" || none != "0 peers" {
		t.Errorf("Count: %s, %s, %s", one, two, none)
	}
}
