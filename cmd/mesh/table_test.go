package main

import (
	"strings"
	"testing"
)

func peersTable() table {
	return table{
		columns: []column{
			{name: "NAME"},
			{name: "STATE", style: stateStyle},
			{name: "ADDRESS", shrink: true},
			{name: "RTT"}, {name: "LAG"}, {name: "SEEN"}, {name: "VERSION"}, {name: "AGE"},
		},
		rows: [][]string{
			{"west", "Ready", "203.0.113.20:9102", "18ms", "0", "1s", "0.4.0", "3d"},
			{"north", "Ready", "198.51.100.7:9102", "41ms", "0", "2s", "0.4.0", "3d"},
			{"south", "NotReady", "south.example:9102", "230ms", "12", "14s", "0.3.9", "26h"},
			{"lab", "Unavailable", "192.0.2.44:9102", "", "", "9m", "0.4.0", "12d"},
		},
	}
}

const peersText = `NAME    STATE         ADDRESS              RTT     LAG   SEEN   VERSION   AGE
west    Ready         203.0.113.20:9102    18ms    0     1s     0.4.0     3d
north   Ready         198.51.100.7:9102    41ms    0     2s     0.4.0     3d
south   NotReady      south.example:9102   230ms   12    14s    0.3.9     26h
lab     Unavailable   192.0.2.44:9102      -       -     9m     0.4.0     12d
`

func noPaint(s string, _ style) string { return s }

func TestTable(t *testing.T) {
	t.Parallel()
	for _, terminal := range []int{0, 80, 200} {
		if got := peersTable().layout(terminal, noPaint); got != peersText {
			t.Errorf("for %d columns:\n%s\nwant\n%s", terminal, got, peersText)
		}
	}
}

// Only the address gives way, in its middle, and never below what can be recognised.
func TestTableOnANarrowTerminal(t *testing.T) {
	t.Parallel()
	got := peersTable().layout(74, noPaint)
	if !strings.Contains(got, "south....e:9102   230ms") || !strings.Contains(got, "lab     Unavailable") {
		t.Errorf("for 74 columns:\n%s", got)
	}
	for line := range strings.Lines(got) {
		if len(strings.TrimSuffix(line, "\n")) > 74 {
			t.Errorf("line %q is too long", line)
		}
	}
	if got := peersTable().layout(20, noPaint); !strings.Contains(got, "south...9102   230ms") {
		t.Errorf("for 20 columns:\n%s", got)
	}
}

func TestTableColoursOnlyStatesAndHeaders(t *testing.T) {
	t.Parallel()
	paint := func(s string, st style) string {
		if st == stylePlain {
			return s
		}
		return "{" + s + "}"
	}
	got := peersTable().layout(0, paint)
	plain := strings.NewReplacer("{", "", "}", "").Replace(got)
	if plain != peersText {
		t.Errorf("colour moved the columns:\n%s", got)
	}
	for _, want := range []string{"{NAME}", "{Ready}", "{NotReady}", "{Unavailable}"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if strings.Count(got, "{") != 8+4 {
		t.Errorf("%d coloured words, want 8 headers and 4 states:\n%s", strings.Count(got, "{"), got)
	}
}

func TestTableCellsAreHostile(t *testing.T) {
	t.Parallel()
	tb := table{
		columns:  []column{{name: "NAME"}, {name: "AGE"}},
		rows:     [][]string{{"a b\tc\x1b[31m\u202e"}, {"", "1d", "surplus"}},
		noHeader: true,
	}
	want := "a_b?c?[31m?   -\n-             1d\n"
	if got := tb.layout(0, noPaint); got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

func TestEmptyTable(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	if err := te.printTable(table{columns: []column{{name: "NAME"}}}, "No peers found."); err != nil {
		t.Fatal(err)
	}
	if te.stdout.Len() != 0 || te.stderr.String() != "No peers found.\n" {
		t.Errorf("stdout %q, stderr %q", te.stdout.String(), te.stderr.String())
	}
}

func TestPrintTableUsesTheTerminal(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	te.env.width = func(any) int { return 74 }
	if err := te.printTable(peersTable(), ""); err != nil {
		t.Fatal(err)
	}
	if te.stdout.String() != peersText {
		t.Errorf("piped output was changed:\n%s", te.stdout.String())
	}
	te.stdout.Reset()
	te.env.isTerminal = func(any) bool { return true }
	te.flags.color = "never"
	if err := te.printTable(peersTable(), ""); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(te.stdout.String(), "...") {
		t.Errorf("nothing was shortened:\n%s", te.stdout.String())
	}
}

func TestColour(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		flag, noColor, force, term string
		tty, want                  bool
	}{
		{flag: "auto", want: false},
		{flag: "auto", tty: true, want: true},
		{flag: "auto", tty: true, term: "dumb", want: false},
		{flag: "auto", tty: true, noColor: "1", want: false},
		{flag: "auto", force: "1", want: true},
		{flag: "auto", force: "0", want: false},
		{flag: "auto", force: "1", term: "dumb", want: true},
		{flag: "auto", force: "1", noColor: "1", want: false},
		{flag: "always", noColor: "1", term: "dumb", want: true},
		{flag: "never", force: "1", tty: true, want: false},
	} {
		te := newTestEnv(t)
		te.flags.color = tt.flag
		te.vars["NO_COLOR"], te.vars["CLICOLOR_FORCE"], te.vars["TERM"] = tt.noColor, tt.force, tt.term
		te.env.isTerminal = func(any) bool { return tt.tty }
		if got := te.coloured(te.env.stdout); got != tt.want {
			t.Errorf("%+v: coloured = %v", tt, got)
		}
		if got := te.paint(te.env.stdout, "Ready", styleOK) == "\x1b[36mReady\x1b[0m"; got != tt.want {
			t.Errorf("%+v: painted = %v", tt, got)
		}
	}
}

func TestNumbersOutOfRange(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		style func(string) style
		cell  string
		want  style
	}{
		{rttStyle, "0.4ms", stylePlain}, {rttStyle, "149ms", stylePlain}, {rttStyle, "150ms", styleWarn}, {rttStyle, "400ms", styleBad}, {rttStyle, "1.2s", styleBad}, {rttStyle, "-", stylePlain},
		{lagStyle, "0", stylePlain}, {lagStyle, "50", stylePlain}, {lagStyle, "51", styleWarn}, {lagStyle, "501", styleBad}, {lagStyle, "-", stylePlain},
		{delayStyle, "5s", stylePlain}, {delayStyle, "5.1s", styleWarn}, {delayStyle, "31s", styleBad}, {delayStyle, "-", stylePlain},
	} {
		if got := tt.style(tt.cell); got != tt.want {
			t.Errorf("%q has style %v, want %v", tt.cell, got, tt.want)
		}
	}
}
