package admin

import (
	"errors"
	"fmt"
	"net/http"
)

// Error is a refusal as the API tells it. Message says what, Cause why, Next which commands help; none of
// them ever holds object content. Code is MESH- and four digits, the first of which is the exit code of a
// command that meets it.
type Error struct {
	Code    string   `json:"code"`
	Message string   `json:"message"`
	Cause   string   `json:"cause,omitempty"`
	Next    []string `json:"next,omitempty"`
}

func (e *Error) Error() string {
	if e.Cause == "" {
		return e.Message
	}
	return e.Message + ": " + e.Cause
}

// Codes of refusals that this package makes itself.
const (
	CodeInternal    = "MESH-1101" // something unexpected went wrong inside the node
	CodeBadRequest  = "MESH-2101" // the request itself makes no sense
	CodeUnreachable = "MESH-3001" // nothing answers at the address
	CodeStarting    = "MESH-3002" // the node is not ready to answer yet, or too busy to
	CodeForbidden   = "MESH-6101" // the request is not allowed through this door
	CodeNotFound    = "MESH-6102" // no such object or peer
	CodeConflict    = "MESH-6103" // what was to be confirmed is not what is there now
)

func badRequest(format string, args ...any) *Error {
	return &Error{Code: CodeBadRequest, Message: "the request was not understood", Cause: fmt.Sprintf(format, args...),
		Next: []string{"mesh version, which tells both versions"}}
}

// httpStatus maps a code to the HTTP status it travels with.
func httpStatus(code string) int {
	switch code {
	case CodeStarting:
		return http.StatusServiceUnavailable
	case CodeNotFound:
		return http.StatusNotFound
	case CodeConflict:
		return http.StatusConflict
	case CodeForbidden:
		return http.StatusForbidden
	}
	if len(code) > 5 {
		switch code[5] {
		case '2':
			return http.StatusBadRequest
		case '3':
			return http.StatusServiceUnavailable
		case '6':
			return http.StatusConflict
		}
	}
	return http.StatusInternalServerError
}

// asError turns any error into one that may be told. What is not meant for the outside is named only as
// internal: its text may hold paths or content.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: CodeInternal, Message: "the node could not answer", Cause: "an internal error; the node's log names it",
		Next: []string{"mesh doctor"}}
}

// UnreachableError reports that no node answers at an address.
type UnreachableError struct {
	Addr string // unix:PATH or http://HOST:PORT
	Err  error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("cannot reach a mesh node at %s: %v", e.Addr, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }
