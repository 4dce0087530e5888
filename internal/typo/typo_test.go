package typo_test

import (
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/typo"
)

func TestClosest(t *testing.T) {
	t.Parallel()
	names := []string{"keygen", "run", "status", "peers", "log", "adopt", "version", "help", "ls", "port", "WARN", "private_key_path", "data_dir"}
	for _, tt := range []struct{ word, want string }{
		{"stauts", "status"},
		{"Status", "status"},
		{"warm", "WARN"},
		{"ver", "version"},
		{"keygne", "keygen"},
		{"rnu", "run"},
		{"private_key_file", "private_key_path"},
		{"private-key-file", "private_key_path"},
		{"private_file_file", ""},
		{"cache_dir", ""},
		{"xy", ""},
		{"l", ""},
		{"", ""},
		{"host", ""},
		{"kubernetes", ""},
		{strings.Repeat("status", 1000), ""},
	} {
		if got := typo.Closest(tt.word, names); got != tt.want {
			t.Errorf("Closest(%.20s) = %q, want %q", tt.word, got, tt.want)
		}
	}
}

func TestEdits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"peers", "peers", 0}, {"peesr", "peers", 1},
		{"perers", "peers", 1}, {"pers", "peers", 1}, {"paers", "peers", 1}, {"kitten", "sitting", 3},
		{"a", strings.Repeat("a", 1000), 128},
	} {
		if got := typo.Edits(tt.a, tt.b); got != tt.want {
			t.Errorf("Edits(%q, %.20q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := typo.Edits(tt.b, tt.a); got != tt.want {
			t.Errorf("Edits(%.20q, %q) = %d, want %d", tt.b, tt.a, got, tt.want)
		}
	}
}
