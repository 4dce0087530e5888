package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"dcp.hiro.io/mesh/internal/readable"
)

// Exit codes. The others are the first digit of the error's code.
const (
	exitOK          = 0
	exitFailed      = 1
	exitInterrupted = 130 // 128 + SIGINT, as shells do
)

// docsURL is where the manual lives, such as https://example.org/mesh. A release sets it at link time;
// without it errors point to `mesh help`, which answers offline. It is never fetched.
var docsURL string

// errInterrupted says that the user ended the command.
var errInterrupted = errors.New("interrupted")

// cliError is a failure as the user is told it.
type cliError struct {
	Code    string   // "MESH-2002", listed in codes.go; its first digit is the exit code
	What    string   // what happened, in one line
	Cause   string   // why, in one line; empty when Details say it
	Details []string // lines that take the place of the cause, such as one per problem of a config file
	Next    []string // commands to run next, each with its few words of lead-in
	Err     error    // the wrapped chain, shown with --verbose only; may be nil

	called string // the name that the program was called by; empty: mesh
}

func (c *cliError) Error() string {
	if c.Cause == "" {
		return c.What
	}
	return c.What + ": " + c.Cause
}

func (c *cliError) Unwrap() error { return c.Err }

// exitCode is the first digit of the code.
func (c *cliError) exitCode() int {
	digits, ok := strings.CutPrefix(c.Code, "MESH-")
	if !ok || digits == "" || digits[0] < '1' || digits[0] > '6' {
		return exitFailed
	}
	return int(digits[0] - '0')
}

// docs is where the code is explained.
func (c *cliError) docs() string {
	if docsURL == "" {
		return cmp.Or(c.called, plainName) + " help " + c.Code
	}
	return docsURL + "/errors#" + c.Code
}

// fail prints err to stderr, in words or as JSON, and returns the exit code.
func (e *env) fail(err error, asJSON bool) int {
	if errors.Is(err, errInterrupted) {
		fmt.Fprintln(e.stderr, "interrupted")
		return exitInterrupted
	}
	var c *cliError
	if !errors.As(err, &c) {
		c = internalError(e, err, nil)
	}
	c = e.calledError(c)
	if asJSON {
		e.failJSON(c)
	} else {
		e.failText(c)
	}
	return c.exitCode()
}

func (e *env) failText(c *cliError) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", e.paint(e.stderr, "error:", styleBad), oneLine(c.What))
	for _, d := range c.Details {
		fmt.Fprintf(&b, "  %s\n", readable.Text(d))
	}
	if c.Cause != "" {
		fmt.Fprintf(&b, "  cause: %s\n", oneLine(c.Cause))
	}
	if len(c.Next) > 0 {
		fmt.Fprintf(&b, "  next:  %s\n", joinNext(c.Next))
	}
	if e.flags.verbose && c.Err != nil {
		fmt.Fprintf(&b, "  chain: %s\n", oneLine(c.Err.Error()))
	}
	fmt.Fprintf(&b, "  docs:  %s\n", c.docs())
	_, _ = e.stderr.Write([]byte(b.String())) // there is nowhere left to tell that stderr is broken
}

// errorDocument is a failure in JSON, on standard error.
type errorDocument struct {
	Error errorBody `json:"error"`
}

type errorBody struct {
	Code    string   `json:"code"` // such as MESH-2002; its first digit is the exit code
	Message string   `json:"message"`
	Cause   string   `json:"cause"`             // empty where details say it
	Details []string `json:"details,omitempty"` // one line per problem
	Next    []string `json:"next"`              // what to run next
	Chain   string   `json:"chain,omitempty"`   // with --verbose: the errors that led to this one
	Docs    string   `json:"docs"`              // where the code is explained
}

// failJSON writes {"error":{...}} in one line.
func (e *env) failJSON(c *cliError) {
	b := errorBody{Code: c.Code, Message: c.What, Cause: c.Cause, Details: c.Details, Next: c.Next, Docs: c.docs()}
	if b.Next == nil {
		b.Next = []string{}
	}
	if e.flags.verbose && c.Err != nil {
		b.Chain = c.Err.Error()
	}
	enc := json.NewEncoder(e.stderr)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(errorDocument{b}) // as above
}

const (
	// nextWidth is how long a line of hints may become before each gets its own; longer than a terminal's 80
	// columns because commands with paths are copied whole.
	nextWidth = 100
	// nextColumn aligns the second hint with that of other errors.
	nextColumn = 20
	// nextGap is the least number of spaces between two hints, enough to see that they are two.
	nextGap = 4
)

// joinNext lays the hints side by side while they fit, one per line otherwise.
func joinNext(next []string) string {
	var b strings.Builder
	for i, n := range next {
		if i > 0 {
			stop := (b.Len() + nextGap + nextColumn - 1) / nextColumn * nextColumn
			b.WriteString(strings.Repeat(" ", stop-b.Len()))
		}
		b.WriteString(oneLine(n))
	}
	if b.Len() <= nextWidth || len(next) == 1 {
		return b.String()
	}
	lines := make([]string, len(next))
	for i, n := range next {
		lines[i] = oneLine(n)
	}
	return strings.Join(lines, "\n         ")
}

// internalError is an error that no command foresaw. The chain and the stack go into a report file rather
// than to the user; the arguments stay out of it because they may hold a token.
func internalError(e *env, err error, stack []byte) *cliError {
	name, werr := e.writeReport(err, stack)
	if werr != nil {
		name = ""
	}
	return reportedError(err, name)
}

// reportedError tells of an internal error and of the report about it, of which report is the file's name; empty: it
// could not be written.
func reportedError(err error, report string) *cliError {
	c := &cliError{
		Code:  "MESH-1001",
		What:  "mesh met an internal error",
		Cause: "something happened that mesh was not prepared for",
		Next:  []string{"the same command with --verbose"},
		Err:   err,
	}
	if report == "" {
		c.Cause += "; the report could not be written"
		return c
	}
	c.Cause += "; the report is in " + report
	c.Next = append(c.Next, "send the report: "+report)
	return c
}

// writeReport writes what developers need to know about an internal error into a file of its own, and returns its
// name. stack is nil where it is that of the caller.
func (e *env) writeReport(err error, stack []byte) (name string, werr error) {
	if stack == nil {
		stack = make([]byte, 1<<16) // room for the stacks of this goroutine, cut beyond
		stack = stack[:runtime.Stack(stack, false)]
	}
	v := buildVersion()
	f, werr := os.CreateTemp(e.tempDir, "mesh-report-*.txt") // created with 0600
	if werr != nil {
		return "", werr
	}
	_, werr = fmt.Fprintf(f, "mesh %s, revision %s, %s\n%s\n\n%v\n\n%s", v.Version, orNone(v.Revision), v.GoVersion,
		e.now().UTC().Format("2006-01-02T15:04:05Z"), err, stack)
	return f.Name(), errors.Join(werr, f.Close())
}

// orNone is s, or the dash that stands for no value.
func orNone(s string) string {
	if s == "" {
		return noValue
	}
	return s
}
