package main

import (
	"errors"
	"strings"
	"testing"
)

type sample struct {
	Name    string   `json:"name"`
	Number  uint64   `json:"number"`
	Missing *string  `json:"missing"`
	Words   []string `json:"words"`
}

var hostile = sample{
	Name:   `<a&b> "quoted" ` + "\n" + ` 'line'`,
	Number: 1<<63 + 12345,
	Words:  []string{"true", "123", "null", "2026-11-22T14:03:22Z", "0x1f", "1e3", "no", "", " - a: b", "12:30:45", "é"},
}

func TestPrintJSON(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	if err := te.printValue(formatJSON, "Sample", hostile); err != nil {
		t.Fatal(err)
	}
	want := `{
  "apiVersion": "mesh.dcp.hiro.io/v1",
  "kind": "Sample",
  "name": "<a&b> \"quoted\" \n 'line'",
  "number": 9223372036854788153,
  "missing": null,
  "words": [
    "true",
    "123",
    "null",
    "2026-11-22T14:03:22Z",
    "0x1f",
    "1e3",
    "no",
    "",
    " - a: b",
    "12:30:45",
    "é"
  ]
}
`
	if got := te.stdout.String(); got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
}

// Text that looks like another type stays text.
func TestPrintYAML(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	if err := te.printValue(formatYAML, "Sample", hostile); err != nil {
		t.Fatal(err)
	}
	want := `apiVersion: mesh.dcp.hiro.io/v1
kind: Sample
name: "<a&b> \"quoted\" \n 'line'"
number: 9223372036854788153
missing: null
words:
  - "true"
  - "123"
  - "null"
  - "2026-11-22T14:03:22Z"
  - "0x1f"
  - "1e3"
  - "no"
  - ""
  - " - a: b"
  - "12:30:45"
  - é
`
	if got := te.stdout.String(); got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
}

func TestPrintListAndLine(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	if err := te.printList(formatJSON, "SampleList", []sample(nil)); err != nil {
		t.Fatal(err)
	}
	want := "{\n  \"apiVersion\": \"mesh.dcp.hiro.io/v1\",\n  \"kind\": \"SampleList\",\n  \"items\": []\n}\n"
	if got := te.stdout.String(); got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
	te.stdout.Reset()
	for range 2 {
		if err := te.printLine("Empty", struct{}{}); err != nil {
			t.Fatal(err)
		}
	}
	want = strings.Repeat(`{"apiVersion":"mesh.dcp.hiro.io/v1","kind":"Empty"}`+"\n", 2)
	if got := te.stdout.String(); got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
}

func TestPrintRefusesWhatIsNoObject(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	if err := te.printValue(formatJSON, "List", []int{1}); err == nil {
		t.Error("printValue accepts a bare list")
	}
	if err := te.printValue("xml", "Sample", hostile); err == nil {
		t.Error("printValue accepts an unknown format")
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestOutputThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"version"}, {"version", "-o", "json"}, {"version", "-o", "yaml"}, {"completion", "bash"}, {"help"},
	} {
		te := newTestEnv(t)
		te.env.stdout = brokenPipe{}
		if code := te.mesh(t, args...); code != exitFailed {
			t.Errorf("mesh %v: exit code %d", args, code)
		}
		if !strings.Contains(te.stderr.String(), "MESH-1002") {
			t.Errorf("mesh %v printed\n%s", args, te.stderr.String())
		}
	}
}
