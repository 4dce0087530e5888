package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestPath(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	if got := te.path("a/b"); got != filepath.Join(te.dir, "a/b") {
		t.Errorf("path = %s", got)
	}
	if got := te.path("/etc/x"); got != "/etc/x" {
		t.Errorf("path of an absolute name = %s", got)
	}
	te.env.dir = ""
	if got := te.path("a/b"); got != "a/b" {
		t.Errorf("path in the process's directory = %s", got)
	}
}

func TestNotesAndWarnings(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	te.note("wrote %s", "x")
	te.warn("disk %s\nis slow\x1b[0m", "a")
	te.warn("disk %s\nis slow\x1b[0m", "a")
	te.warn("disk %s is slow", "b")
	te.flags.quiet = true
	te.note("unheard")
	te.warn("heard")
	want := "wrote x\nwarning: disk a is slow?[0m\nwarning: disk b is slow\nwarning: heard\n"
	if got := te.stderr.String(); got != want {
		t.Errorf("stderr is\n%s\nwant\n%s", got, want)
	}
	if te.stdout.Len() != 0 {
		t.Error("something reached stdout")
	}
}

func TestConfirm(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		answer string
		want   bool
	}{
		{"y\n", true}, {"YES\n", true}, {" yes", true}, {"n\n", false}, {"\n", false}, {"", false}, {"yep\n", false},
		{strings.Repeat("y", 10_000), false},
	} {
		te := newTestEnv(t)
		te.env.isTerminal = func(any) bool { return true }
		te.env.stdin = strings.NewReader(tt.answer)
		got, err := te.confirm("Adopt it?", "--yes")
		if err != nil || got != tt.want {
			t.Errorf("answer %.10q: %v, %v, want %v", tt.answer, got, err, tt.want)
		}
		if te.stderr.String() != "Adopt it? [y/N] " {
			t.Errorf("asked %q", te.stderr.String())
		}
	}
}

func TestConfirmWhereNobodyCanAnswer(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	if _, err := te.confirm("Adopt it?", "--yes"); !hasCode(err, "MESH-2002") {
		t.Errorf("without a terminal: %v", err)
	}
	te.env.isTerminal = func(any) bool { return true }
	te.flags.noInput = true
	if _, err := te.confirm("Adopt it?", "--yes"); !hasCode(err, "MESH-2002") || !strings.Contains(err.Error(), "--no-input") {
		t.Errorf("with --no-input: %v", err)
	}
	if te.stderr.Len() != 0 {
		t.Error("it asked all the same")
	}
}
