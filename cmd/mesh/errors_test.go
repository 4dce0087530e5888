package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestErrorText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  *cliError
		want string
		code int
	}{
		{
			name: "what, cause, next, docs",
			err: &cliError{
				Code:  "MESH-3001",
				What:  "cannot reach a mesh node at unix:/run/user/1000/mesh/api.sock",
				Cause: "no such file; no node runs for this user",
				Next:  []string{"mesh run", "or name another node: mesh status --node http://HOST:3000"},
			},
			want: `error: cannot reach a mesh node at unix:/run/user/1000/mesh/api.sock
  cause: no such file; no node runs for this user
  next:  mesh run            or name another node: mesh status --node http://HOST:3000
  docs:  mesh help MESH-3001
`,
			code: 3,
		},
		{
			name: "details take the place of the cause",
			err: &cliError{
				Code: "MESH-2001",
				What: "config.yaml has 2 problems",
				Details: []string{
					`config.yaml:7:1   unknown key "bindport"; did you mean "bind_port"?`,
					`   7 | bindport: 9102`,
					`     | ^~~~~~~~`,
				},
				Next: []string{"fix the lines above, then: mesh run --check-config"},
			},
			want: `error: config.yaml has 2 problems
  config.yaml:7:1   unknown key "bindport"; did you mean "bind_port"?
     7 | bindport: 9102
       | ^~~~~~~~
  next:  fix the lines above, then: mesh run --check-config
  docs:  mesh help MESH-2001
`,
			code: 2,
		},
		{
			name: "long hints get a line each",
			err: &cliError{
				Code: "MESH-6001", What: "x", Cause: "y",
				Next: []string{strings.Repeat("a", 60), strings.Repeat("b", 60)},
			},
			want: "error: x\n  cause: y\n  next:  " + strings.Repeat("a", 60) + "\n         " + strings.Repeat("b", 60) +
				"\n  docs:  mesh help MESH-6001\n",
			code: 6,
		},
		{
			name: "foreign text cannot steer the terminal",
			err:  &cliError{Code: "MESH-1003", What: "a\x1b[2Jb\nerror: c", Cause: "\u202egnp.exe\u0085", Next: []string{"d\re"}},
			want: "error: a?[2Jb error: c\n  cause: ?gnp.exe?\n  next:  d e\n  docs:  mesh help MESH-1003\n",
			code: 1,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			te := newTestEnv(t)
			tt.err.Err = errors.New("open store: read page 7: input/output error")
			if got := te.fail(fmt.Errorf("wrapped: %w", tt.err), false); got != tt.code {
				t.Errorf("exit code %d, want %d", got, tt.code)
			}
			if got := te.stderr.String(); got != tt.want {
				t.Errorf("printed\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestErrorVerbose(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	te.flags.verbose = true
	err := &cliError{Code: "MESH-1003", What: "cannot write", Err: errors.New("write page 7: disk full")}
	te.fail(err, false)
	want := "error: cannot write\n  chain: write page 7: disk full\n  docs:  mesh help MESH-1003\n"
	if got := te.stderr.String(); got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
	te.stderr.Reset()
	te.fail(err, true)
	want = `{"error":{"code":"MESH-1003","message":"cannot write","cause":"","next":[],` +
		`"chain":"write page 7: disk full","docs":"mesh help MESH-1003"}}` + "\n"
	if got := te.stderr.String(); got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
}

func TestInternalErrorWithoutRoomForAReport(t *testing.T) {
	t.Parallel()
	te := newTestEnv(t)
	te.tempDir = te.path("missing")
	if got := te.fail(errors.New("boom"), false); got != exitFailed {
		t.Errorf("exit code %d", got)
	}
	if got := te.stderr.String(); !strings.Contains(got, "the report could not be written") || strings.Contains(got, "boom") {
		t.Errorf("printed\n%s", got)
	}
}

func TestExitCodeIsTheFirstDigit(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]int{
		"MESH-1001": 1, "MESH-2001": 2, "MESH-3001": 3, "MESH-4001": 4, "MESH-5001": 5, "MESH-6001": 6,
		"MESH-9001": 1, "": 1, "6001": 1,
	} {
		if got := (&cliError{Code: code}).exitCode(); got != want {
			t.Errorf("exit code of %q = %d, want %d", code, got, want)
		}
	}
}
