package main

import (
	"strings"
	"testing"
)

func TestClosest(t *testing.T) {
	t.Parallel()
	names := []string{"keygen", "run", "status", "peers", "log", "adopt", "version", "help", "ls"}
	for _, tt := range []struct{ word, want string }{
		{"stauts", "status"},
		{"Status", "status"},
		{"ver", "version"},
		{"keygne", "keygen"},
		{"rnu", "run"},
		{"xy", ""},
		{"l", ""},
		{"", ""},
		{"kubernetes", ""},
		{strings.Repeat("status", 1000), ""},
	} {
		if got := closest(tt.word, names); got != tt.want {
			t.Errorf("closest(%.20s) = %q, want %q", tt.word, got, tt.want)
		}
	}
}

func TestEditDistance(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"peers", "peers", 0}, {"peesr", "peers", 1},
		{"perers", "peers", 1}, {"pers", "peers", 1}, {"paers", "peers", 1}, {"kitten", "sitting", 3},
	} {
		if got := editDistance(tt.a, tt.b); got != tt.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := editDistance(tt.b, tt.a); got != tt.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", tt.b, tt.a, got, tt.want)
		}
	}
}
