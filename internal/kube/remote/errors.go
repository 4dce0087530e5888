package remote

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// ForbiddenError says that RBAC refuses a request.
type ForbiddenError struct {
	User      string // as the API server names whoever asked; empty: it did not
	Verb      string // such as create
	Resource  string // such as pods/portforward or meshpeers.dcp.hiro.io
	Namespace string // empty: in all of them
}

func (e *ForbiddenError) Error() string {
	who := "you"
	if e.User != "" {
		who = fmt.Sprintf("user %q", e.User)
	}
	return fmt.Sprintf("%s cannot %s %s in %s", who, e.Verb, e.Resource, inNamespace(e.Namespace))
}

func inNamespace(ns string) string {
	if ns == "" {
		return "all namespaces"
	}
	return "namespace " + ns
}

// CanI is the command that asks the API server about this right.
func (e *ForbiddenError) CanI() string {
	resource, sub, nested := strings.Cut(e.Resource, "/")
	s := "kubectl auth can-i " + e.Verb + " " + resource
	if nested { // kubectl takes TYPE/NAME for one object
		s += " --subresource=" + sub
	}
	if e.Namespace == "" {
		return s + " -A"
	}
	return s + " -n " + e.Namespace
}

// UnauthenticatedError says that the API server does not know who asks.
type UnauthenticatedError struct{ Text string }

func (e *UnauthenticatedError) Error() string {
	return "the API server does not accept the credentials: " + e.Text
}

// UnreachableError says that the API server did not answer, or not as one does.
type UnreachableError struct {
	Host string
	Err  error
}

func (e *UnreachableError) Error() string {
	return "ask the API server at " + e.Host + ": " + e.Err.Error()
}
func (e *UnreachableError) Unwrap() error { return e.Err }

// NotInstalledError says that the cluster knows no MeshPeers.
type NotInstalledError struct{}

func (*NotInstalledError) Error() string {
	return "the cluster serves no MeshPeers (meshpeers.dcp.hiro.io/v1)"
}

// NoNodeError says that no pod of a namespace is a node that runs.
type NoNodeError struct {
	Namespace string
	Pod       string   // one that may become it; empty: there is none
	Phase     string   // of that pod
	Elsewhere []string // namespaces with MeshPeers, as far as they may be known
}

func (e *NoNodeError) Error() string {
	if e.Pod != "" {
		return fmt.Sprintf("no node runs in namespace %s: pod %s is %s", e.Namespace, e.Pod, e.Phase)
	}
	return fmt.Sprintf("no node runs in namespace %s: no pod there is labelled %s", e.Namespace, selector)
}

// PodError says that a pod is there and its API was not reached.
type PodError struct {
	Namespace, Pod string
	Via            Via
	Err            error
}

func (e *PodError) Error() string {
	return fmt.Sprintf("reach pod %s in namespace %s by %s: %v", e.Pod, e.Namespace, e.Via, e.Err)
}
func (e *PodError) Unwrap() error { return e.Err }

var (
	// ErrReadOnly says that a request changes something and came by pods/proxy.
	ErrReadOnly = errors.New("pods/proxy is for reading; this needs a port-forward")
	// ErrNoProxy says that the node does not serve its API on the port that pods/proxy reaches.
	ErrNoProxy = errors.New("the node does not serve its API there; api.proxy is off")
	// ErrViaNone says that the caller ruled out asking a live node.
	ErrViaNone = errors.New("with --via none only MeshPeers are read")
)

// notLive is why a live node could not be asked by either way; what the first says is told first.
type notLive struct{ forward, proxy error }

func (e *notLive) Error() string   { return e.forward.Error() + "; " + e.proxy.Error() }
func (e *notLive) Unwrap() []error { return []error{e.forward, e.proxy} }

// refusal is how the API server words what RBAC refuses.
var refusal = regexp.MustCompile(`User "([^"]*)" cannot (\S+) resource "([^"]*)" in API group "([^"]*)"( in the namespace "([^"]*)")?`)

// explain turns what a request failed with into an error of this package. verb, resource and namespace say what was
// asked for, where the answer does not. Errors that the server did not make are an UnreachableError.
func explain(err error, host, verb, resource, namespace string) error {
	var status apierrors.APIStatus
	switch {
	case apierrors.IsForbidden(err):
		f := &ForbiddenError{Verb: verb, Resource: resource, Namespace: namespace}
		if m := refusal.FindStringSubmatch(err.Error()); m != nil {
			f.User, f.Verb, f.Resource = line(m[1]), line(m[2]), line(m[3])
			if m[4] != "" {
				f.Resource += "." + line(m[4])
			}
		}
		return f
	case apierrors.IsUnauthorized(err):
		return &UnauthenticatedError{line(err.Error())}
	case !errors.As(err, &status):
		return &UnreachableError{host, plainError{err}}
	}
	return plainError{err}
}

// plainError words an error in one bounded line.
type plainError struct{ err error }

func (e plainError) Error() string { return line(e.err.Error()) }
func (e plainError) Unwrap() error { return e.err }

// maxLine bounds what is repeated of a server's words, in bytes.
const maxLine = 300

// line makes one line that is fit for a terminal of whatever a server said.
func line(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp):
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > maxLine {
		s = strings.ToValidUTF8(s[:maxLine-3], "") + "..."
	}
	return strings.TrimSpace(s)
}
