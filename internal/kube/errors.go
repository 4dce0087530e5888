package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dcp.hiro.io/mesh/internal/mesh"
)

// reasonOf names the problem behind an error of a request; otherwise is for those that are no matter of access.
func reasonOf(err error, otherwise string) string {
	var dial *net.OpError
	var request *url.Error
	switch {
	case errors.Is(err, errNotServed), apierrors.IsMethodNotSupported(err):
		return ReasonTypeNotServed
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return ReasonForbidden
	case errors.As(err, &dial), errors.As(err, &request), errors.Is(err, context.DeadlineExceeded),
		apierrors.IsServiceUnavailable(err), apierrors.IsServerTimeout(err), apierrors.IsTimeout(err), apierrors.IsTooManyRequests(err):
		return ReasonAPIServerUnreachable
	}
	return otherwise
}

// unchangeable reports whether an update was refused because of a field that can't be changed once it is set.
func unchangeable(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	for _, cause := range status.Status().Details.Causes {
		if strings.Contains(cause.Message, "immutable") || cause.Type == metav1.CauseTypeForbidden {
			return true
		}
	}
	return false
}

// namespaceMissing reports whether a creation failed for want of its namespace.
func namespaceMissing(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) {
		return false
	}
	d := status.Status().Details
	return d != nil && d.Kind == "namespaces"
}

// answered reports whether an error is an answer of the API server, not the want of one.
func answered(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status)
}

// quiet words the error of a request about an object without what it quotes of the object: a validation error may
// show the value of a field, a webhook or a policy whatever it likes, and the object may be a Secret.
func quiet(k mesh.ObjectKey, err error) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return err.Error()
	}
	s := status.Status()
	secret := k.Group == "" && k.Kind == "Secret"
	switch {
	case apierrors.IsInvalid(err):
		return "the API server finds it invalid" + causes(s.Details, secret)
	case !secret, byRBAC.MatchString(s.Message):
		return err.Error()
	}
	return fmt.Sprintf("the API server refuses it: %d %s", s.Code, clipName(string(s.Reason)))
}

// byRBAC matches how kube-apiserver's RBAC words a refusal, which holds names only.
var byRBAC = regexp.MustCompile(`^[a-z.]+ "[^"]*" is forbidden: User "[^"]*" cannot [a-z]+ resource "[a-z/]+" in API group "[a-z0-9.-]*"( in the namespace "[^"]*"| at the cluster scope)$`)

// causes lists the fields that were found invalid, and why unless that may quote a Secret.
func causes(d *metav1.StatusDetails, secret bool) string {
	if d == nil || len(d.Causes) == 0 {
		return ""
	}
	var parts []string
	for _, c := range d.Causes[:min(len(d.Causes), 3)] {
		why := c.Message
		switch {
		case secret:
			why = clipName(string(c.Type))
		case c.Type != metav1.CauseTypeFieldValueRequired && c.Type != metav1.CauseTypeForbidden:
			why = unquoteValue(why)
		}
		if why = strings.TrimPrefix(strings.TrimSuffix(c.Field+": "+why, ": "), ": "); why != "" {
			parts = append(parts, why)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, "; ")
}

// unquoteValue drops the value from "Invalid value: VALUE: reason" and its like. Other texts stay.
func unquoteValue(msg string) string {
	head, rest, ok := strings.Cut(msg, " value: ")
	if !ok || strings.ContainsAny(head, " :") {
		return msg
	}
	if i := strings.LastIndex(rest, ": "); i >= 0 {
		return head + " value: " + rest[i+2:]
	}
	return head + " value"
}
